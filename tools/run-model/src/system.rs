//! What the system knows of the processor and of this process. What it does not tell is `None`.

use sysinfo::{CpuRefreshKind, System};

/// The processor's name.
pub(crate) fn cpu_name() -> Option<String> {
    let mut system = System::new().ok()?;
    system.refresh_cpu_list(CpuRefreshKind::nothing());
    let name = system.cpus().first()?.brand().trim().to_owned();
    (!name.is_empty()).then_some(name)
}

/// Those of the processor's abilities that matter to kernels, whether there are kernels for them yet or not.
pub(crate) fn cpu_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    macro_rules! detected {
        ($($name:tt)*) => { [$(($name, std::arch::is_x86_feature_detected!($name))),*] };
    }
    #[cfg(target_arch = "aarch64")]
    macro_rules! detected {
        ($($name:tt)*) => { [$(($name, std::arch::is_aarch64_feature_detected!($name))),*] };
    }
    #[cfg(target_arch = "x86_64")]
    let features = detected!["sse4.1" "avx" "f16c" "fma" "avx2" "avxvnni" "avx512f" "avx512bw" "avx512vl" "avx512vnni"];
    #[cfg(target_arch = "aarch64")]
    let features = detected!["neon" "fp16" "dotprod" "i8mm" "bf16" "sve" "sve2"];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let features: [(&str, bool); 0] = [];
    features.into_iter().filter(|(_, found)| *found).map(|(name, _)| name).collect()
}

/// The most memory that this process has held at once, the mapped part of model files included.
pub(crate) fn peak_rss() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?;
    Some(kib.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_the_peak() {
        let before = peak_rss().unwrap();
        let held = std::hint::black_box(vec![1u8; 64 << 20]);
        assert!(peak_rss().unwrap() >= before + (32 << 20));
        drop(held);
    }
}
