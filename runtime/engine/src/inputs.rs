//! What meets each matrix of a model while it reads a text: which of its inputs matter more than others.

use std::ops::ControlFlow;
use std::sync::Arc;

use silhak_ops::{Batch, ExecConfig, Executor, KvConfig, KvElement, Op, Page, Plan, ValueId};

use crate::devices::Devices;
use crate::{Device, Error, LoadOptions, ModelFile};

/// The inputs of a matrix, over all tokens of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSquares {
    /// The tensor's name.
    pub matrix: String,
    /// Of each input, the sum of its squares: `[n_in]`.
    pub sums: Vec<f32>,
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
        let inputs = matrix_inputs(self.model().plan());
        let n_pages = chunks.iter().map(|chunk| chunk.len()).max().unwrap_or(0).div_ceil(PAGE_LEN).max(1);
        let mut reader = Reader::new(self, &inputs, n_pages, options)?;
        for (i, chunk) in chunks.iter().enumerate() {
            reader.read(chunk)?;
            if heard(i + 1).is_break() {
                return Err(Error::Cancelled);
            }
        }
        let sums_of = |sums: &[f64]| sums.iter().map(|&sum| sum as f32).collect::<Vec<f32>>();
        let squares = inputs.into_iter().zip(&reader.sums).flat_map(|(input, sums)| {
            input.matrices.into_iter().map(move |matrix| InputSquares { matrix, sums: sums_of(sums) })
        });
        Ok(squares.collect())
    }
}

/// Each value that goes into matrices of blocks, and which these are. The embedding and the output matrix are none of them.
fn matrix_inputs(plan: &Plan) -> Vec<MatrixInput> {
    let mut inputs: Vec<MatrixInput> = Vec::new();
    for op in plan.ops() {
        let Op::Linear { x, weight, .. } = *op else { continue };
        let matrix = plan.weight(weight).name.clone();
        if !matrix.starts_with("blk.") {
            continue;
        }
        match inputs.iter_mut().rev().find(|input| input.value == x) {
            Some(input) => input.matrices.push(matrix),
            None => inputs.push(MatrixInput { value: x, matrices: vec![matrix] }),
        }
    }
    inputs
}

struct MatrixInput {
    value: ValueId,
    matrices: Vec<String>,
}

/// A model that gives back what goes into its matrices.
struct Reader {
    executor: Box<dyn Executor>,
    n_groups: usize,
    n_pages: usize,
    /// The plan's own outputs, which nobody asks for, and the inputs of matrices.
    outputs: Vec<Vec<f32>>,
    n_own: usize,
    /// For each of these inputs: `[n_in]`.
    sums: Vec<Vec<f64>>,
}

impl Reader {
    fn new(file: &ModelFile, inputs: &[MatrixInput], n_pages: usize, options: &LoadOptions) -> Result<Self, Error> {
        let plan = file.model().plan();
        let n_groups = plan.kv_groups().len();
        let kv = KvConfig { page_len: PAGE_LEN, n_pages: vec![n_pages; n_groups], element: KvElement::F32 };
        let config = ExecConfig { kv, max_tokens: MAX_TOKENS, max_outputs: 1 };
        let whole = Arc::new(plan.with_outputs(inputs.iter().map(|input| input.value)));
        let host = Devices::open(&LoadOptions { device: Device::Cpu, ..options.clone() })?.host;
        let executor =
            host.prepare(&whole, file.model().weights(), &config).map_err(|error| Error::Run(Arc::new(error)))?;
        Ok(Reader {
            executor,
            n_groups,
            n_pages,
            outputs: vec![Vec::new(); whole.outputs().len()],
            n_own: plan.outputs().len(),
            sums: inputs.iter().map(|input| vec![0.0; plan.value(input.value).width]).collect(),
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
            for (sums, values) in self.sums.iter_mut().zip(&self.outputs[self.n_own..]) {
                for row in values.chunks_exact(sums.len()) {
                    sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x) * f64::from(x));
                }
            }
        }
        Ok(())
    }
}
