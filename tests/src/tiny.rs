//! Small models with random weights, for tests that need no download: every architecture, a few layers, true wiring.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::Path;

use silhak::gguf::Value;
use silhak_synth::{Draft, Format, Latent, Mix, Mixture, Multipliers, Shape, Skips};

pub use silhak_synth::Tensor;

/// The shape of a tiny model.
#[derive(Clone, Debug)]
pub struct Tiny {
    /// `general.architecture`.
    pub architecture: &'static str,
    /// Format of the matrices.
    pub format: Format,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Transformer blocks.
    pub n_layers: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key-value heads.
    pub n_kv_heads: usize,
    /// Values per head.
    pub head_dim: usize,
    /// Width of the feed-forward layer.
    pub n_ff: usize,
    /// Sliding window of local layers (exaone4, exaone-moe, gemma3, vaetki).
    pub window: usize,
    /// Seed of the weights.
    pub seed: u64,
}

impl Tiny {
    /// A model of an architecture, with enough layers for a global one among the local ones, and for all skip connections.
    pub fn new(architecture: &'static str) -> Self {
        let n_layers = match architecture {
            "exaone4" | "exaone-moe" => 5,
            "gemma3" | "solar" | "vaetki" => 7,
            _ => 3,
        };
        Tiny {
            architecture,
            format: Format::Q8_0,
            n_embd: 64,
            n_layers,
            n_heads: 4,
            n_kv_heads: 2,
            head_dim: 32,
            n_ff: 96,
            window: 24,
            seed: 1,
        }
    }

    /// Writes the model to a file.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        self.write_edited(path, |_, _| ())
    }

    /// Writes the model to a file after its metadata and tensors were changed, to see what a broken file does.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write_edited(
        &self,
        path: &Path,
        edit: impl FnOnce(&mut BTreeMap<String, Value>, &mut Vec<Tensor>),
    ) -> anyhow::Result<()> {
        let mut draft = self.draft()?;
        edit(&mut draft.metadata, &mut draft.tensors);
        let file = BufWriter::new(File::create(path)?);
        Ok(draft.write(file, NonZero::<usize>::MIN, &mut |_| ControlFlow::Continue(()))?)
    }

    fn draft(&self) -> anyhow::Result<Draft> {
        let shape = Shape {
            architecture: self.architecture,
            n_vocab: 263,
            n_embd: self.n_embd,
            n_layers: self.n_layers,
            n_heads: self.n_heads,
            n_kv_heads: self.n_kv_heads,
            head_dim: self.head_dim,
            n_ff: self.n_ff,
            n_ctx: 512,
            rms_eps: 1e-5,
            rope_base: 10_000.0,
            rope_factors: false,
            tied: true,
            window: matches!(self.architecture, "exaone4" | "exaone-moe" | "gemma3" | "vaetki").then_some(self.window),
            multipliers: matches!(self.architecture, "hyperclovax" | "hcx-seed-think").then_some(Multipliers {
                embedding: 3.0,
                attention: 0.25,
                residual: 0.75,
                logit: 0.5,
            }),
            skips: (self.architecture == "solar")
                .then_some(Skips { keeps: [&[0, 3], &[1]], blends: [&[2, 5], &[4, 5]] }),
            // All experts: which of them are the best can turn on an error of rounding, and then nothing is near.
            mixture: matches!(self.architecture, "axk1" | "exaone-moe" | "glm4moe" | "vaetki").then_some(Mixture {
                n_experts: 3,
                n_used: 3,
                n_ff: 64,
                n_dense: 1,
                scale: 2.5,
            }),
            latent: matches!(self.architecture, "axk1" | "vaetki").then_some(Latent {
                q_rank: 96,
                rank: 64,
                n_plain: 32,
                n_turned: 16,
                n_value: self.head_dim,
            }),
        };
        let mut draft = Draft::new(&shape, Mix::F32, self.seed)?;
        for matrix in draft.tensors.iter_mut().filter(|tensor| tensor.rows > 1 && !tensor.name.contains("ffn_gate_inp"))
        {
            matrix.format = self.format;
        }
        Ok(draft)
    }
}
