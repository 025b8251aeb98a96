//! The shapes of published models, by name.

use crate::{Error, Shape};

/// A published model's shape. The numbers are those of its `config.json`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preset {
    /// The name it goes by here.
    pub name: &'static str,
    /// The model that has this shape.
    pub model: &'static str,
    /// Its sizes.
    pub shape: Shape,
}

impl Preset {
    /// Every preset, the smallest first.
    pub const ALL: &[Preset] = &[
        Preset {
            name: "llama-1b",
            model: "Llama 3.2 1B",
            shape: Shape {
                architecture: "llama",
                n_vocab: 128_256,
                n_embd: 2048,
                n_layers: 16,
                n_heads: 32,
                n_kv_heads: 8,
                head_dim: 64,
                n_ff: 8192,
                n_ctx: 131_072,
                rms_eps: 1e-5,
                rope_base: 500_000.0,
                rope_factors: true,
                tied: true,
                window: None,
            },
        },
        Preset { name: "qwen2-7b", model: "Qwen2.5 7B", shape: QWEN2_7B },
        Preset {
            name: "qwen2-32b",
            model: "Qwen2.5 32B",
            shape: Shape { n_embd: 5120, n_layers: 64, n_heads: 40, n_kv_heads: 8, n_ff: 27_648, ..QWEN2_7B },
        },
    ];

    /// The preset of a name.
    ///
    /// # Errors
    /// [`Error::UnknownPreset`], which lists the names.
    pub fn find(name: &str) -> Result<&'static Preset, Error> {
        Preset::ALL.iter().find(|preset| preset.name == name).ok_or_else(|| Error::UnknownPreset {
            name: name.to_owned(),
            known: Preset::ALL.iter().map(|preset| preset.name).collect::<Vec<_>>().join(", "),
        })
    }
}

const QWEN2_7B: Shape = Shape {
    architecture: "qwen2",
    n_vocab: 152_064,
    n_embd: 3584,
    n_layers: 28,
    n_heads: 28,
    n_kv_heads: 4,
    head_dim: 128,
    n_ff: 18_944,
    n_ctx: 32_768,
    rms_eps: 1e-6,
    rope_base: 1e6,
    rope_factors: false,
    tied: false,
    window: None,
};
