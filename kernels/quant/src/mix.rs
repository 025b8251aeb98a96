//! Which format each matrix of a model gets, under the names that quantized files go by: `Q4_K_M`, `IQ4_XS`, ...
//!
//! A mix spends more bits where errors cost most. The choices are those that llama.cpp's quantizer makes without an
//! importance matrix, so that a file has the size and the speed that its name leads one to expect.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Format};

/// A choice of formats for all matrices of a model. Vectors (norms, biases) are not its business: they stay F32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of files, and `Mix::format` says what they stand for")]
pub enum Mix {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3KS,
    Q3KM,
    Q3KL,
    Q4KS,
    Q4KM,
    Q5KS,
    Q5KM,
    Q6K,
    Iq4Nl,
    Iq4Xs,
}

/// What of a model decides between formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// Transformer blocks.
    pub n_layers: usize,
    /// Query heads that share a key-value head.
    pub n_sharing: usize,
    /// The embedding is the output matrix, too.
    pub tied: bool,
}

/// What there is to know about one mix.
struct Facts {
    name: &'static str,
    file_type: u32,
    base: Format,
}

impl Mix {
    /// Every mix, in the order of the enum.
    pub const ALL: &[Mix] = &[
        Mix::F32,
        Mix::F16,
        Mix::Bf16,
        Mix::Q4_0,
        Mix::Q4_1,
        Mix::Q5_0,
        Mix::Q5_1,
        Mix::Q8_0,
        Mix::Q2K,
        Mix::Q3KS,
        Mix::Q3KM,
        Mix::Q3KL,
        Mix::Q4KS,
        Mix::Q4KM,
        Mix::Q5KS,
        Mix::Q5KM,
        Mix::Q6K,
        Mix::Iq4Nl,
        Mix::Iq4Xs,
    ];

    /// The name that files go by, such as `Q4_K_M`.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The number of this mix in `general.file_type`.
    pub const fn file_type(self) -> u32 {
        self.facts().file_type
    }

    /// The format of the matrix that GGUF calls `tensor`, with rows of `n_in` values.
    ///
    /// Where rows are not whole blocks of the format that the mix asks for, the nearest with smaller blocks takes its
    /// place.
    ///
    /// ```
    /// use silhak_quant::{Format, Mix, Outline};
    ///
    /// let model = Outline { n_layers: 28, n_sharing: 7, tied: false };
    /// assert_eq!(Mix::Q4KM.format("blk.0.ffn_down.weight", 18944, &model), Format::Q6K);
    /// assert_eq!(Mix::Q4KM.format("blk.4.ffn_down.weight", 18944, &model), Format::Q4K);
    /// assert_eq!(Mix::Q4KM.format("blk.4.ffn_down.weight", 4864 + 32, &model), Format::Q5_0);
    /// ```
    pub fn format(self, tensor: &str, n_in: usize, model: &Outline) -> Format {
        let base = self.facts().base;
        // A mix of floats is the same float throughout.
        if base.block_len() == 1 {
            return base;
        }
        let wanted = match tensor {
            "output.weight" => output(base),
            "token_embd.weight" if model.tied => output(base),
            _ => match layer_and_part(tensor) {
                Some((layer, "attn_v.weight")) => self.attn_v(layer, model),
                // Of a mixture of experts, too: `ffn_down_exps`, `ffn_down_shexp`.
                Some((layer, part)) if part.starts_with("ffn_down") => self.ffn_down(layer, model.n_layers),
                Some((_, "attn_output.weight")) => self.attn_output(),
                _ => base,
            },
        };
        in_whole_blocks(wanted, n_in)
    }

    fn attn_v(self, layer: usize, model: &Outline) -> Format {
        let format = match self {
            Mix::Q2K if model.n_sharing >= 4 => Format::Q4K,
            Mix::Q2K => Format::Q3K,
            Mix::Q3KM if layer < 2 => Format::Q5K,
            Mix::Q3KM => Format::Q4K,
            Mix::Q3KL => Format::Q5K,
            Mix::Q4KS if layer < 4 => Format::Q5K,
            Mix::Q4KM | Mix::Q5KM if gets_more_bits(layer, model.n_layers) => Format::Q6K,
            Mix::Iq4Nl | Mix::Iq4Xs if model.n_sharing >= 4 => Format::Q5K,
            _ => self.facts().base,
        };
        match format {
            // The matrix is small in models of 70B, which are those of 80 layers whose heads share keys and values.
            Format::Q3K | Format::Q4K if model.n_layers == 80 && model.n_sharing > 1 => Format::Q5K,
            format => format,
        }
    }

    fn ffn_down(self, layer: usize, n_layers: usize) -> Format {
        match self {
            Mix::Q2K => Format::Q3K,
            Mix::Q3KM if layer < n_layers / 16 => Format::Q5K,
            Mix::Q3KM => Format::Q4K,
            Mix::Q3KL => Format::Q5K,
            Mix::Q4KM | Mix::Q5KM if gets_more_bits(layer, n_layers) => Format::Q6K,
            Mix::Q4KS | Mix::Iq4Nl | Mix::Iq4Xs if layer < n_layers / 8 => Format::Q5K,
            _ => self.facts().base,
        }
    }

    fn attn_output(self) -> Format {
        match self {
            Mix::Q2K => Format::Q3K,
            Mix::Q3KM => Format::Q4K,
            Mix::Q3KL => Format::Q5K,
            _ => self.facts().base,
        }
    }

    /// Names and numbers are those of llama.cpp's `enum llama_ftype`.
    const fn facts(self) -> Facts {
        let (name, file_type, base) = match self {
            Mix::F32 => ("F32", 0, Format::F32),
            Mix::F16 => ("F16", 1, Format::F16),
            Mix::Bf16 => ("BF16", 32, Format::Bf16),
            Mix::Q4_0 => ("Q4_0", 2, Format::Q4_0),
            Mix::Q4_1 => ("Q4_1", 3, Format::Q4_1),
            Mix::Q5_0 => ("Q5_0", 8, Format::Q5_0),
            Mix::Q5_1 => ("Q5_1", 9, Format::Q5_1),
            Mix::Q8_0 => ("Q8_0", 7, Format::Q8_0),
            Mix::Q2K => ("Q2_K", 10, Format::Q2K),
            Mix::Q3KS => ("Q3_K_S", 11, Format::Q3K),
            Mix::Q3KM => ("Q3_K_M", 12, Format::Q3K),
            Mix::Q3KL => ("Q3_K_L", 13, Format::Q3K),
            Mix::Q4KS => ("Q4_K_S", 14, Format::Q4K),
            Mix::Q4KM => ("Q4_K_M", 15, Format::Q4K),
            Mix::Q5KS => ("Q5_K_S", 16, Format::Q5K),
            Mix::Q5KM => ("Q5_K_M", 17, Format::Q5K),
            Mix::Q6K => ("Q6_K", 18, Format::Q6K),
            Mix::Iq4Nl => ("IQ4_NL", 25, Format::Iq4Nl),
            Mix::Iq4Xs => ("IQ4_XS", 30, Format::Iq4Xs),
        };
        Facts { name, file_type, base }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mix {
    type Err = Error;

    /// Parses the name, in any case.
    fn from_str(name: &str) -> Result<Mix, Error> {
        let found = Mix::ALL.iter().copied().find(|mix| mix.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| Error::UnknownMix { name: name.to_owned() })
    }
}

/// The names of all mixes, for error messages.
pub(crate) fn list_names() -> String {
    Mix::ALL.iter().map(|mix| mix.name()).collect::<Vec<_>>().join(", ")
}

/// Every token goes through the output matrix last, where nothing evens its errors out.
fn output(base: Format) -> Format {
    if base == Format::Q8_0 { Format::Q8_0 } else { Format::Q6K }
}

/// Of `blk.7.attn_v.weight`, 7 and `attn_v.weight`.
fn layer_and_part(tensor: &str) -> Option<(usize, &str)> {
    let (layer, part) = tensor.strip_prefix("blk.")?.split_once('.')?;
    Some((layer.parse().ok()?, part))
}

/// The first and the last eighth of the layers, and every third between.
fn gets_more_bits(layer: usize, n_layers: usize) -> bool {
    let eighth = n_layers / 8;
    layer < eighth || layer >= 7 * n_layers / 8 || (layer - eighth) % 3 == 2
}

fn in_whole_blocks(format: Format, n_in: usize) -> Format {
    if n_in.is_multiple_of(format.block_len()) {
        return format;
    }
    let smaller = match format {
        Format::Iq4Xs => Format::Iq4Nl,
        Format::Q2K | Format::Q3K => Format::Q4_0,
        Format::Q4K => Format::Q5_0,
        Format::Q5K => Format::Q5_1,
        Format::Q6K => Format::Q8_0,
        _ => Format::F16,
    };
    in_whole_blocks(smaller, n_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: Outline = Outline { n_layers: 16, n_sharing: 4, tied: false };

    #[test]
    fn names_find_their_mix() {
        for &mix in Mix::ALL {
            assert_eq!(mix.to_string().to_lowercase().parse(), Ok(mix));
            assert_eq!(Mix::ALL.iter().filter(|other| other.file_type() == mix.file_type()).count(), 1, "{mix}");
        }
        let message = "Q4_K".parse::<Mix>().unwrap_err().to_string();
        assert!(message.contains("`Q4_K`") && message.contains("Q4_K_M"), "{message}");
    }

    /// The formats of a part, layer by layer.
    fn over_layers(mix: Mix, part: &str, model: &Outline) -> Vec<Format> {
        (0..model.n_layers).map(|i| mix.format(&format!("blk.{i}.{part}.weight"), 1024, model)).collect()
    }

    #[test]
    fn medium_mixes_give_some_layers_more_bits() {
        for (mix, base) in [(Mix::Q4KM, Format::Q4K), (Mix::Q5KM, Format::Q5K)] {
            for part in ["attn_v", "ffn_down"] {
                let more = [0, 1, 4, 7, 10, 13, 14, 15];
                let expected: Vec<_> = (0..16).map(|i| if more.contains(&i) { Format::Q6K } else { base }).collect();
                assert_eq!(over_layers(mix, part, &MODEL), expected, "{mix} {part}");
            }
            for part in ["attn_q", "attn_k", "attn_output", "ffn_gate", "ffn_up"] {
                assert_eq!(over_layers(mix, part, &MODEL), [base; 16], "{mix} {part}");
            }
        }
    }

    #[test]
    fn small_mixes_look_after_the_first_layers() {
        let first =
            |n: usize, rest: Format| (0..16).map(|i| if i < n { Format::Q5K } else { rest }).collect::<Vec<_>>();
        assert_eq!(over_layers(Mix::Q4KS, "attn_v", &MODEL), first(4, Format::Q4K));
        assert_eq!(over_layers(Mix::Q4KS, "ffn_down", &MODEL), first(2, Format::Q4K));
        assert_eq!(over_layers(Mix::Iq4Xs, "ffn_down", &MODEL), first(2, Format::Iq4Xs));
        assert_eq!(over_layers(Mix::Q3KM, "attn_v", &MODEL), first(2, Format::Q4K));
        assert_eq!(over_layers(Mix::Q3KM, "ffn_down", &MODEL), first(1, Format::Q4K));
    }

    #[test]
    fn shared_values_get_more_bits() {
        let alone = Outline { n_sharing: 1, ..MODEL };
        let at = |mix: Mix, model: &Outline| mix.format("blk.5.attn_v.weight", 1024, model);
        assert_eq!([at(Mix::Iq4Xs, &MODEL), at(Mix::Iq4Xs, &alone)], [Format::Q5K, Format::Iq4Xs]);
        assert_eq!([at(Mix::Q2K, &MODEL), at(Mix::Q2K, &alone)], [Format::Q4K, Format::Q3K]);
        let large = Outline { n_layers: 80, ..MODEL };
        assert_eq!([at(Mix::Q4KS, &large), at(Mix::Q3KS, &large)], [Format::Q5K; 2]);
    }

    #[test]
    fn the_output_matrix_gets_six_bits_whatever_its_name() {
        let tied = Outline { tied: true, ..MODEL };
        for (mix, output) in
            [(Mix::Q4_0, Format::Q6K), (Mix::Iq4Xs, Format::Q6K), (Mix::Q8_0, Format::Q8_0), (Mix::F16, Format::F16)]
        {
            assert_eq!(mix.format("output.weight", 1024, &MODEL), output);
            assert_eq!(mix.format("token_embd.weight", 1024, &MODEL), mix.facts().base);
            assert_eq!(mix.format("token_embd.weight", 1024, &tied), output);
        }
    }

    #[test]
    fn rows_that_are_no_whole_blocks_get_a_smaller_block() {
        let wide = |mix: Mix, n_in| mix.format("blk.5.attn_q.weight", n_in, &MODEL);
        for (mix, format) in [
            (Mix::Q2K, Format::Q4_0),
            (Mix::Q3KS, Format::Q4_0),
            (Mix::Q4KM, Format::Q5_0),
            (Mix::Q5KM, Format::Q5_1),
            (Mix::Q6K, Format::Q8_0),
            (Mix::Iq4Xs, Format::Iq4Nl),
            (Mix::Q4_0, Format::Q4_0),
        ] {
            assert_eq!(wide(mix, 896), format, "{mix}");
            assert_eq!(wide(mix, 900), Format::F16, "{mix}");
        }
    }
}
