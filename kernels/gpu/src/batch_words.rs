//! A batch as the shaders read it: `batch.wgsl` describes the words.

use silhak_ops::{Batch, RopeTable};
use silhak_shaders::BATCH_HEADER;

/// How the attention of a batch is shared out to workgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiling {
    /// Most tokens of a tile.
    pub(crate) tile_tokens: usize,
    /// Splits of the positions.
    pub(crate) n_splits: usize,
}

/// The words, and the number of tiles among them.
pub(crate) fn batch_words(batch: &Batch, ropes: &[RopeTable], n_groups: usize, tiling: Tiling) -> (Vec<u32>, usize) {
    let tiles = tiles(batch, tiling.tile_tokens);
    let n_sequences = batch.n_sequences();
    let mut words = vec![0; BATCH_HEADER + ropes.len()];
    for (slot, n) in
        [batch.n_tokens(), batch.n_outputs(), n_sequences, tiles.len(), tiling.n_splits].into_iter().enumerate()
    {
        words[slot] = n as u32;
    }
    let tiles: Vec<u32> = tiles.iter().flatten().copied().collect();
    let lists = [batch.tokens(), batch.positions(), batch.sequences(), batch.outputs(), &tiles];
    for (i, list) in lists.into_iter().enumerate() {
        words[5 + i] = words.len() as u32;
        words.extend(list);
    }
    let tables = words.len();
    words[10] = tables as u32;
    words.resize(tables + n_groups * n_sequences, 0);
    for group in 0..n_groups {
        for sequence in 0..n_sequences {
            words[tables + group * n_sequences + sequence] = words.len() as u32;
            let table = batch.page_table(sequence as u32, group);
            // No position of a page that was given back is ever read.
            words.extend(table.iter().map(|page| page.map_or(0, |page| page.0)));
        }
    }
    words[11] = words.len() as u32;
    for (slot, choice) in batch.choices() {
        let (top_k, [temperature, top_p, min_p, uniform]) =
            (choice.top_k as u32, [choice.temperature, choice.top_p, choice.min_p, choice.uniform].map(f32::to_bits));
        words.extend([slot.0, temperature, top_k, top_p, min_p, uniform]);
    }
    for (i, rope) in ropes.iter().enumerate() {
        words[BATCH_HEADER + i] = words.len() as u32;
        for &position in batch.positions() {
            words.extend(rope.at(position).flat_map(|(cos, sin)| [cos.to_bits(), sin.to_bits()]));
        }
    }
    (words, tiles.len() / 2)
}

/// First token and number of tokens of each tile: neighbours in the batch, of one sequence.
fn tiles(batch: &Batch, most: usize) -> Vec<[u32; 2]> {
    let mut tiles: Vec<[u32; 2]> = Vec::new();
    for (i, &sequence) in batch.sequences().iter().enumerate() {
        match tiles.last_mut() {
            Some([first, n]) if batch.sequences()[*first as usize] == sequence && (*n as usize) < most => *n += 1,
            _ => tiles.push([i as u32, 1]),
        }
    }
    tiles
}

#[cfg(test)]
mod tests {
    use silhak_ops::Page;

    use super::*;

    #[test]
    fn lists_stand_where_the_header_says() {
        let mut batch = Batch::new();
        let a = batch.add_sequence(vec![vec![Some(Page(7)), None], vec![Some(Page(1))]]);
        let b = batch.add_sequence(vec![vec![Some(Page(9))], vec![]]);
        for position in 0..5 {
            batch.add_token(a, 100 + position, position, position == 4);
        }
        batch.add_token(b, 200, 0, true);
        let rope = RopeTable { frequencies: vec![0.0, 1.0], magnitude: 1.0 };
        let (words, n_tiles) = batch_words(&batch, &[rope], 2, Tiling { tile_tokens: 4, n_splits: 3 });
        assert_eq!(words[..5], [6, 2, 2, 3, 3]);
        assert_eq!(n_tiles, 3);
        let list = |slot: usize, n: usize| &words[words[slot] as usize..][..n];
        assert_eq!(list(5, 6), [100, 101, 102, 103, 104, 200]);
        assert_eq!(list(7, 6), [0, 0, 0, 0, 0, 1]);
        assert_eq!(list(8, 2), [4, 5]);
        assert_eq!(list(9, 6), [0, 4, 4, 1, 5, 1]);
        let tables = list(10, 4);
        assert_eq!((words[tables[0] as usize], words[tables[1] as usize], words[tables[2] as usize]), (7, 9, 1));
        let turns = list(BATCH_HEADER, 4 * 6);
        assert_eq!(f32::from_bits(turns[4 * 3 + 2]), 3.0f32.cos());
    }
}
