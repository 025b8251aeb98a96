//! The rows of a matrix, where they lie in the file.

use std::ops::Range;

use bytes::Bytes;
use silhak_ops::{Error, Weight};
use silhak_quant::Format;

/// Weights of one format and row length, and how their rows follow each other in a matrix.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) format: Format,
    /// Values of a row.
    pub(crate) cols: usize,
    /// Bytes of a row.
    row_bytes: usize,
    /// Parts of the mapped file, so holding them costs nothing.
    parts: Vec<Part>,
    /// Rows of one weight before the next has its turn; none where each comes whole.
    run: Option<usize>,
}

#[derive(Debug)]
struct Part {
    n_rows: usize,
    data: Bytes,
}

impl Rows {
    /// `parts` are weights with their data, one at least.
    pub(crate) fn new(parts: &[(&Weight, &Bytes)], run: Option<usize>) -> Result<Self, Error> {
        let first = parts[0].0;
        let parts = parts.iter().map(|(weight, data)| Part { n_rows: weight.rows, data: Bytes::clone(data) }).collect();
        Ok(Rows { format: first.format, cols: first.cols, row_bytes: first.row_bytes()?, parts, run })
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.n_rows).sum()
    }

    /// The bytes of some rows of the matrix in pieces of at most `most` bytes, but of whole rows.
    pub(crate) fn tiles(&self, rows: Range<usize>, most: usize) -> impl Iterator<Item = &[u8]> {
        let rows_per_tile = (most / self.row_bytes.max(1)).max(1);
        let mut next = rows.start;
        std::iter::from_fn(move || {
            let left = rows.end.checked_sub(next).filter(|&left| left > 0)?;
            let (part, first, n_together) = self.find(next)?;
            let n = left.min(rows_per_tile).min(n_together);
            next += n;
            Some(&part.data[first * self.row_bytes..][..n * self.row_bytes])
        })
    }

    /// Where row `i` of the matrix lies: its weight, its row there, and how many rows from it on lie together.
    fn find(&self, i: usize) -> Option<(&Part, usize, usize)> {
        match self.run {
            Some(run) => {
                let (turn, n) = (i / run, self.parts.len());
                Some((&self.parts[turn % n], turn / n * run + i % run, run - i % run))
            }
            None => {
                let mut row = i;
                let is_in = |part: &&Part| {
                    let is_in = row < part.n_rows;
                    if !is_in {
                        row -= part.n_rows;
                    }
                    is_in
                };
                let part = self.parts.iter().find(is_in)?;
                Some((part, row, part.n_rows - row))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two weights, whose rows are two bytes each: the weight and the row.
    fn rows(n_rows: [usize; 2], run: Option<usize>) -> Rows {
        let weights = n_rows.map(|rows| Weight { name: "w".into(), format: Format::F16, rows, cols: 1 });
        let data = [0u8, 1].map(|w| (0..n_rows[usize::from(w)]).flat_map(|row| [w, row as u8]).collect::<Bytes>());
        Rows::new(&[(&weights[0], &data[0]), (&weights[1], &data[1])], run).unwrap()
    }

    #[test]
    fn every_row_comes_once_and_in_order_however_they_are_cut() {
        let whole: Vec<[u8; 2]> = [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1]].into();
        let alternating: Vec<[u8; 2]> = [[0, 0], [0, 1], [1, 0], [1, 1], [0, 2], [0, 3], [1, 2], [1, 3]].into();
        for (rows, expected) in [(rows([3, 2], None), whole), (rows([4, 4], Some(2)), alternating)] {
            assert_eq!(rows.len(), expected.len());
            for most in 0..20 {
                for first in 0..=rows.len() {
                    for end in first..=rows.len() {
                        let tiles: Vec<&[u8]> = rows.tiles(first..end, most).collect();
                        assert!(tiles.iter().all(|tile| !tile.is_empty() && tile.len() <= most.max(2)));
                        assert_eq!(tiles.concat(), expected[first..end].as_flattened());
                    }
                }
            }
        }
    }
}
