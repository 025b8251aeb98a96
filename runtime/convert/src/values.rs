//! The values of a part of the file, a chunk at a time.

use std::ops::Range;

use silhak_quant::quantize;

use crate::Error;
use crate::checkpoint::{Checkpoint, Tensor};
use crate::draft::{Change, Part, Source};
use crate::sizes::Latent;

/// Values of a chunk: few enough to stay in the cache.
const CHUNK_VALUES: usize = 1 << 18;

impl Part {
    /// Into how many chunks of whole rows the part is cut.
    pub(crate) fn n_chunks(&self) -> usize {
        self.rows().div_ceil(self.chunk_rows())
    }

    /// The bytes of a chunk.
    pub(crate) fn chunk(&self, index: usize, checkpoint: &Checkpoint) -> Result<Vec<u8>, Error> {
        let first = index * self.chunk_rows();
        let rows = first..(first + self.chunk_rows()).min(self.rows());
        let values = self.values(rows, checkpoint)?;
        let failed = |source| Error::Quantize { name: self.name.clone(), source };
        let n_bytes = self
            .format
            .row_bytes(values.len())
            .ok_or_else(|| failed(silhak_quant::Error::PartialBlock { format: self.format, n_values: values.len() }))?;
        let mut bytes = vec![0; n_bytes];
        quantize(self.format, &values, &mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    fn chunk_rows(&self) -> usize {
        (CHUNK_VALUES / self.cols().max(1)).max(1)
    }

    fn values(&self, rows: Range<usize>, checkpoint: &Checkpoint) -> Result<Vec<f32>, Error> {
        let tensor_of = |name: &String| checkpoint.get(name).ok_or_else(|| Error::MissingTensor { name: name.clone() });
        let mut values = Vec::with_capacity(rows.len() * self.cols());
        let (tensor, change) = match &self.source {
            Source::Values(values) => return Ok(values.clone()),
            Source::Stack(names) => {
                let n_rows = self.rows() / names.len();
                for row in rows {
                    let tensor = tensor_of(&names[row / n_rows])?;
                    checkpoint.read(tensor, row % n_rows..row % n_rows + 1, &mut values)?;
                }
                return Ok(values);
            }
            Source::Tensor { name, change } => (tensor_of(name)?, *change),
        };
        match change {
            Change::None => checkpoint.read(tensor, rows, &mut values)?,
            Change::PlusOne => {
                checkpoint.read(tensor, rows, &mut values)?;
                values.iter_mut().for_each(|value| *value += 1.0);
            }
            // The bias of permuted rows: one row, whose values are in the order of the rows.
            Change::PermutedHeads(n_heads) if self.shape.len() == 1 => {
                let mut plain = Vec::new();
                checkpoint.read(tensor, 0..1, &mut plain)?;
                let head_dim = plain.len() / n_heads;
                values.extend((0..plain.len()).map(|i| plain[before_permutation(i, head_dim)]));
            }
            Change::PermutedHeads(n_heads) => {
                let head_dim = self.rows() / n_heads;
                for row in rows {
                    let source = before_permutation(row, head_dim);
                    checkpoint.read(tensor, source..source + 1, &mut values)?;
                }
            }
            Change::LatentValues(Latent { n_plain, n_value, .. }) => {
                for row in rows {
                    let source = row / n_value * (n_plain + n_value) + n_plain + row % n_value;
                    checkpoint.read(tensor, source..source + 1, &mut values)?;
                }
            }
            Change::LatentKeys(latent) => latent_keys(tensor, latent, rows, checkpoint, &mut values)?,
        }
        Ok(values)
    }
}

/// Each row is a column of its head's keys.
fn latent_keys(
    tensor: &Tensor,
    latent: Latent,
    rows: Range<usize>,
    checkpoint: &Checkpoint,
    values: &mut Vec<f32>,
) -> Result<(), Error> {
    let rank = tensor.cols();
    let (mut keys, mut head_of_keys) = (Vec::new(), None);
    for row in rows {
        let (head, column) = (row / rank, row % rank);
        if head_of_keys.replace(head) != Some(head) {
            let first = head * (latent.n_plain + latent.n_value);
            keys.clear();
            checkpoint.read(tensor, first..first + latent.n_plain, &mut keys)?;
        }
        values.extend(keys.chunks_exact(rank).map(|key| key[column]));
    }
    Ok(())
}

/// Where a row was before pairs that lay half a head apart came to lie side by side.
fn before_permutation(row: usize, head_dim: usize) -> usize {
    let (head, i) = (row / head_dim, row % head_dim);
    head * head_dim + i % 2 * (head_dim / 2) + i / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_side_by_side() {
        let order: Vec<_> = (0..12).map(|row| before_permutation(row, 6)).collect();
        assert_eq!(order, [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
    }
}
