//! How the panels of each format are best read by this team, measured on the weights that were loaded.
//!
//! Processors differ: on one, four streams of reads fill the memory's bandwidth and a single one does not; on another, each
//! more gets in the others' way. So what is worth trying is tried, for the time that a few tokens take. Results do not
//! depend on it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use silhak_ops::{Error, Plan};
use silhak_quant::Format;

use super::buffer::Shared;
use super::run::COLUMN_UNIT;
use super::storage::Storages;
use crate::Caps;
use crate::linear::{Activations, LinearKernel, Output, ROWS, Reading};
use crate::policy::Storage;
use crate::team::Team;

/// How the panels of each format are read.
#[derive(Debug, Default)]
pub(super) struct Readings(Vec<(Format, Reading)>);

impl Readings {
    /// Measures for each format that has panels among `weights`, as they are stored.
    pub(super) fn measure(
        plan: &Plan,
        storages: &Storages,
        weights: &[Bytes],
        caps: &Caps,
        team: &mut Team,
    ) -> Result<Readings, Error> {
        let mut readings = Readings::default();
        for (i, weight) in plan.weights().iter().enumerate() {
            if !storages.is_repacked(i) || readings.0.iter().any(|(format, _)| *format == weight.format) {
                continue;
            }
            let alike = |i: &usize| storages.is_repacked(*i) && plan.weights()[*i].format == weight.format;
            let samples = samples(plan, weights, (0..weights.len()).filter(alike));
            let kernel = LinearKernel::choose(weight.format, Storage::Panels, 1, caps);
            let reading = fastest(&kernel, &samples, caps, team)?;
            tracing::debug!(format = weight.format.name(), %reading, "measured how weights are best read");
            readings.0.push((weight.format, reading));
        }
        Ok(readings)
    }

    /// How panels of `format` are read.
    pub(super) fn of(&self, format: Format) -> Reading {
        self.0.iter().find(|(known, _)| *known == format).map_or(Reading::default(), |(_, reading)| *reading)
    }
}

/// Some rows of a weight.
struct Sample {
    panels: Bytes,
    n_rows: usize,
    cols: usize,
}

/// A sample's size: so much that starting and ending take no part of the time worth mentioning.
const SAMPLE_BYTES: usize = 6 << 20;

/// Bytes of the smallest pages of memory.
const PAGE_BYTES: usize = 4096;

/// Each candidate is measured so many times on other weights, and its best time counts: the machine does other things too.
const ROUNDS: usize = 3;

/// Measuring a format ends after the round in which so much time is over.
const BUDGET: Duration = Duration::from_millis(40);

/// Weights in samples of [`SAMPLE_BYTES`] at most. Those much smaller than the largest are left out.
fn samples(plan: &Plan, weights: &[Bytes], numbers: impl Iterator<Item = usize> + Clone) -> Vec<Sample> {
    let largest = numbers.clone().map(|i| weights[i].len()).max().unwrap_or(0).min(SAMPLE_BYTES);
    let mut samples = Vec::new();
    for i in numbers {
        let (rows, cols) = (plan.weights()[i].rows, plan.weights()[i].cols);
        let panel_bytes = weights[i].len() / rows.div_ceil(ROWS).max(1);
        let step = (largest / panel_bytes.max(1)).max(1) * ROWS;
        for first in (0..rows).step_by(step) {
            let n_rows = step.min(rows - first);
            let panels = first / ROWS * panel_bytes..(first + n_rows).div_ceil(ROWS) * panel_bytes;
            if panels.len() > largest / 2 {
                samples.push(Sample { panels: weights[i].slice(panels), n_rows, cols });
            }
        }
    }
    samples
}

/// The candidate that takes the least time per byte.
fn fastest(kernel: &LinearKernel, samples: &[Sample], caps: &Caps, team: &mut Team) -> Result<Reading, Error> {
    let candidates = kernel.readings();
    let mut best = vec![f64::INFINITY; candidates.len()];
    let mut samples = samples.iter().cycle();
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        for (best, &reading) in best.iter_mut().zip(candidates) {
            let Some(sample) = samples.next() else { return Ok(Reading::default()) };
            let seconds = sample.time(kernel.with_reading(reading), caps, team)?;
            *best = best.min(seconds / sample.panels.len() as f64);
        }
        if begin.elapsed() > BUDGET {
            break;
        }
    }
    let fastest = best.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
    Ok(fastest.map_or(Reading::default(), |(i, _)| candidates[i]))
}

impl Sample {
    /// Seconds that the team takes to multiply the sample with a token.
    fn time(&self, kernel: LinearKernel, caps: &Caps, team: &mut Team) -> Result<f64, Error> {
        let mut acts = Activations::new(caps);
        acts.reset(kernel.layout(), 1, self.cols)?;
        acts.fill(&vec![1.0; self.cols]);
        let mut out = vec![0.0; self.n_rows];
        let out = Shared::new(&mut out);
        let panel_bytes = self.panels.len() / self.n_rows.div_ceil(ROWS);
        // Where the panels are a mapped file, the system looks for a page when it is touched first.
        self.panels.iter().step_by(PAGE_BYTES).for_each(|byte| _ = black_box(*byte));
        let begin = Instant::now();
        team.run(|member| {
            let part = member.share(self.n_rows, COLUMN_UNIT);
            if !part.is_empty() {
                let panels = part.start / ROWS * panel_bytes..part.end.div_ceil(ROWS) * panel_bytes;
                // SAFETY: threads have parts of their own.
                let mut out = Output::new(unsafe { out.get_mut(part.clone()) }, part.len());
                kernel.run(&self.panels[panels], self.cols, &acts, 0..1, &mut out);
            }
            Ok(())
        })?;
        Ok(begin.elapsed().as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use silhak_ops::cases::all_cases;

    use super::*;

    fn sample(format: Format, n_rows: usize, cols: usize) -> Sample {
        let bytes = crate::linear::panel_bytes(format, n_rows, cols).unwrap();
        Sample { panels: vec![0; bytes].into(), n_rows, cols }
    }

    #[test]
    fn every_format_with_panels_gets_a_reading() {
        let caps = Caps::detect();
        let mut team = Team::new(NonZero::new(2).unwrap()).unwrap();
        for &format in Format::ALL {
            if crate::policy::storage(format, ROWS, &caps) == Storage::Panels {
                let kernel = LinearKernel::choose(format, Storage::Panels, 1, &caps);
                let samples = [(16, 256), (53, 512), (1000, 768)].map(|(rows, cols)| sample(format, rows, cols));
                let reading = fastest(&kernel, &samples, &caps, &mut team).unwrap();
                assert!(kernel.readings().contains(&reading), "{format}: {reading}");
                assert_eq!(fastest(&kernel, &[], &caps, &mut team).unwrap(), Reading::default());
            }
        }
    }

    #[test]
    fn samples_are_whole_panels_of_the_large_weights() {
        for case in all_cases() {
            let storages = Storages::new(&case.plan, &Caps::detect(), true);
            let panels = |i: &usize| storages.is_repacked(*i);
            let stored: Vec<Bytes> = case
                .plan
                .weights()
                .iter()
                .map(|w| vec![0; crate::linear::panel_bytes(w.format, w.rows, w.cols).unwrap_or(0)].into())
                .collect();
            let samples = samples(&case.plan, &stored, (0..stored.len()).filter(panels));
            let largest = samples.iter().map(|sample| sample.panels.len()).max().unwrap_or(0);
            assert_eq!(samples.is_empty(), !(0..stored.len()).any(|i| panels(&i)), "{}", case.name);
            for Sample { panels, n_rows, .. } in samples {
                assert!(panels.len() <= SAMPLE_BYTES && panels.len() >= largest / 2, "{}", case.name);
                assert_eq!(panels.len() % n_rows.div_ceil(ROWS), 0, "{}", case.name);
            }
        }
    }
}
