//! The page that says how the tests went.

use anyhow::Result;
use std::fmt::Write as _;
use std::process::Command;

use super::driver::Adapter;
use super::tests::Outcome;
use crate::{commit, process};

/// A driver's line of the table.
pub(super) struct Row {
    pub(super) driver: String,
    pub(super) adapter: Adapter,
    pub(super) results: Vec<Outcome>,
}

impl Row {
    /// Whether something ran, and nothing failed.
    pub(super) fn passed(&self) -> bool {
        self.results.iter().all(|outcome| outcome.failed == 0 && outcome.passed > 0)
    }
}

/// The whole page.
pub(super) fn text(files: &[String], rows: &[Row]) -> Result<String> {
    let date = process::output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    let (date, commit) = (date.trim(), commit::describe(&["docs/gpu-matrix.md"])?);
    Ok(format!("{INTRODUCTION}\nLast run: {date}, commit {commit}.\n\n{}{NOTES}", table(files, rows)))
}

fn table(files: &[String], rows: &[Row]) -> String {
    let mut text = String::from("| driver | adapter | driver version | subgroup size | f16 | cooperative matrices |");
    files.iter().for_each(|file| text += &format!(" {file} |"));
    text += "\n|---|---|---|---|---|---|";
    files.iter().for_each(|_| text += "---|");
    text.push('\n');
    for Row { driver, adapter, results } in rows {
        let Adapter { name, driver: version, subgroups, f16, matrices } = adapter;
        // Writing to a string cannot fail.
        let _ = write!(text, "| {driver} | {name} | {version} | {subgroups} | {f16} | {matrices} |");
        for Outcome { passed, failed, took } in results {
            let seconds = took.as_secs_f64();
            let _ = match failed {
                0 => write!(text, " {passed} passed ({seconds:.0} s) |"),
                failed => write!(text, " **{failed} failed**, {passed} passed ({seconds:.0} s) |"),
            };
        }
        text.push('\n');
    }
    text
}

const INTRODUCTION: &str = "\
# GPU drivers that the tests have run on

Written by

```sh
cargo xtask gpu-matrix            # --icd FILE for a driver more, --models for real models too
```

which runs every `tests/tests/gpu_*.rs` on each driver, or all but those of real models: all op cases against the scalar reference, with every optional feature
switched off in turn and with and without the shaders' own checks; every allocation refused; the device lost at any time; the
profile. A driver's subgroup size and what it lacks is why it is here: nothing of a GPU is assumed. Times are of tests built
for development, and say nothing about speed.
";

const NOTES: &str = "
SwiftShader comes from Debian's `chromium-common`, and lavapipe, Mesa's software driver, from the suite sid: version 26 has
cooperative matrices. It needs a newer C library than Debian 12 has, so that is fetched too, and its dynamic linker starts the
tests. All this is unpacked into the cache; nothing is installed. Mesa takes minutes to compile the kernels with matrices, and
keeps them in a cache of its own: a second run is much faster.
";

#[cfg(test)]
mod checks {
    use std::time::Duration;

    use super::*;

    fn row(failed: u32) -> Row {
        let adapter = ["llvmpipe", "Mesa", "8", "yes", "none"].map(str::to_owned);
        let [name, driver, subgroups, f16, matrices] = adapter;
        let adapter = Adapter { name, driver, subgroups, f16, matrices };
        let outcome = Outcome { passed: 4, failed, took: Duration::from_millis(1400) };
        Row { driver: "the system's".to_owned(), adapter, results: vec![outcome] }
    }

    #[test]
    fn a_failure_stands_out() {
        let text = table(&["gpu_faults".to_owned()], &[row(0), row(2)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2], "| the system's | llvmpipe | Mesa | 8 | yes | none | 4 passed (1 s) |");
        assert!(lines[3].ends_with("**2 failed**, 4 passed (1 s) |"), "{text}");
        let columns = |line: &str| line.matches('|').count();
        assert!(lines.iter().all(|line| columns(line) == columns(lines[0])));
        assert!(row(0).passed() && !row(2).passed());
    }
}
