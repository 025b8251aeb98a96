//! How much each input of a matrix matters ("imatrix"): the mean square of the activations that meet it over some text.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use silhak_gguf::{Gguf, StringArray, TensorInfo, TensorType, Writer};

use crate::Error;
use crate::output::Output;

/// The importance of the inputs of a model's matrices.
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    matrices: BTreeMap<String, Matrix>,
}

/// What met the matrices of a tensor over a text: one, or one for each expert or head.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// The tensor's name.
    pub tensor: String,
    /// Of each input, the sum of its squares over all tokens: `[n_matrices, n_in]`.
    pub sums: Vec<f32>,
    /// The tokens that met each matrix.
    pub counts: Vec<u64>,
}

/// Where an importance comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// What the text is called.
    pub name: String,
    /// Chunks that were read, each as a text of its own.
    pub n_chunks: u32,
    /// Tokens per chunk.
    pub chunk_len: u32,
}

/// `[n_experts, n_in]`; a matrix that is none of several experts is one.
#[derive(Debug, Clone, PartialEq)]
struct Matrix {
    n_in: usize,
    means: Vec<f32>,
}

/// What the sums and numbers of tokens of a matrix are called behind its name.
const SUMS: &str = ".in_sum2";
const COUNTS: &str = ".counts";

impl Importance {
    /// Reads a file as llama.cpp's `imatrix` and `run-model imatrix` write it.
    ///
    /// # Errors
    /// [`Error::Importance`] where it is a file of another kind, or an entry makes no sense.
    pub fn read(path: &Path) -> Result<Importance, Error> {
        let gguf = Gguf::open(path)?;
        let wrong = |reason: String| Error::Importance { path: path.to_owned(), reason };
        if gguf.metadata().opt_str("general.type")? != Some("imatrix") {
            return Err(wrong("general.type is not imatrix".into()));
        }
        let mut matrices = BTreeMap::new();
        for sums in gguf.tensors() {
            let Some(name) = sums.name().strip_suffix(SUMS) else { continue };
            let counts =
                gguf.tensor(&format!("{name}{COUNTS}")).ok_or_else(|| wrong(format!("{name} has no counts")))?;
            let (n_in, n_experts) = (sums.row_len(), sums.n_rows());
            if [sums, counts].iter().any(|t| t.ty() != TensorType::F32) || counts.n_elements() != n_experts {
                return Err(wrong(format!("{name}: expected float32, and a count for each of {n_experts} matrices")));
            }
            let (sums, counts) = (floats(&gguf, sums), floats(&gguf, counts));
            let of_expert = |(sums, count): (&[f32], &f32)| sums.iter().map(|sum| sum / count.max(1.0)).collect();
            let means: Vec<Vec<f32>> = sums.chunks_exact(n_in).zip(&counts).map(of_expert).collect();
            let means = means.concat();
            if let Some(mean) = means.iter().find(|mean| !(mean.is_finite() && **mean >= 0.0)) {
                return Err(wrong(format!("{name}: a mean square of {mean}")));
            }
            matrices.insert(name.to_owned(), Matrix { n_in, means });
        }
        if matrices.is_empty() {
            return Err(wrong("it holds no matrices".into()));
        }
        Ok(Importance { matrices })
    }

    /// The mean square of each input of a matrix, by the matrix's name: `[n_experts, n_in]`.
    pub fn matrices(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.matrices.iter().map(|(name, matrix)| (name.as_str(), matrix.means.as_slice()))
    }

    /// Writes a file from which [`Importance::read`] and llama.cpp read. It takes its name when it is whole; one of this name is
    /// replaced.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(path: &Path, tensors: &[Sums], text: &Text) -> Result<(), Error> {
        let mut writer = Writer::new();
        writer.add("general.type", "imatrix")?;
        writer.add("imatrix.datasets", StringArray::new([&text.name])?)?;
        writer.add("imatrix.chunk_count", text.n_chunks)?;
        writer.add("imatrix.chunk_size", text.chunk_len)?;
        let mut data = Vec::new();
        for Sums { tensor, sums, counts } in tensors {
            let n_matrices = counts.len() as u64;
            let n_in = sums.len() as u64 / n_matrices.max(1);
            let count_bytes: Vec<u8> = counts.iter().flat_map(|&count| (count as f32).to_le_bytes()).collect();
            let sum_bytes = sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
            for (end, dims, bytes) in [(SUMS, [n_in, n_matrices], sum_bytes), (COUNTS, [1, n_matrices], count_bytes)] {
                let name = format!("{tensor}{end}");
                writer.add_tensor(&name, TensorType::F32, &dims)?;
                data.push((name, bytes));
            }
        }
        let tensors: Vec<_> = data.iter().map(|(name, _)| (name.as_str(), 1)).collect();
        let output = Output { target: path, identity: &text.name, threads: None };
        output.write(writer, &tensors, |i, _| Ok(data[i].1.clone()), &mut |_| ControlFlow::Continue(()))?;
        Ok(())
    }

    /// Refuses an importance of another model's matrices.
    pub(crate) fn check<'a>(&self, tensors: impl Iterator<Item = &'a TensorInfo>) -> Result<(), Error> {
        let mut n_known = 0;
        for tensor in tensors {
            let Some(Matrix { n_in, means }) = self.matrices.get(tensor.name()) else { continue };
            let n_experts = tensor.dims().get(2).map_or(1, |&n| n as usize);
            if *n_in != tensor.row_len() || means.len() != n_in * n_experts {
                return Err(Error::OtherImportance { name: tensor.name().into() });
            }
            n_known += 1;
        }
        // None of the names is the model's: all would be quantized as if there were no importance.
        match self.matrices.keys().next().filter(|_| n_known == 0) {
            Some(name) => Err(Error::OtherImportance { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// The weights of a row of a tensor: `[n_in]`. A row whose expert was never asked has none.
    pub(crate) fn of_row(&self, tensor: &TensorInfo, row: usize) -> Option<&[f32]> {
        let Matrix { n_in, means } = self.matrices.get(tensor.name())?;
        let n_experts = means.len() / n_in;
        let expert = row * n_experts / tensor.n_rows().max(1);
        means.chunks_exact(*n_in).nth(expert).filter(|means| means.iter().any(|&mean| mean > 0.0))
    }

    /// Tells this from another.
    pub(crate) fn identity(&self) -> String {
        let sum = |matrix: &Matrix| matrix.means.iter().map(|&mean| f64::from(mean)).sum::<f64>();
        format!("{:?}", self.matrices.iter().map(|(name, matrix)| (name, sum(matrix))).collect::<Vec<_>>())
    }
}

fn floats(gguf: &Gguf, tensor: &TensorInfo) -> Vec<f32> {
    gguf.data(tensor).as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}
