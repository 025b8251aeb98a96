//! What meets each matrix of a model while it reads a text: which of its inputs matter more than others.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use silhak_ops::{Batch, ExecConfig, Executor, KvConfig, KvElement, Op, Page, Plan, ValueId};

use crate::devices::Devices;
use crate::{Device, Error, LoadOptions, ModelFile};

/// The inputs of a tensor of matrices, over all tokens of a text. It is one matrix, or has one for each expert or head.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSquares {
    /// The tensor's name.
    pub tensor: String,
    /// Of each input of each matrix, the sum of its squares: `[n_matrices, n_in]`.
    pub sums: Vec<f32>,
    /// How many tokens met each matrix.
    pub counts: Vec<u64>,
}

/// Tokens at once: what goes into every matrix is kept for all of them.
const MAX_TOKENS: usize = 32;
const PAGE_LEN: usize = 64;

impl ModelFile {
    /// Reads chunks of tokens, each as a text of its own, on the CPU, and sums up the squares of what goes into the matrices
    /// of the transformer blocks. `heard` is told after each chunk how many are done, and may break off.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if `heard` breaks off; a token beyond the vocabulary, no memory.
    pub fn input_squares(
        &self,
        chunks: &[&[u32]],
        options: &LoadOptions,
        heard: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<InputSquares>, Error> {
        let n_pages = chunks.iter().map(|chunk| chunk.len()).max().unwrap_or(0).div_ceil(PAGE_LEN).max(1);
        let mut reader = Reader::new(self, n_pages, options)?;
        for (i, chunk) in chunks.iter().enumerate() {
            reader.read(chunk)?;
            if heard(i + 1).is_break() {
                return Err(Error::Cancelled);
            }
        }
        let squares = reader.inputs.into_iter().zip(reader.sums).flat_map(|(input, Sums { squares, counts })| {
            let sums: Vec<f32> = squares.iter().map(|&sum| sum as f32).collect();
            let of_tensor = move |tensor| InputSquares { tensor, sums: sums.clone(), counts: counts.clone() };
            input.tensors.into_iter().map(of_tensor)
        });
        Ok(squares.collect())
    }
}

/// A value that goes into the matrices of blocks.
struct Input {
    value: ValueId,
    /// Inputs of one matrix.
    n_in: usize,
    to: Matrices,
    /// The tensors whose matrices it goes into.
    tensors: Vec<String>,
}

impl Input {
    /// All that must be known to count it.
    fn reads(&self) -> impl Iterator<Item = ValueId> + use<> {
        let chosen_by = match self.to {
            Matrices::All(_) => None,
            Matrices::Chosen { by, .. } => Some(by),
        };
        [self.value].into_iter().chain(chosen_by)
    }
}

/// Which of a tensor's matrices a token meets.
#[derive(Clone, Copy, PartialEq)]
enum Matrices {
    /// All of so many, each with its own part of the value; one matrix is the whole tensor.
    All(usize),
    /// Those of the experts that were chosen, with the whole value or each with its own part.
    Chosen { by: ValueId, n_experts: usize },
}

impl Matrices {
    fn count(self) -> usize {
        match self {
            Matrices::All(n) => n,
            Matrices::Chosen { n_experts, .. } => n_experts,
        }
    }
}

/// Each value that goes into matrices of blocks, and which these are. The embedding and the output matrix are none of them.
fn inputs(plan: &Plan) -> Vec<Input> {
    let mut inputs: Vec<Input> = Vec::new();
    for op in plan.ops() {
        let (value, weight, to) = match *op {
            Op::Linear { x, weight, .. } => (x, weight, Matrices::All(1)),
            Op::HeadLinear { x, weight, n_heads, .. } => (x, weight, Matrices::All(n_heads)),
            Op::ExpertLinear { x, chosen, weight, n_experts, .. } => {
                (x, weight, Matrices::Chosen { by: chosen, n_experts })
            }
            _ => continue,
        };
        let (tensor, n_in) = (plan.weight(weight).name.clone(), plan.weight(weight).cols);
        if !tensor.starts_with("blk.") {
            continue;
        }
        match inputs.iter_mut().rev().find(|input| (input.value, input.n_in, input.to) == (value, n_in, to)) {
            Some(input) => input.tensors.push(tensor),
            None => inputs.push(Input { value, n_in, to, tensors: vec![tensor] }),
        }
    }
    inputs
}

/// What met the matrices of a tensor so far.
struct Sums {
    /// `[n_matrices, n_in]`.
    squares: Vec<f64>,
    counts: Vec<u64>,
}

impl Sums {
    fn new(input: &Input) -> Self {
        let n = input.to.count();
        Sums { squares: vec![0.0; n * input.n_in], counts: vec![0; n] }
    }

    fn add(&mut self, matrix: usize, values: &[f32]) {
        let squares = &mut self.squares[matrix * values.len()..][..values.len()];
        squares.iter_mut().zip(values).for_each(|(sum, &x)| *sum += f64::from(x) * f64::from(x));
        self.counts[matrix] += 1;
    }
}

/// A model that gives back what goes into its matrices.
struct Reader {
    executor: Box<dyn Executor>,
    n_groups: usize,
    n_pages: usize,
    inputs: Vec<Input>,
    /// For each of these.
    sums: Vec<Sums>,
    /// Where a value is in the outputs.
    places: HashMap<ValueId, usize>,
    /// The plan's own outputs, which nobody asks for, and the values above.
    outputs: Vec<Vec<f32>>,
}

impl Reader {
    fn new(file: &ModelFile, n_pages: usize, options: &LoadOptions) -> Result<Self, Error> {
        let plan = file.model().plan();
        let n_groups = plan.kv_groups().len();
        let kv = KvConfig { page_len: PAGE_LEN, n_pages: vec![n_pages; n_groups], element: KvElement::F32 };
        let config = ExecConfig { kv, max_tokens: MAX_TOKENS, max_outputs: 1 };
        let inputs = inputs(plan);
        let mut values: Vec<ValueId> = Vec::new();
        for value in inputs.iter().flat_map(Input::reads) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        let whole = Arc::new(plan.with_outputs(values.iter().copied()));
        let host = Devices::open(&LoadOptions { device: Device::Cpu, ..options.clone() }, file)?.host;
        let executor = host
            .in_place
            .prepare(&whole, file.model().weights(), &config)
            .map_err(|error| Error::Run(Arc::new(error)))?;
        Ok(Reader {
            executor,
            n_groups,
            n_pages,
            sums: inputs.iter().map(Sums::new).collect(),
            inputs,
            places: values.into_iter().zip(plan.outputs().len()..).collect(),
            outputs: vec![Vec::new(); whole.outputs().len()],
        })
    }

    /// Reads a text from its beginning.
    fn read(&mut self, tokens: &[u32]) -> Result<(), Error> {
        let table: Vec<_> = (0..self.n_pages as u32).map(|page| Some(Page(page))).collect();
        for (i, part) in tokens.chunks(MAX_TOKENS).enumerate() {
            let mut batch = Batch::new();
            let sequence = batch.add_sequence(vec![table.clone(); self.n_groups]);
            for (&token, position) in part.iter().zip((i * MAX_TOKENS) as u32..) {
                batch.add_token(sequence, token, position, false);
            }
            self.executor.run(&batch, &[], &mut self.outputs).map_err(|error| Error::Run(Arc::new(error)))?;
            self.add(part.len());
        }
        Ok(())
    }

    /// Counts what the last `n_tokens` brought to each matrix.
    fn add(&mut self, n_tokens: usize) {
        for (input, sums) in self.inputs.iter().zip(&mut self.sums) {
            let of_token = |value: ValueId| {
                let values = &self.outputs[self.places[&value]];
                values.chunks_exact((values.len() / n_tokens).max(1))
            };
            let rows = of_token(input.value);
            match input.to {
                Matrices::All(_) => rows.for_each(|row| {
                    row.chunks_exact(input.n_in).enumerate().for_each(|(matrix, part)| sums.add(matrix, part));
                }),
                Matrices::Chosen { by, .. } => {
                    for (row, chosen) in rows.zip(of_token(by)) {
                        // The experts' numbers, and behind them their weights.
                        let experts = chosen[..chosen.len() / 2].iter().map(|&expert| expert as usize);
                        // All have the same part where there is one.
                        let parts = row.chunks_exact(input.n_in).cycle();
                        experts.zip(parts).for_each(|(expert, part)| sums.add(expert, part));
                    }
                }
            }
        }
    }
}
