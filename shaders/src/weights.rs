//! How weights are unpacked.

/// A weight format, as it lies on the device. `silhak_quant::planar` describes the planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are ggml's")]
pub enum Weights {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    Iq4Nl,
    Iq4Xs,
}

impl Weights {
    /// Every format.
    pub const ALL: [Weights; 15] = [
        Weights::F32,
        Weights::F16,
        Weights::Bf16,
        Weights::Q4_0,
        Weights::Q4_1,
        Weights::Q5_0,
        Weights::Q5_1,
        Weights::Q8_0,
        Weights::Q2K,
        Weights::Q3K,
        Weights::Q4K,
        Weights::Q5K,
        Weights::Q6K,
        Weights::Iq4Nl,
        Weights::Iq4Xs,
    ];

    /// The name in kernel names: `q4_k`.
    pub fn name(self) -> &'static str {
        match self {
            Weights::F32 => "f32",
            Weights::F16 => "f16",
            Weights::Bf16 => "bf16",
            Weights::Q4_0 => "q4_0",
            Weights::Q4_1 => "q4_1",
            Weights::Q5_0 => "q5_0",
            Weights::Q5_1 => "q5_1",
            Weights::Q8_0 => "q8_0",
            Weights::Q2K => "q2_k",
            Weights::Q3K => "q3_k",
            Weights::Q4K => "q4_k",
            Weights::Q5K => "q5_k",
            Weights::Q6K => "q6_k",
            Weights::Iq4Nl => "iq4_nl",
            Weights::Iq4Xs => "iq4_xs",
        }
    }

    /// Whether the values are integers times scales, so that 8-bit activations can meet them.
    pub fn is_quantized(self) -> bool {
        !matches!(self, Weights::F32 | Weights::F16 | Weights::Bf16)
    }

    /// How many planes there are, at bindings 1, 2 and 3: quants; scales; further bits of the quants.
    pub fn n_planes(self) -> u32 {
        match self {
            Weights::F32 | Weights::F16 | Weights::Bf16 => 1,
            Weights::Q5_0 | Weights::Q5_1 | Weights::Q3K | Weights::Q5K | Weights::Q6K => 3,
            _ => 2,
        }
    }

    /// The files that define `load_values`, or for 8-bit activations `load_group`.
    pub(crate) fn parts(self, dequantized: bool) -> Vec<&'static str> {
        let mut parts = match self {
            Weights::F32 => vec![include_str!("../wgsl/weights/f32.wgsl")],
            Weights::F16 => vec![include_str!("../wgsl/weights/f16.wgsl")],
            Weights::Bf16 => vec![include_str!("../wgsl/weights/bf16.wgsl")],
            Weights::Q4_0 => vec![QUANTS, include_str!("../wgsl/weights/q4_0.wgsl")],
            Weights::Q4_1 => vec![QUANTS, include_str!("../wgsl/weights/q4_1.wgsl")],
            Weights::Q5_0 => vec![QUANTS, include_str!("../wgsl/weights/q5_0.wgsl")],
            Weights::Q5_1 => vec![QUANTS, include_str!("../wgsl/weights/q5_1.wgsl")],
            Weights::Q8_0 => vec![QUANTS, include_str!("../wgsl/weights/q8_0.wgsl")],
            Weights::Q2K => vec![QUANTS, include_str!("../wgsl/weights/q2_k.wgsl")],
            Weights::Q3K => vec![QUANTS, include_str!("../wgsl/weights/q3_k.wgsl")],
            Weights::Q4K => vec![QUANTS, K_SCALES, include_str!("../wgsl/weights/q4_k.wgsl")],
            Weights::Q5K => vec![QUANTS, K_SCALES, include_str!("../wgsl/weights/q5_k.wgsl")],
            Weights::Q6K => vec![QUANTS, include_str!("../wgsl/weights/q6_k.wgsl")],
            Weights::Iq4Nl => vec![QUANTS, IQ4_LEVELS, include_str!("../wgsl/weights/iq4_nl.wgsl")],
            Weights::Iq4Xs => vec![QUANTS, IQ4_LEVELS, include_str!("../wgsl/weights/iq4_xs.wgsl")],
        };
        if dequantized && self.is_quantized() {
            parts.push(include_str!("../wgsl/weights/dequantized.wgsl"));
        }
        parts
    }
}

const QUANTS: &str = include_str!("../wgsl/weights/quants.wgsl");
const K_SCALES: &str = include_str!("../wgsl/weights/k_scales.wgsl");
const IQ4_LEVELS: &str = include_str!("../wgsl/weights/iq4_levels.wgsl");
