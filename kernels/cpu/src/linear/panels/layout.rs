//! Panels of sixteen rows: a block of each row, cut into words of 4 bytes, the words of one place side by side.
//!
//! ```text
//! panel of 16 rows = for each block of a row:
//!     [n_dwords][16 rows] words of 4 bytes
//!     [n_words][16 rows] words of 2 bytes
//! ```
//!
//! A panel takes as many bytes as its rows; rows that are missing in the last one are zeros. Blocks are whole words of 4
//! bytes but for their half floats, which stand at the start or at the end.

use silhak_quant::Format;

/// Rows of a panel.
pub(crate) const ROWS: usize = 16;

/// How blocks of a format are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Whether the words of 2 bytes stand in front of the others.
    words_first: bool,
    n_words: usize,
    n_dwords: usize,
}

/// Words of one place in sixteen rows.
type Line<const BYTES: usize> = [[u8; BYTES]; ROWS];

impl Cut {
    /// How `format` is cut; `None` where it has no blocks.
    pub(super) const fn of(format: Format) -> Option<Cut> {
        let (words_first, n_words) = match format {
            Format::F32 | Format::F16 | Format::Bf16 => return None,
            Format::Q4_0 | Format::Q5_0 | Format::Q8_0 | Format::Iq4Nl => (true, 1),
            Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K | Format::Iq4Xs => (true, 2),
            Format::Q2K => (false, 2),
            Format::Q3K | Format::Q6K => (false, 1),
        };
        Some(Cut { words_first, n_words, n_dwords: (format.block_bytes() - 2 * n_words) / 4 })
    }

    /// Bytes in front of the words of 2 bytes, in a block of a panel.
    pub(super) const fn dword_bytes(self) -> usize {
        4 * ROWS * self.n_dwords
    }

    fn block_bytes(self) -> usize {
        4 * self.n_dwords + 2 * self.n_words
    }

    /// Where the words of 4 bytes, and those of 2 bytes, begin in a block of a row.
    fn starts(self) -> (usize, usize) {
        if self.words_first { (2 * self.n_words, 0) } else { (0, 4 * self.n_dwords) }
    }

    /// Puts block after block of up to [`ROWS`] rows, `stride` bytes apart, into `panel`.
    #[inline(always)]
    pub(super) fn repack(self, rows: &[u8], stride: usize, panel: &mut [u8]) {
        if rows.len() < ROWS.saturating_sub(1) * stride + panel.len() / ROWS {
            panel.fill(0);
        }
        let (bytes, (dwords_at, words_at)) = (self.block_bytes(), self.starts());
        for (b, block) in panel.chunks_exact_mut(ROWS * bytes).enumerate() {
            let (dwords, words) = block.split_at_mut(self.dword_bytes());
            let (dwords, words): (&mut [Line<4>], &mut [Line<2>]) =
                (bytemuck::cast_slice_mut(dwords), bytemuck::cast_slice_mut(words));
            // With the number of the row from a range, no line is checked for having so many.
            for (r, row) in (0..ROWS).zip(rows.chunks(stride)) {
                let row = &row[b * bytes..][..bytes];
                let of_row = row[dwords_at..].as_chunks().0;
                dwords.iter_mut().zip(of_row).for_each(|(line, word)| line[r] = *word);
                let of_row = row[words_at..].as_chunks().0;
                words.iter_mut().zip(of_row).for_each(|(line, word)| line[r] = *word);
            }
        }
    }

    /// The blocks of up to [`ROWS`] rows that are in a panel.
    fn unpack(self, panel: &[u8], row_bytes: usize, rows: &mut [u8]) {
        let (bytes, (dwords_at, words_at)) = (self.block_bytes(), self.starts());
        for (b, block) in panel.chunks_exact(ROWS * bytes).enumerate() {
            let (dwords, words) = block.split_at(self.dword_bytes());
            let (dwords, words): (&[Line<4>], &[Line<2>]) = (bytemuck::cast_slice(dwords), bytemuck::cast_slice(words));
            for (r, row) in (0..ROWS).zip(rows.chunks_exact_mut(row_bytes)) {
                let row = &mut row[b * bytes..][..bytes];
                let of_row = row[dwords_at..].as_chunks_mut().0;
                dwords.iter().zip(of_row).for_each(|(line, word)| *word = line[r]);
                let of_row = row[words_at..].as_chunks_mut().0;
                words.iter().zip(of_row).for_each(|(line, word)| *word = line[r]);
            }
        }
    }
}

/// Bytes of the panels of a matrix; `None` if the format has none, rows are not whole blocks, or there are too many.
pub fn panel_bytes(format: Format, n_rows: usize, cols: usize) -> Option<usize> {
    Cut::of(format)?;
    format.row_bytes(cols)?.checked_mul(n_rows.checked_next_multiple_of(ROWS)?)
}

/// Repacks whole rows of `cols` values into panels.
///
/// # Panics
/// If the format has no panels or the lengths disagree, which are faults of the caller: see [`panel_bytes`].
pub fn repack(format: Format, rows: &[u8], cols: usize, panels: &mut [u8]) {
    let (cut, row_bytes) = checked(format, rows.len(), cols, panels.len());
    if row_bytes == 0 {
        return;
    }
    for (rows, panel) in rows.chunks(ROWS * row_bytes).zip(panels.chunks_exact_mut(ROWS * row_bytes)) {
        cut.repack(rows, row_bytes, panel);
    }
}

/// The rows that panels were made of.
///
/// # Panics
/// As [`repack`].
pub fn unpack(format: Format, panels: &[u8], cols: usize, rows: &mut [u8]) {
    let (cut, row_bytes) = checked(format, rows.len(), cols, panels.len());
    if row_bytes == 0 {
        return;
    }
    for (panel, rows) in panels.chunks_exact(ROWS * row_bytes).zip(rows.chunks_mut(ROWS * row_bytes)) {
        cut.unpack(panel, row_bytes, rows);
    }
}

/// How the format is cut, and bytes per row.
fn checked(format: Format, rows: usize, cols: usize, panels: usize) -> (Cut, usize) {
    let (Some(cut), Some(row_bytes)) = (Cut::of(format), format.row_bytes(cols)) else {
        panic!("no panels of {format} in rows of {cols} values");
    };
    let n_rows = rows.checked_div(row_bytes).unwrap_or(0);
    assert_eq!(rows, n_rows * row_bytes, "whole rows of {row_bytes} bytes");
    assert_eq!(Some(panels), panel_bytes(format, n_rows, cols), "bytes of the panels of {n_rows} rows");
    (cut, row_bytes)
}

#[cfg(test)]
mod tests {
    use silhak_ops::cases::Random;

    use super::*;

    #[test]
    fn panels_unpack_to_the_rows_they_were_made_of() {
        let mut random = Random::new(1);
        for &format in Format::ALL.iter().filter(|format| Cut::of(**format).is_some()) {
            for (n_rows, n_blocks) in [(1, 1), (15, 3), (16, 2), (33, 1), (48, 5)] {
                let cols = n_blocks * format.block_len();
                let row_bytes = format.row_bytes(cols).unwrap();
                let rows: Vec<u8> = (0..n_rows * row_bytes).map(|_| random.bits() as u8).collect();
                let mut panels = vec![0xaa; panel_bytes(format, n_rows, cols).unwrap()];
                repack(format, &rows, cols, &mut panels);
                let (mut back, mut sorted) = (vec![0x55; rows.len()], rows.clone());
                unpack(format, &panels, cols, &mut back);
                assert_eq!(back, rows, "{format} {n_rows}x{cols}");
                // Nothing but zeros beside the rows' own bytes.
                sorted.resize(panels.len(), 0);
                sorted.sort_unstable();
                panels.sort_unstable();
                assert_eq!(panels, sorted, "{format} {n_rows}x{cols}");
            }
        }
    }

    #[test]
    fn words_of_a_place_stand_side_by_side() {
        let block_bytes = Format::Q4_0.block_bytes();
        let rows: Vec<u8> = (0..ROWS * block_bytes).map(|i| (i / block_bytes * 16 + i % block_bytes) as u8).collect();
        let mut panel = vec![0; rows.len()];
        repack(Format::Q4_0, &rows, 32, &mut panel);
        // Word 1 of row 3 (quants 4 to 8, behind a half float), and the half float of row 2.
        assert_eq!(panel[4 * (ROWS + 3)..][..4], rows[3 * block_bytes + 2 + 4..][..4]);
        assert_eq!(panel[4 * ROWS * 4 + 2 * 2..][..2], rows[2 * block_bytes..][..2]);
    }
}
