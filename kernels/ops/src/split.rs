//! A plan in parts, each on a backend of its own.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Backend, Batch, Error, ExecConfig, Executor, KernelTime, KvGroup, MemoryUse, Page, Part, Plan, ValueId};

/// Backends that run a plan's parts one after the other. What a part hands over goes through host memory.
#[derive(Clone)]
pub struct Split {
    backends: Vec<Arc<dyn Backend>>,
    cuts: Vec<usize>,
}

impl Split {
    /// The backend of each part, and the ops before which the plan is cut ([`Plan::cut`]): one less than backends.
    pub fn new(backends: Vec<Arc<dyn Backend>>, cuts: Vec<usize>) -> Self {
        Split { backends, cuts }
    }

    /// The parts of a plan, each with its backend.
    pub fn parts(&self, plan: &Plan) -> Result<Vec<(Part, &dyn Backend)>, Error> {
        let parts = plan.cut(&self.cuts)?;
        if parts.len() != self.backends.len() {
            return Err(Error::Count { what: "backends", expected: parts.len(), found: self.backends.len() });
        }
        Ok(parts.into_iter().zip(self.backends.iter().map(Arc::as_ref)).collect())
    }
}

impl Backend for Split {
    fn name(&self) -> String {
        self.backends.iter().map(|backend| backend.name()).collect::<Vec<_>>().join(" + ")
    }

    fn prepare(&self, plan: &Arc<Plan>, weights: &[Bytes], config: &ExecConfig) -> Result<Box<dyn Executor>, Error> {
        plan.check_weights(weights)?;
        let groups = checked_groups(plan, config)?;
        let ready = |(part, backend): (Part, &dyn Backend)| {
            let executor = backend.prepare(part.plan(), &part.data(weights), &part.config(config))?;
            Ok(Ready { results: vec![Vec::new(); part.outputs().len()], executor, part })
        };
        let parts = self.parts(plan)?.into_iter().map(ready).collect::<Result<_, Error>>()?;
        Ok(Box::new(SplitExecutor { plan: Arc::clone(plan), config: config.clone(), groups, parts }))
    }

    fn reads(&self, plan: &Plan, weights: &[Bytes]) -> Result<Vec<Bytes>, Error> {
        plan.check_weights(weights)?;
        let parts = self.parts(plan)?;
        let reads = parts.iter().map(|(part, backend)| backend.reads(part.plan(), &part.data(weights)));
        Ok(reads.collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn estimate(&self, plan: &Plan, config: &ExecConfig) -> Result<MemoryUse, Error> {
        checked_groups(plan, config)?;
        let parts = self.parts(plan)?;
        let estimates = parts.iter().map(|(part, backend)| backend.estimate(part.plan(), &part.config(config)));
        estimates.sum()
    }
}

/// The plan's groups, each of which has its pages in the configuration.
fn checked_groups(plan: &Plan, config: &ExecConfig) -> Result<Vec<KvGroup>, Error> {
    let groups = plan.kv_groups();
    let (expected, found) = (groups.len(), config.kv.n_pages.len());
    if expected == found { Ok(groups) } else { Err(Error::Count { what: "key-value groups", expected, found }) }
}

struct SplitExecutor {
    plan: Arc<Plan>,
    config: ExecConfig,
    groups: Vec<KvGroup>,
    parts: Vec<Ready>,
}

/// A part on its device.
struct Ready {
    part: Part,
    executor: Box<dyn Executor>,
    /// Its outputs of the last batch.
    results: Vec<Vec<f32>>,
}

impl Executor for SplitExecutor {
    fn run(&mut self, batch: &Batch, inputs: &[&[f32]], outputs: &mut [Vec<f32>]) -> Result<(), Error> {
        self.plan.check_io(batch.n_tokens(), inputs, outputs.len())?;
        batch.check(&self.plan, &self.groups, &self.config.kv)?;
        for i in 0..self.parts.len() {
            let (before, rest) = self.parts.split_at_mut(i);
            let Ready { part, executor, results } = &mut rest[0];
            let needed = part.inputs().iter().map(|&id| find(&self.plan, inputs, before, id));
            let needed = needed.collect::<Result<Vec<_>, _>>()?;
            executor.run(&part.batch(batch), &needed, results)?;
        }
        for (&id, output) in self.plan.outputs().iter().zip(outputs) {
            output.clear();
            output.extend_from_slice(find(&self.plan, inputs, &self.parts, id)?);
        }
        Ok(())
    }

    fn copy_page(&mut self, group: usize, from: Page, to: Page) -> Result<(), Error> {
        let n = self.groups.len();
        if group >= n {
            return Err(Error::Batch(format!("copy_page: expected a group below {n}, found {group}")));
        }
        for Ready { part, executor, .. } in &mut self.parts {
            if let Some(own) = part.kv_groups().iter().position(|&whole| whole == group) {
                executor.copy_page(own, from, to)?;
            }
        }
        Ok(())
    }

    fn memory(&self) -> MemoryUse {
        self.parts.iter().map(|ready| ready.executor.memory()).sum()
    }

    fn profile(&mut self) -> Vec<KernelTime> {
        let mut kernels: Vec<_> = self.parts.iter_mut().flat_map(|ready| ready.executor.profile()).collect();
        kernels.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        kernels
    }
}

/// A value of the whole plan: an input, or what one of the parts that have run gave.
fn find<'a>(plan: &Plan, inputs: &[&'a [f32]], parts: &'a [Ready], id: ValueId) -> Result<&'a [f32], Error> {
    let input = plan.inputs().iter().position(|&input| input == id).map(|at| inputs[at]);
    let result = |ready: &'a Ready| {
        let at = ready.part.outputs().iter().position(|&output| output == id)?;
        Some(ready.results[at].as_slice())
    };
    let found = input.or_else(|| parts.iter().find_map(result));
    found.ok_or_else(|| Error::Batch(format!("value %{} is read and never written", id.index())))
}

#[cfg(test)]
mod tests {
    use silhak_quant::Format;

    use super::*;
    use crate::reference::Reference;
    use crate::{KvConfig, KvElement, KvLayer, PlanBuilder, Weight};

    const WIDTH: usize = 4;

    /// An input that is added at the beginning and at the end, and three layers of attention, of which the middle one has
    /// a window.
    fn plan() -> (Arc<Plan>, Vec<Bytes>, ExecConfig) {
        let (p, mut data) = (PlanBuilder::new(), Vec::new());
        let x = p.input(WIDTH);
        let mut h = p.scale(x, 0.5);
        for (i, window) in [None, Some(2), None].into_iter().enumerate() {
            let weight = p.weight(Weight { name: format!("w{i}"), format: Format::F32, rows: WIDTH, cols: WIDTH });
            let values = (0..WIDTH * WIDTH).map(|at| ((7 * at + i) % 5) as f32 - 2.0);
            data.push(Bytes::from(values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>()));
            let layer = p.kv_layer(KvLayer { n_kv_heads: 1, head_dim: WIDTH, window });
            p.kv_write(layer, p.linear(h, weight), h);
            h = p.add(h, p.attention(layer, h, 0.1));
        }
        p.output(h);
        p.output(p.select(p.add(h, x)));
        p.output(x);
        let kv = KvConfig { page_len: 2, n_pages: vec![3, 3], element: KvElement::F32 };
        (Arc::new(p.finish().unwrap()), data, ExecConfig { kv, max_tokens: 4, max_outputs: 4 })
    }

    fn split(cuts: &[usize]) -> Split {
        let backend = || Arc::new(Reference { quantize_activations: false }) as Arc<dyn Backend>;
        Split::new((0..=cuts.len()).map(|_| backend()).collect(), cuts.to_vec())
    }

    /// Five tokens in two batches, with a page of the global group moved between them.
    fn run(backend: &dyn Backend) -> Vec<Vec<f32>> {
        let (plan, data, config) = plan();
        let mut executor = backend.prepare(&plan, &data, &config).unwrap();
        let mut results = Vec::new();
        let pages = |pages: [u32; 3]| pages.iter().map(|&page| Some(Page(page))).collect();
        for (first, n, table) in [(0, 3, [0, 1, 2]), (3, 2, [0, 2, 1])] {
            let mut batch = Batch::new();
            let sequence = batch.add_sequence(vec![pages(table), pages([2, 0, 1])]);
            for position in first..first + n {
                batch.add_token(sequence, 0, position, position % 2 == 0);
            }
            let input: Vec<f32> = (0..n as usize * WIDTH).map(|i| (i as f32 + first as f32).sin()).collect();
            let mut outputs = vec![Vec::new(); 3];
            executor.run(&batch, &[&input], &mut outputs).unwrap();
            executor.copy_page(0, Page(1), Page(2)).unwrap();
            results.extend(outputs);
        }
        assert!(executor.copy_page(2, Page(0), Page(1)).is_err());
        results
    }

    #[test]
    fn wherever_it_is_cut_the_results_are_the_same() {
        let whole = run(&Reference { quantize_activations: false });
        let n_ops = plan().0.ops().len();
        assert_eq!(n_ops, 15);
        for cuts in [vec![], vec![1], vec![5], vec![9], vec![13], vec![5, 5, 9], vec![0, 1, 5, 9, 13], vec![14]] {
            assert_eq!(run(&split(&cuts)), whole, "cut before {cuts:?}");
        }
    }

    #[test]
    fn memory_is_that_of_all_parts() {
        let (plan, data, config) = plan();
        let whole = Reference::default().estimate(&plan, &config).unwrap();
        let estimate = split(&[5, 9]).estimate(&plan, &config).unwrap();
        assert_eq!(estimate.kv, whole.kv);
        assert_eq!(split(&[5, 9]).prepare(&plan, &data, &config).unwrap().memory().kv, whole.kv);
        assert!(estimate.scratch > whole.scratch, "both sides of a cut hold what is handed over");
    }

    #[test]
    fn a_backend_for_each_part() {
        let (plan, data, config) = plan();
        let one = Split::new(split(&[]).backends, vec![5]);
        let error = one.prepare(&plan, &data, &config).err().unwrap().to_string();
        assert_eq!(error, "backends: expected 2, found 1");
    }
}
