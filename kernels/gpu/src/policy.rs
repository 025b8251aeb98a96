//! Which kernel does what: pure functions of shapes, formats and what the device can do.

use silhak_shaders::{Activations, CoopTile, Epilogue, Form, Reduce, Shader, Weights};

use crate::batch_words::Tiling;
use crate::{Caps, CooperativeMatrix};

/// Up to so many rows of activations, each weight is read once for all of them ([`Shader::Matvec`]).
pub(crate) const FEW: usize = 8;

/// The form of a matvec that was not measured.
pub(crate) const FORM: Form = Form { threads: 64, rows: 4 };

/// Likewise, of [`Shader::GatedQuantized`].
pub(crate) const GATED_FORM: Form = Form { threads: 32, rows: 4 };

/// Most splits of the positions in attention.
pub(crate) const MOST_SPLITS: usize = 32;

/// Positions up to which putting splits together costs more than it wins.
const FEW_POSITIONS: usize = 256;

/// Blocks of positions that are worth a split of their own.
const BLOCKS_PER_SPLIT: usize = 2;

/// How the activations of a matmul are stored.
pub(crate) fn activations(weights: Weights, n_in: u32, caps: &Caps) -> Activations {
    if weights.is_quantized() && caps.packed_dot {
        Activations::A8
    } else if n_in.is_multiple_of(32) {
        Activations::F32
    } else {
        Activations::Ragged
    }
}

/// The kernel for a weight and `n` rows of activations.
pub(crate) fn linear(
    weights: Weights,
    activations: Activations,
    epilogue: Epilogue,
    n: usize,
    form: Form,
    caps: &Caps,
) -> Shader {
    if n > FEW {
        return match coop_tile(n, caps) {
            Some(tile) => Shader::MatmulCoop { weights, activations, epilogue, tile },
            None => Shader::Matmul { weights, activations, epilogue },
        };
    }
    Shader::Matvec { weights, activations, epilogue, reduce: reduce(caps), form, columns: columns(n) }
}

/// The forms of a matvec that are worth measuring. Each has a thread for every result of a workgroup, of [`FEW`] columns.
pub(crate) fn forms(epilogue: Epilogue, n_groups: u32, caps: &Caps) -> Vec<Form> {
    const THREADS: [u32; 4] = [32, 64, 128, 256];
    let least = THREADS[0];
    let threads = THREADS.into_iter().filter(|&threads| threads <= n_groups.max(least) && threads <= caps.max_threads);
    let forms = threads.flat_map(|threads| [1, 2, 4, 8].map(|rows| Form { threads, rows }));
    let fits =
        |form: &Form| form.rows * FEW as u32 <= form.threads && form.rows.is_multiple_of(epilogue.rows_per_output());
    forms.filter(fits).collect()
}

/// Likewise, of [`Shader::GatedQuantized`]; and none, where two kernels do it faster.
pub(crate) fn gated_forms(caps: &Caps) -> Vec<Form> {
    let teams = [8, 16, 32].into_iter().flat_map(|threads| [1, 2, 4].map(|rows| Form { threads, rows }));
    let fitting = teams.filter(|form| (64..=caps.max_threads).contains(&(form.threads * 32 / form.rows)));
    fitting.chain([Form::NONE]).collect()
}

/// The tile of a matmul with cooperative matrices for `n` rows of activations, where the device has them: the largest that
/// fits into its shared memory, and into `n`.
fn coop_tile(n: usize, caps: &Caps) -> Option<CoopTile> {
    let CooperativeMatrix { matrices, subgroup_size } = caps.cooperative_matrix?;
    [2, 1]
        .map(|subgroups| CoopTile { matrices, subgroup_size, subgroup_rows: subgroups, subgroup_columns: subgroups })
        .into_iter()
        .filter(|tile| tile.is_even() && tile.shared_bytes() <= caps.max_shared)
        .find(|tile| tile.subgroup_columns == 1 || n as u32 > tile.columns() / 2)
}

/// The columns of the kernel for a few rows of activations.
pub(crate) fn columns(n: usize) -> u32 {
    n.clamp(1, FEW).next_power_of_two() as u32
}

/// How sums over a workgroup are made.
pub(crate) fn reduce(caps: &Caps) -> Reduce {
    if caps.subgroups { Reduce::Subgroups } else { Reduce::Tree }
}

/// Threads for the norm of a run of values.
pub(crate) fn norm_threads(len: usize) -> u32 {
    if len > 512 { 256 } else { 64 }
}

/// Most queries of a workgroup of attention: as many as there are, within the shared memory that every device has.
pub(crate) fn queries(n: usize, head_pairs: u32) -> u32 {
    let most = if head_pairs > 64 { 4 } else { 16 };
    (n.next_power_of_two() as u32).clamp(4, most)
}

/// Whether [`Shader::Decode`] takes heads of this size.
pub(crate) fn decodes(head_pairs: u32) -> bool {
    head_pairs.is_multiple_of(2)
}

/// Queries of a workgroup of [`Shader::Decode`]: all heads that share keys and values, within the shared memory that every
/// device has. Where the past is short, there are too few workgroups for a card, and each takes one.
pub(crate) fn decode_queries(heads_per_kv: u32, head_pairs: u32, n_splits: usize) -> u32 {
    if n_splits == 1 {
        return 1;
    }
    heads_per_kv.next_power_of_two().clamp(1, (512 / head_pairs.next_power_of_two()).clamp(1, 8))
}

/// How attention is shared out: many tokens by tiles, few tokens with long pasts by splits.
pub(crate) fn tiling(n_tokens: usize, longest: usize, heads_per_kv: usize) -> Tiling {
    if n_tokens > FEW {
        return Tiling { tile_tokens: (16 / heads_per_kv).clamp(1, 16), n_splits: 1 };
    }
    if longest <= FEW_POSITIONS {
        return Tiling { tile_tokens: 1, n_splits: 1 };
    }
    let blocks = longest.div_ceil(Shader::ATTENTION_THREADS as usize);
    Tiling { tile_tokens: 1, n_splits: (blocks / BLOCKS_PER_SPLIT).clamp(1, MOST_SPLITS) }
}

#[cfg(test)]
mod tests {
    use silhak_shaders::Matrices;

    use super::*;

    #[test]
    fn integers_meet_integers_and_floats_floats() {
        let without = Caps { packed_dot: false, ..Caps::example() };
        assert_eq!(activations(Weights::Q4K, 256, &Caps::example()), Activations::A8);
        assert_eq!(activations(Weights::Q4K, 256, &without), Activations::F32);
        assert_eq!(activations(Weights::F16, 64, &Caps::example()), Activations::F32);
        assert_eq!(activations(Weights::F32, 37, &Caps::example()), Activations::Ragged);
    }

    #[test]
    fn few_columns_read_the_weight_once() {
        let of = |n, caps: &Caps| linear(Weights::Q4_0, Activations::A8, Epilogue::Store, n, FORM, caps);
        assert!(matches!(of(1, &Caps::example()), Shader::Matvec { columns: 1, reduce: Reduce::Subgroups, .. }));
        assert!(matches!(of(3, &Caps::example()), Shader::Matvec { columns: 4, .. }));
        assert!(matches!(
            of(8, &Caps { subgroups: false, ..Caps::example() }),
            Shader::Matvec { reduce: Reduce::Tree, .. }
        ));
        assert!(matches!(of(9, &Caps::example()), Shader::Matmul { .. }));
    }

    #[test]
    fn what_is_measured_fits_the_kernels() {
        let caps = Caps { max_threads: 256, ..Caps::example() };
        let all = forms(Epilogue::Store, 160, &caps);
        assert!(all.contains(&FORM) && all.contains(&Form { threads: 32, rows: 1 }));
        assert!(all.iter().all(|form| form.threads <= 160 && form.rows * 8 <= form.threads));
        assert!(forms(Epilogue::Gate(silhak_shaders::Activation::Silu), 160, &caps).iter().all(|form| form.rows > 1));
        assert!(!forms(Epilogue::Store, 3, &caps).is_empty());
        let gated = gated_forms(&caps);
        assert!(gated.contains(&GATED_FORM) && gated.contains(&Form::NONE));
        assert!(gated.iter().all(|form| *form == Form::NONE || form.threads * 32 / form.rows <= 256));
        assert!(gated_forms(&Caps { max_threads: 1024, ..caps }).contains(&Form { threads: 32, rows: 1 }));
    }

    #[test]
    fn matrices_are_taken_where_they_are_and_by_what_fits() {
        let with = |matrices, subgroup_size, max_shared| {
            let cooperative_matrix = Some(CooperativeMatrix { matrices, subgroup_size });
            Caps { cooperative_matrix, max_shared, ..Caps::example() }
        };
        let tile = |n, caps: &Caps| linear(Weights::Q4K, Activations::A8, Epilogue::Store, n, FORM, caps).tile();
        let card = with(Matrices::Sixteen, 32, 48 << 10);
        assert_eq!(tile(8, &card), None);
        assert_eq!(tile(9, &card), Some((64, 64)));
        assert_eq!(tile(64, &card), Some((64, 64)));
        assert_eq!(tile(65, &card), Some((128, 128)));
        assert_eq!(tile(512, &with(Matrices::Sixteen, 32, 16 << 10)), Some((64, 64)));
        assert_eq!(tile(512, &with(Matrices::Eight, 8, 16 << 10)), Some((64, 64)));
        // A thread would have less than a row of each tile.
        assert_eq!(tile(512, &with(Matrices::Eight, 64, 48 << 10)), tile(512, &Caps::example()));
    }

    #[test]
    fn long_pasts_are_split_and_prompts_tiled() {
        assert_eq!(tiling(1, 100, 4), Tiling { tile_tokens: 1, n_splits: 1 });
        assert_eq!(tiling(1, 256, 4), Tiling { tile_tokens: 1, n_splits: 1 });
        assert_eq!(tiling(1, 2048, 4), Tiling { tile_tokens: 1, n_splits: 16 });
        assert_eq!(tiling(1, 1 << 20, 4), Tiling { tile_tokens: 1, n_splits: MOST_SPLITS });
        assert_eq!(tiling(100, 2048, 5), Tiling { tile_tokens: 3, n_splits: 1 });
        assert_eq!(tiling(100, 2048, 32), Tiling { tile_tokens: 1, n_splits: 1 });
    }
}
