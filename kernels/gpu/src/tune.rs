//! Choosing the forms of kernels by timing them on the card, with the weights that they will multiply.
//!
//! Which form is fastest follows from shapes and formats, and from what a card has of everything: there is no telling from
//! its name. What was found is kept ([`KnownForms`]), because two forms add in different orders: a model shall give the same
//! text tomorrow.

use std::time::{Duration, Instant};

use silhak_shaders::Form;
use wgpu::{CommandEncoderDescriptor, ComputePipeline};

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
    let kinds = kinds(program, device);
    let unknown: Vec<&Kind> = kinds.iter().filter(|kind| kind.known(known).is_none()).collect();
    if !unknown.is_empty() {
        tracing::info!(adapter = device.name, kernels = unknown.len(), "measuring kernels, once on this GPU");
        let tuner = Tuner { device, pipelines, batch: BatchBuffer::of_one_token(device, pipelines)? };
        let steps = |kind: &Kind| kind.steps.iter().map(|&i| &program.steps[i]).collect::<Vec<_>>();
        // Nothing is compiled while anything is timed: a card that waits for it slows its clock down.
        for kind in &unknown {
            kind.forms.iter().try_for_each(|&form| tuner.pipeline(&kind.with(form)).map(drop))?;
        }
        let heaviest = unknown.iter().max_by_key(|kind| bytes(&steps(kind)));
        heaviest.map_or(Ok(()), |kind| tuner.warm_up(kind, &steps(kind)))?;
        for kind in unknown {
            let (time, form) = tuner.fastest(kind, &steps(kind))?;
            let apart = tuner.time_apart(program, kind)?;
            known.add(kind.key.clone(), if apart.is_some_and(|apart| apart < time) { Form::NONE } else { form });
        }
        known.save();
    }
    for kind in kinds {
        if let Some(form) = kind.known(known) {
            for &i in &kind.steps {
                program.steps[i].work.set_form(form);
                if form == Form::NONE {
                    leave_to_others(program, i);
                }
            }
        }
    }
    Ok(())
}

/// Lets the steps that follow step `i`, up to the one that makes 8-bit values, do its work.
fn leave_to_others(program: &mut Program, i: usize) {
    for step in &mut program.steps[i + 1..] {
        step.work.take_few();
        if let Work::PerManyRows { .. } = step.work {
            return;
        }
    }
}

/// Steps that do the same with different weights.
struct Kind {
    work: Work,
    key: String,
    forms: Vec<Form>,
    /// By number.
    steps: Vec<usize>,
}

impl Kind {
    fn known(&self, known: &KnownForms) -> Option<Form> {
        known.get(&self.key).filter(|form| self.forms.contains(form))
    }

    fn with(&self, form: Form) -> Work {
        let mut work = self.work;
        work.set_form(form);
        work.take_few();
        work
    }
}

/// The steps that have forms.
fn kinds(program: &Program, device: &Device) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::new();
    for (i, Step { work, .. }) in program.steps.iter().enumerate() {
        let Some(key) = work.key(&device.caps) else { continue };
        match kinds.iter_mut().find(|kind| kind.work == *work) {
            Some(kind) => kind.steps.push(i),
            None => kinds.push(Kind { work: *work, key, forms: work.forms(&device.caps), steps: vec![i] }),
        }
    }
    kinds
}

fn bytes(steps: &[&Step]) -> u64 {
    steps.iter().map(|step| step.weight_bytes()).sum()
}

/// A card that has rested takes some time to reach its clock.
const WARM_UP: Duration = Duration::from_millis(600);

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
    /// Keeps the card busy.
    fn warm_up(&self, kind: &Kind, steps: &[&Step]) -> Result<(), GpuError> {
        let Some(work) = kind.forms.first().map(|&form| kind.with(form)) else { return Ok(()) };
        let begun = Instant::now();
        while begun.elapsed() < WARM_UP {
            self.time(&work, steps)?;
        }
        Ok(())
    }

    /// How long it takes others to do what a gated step does, all of the kind together.
    fn time_apart(&self, program: &Program, kind: &Kind) -> Result<Option<Duration>, GpuError> {
        let Work::GatedFew { .. } = kind.work else { return Ok(None) };
        let mut total = Duration::ZERO;
        for after in 1..=2 {
            let steps: Vec<&Step> = kind.steps.iter().filter_map(|&i| program.steps.get(i + after)).collect();
            let Some(work) = steps.first().map(|step| step.work) else { return Ok(None) };
            // Where a matrix is in chunks, others stand between.
            if steps.iter().any(|step| step.work != work) || matches!(work, Work::GatedFew { .. }) {
                return Ok(None);
            }
            let mut forms = work.forms(&self.device.caps);
            forms.extend(forms.is_empty().then_some(Form::NONE));
            let own = Kind { work, key: format!("{}, apart", kind.key), forms, steps: Vec::new() };
            total += self.fastest(&own, &steps)?.0;
        }
        Ok(Some(total))
    }

    /// The fastest form, and the time of all steps with it.
    fn fastest(&self, kind: &Kind, steps: &[&Step]) -> Result<(Duration, Form), GpuError> {
        let mut best = (Duration::MAX, policy::FORM);
        for &form in &kind.forms {
            let time = self.time(&kind.with(form), steps)?;
            let gigabytes_per_second = bytes(steps) as f64 / time.as_secs_f64() / 1e9;
            let microseconds = time.as_secs_f64() * 1e6 / steps.len() as f64;
            tracing::debug!(key = kind.key, %form, microseconds, gigabytes_per_second, "measured");
            if time < best.0 {
                best = (time, form);
            }
        }
        tracing::debug!(key = kind.key, form = %best.1, "chosen");
        Ok(best)
    }

    /// The kernel, and its workgroups.
    fn pipeline(&self, work: &Work) -> Result<Option<(ComputePipeline, [u32; 3])>, GpuError> {
        let dispatch = work.dispatch(&Sizes::ONE_TOKEN, &self.device.caps);
        dispatch.map(|(shader, workgroups)| Ok((self.pipelines.get(shader)?, workgroups))).transpose()
    }

    /// How long the steps take, all together.
    fn time(&self, work: &Work, steps: &[&Step]) -> Result<Duration, GpuError> {
        let Some((pipeline, [x, y, z])) = self.pipeline(work)? else { return Ok(Duration::MAX) };
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
