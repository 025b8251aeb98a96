//! Tokens that a GPU chooses itself are those that the rule gives on the logits it gives, also when it runs ahead.

use bytes::Bytes;
use silhak_gpu::{Gpu, GpuOptions};
use silhak_ops::cases::Random;
use silhak_ops::{
    Backend, Batch, Choice, Error, ExecConfig, Executor, KvConfig, KvElement, KvLayer, Page, PlanBuilder, Slot, Weight,
};
use silhak_quant::Format;
use silhak_tests::gpu::open_or_skip;

const WIDTH: usize = 32;
const N_SLOTS: usize = 5;

/// A layer of attention between a table and an output matrix; `spoil` changes the output matrix.
fn executor(gpu: &Gpu, n_vocab: usize, spoil: impl FnOnce(&mut [f32])) -> Box<dyn Executor> {
    let (p, mut random, mut data) = (PlanBuilder::new(), Random::new(n_vocab as u64), Vec::new());
    let mut matrix = |rows, spoil: &mut dyn FnMut(&mut [f32])| {
        let mut values: Vec<f32> = (0..rows * WIDTH).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect();
        spoil(&mut values);
        data.push(Bytes::copy_from_slice(bytemuck::cast_slice(&values)));
        p.weight(Weight { name: "matrix".into(), format: Format::F32, rows, cols: WIDTH })
    };
    let mut spoil = Some(spoil);
    let x = p.embed(matrix(n_vocab, &mut |_| ()));
    let layer = p.kv_layer(KvLayer { n_kv_heads: 1, head_dim: WIDTH, window: None });
    p.kv_write(layer, x, x);
    let x = p.select(p.add(x, p.attention(layer, x, 0.5)));
    let head = matrix(n_vocab, &mut |values| {
        if let Some(spoil) = spoil.take() {
            spoil(values)
        }
    });
    p.output(p.linear(x, head));
    let kv = KvConfig { page_len: 4, n_pages: vec![N_SLOTS], element: KvElement::F32 };
    let config = ExecConfig { kv, max_tokens: 16, max_outputs: 16 };
    gpu.prepare(&p.finish().unwrap().into(), &data, &config).unwrap()
}

/// A batch of one sequence, whose pages are all there are.
fn batch(fill: impl FnOnce(&mut Batch, u32)) -> Batch {
    let mut batch = Batch::new();
    let sequence = batch.add_sequence(vec![(0..N_SLOTS as u32).map(|i| Some(Page(i))).collect()]);
    fill(&mut batch, sequence);
    batch
}

fn logits_after(executor: &mut dyn Executor, tokens: &[u32], position: u32) -> Vec<f32> {
    let batch = batch(|batch, sequence| {
        for (i, &token) in tokens.iter().enumerate() {
            batch.add_token(sequence, token, position + i as u32, i + 1 == tokens.len());
        }
    });
    let mut outputs = [Vec::new()];
    executor.run(&batch, &[], &mut outputs).unwrap();
    let [logits] = outputs;
    logits
}

/// The rule in double precision; the tokens that rounding may also take.
fn chosen(logits: &[f32], choice: &Choice) -> Vec<u32> {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
    order.truncate(choice.top_k);
    if choice.temperature == 0.0 {
        return vec![order[0]];
    }
    let logit = |id: u32| f64::from(logits[id as usize]);
    let weight = |id: u32| ((logit(id) - logit(order[0])) / f64::from(choice.temperature)).exp();
    let sum: f64 = order.iter().map(|&id| weight(id)).sum();
    let mut before = 0.0;
    let mut kept = Vec::new();
    for &id in &order {
        if kept.is_empty() || choice.top_p >= 1.0 || before < f64::from(choice.top_p) * sum {
            kept.push(id);
            before += weight(id);
        }
    }
    kept.retain(|&id| weight(id) >= f64::from(choice.min_p));
    let total: f64 = kept.iter().map(|&id| weight(id)).sum();
    let at = f64::from(choice.uniform) * total;
    let mut end = 0.0;
    let mut near = Vec::new();
    for &id in &kept {
        let begin = end;
        end += weight(id);
        if at > begin - 1e-5 * total && at < end + 1e-5 * total {
            near.push(id);
        }
    }
    near
}

fn start(executor: &mut dyn Executor, token: Option<u32>, position: u32, choice: Choice) {
    let batch = batch(|batch, sequence| {
        match token {
            Some(token) => batch.add_token(sequence, token, position, false),
            None => batch.add_chosen_token(sequence, Slot(3), position),
        }
        batch.choose(Slot(3), choice);
    });
    executor.start(&batch).unwrap();
}

#[test]
fn choices_follow_the_rule() {
    let Some(gpu) = open_or_skip(&GpuOptions::default()) else { return };
    let mut random = Random::new(5);
    for n_vocab in [7, 4096, 10_001] {
        let mut executor = executor(&gpu, n_vocab, |_| ());
        assert!(executor.can_choose());
        let mut distinct = std::collections::HashSet::new();
        for (temperature, top_k, top_p, min_p) in
            [(0.0, 1, 1.0, 0.0), (0.0, 40, 0.5, 0.5), (1.0, 40, 0.95, 0.05), (0.3, 64, 1.0, 0.0), (5.0, 9, 0.5, 0.0)]
        {
            for _ in 0..8 {
                let uniform = random.below(1 << 24) as f32 / (1 << 24) as f32;
                let choice = Choice { temperature, top_k, top_p, min_p, uniform };
                let token = random.below(n_vocab) as u32;
                let expected = chosen(&logits_after(executor.as_mut(), &[token], 0), &choice);
                start(executor.as_mut(), Some(token), 0, choice);
                let [Some(found)] = executor.finish().unwrap()[..] else { panic!("no token") };
                assert!(expected.contains(&found), "{choice:?} of {n_vocab}: {found} is not in {expected:?}");
                distinct.insert(found);
            }
        }
        assert!(distinct.len() > 3, "{distinct:?}");
    }
}

#[test]
fn running_ahead_is_as_waiting_for_each() {
    let Some(gpu) = open_or_skip(&GpuOptions::default()) else { return };
    let mut executor = executor(&gpu, 300, |_| ());
    let mut expected = Vec::new();
    let mut token = 11;
    for position in 0..6 {
        token = chosen(&logits_after(executor.as_mut(), &[token], position), &Choice::GREEDY)[0];
        expected.push(token);
    }
    for position in 0..6 {
        start(executor.as_mut(), (position == 0).then_some(11), position, Choice::GREEDY);
    }
    let found: Vec<u32> = (0..6).map(|_| executor.finish().unwrap()[0].unwrap()).collect();
    assert_eq!(found, expected);
    assert!(matches!(executor.finish(), Err(Error::Batch(_))), "nothing is left");
    assert!(executor.start(&batch(|batch, sequence| batch.add_token(sequence, 1, 0, true))).is_err());
}

#[test]
fn what_is_no_number_is_not_chosen_from() {
    let Some(gpu) = open_or_skip(&GpuOptions::default()) else { return };
    for broken in [f32::NAN, -f32::NAN, f32::INFINITY] {
        let mut executor = executor(&gpu, 5000, |values| values[4321 * WIDTH] = broken);
        start(executor.as_mut(), Some(1), 0, Choice::GREEDY);
        assert_eq!(executor.finish().unwrap(), [None], "{broken}");
    }
}

#[test]
fn a_loss_ends_what_ran_ahead_and_what_comes_after() {
    let Some(gpu) = open_or_skip(&GpuOptions::default()) else { return };
    let mut executor = executor(&gpu, 300, |_| ());
    for position in 0..3 {
        start(executor.as_mut(), (position == 0).then_some(11), position, Choice::GREEDY);
    }
    gpu.lose();
    for _ in 0..3 {
        assert!(matches!(executor.finish(), Err(Error::DeviceLost { .. })));
    }
    let goes_on = batch(|batch, sequence| {
        batch.add_chosen_token(sequence, Slot(3), 3);
        batch.choose(Slot(3), Choice::GREEDY);
    });
    assert!(matches!(executor.start(&goes_on), Err(Error::DeviceLost { .. })));
}
