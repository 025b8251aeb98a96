//! The shapes of published models, by name.

use crate::{Error, Mixture, Multipliers, Shape, Skips};

/// A published model's shape. The numbers are those of its `config.json` as far as these are public; what is not (RoPE's base
/// of A.X 3.1, for one) is that of its relatives, and changes neither sizes nor speed.
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
    /// Every preset: the peers' shapes, then the Korean models by family.
    pub const ALL: &[Preset] = &[
        Preset { name: "llama-1b", model: "Llama 3.2 1B", shape: LLAMA_1B },
        Preset { name: "qwen2-7b", model: "Qwen2.5 7B", shape: QWEN2_7B },
        Preset { name: "qwen2-32b", model: "Qwen2.5 32B", shape: QWEN2_32B },
        Preset { name: "exaone3.5-32b", model: "EXAONE 3.5 32B", shape: EXAONE_32B },
        Preset { name: "exaone4-1.2b", model: "EXAONE 4.0 1.2B", shape: EXAONE4_1_2B },
        Preset { name: "exaone4-32b", model: "EXAONE 4.0 32B", shape: EXAONE4_32B },
        Preset { name: "k-exaone-236b", model: "K-EXAONE 236B-A23B", shape: K_EXAONE },
        Preset { name: "ax3.1-34b", model: "A.X 3.1 34B", shape: AX3_34B },
        Preset { name: "ax4-light-7b", model: "A.X 4.0 Light 7B", shape: AX4_LIGHT_7B },
        Preset { name: "ax4-72b", model: "A.X 4.0 72B", shape: AX4_72B },
        Preset { name: "hcx-think-14b", model: "HyperCLOVA X SEED Think 14B", shape: HCX_THINK_14B },
        Preset { name: "hcx-think-32b", model: "HyperCLOVA X SEED Think 32B, its text part", shape: HCX_THINK_32B },
        Preset { name: "solar-10.7b", model: "SOLAR 10.7B", shape: SOLAR_10_7B },
        Preset { name: "solar-pro-preview-22b", model: "Solar Pro Preview 22B", shape: SOLAR_PRO_22B },
        Preset { name: "solar-open-100b", model: "Solar Open 100B", shape: SOLAR_OPEN_100B },
        Preset { name: "varco-8b", model: "Llama-VARCO 8B", shape: VARCO_8B },
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

const LLAMA_1B: Shape = Shape {
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
    multipliers: None,
    skips: None,
    mixture: None,
    latent: None,
};

/// That of Llama 3.1 8B.
const VARCO_8B: Shape = Shape { n_embd: 4096, n_layers: 32, head_dim: 128, n_ff: 14_336, tied: false, ..LLAMA_1B };

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
    multipliers: None,
    skips: None,
    mixture: None,
    latent: None,
};

const QWEN2_32B: Shape = Shape { n_embd: 5120, n_layers: 64, n_heads: 40, n_kv_heads: 8, n_ff: 27_648, ..QWEN2_7B };

/// Qwen2.5's, with SK Telecom's vocabulary.
const AX4_LIGHT_7B: Shape = Shape { n_vocab: 102_400, n_ctx: 16_384, ..QWEN2_7B };

/// Qwen2.5's, with SK Telecom's vocabulary.
const AX4_72B: Shape = Shape {
    n_vocab: 102_400,
    n_embd: 8192,
    n_layers: 80,
    n_heads: 64,
    n_kv_heads: 8,
    n_ff: 29_568,
    n_ctx: 131_072,
    ..QWEN2_7B
};

const EXAONE_32B: Shape = Shape {
    architecture: "exaone",
    n_vocab: 102_400,
    n_embd: 5120,
    n_layers: 64,
    n_heads: 40,
    n_kv_heads: 8,
    head_dim: 128,
    n_ff: 27_392,
    n_ctx: 32_768,
    rms_eps: 1e-5,
    rope_base: 1e6,
    rope_factors: true,
    tied: false,
    window: None,
    multipliers: None,
    skips: None,
    mixture: None,
    latent: None,
};

const EXAONE4_32B: Shape = Shape { architecture: "exaone4", n_ctx: 131_072, window: Some(4096), ..EXAONE_32B };

const EXAONE4_1_2B: Shape = Shape {
    n_embd: 2048,
    n_layers: 30,
    n_heads: 32,
    head_dim: 64,
    n_ff: 4096,
    n_ctx: 65_536,
    tied: true,
    window: None,
    ..EXAONE4_32B
};

const K_EXAONE: Shape = Shape {
    architecture: "exaone-moe",
    n_vocab: 153_600,
    n_embd: 6144,
    n_layers: 48,
    n_heads: 64,
    n_ff: 18_432,
    n_ctx: 262_144,
    rope_factors: false,
    window: Some(128),
    mixture: Some(Mixture { n_experts: 128, n_used: 8, n_ff: 2048, n_dense: 1, scale: 2.5 }),
    ..EXAONE4_32B
};

const SOLAR_OPEN_100B: Shape = Shape {
    architecture: "glm4moe",
    n_vocab: 196_608,
    n_embd: 4096,
    n_layers: 48,
    n_heads: 64,
    head_dim: 128,
    n_ff: 1280,
    n_ctx: 131_072,
    rope_base: 1e6,
    rope_factors: false,
    tied: false,
    mixture: Some(Mixture { n_experts: 128, n_used: 8, n_ff: 1280, n_dense: 0, scale: 1.0 }),
    ..LLAMA_1B
};

const SOLAR_10_7B: Shape = Shape {
    n_vocab: 32_000,
    n_embd: 4096,
    n_layers: 48,
    head_dim: 128,
    n_ff: 14_336,
    n_ctx: 4096,
    rope_base: 10_000.0,
    rope_factors: false,
    tied: false,
    ..LLAMA_1B
};

const SOLAR_PRO_22B: Shape = Shape {
    architecture: "solar",
    n_vocab: 32_128,
    n_embd: 5120,
    n_layers: 64,
    n_heads: 40,
    n_kv_heads: 10,
    n_ff: 17_920,
    skips: Some(Skips { keeps: [&[12, 20, 32, 44], &[20, 32]], blends: [&[16, 24, 36, 48], &[28, 40]] }),
    ..SOLAR_10_7B
};

const AX3_34B: Shape =
    Shape { n_vocab: 102_400, n_embd: 8192, n_heads: 64, n_ff: 21_824, n_ctx: 32_768, ..SOLAR_10_7B };

const HCX_THINK_14B: Shape = Shape {
    architecture: "hyperclovax",
    n_vocab: 110_592,
    n_embd: 6144,
    n_layers: 38,
    n_heads: 48,
    n_kv_heads: 8,
    head_dim: 128,
    n_ff: 14_336,
    n_ctx: 32_768,
    rms_eps: 1e-5,
    rope_base: 1e8,
    rope_factors: false,
    tied: false,
    window: None,
    multipliers: Some(Multipliers { embedding: 10.0, attention: 1.0 / 128.0, residual: 1.0, logit: 0.125 }),
    skips: None,
    mixture: None,
    latent: None,
};

const HCX_THINK_32B: Shape = Shape {
    n_vocab: 128_256,
    n_embd: 5120,
    n_layers: 72,
    n_heads: 40,
    n_ff: 24_192,
    n_ctx: 131_072,
    rope_base: 5e7,
    multipliers: Some(Multipliers { embedding: 1.0, attention: 0.088_388_35, residual: 1.0, logit: 1.0 }),
    ..HCX_THINK_14B
};
