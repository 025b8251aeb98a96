//! The CPU backend against the scalar reference, over every op's case table, with each instruction set and several
//! numbers of threads.

use silhak_ops::cases::{Case, all_cases};
use silhak_ops::reference::Reference;
use silhak_ops::{Backend, Op, Plan};
use silhak_quant::Format;
use silhak_tests::{Distance, cpus};

/// For ops in float32, which differ from the reference in the order of their sums alone.
const FLOAT: f64 = 1e-5;

/// For integer dot products against the reference with the same 8-bit activations: both multiply the same numbers, the
/// reference after it has rounded each weight to float32.
const QUANTIZED: f64 = 5e-6;

/// For 8-bit activations against plain float32, the squared error of all of a format's cases together. A quant is off by
/// a step's square root of 1/12, and a step is 1/127 of the largest value in a block; with the outliers of thirty sigmas
/// that the case tables have in one of 200 values, that is a few hundredths of the typical value.
const ROUNDED: f64 = 2e-3;

#[test]
fn every_case_agrees_with_the_reference() {
    let mut worst: Vec<(String, Distance)> = Vec::new();
    for case in all_cases() {
        let expected = case.run(&Reference { quantize_activations: true }).unwrap();
        for cpu in cpus(2) {
            let found = case.run(&cpu).unwrap();
            let distance = farthest(&found, &expected);
            let most = tolerance(&case.plan);
            assert!(distance.max <= most, "{} on {}: {distance:?}, at most {most} allowed", case.name, cpu.name());
            let words = [("linear of", 4), ("linear", 2)].into_iter().find(|(op, _)| case.name.starts_with(op));
            let op = case.name.split(' ').take(words.map_or(1, |(_, n)| n)).collect::<Vec<_>>().join(" ");
            note(&mut worst, format!("{op} {}", cpu.name()), distance);
        }
    }
    worst.iter().for_each(|(name, distance)| println!("{name:25} max {:.1e} nmse {:.1e}", distance.max, distance.nmse));
}

#[test]
fn eight_bit_activations_cost_what_they_should() {
    let cases: Vec<Case> = all_cases().into_iter().filter(|case| quantized(&case.plan)).collect();
    for cpu in cpus(1) {
        let ops = ["linear", "linear of experts", "linear of heads"];
        for prefix in Format::ALL.iter().flat_map(|format| ops.map(|op| format!("{op} {format} "))) {
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            for case in cases.iter().filter(|case| case.name.starts_with(&prefix)) {
                found.extend(case.run(&cpu).unwrap().concat().concat());
                expected.extend(case.run(&Reference { quantize_activations: false }).unwrap().concat().concat());
            }
            let distance = Distance::between(&found, &expected);
            println!("{prefix:15} {:12} max {:.1e} nmse {:.1e}", cpu.name(), distance.max, distance.nmse);
            assert!(distance.nmse <= ROUNDED, "{prefix} on {}: {distance:?}", cpu.name());
        }
    }
}

#[test]
fn results_are_the_same_bits_for_any_number_of_threads() {
    for case in all_cases() {
        for (i, one) in cpus(1).into_iter().enumerate() {
            let expected = bits(case.run(&one).unwrap());
            for threads in [2, 3] {
                let found = bits(case.run(&cpus(threads)[i]).unwrap());
                assert!(found == expected, "{} on {} with {threads} threads", case.name, one.name());
            }
        }
    }
}

fn tolerance(plan: &Plan) -> f64 {
    if quantized(plan) { QUANTIZED } else { FLOAT }
}

/// Whether a matmul of the plan has 8-bit activations.
fn quantized(plan: &Plan) -> bool {
    let floats = [Format::F32, Format::F16, Format::Bf16];
    plan.ops().iter().any(|op| match op {
        Op::Linear { weight, .. } | Op::ExpertLinear { weight, .. } | Op::HeadLinear { weight, .. } => {
            !floats.contains(&plan.weight(*weight).format)
        }
        _ => false,
    })
}

fn farthest(found: &[Vec<Vec<f32>>], expected: &[Vec<Vec<f32>>]) -> Distance {
    let pairs = found.iter().flatten().zip(expected.iter().flatten());
    let all = pairs.map(|(found, expected)| Distance::between(found, expected));
    all.fold(Distance::default(), |a, b| if b.max > a.max { b } else { a })
}

fn note(worst: &mut Vec<(String, Distance)>, name: String, distance: Distance) {
    match worst.iter_mut().find(|(known, _)| *known == name) {
        Some((_, most)) if most.max < distance.max => *most = distance,
        Some(_) => {}
        None => worst.push((name, distance)),
    }
}

fn bits(outputs: Vec<Vec<Vec<f32>>>) -> Vec<u32> {
    outputs.into_iter().flatten().flatten().map(f32::to_bits).collect()
}
