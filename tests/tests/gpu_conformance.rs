//! The GPU backend against the scalar reference, over every op's case table, with each feature switched off, and with and
//! without the shaders' own checks.

use silhak_gpu::{Feature, Gpu, GpuOptions};
use silhak_ops::cases::{Case, all_cases};
use silhak_ops::reference::Reference;
use silhak_ops::{KvElement, Plan};
use silhak_tests::Distance;
use silhak_tests::gpu::open_or_skip;

/// For shaders in float32, which differ from the reference in the order of their sums, and in how a driver rounds
/// divisions, exponentials and roots.
const FLOAT: f64 = 1e-5;

/// Where keys and values, their scales, or what is multiplied, are half floats, whose rounding is up to the driver.
const HALF: f64 = 2e-3;

#[test]
fn float_shaders_agree_with_the_reference() {
    for options in [
        GpuOptions { without: vec![Feature::PackedDot, Feature::CooperativeMatrix], ..GpuOptions::default() },
        GpuOptions { without: Feature::ALL.to_vec(), checked_shaders: true, ..GpuOptions::default() },
    ] {
        let Some(gpu) = open_or_skip(&options) else { return };
        for case in all_cases() {
            agrees(&case, &gpu, &Reference { quantize_activations: false }, tolerance(&case, &case.plan));
        }
    }
}

#[test]
fn packed_byte_shaders_agree_with_the_reference_that_rounds_activations() {
    for options in [
        GpuOptions { without: vec![Feature::CooperativeMatrix], ..GpuOptions::default() },
        GpuOptions { without: vec![Feature::Subgroups], checked_shaders: true, ..GpuOptions::default() },
    ] {
        let Some(gpu) = open_or_skip(&options) else { return };
        for case in all_cases().iter().filter(|case| case.name.starts_with("linear")) {
            agrees(case, &gpu, &Reference { quantize_activations: true }, FLOAT);
        }
    }
}

#[test]
fn cooperative_matrices_agree_with_the_reference() {
    for (without, quantize_activations, checked_shaders) in
        [(vec![], true, false), (vec![], true, true), (vec![Feature::PackedDot], false, false)]
    {
        let Some(gpu) = open_or_skip(&GpuOptions { without, checked_shaders, ..GpuOptions::default() }) else { return };
        if gpu.caps().cooperative_matrix.is_none() {
            println!("SKIPPED: {} has no cooperative matrices", gpu.adapter());
            return;
        }
        for case in all_cases().iter().filter(|case| case.name.starts_with("linear")) {
            agrees(case, &gpu, &Reference { quantize_activations }, HALF);
        }
    }
}

fn agrees(case: &Case, gpu: &Gpu, reference: &Reference, most: f64) {
    let found = case.run(gpu).unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let expected = case.run(reference).unwrap();
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        let distance = Distance::between(found, expected);
        assert!(distance.max <= most, "{} with {:?}: {distance:?}", case.name, gpu.caps());
    }
}

fn tolerance(case: &Case, plan: &Plan) -> f64 {
    let has_kv = !plan.kv_layers().is_empty();
    if has_kv && case.kv.element != KvElement::F32 { HALF } else { FLOAT }
}
