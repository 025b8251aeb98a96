//! Choosing the forms of kernels by timing them on the card, with the weights that they will multiply.
//!
//! Which form is fastest follows from shapes and formats, and from what a card has of everything: there is no telling from
//! its name. What was found is kept ([`KnownForms`]), because two forms add in different orders: a model shall give the same
//! text tomorrow.

use std::time::{Duration, Instant};

use silhak_shaders::Form;
use wgpu::CommandEncoderDescriptor;

use crate::GpuError;
use crate::device::Device;
use crate::executor::BatchBuffer;
use crate::known_forms::KnownForms;
use crate::pipelines::Pipelines;
use crate::policy;
use crate::program::{Program, Sizes, Step, Work};

/// Sets the forms of a program's steps to those that are known, or else to the fastest.
pub(crate) fn tune(
    program: &mut Program,
    device: &Device,
    pipelines: &Pipelines,
    known: &KnownForms,
) -> Result<(), GpuError> {
    let tuner = Tuner { device, pipelines, batch: BatchBuffer::of_one_token(device, pipelines)? };
    let mut alike: Vec<(Work, Vec<usize>)> = Vec::new();
    for (i, step) in program.steps.iter().enumerate() {
        match alike.iter_mut().find(|(work, _)| *work == step.work) {
            Some((_, steps)) => steps.push(i),
            None => alike.push((step.work, vec![i])),
        }
    }
    for (work, steps) in alike {
        let Some(key) = work.key(&device.caps) else { continue };
        let forms = work.forms(&device.caps);
        let form = match known.get(&key).filter(|form| forms.contains(form)) {
            Some(form) => form,
            None => {
                let all: Vec<&Step> = steps.iter().map(|&i| &program.steps[i]).collect();
                let form = tuner.fastest(&key, &work, &forms, &all)?;
                known.add(key, form);
                form
            }
        };
        steps.into_iter().for_each(|i| program.steps[i].work.set_form(form));
    }
    known.save();
    Ok(())
}

/// Runs are at least this long; shorter ones measure the submission.
const LONG_ENOUGH: Duration = Duration::from_millis(2);

/// Best of so many runs: others can only be disturbed.
const RUNS: usize = 3;

struct Tuner<'a> {
    device: &'a Device,
    pipelines: &'a Pipelines,
    batch: BatchBuffer,
}

impl Tuner<'_> {
    /// The fastest of `forms`, over steps that do the same `work` with different weights.
    fn fastest(&self, key: &str, work: &Work, forms: &[Form], steps: &[&Step]) -> Result<Form, GpuError> {
        let bytes: u64 = steps.iter().map(|step| step.weight_bytes()).sum();
        let mut best = (Duration::MAX, work.form().unwrap_or(policy::FORM));
        for &form in forms {
            let mut formed = *work;
            formed.set_form(form);
            let time = self.time(&formed, steps)?;
            let gigabytes_per_second = bytes as f64 / time.as_secs_f64() / 1e9;
            let microseconds = time.as_secs_f64() * 1e6 / steps.len() as f64;
            tracing::debug!(key, %form, microseconds, gigabytes_per_second, "measured");
            if time < best.0 {
                best = (time, form);
            }
        }
        tracing::debug!(key, form = %best.1, "chosen");
        Ok(best.1)
    }

    /// How long the steps take, all together.
    fn time(&self, work: &Work, steps: &[&Step]) -> Result<Duration, GpuError> {
        let Some((shader, [x, y, z])) = work.dispatch(&Sizes::ONE_TOKEN, &self.device.caps) else {
            return Ok(Duration::MAX);
        };
        let pipeline = self.pipelines.get(shader)?;
        let run = |n: u32| {
            let mut encoder = self.device.device.create_command_encoder(&CommandEncoderDescriptor::default());
            let mut pass = self.batch.pass(&mut encoder, None);
            pass.set_pipeline(&pipeline);
            for _ in 0..n {
                for step in steps {
                    pass.set_bind_group(0, &step.bind_group, &[]);
                    pass.dispatch_workgroups(x, y, z);
                }
            }
            drop(pass);
            let begun = Instant::now();
            let submission = self.device.checked("a batch", 0, || self.device.queue.submit([encoder.finish()]))?;
            self.device.wait(&submission)?;
            Ok::<_, GpuError>(begun.elapsed())
        };
        // The first run also compiles the kernel on some drivers.
        run(1)?;
        let once = run(1)?;
        let n = (LONG_ENOUGH.as_secs_f64() / once.as_secs_f64()).ceil().clamp(1.0, 64.0) as u32;
        let mut best = Duration::MAX;
        for _ in 0..RUNS {
            best = best.min(run(n)?);
        }
        Ok(best / n)
    }
}
