//! What other programs do meanwhile: a number that was measured beside them is of no use.

use std::fs;

/// The processor's time so far, in ticks: all of it, what was used, and what this program and those that it has waited
/// for used of that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ticks {
    n_cpus: u64,
    all: u64,
    used: u64,
    own: u64,
}

impl Ticks {
    /// Linux only.
    pub(super) fn now() -> Option<Ticks> {
        let read = |path| fs::read_to_string(path).ok();
        Ticks::parse(&read("/proc/stat")?, &read("/proc/self/stat")?)
    }

    /// How many cores others have used since `self`, what a hypervisor gave to others included.
    pub(super) fn others_since(self) -> Option<f64> {
        Some(self.others_until(Ticks::now()?))
    }

    fn others_until(self, later: Ticks) -> f64 {
        let others = (later.used - self.used).saturating_sub(later.own - self.own);
        let all = (later.all - self.all).max(1);
        others as f64 / all as f64 * self.n_cpus as f64
    }

    /// As proc(5) describes the two files.
    fn parse(system: &str, process: &str) -> Option<Ticks> {
        let columns = system.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let columns: Vec<u64> = columns.split_whitespace().map_while(|column| column.parse().ok()).collect();
        let &[user, nice, system_time, idle, waiting, irq, soft_irq, stolen, ..] = &columns[..] else { return None };
        let used = user + nice + system_time + irq + soft_irq + stolen;
        let n_cpus = system.lines().filter(|line| line.starts_with("cpu")).count() as u64 - 1;
        // The program's name comes before, and may hold anything.
        let (_, fields) = process.rsplit_once(')')?;
        let own =
            fields.split_whitespace().skip(11).take(4).map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
        Some(Ticks { n_cpus, all: used + idle + waiting, used, own })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = "cpu  10 20 30 400 50 6 7 8 0 0\ncpu0 5 0 0 0 0 0 0 0 0 0\ncpu1 5 0 0 0 0 0 0 0 0 0\nintr 1\n";

    #[test]
    fn ticks_are_read_as_linux_writes_them() {
        let process = "7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 100 20 3 4 20 0 1\n";
        let ticks = Ticks::parse(SYSTEM, process);
        assert_eq!(ticks, Some(Ticks { n_cpus: 2, all: 531, used: 81, own: 127 }));
        assert_eq!(Ticks::parse("intr 1\n", process), None);
        assert_eq!(Ticks::now().is_some(), cfg!(target_os = "linux"));
    }

    #[test]
    fn others_are_what_is_used_and_not_ours() {
        let before = Ticks { n_cpus: 4, all: 1000, used: 100, own: 10 };
        let after = Ticks { n_cpus: 4, all: 1400, used: 300, own: 160 };
        assert_eq!(before.others_until(after), 0.5);
        // Ticks are counted apart from the time of processes, so that the two may differ by a few.
        assert_eq!(before.others_until(Ticks { n_cpus: 4, all: 1400, used: 150, own: 70 }), 0.0);
    }
}
