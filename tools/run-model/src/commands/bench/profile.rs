//! Where the time on a GPU went, kernel by kernel.

use serde::Serialize;
use silhak::KernelTime;

use crate::messages::Lang;
use crate::output;

/// The kernels of a measurement, the slowest first.
#[derive(Serialize)]
pub(super) struct Profile {
    kernels: Vec<Kernel>,
    /// Bytes per second that the memory gives to a kernel that only reads.
    bandwidth: Option<f64>,
}

#[derive(Serialize)]
struct Kernel {
    kernel: String,
    calls: u64,
    seconds: f64,
    weight_bytes: u64,
    /// Weights read per second, over the bandwidth.
    of_bandwidth: Option<f64>,
}

impl Profile {
    pub(super) fn new(kernels: Vec<KernelTime>, bandwidth: Option<f64>) -> Self {
        let kernel = |time: KernelTime| Kernel {
            of_bandwidth: bandwidth.map(|bandwidth| time.bytes_per_second() / bandwidth),
            kernel: time.kernel,
            calls: time.calls,
            seconds: time.seconds,
            weight_bytes: time.weight_bytes,
        };
        Profile { kernels: kernels.into_iter().map(kernel).collect(), bandwidth }
    }

    /// `what` was measured.
    pub(super) fn print(&self, what: &str, lang: Lang) -> anyhow::Result<()> {
        output::line("")?;
        if self.kernels.is_empty() {
            return output::line(lang.no_profile());
        }
        let total: f64 = self.kernels.iter().map(|kernel| kernel.seconds).sum();
        output::line(&lang.profile_of(what, total, self.bandwidth))?;
        let mut rows = vec![lang.profile_heads().map(str::to_owned)];
        rows.extend(self.kernels.iter().map(|kernel| kernel.row(total)));
        output::table(&rows)
    }
}

impl Kernel {
    fn row(&self, total: f64) -> [String; 6] {
        let reads = self.weight_bytes > 0;
        let percent = |part: f64| format!("{:.1} %", 100.0 * part);
        [
            self.kernel.clone(),
            self.calls.to_string(),
            percent(self.seconds / total),
            format!("{:.1} µs", 1e6 * self.seconds / self.calls as f64),
            if reads { output::bytes(self.weight_bytes / self.calls) } else { String::new() },
            self.of_bandwidth.filter(|_| reads).map_or(String::new(), percent),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_of_kernels_that_read_weights() {
        let time =
            |kernel: &str, seconds, weight_bytes| KernelTime { kernel: kernel.into(), calls: 4, seconds, weight_bytes };
        let profile = Profile::new(vec![time("gpu-matvec", 3e-3, 6_000_000), time("gpu-rope", 1e-3, 0)], Some(4e9));
        let rows: Vec<_> = profile.kernels.iter().map(|kernel| kernel.row(4e-3)).collect();
        assert_eq!(rows[0], ["gpu-matvec", "4", "75.0 %", "750.0 µs", "1.50 MB", "50.0 %"]);
        assert_eq!(rows[1], ["gpu-rope", "4", "25.0 %", "250.0 µs", "", ""]);
    }
}
