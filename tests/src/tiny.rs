//! Small models with random weights, for tests that need no download: every architecture, a few layers, true wiring.

use std::collections::BTreeMap;
use std::io::BufWriter;
use std::path::Path;

use silhak::gguf::{Array, StringArray, TensorType, Value, Writer};
use silhak_ops::cases::Random;
use silhak_quant::Format;

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
    /// Sliding window of local layers (gemma3).
    pub window: usize,
    /// Seed of the weights.
    pub seed: u64,
}

impl Tiny {
    /// A model of an architecture. Gemma 3 gets enough layers for a global one among the local ones.
    pub fn new(architecture: &'static str) -> Self {
        let n_layers = if architecture == "gemma3" { 7 } else { 3 };
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
        let (mut metadata, mut tensors) = (self.metadata()?.into_iter().collect(), self.tensors());
        edit(&mut metadata, &mut tensors);
        let mut writer = Writer::new();
        for (key, value) in metadata {
            writer.add(&key, value)?;
        }
        for tensor in &tensors {
            let ty = TensorType::from_id(tensor.format.ggml_id()).map_err(|e| anyhow::anyhow!("{e:?}"))?;
            let dims = [tensor.cols as u64, tensor.rows as u64];
            writer.add_tensor(&tensor.name, ty, if tensor.rows == 1 { &dims[..1] } else { &dims })?;
        }
        let mut data = writer.begin(BufWriter::new(std::fs::File::create(path)?))?;
        let mut random = Random::new(self.seed);
        for tensor in &tensors {
            data.write(&tensor.name, &tensor.data(&mut random))?;
        }
        data.finish()?;
        Ok(())
    }

    fn metadata(&self) -> anyhow::Result<Vec<(String, Value)>> {
        let of = |key: &str| format!("{}.{key}", self.architecture);
        let size = |n: usize| Value::U32(n as u32);
        let strings = |strings: &[String]| Ok::<_, anyhow::Error>(Value::Array(StringArray::new(strings)?.into()));
        let mut types = vec![1; 256 + MERGES.len()];
        types.extend([3; SPECIALS.len()]);
        let first_special = (256 + MERGES.len()) as u32;
        Ok(vec![
            ("general.architecture".into(), self.architecture.into()),
            (of("block_count"), size(self.n_layers)),
            (of("context_length"), size(512)),
            (of("embedding_length"), size(self.n_embd)),
            (of("feed_forward_length"), size(self.n_ff)),
            (of("attention.head_count"), size(self.n_heads)),
            (of("attention.head_count_kv"), size(self.n_kv_heads)),
            (of("attention.key_length"), size(self.head_dim)),
            (of("attention.value_length"), size(self.head_dim)),
            (of("attention.layer_norm_rms_epsilon"), Value::F32(1e-5)),
            (of("attention.sliding_window"), size(self.window)),
            (of("rope.freq_base"), Value::F32(10_000.0)),
            ("tokenizer.ggml.model".into(), "gpt2".into()),
            ("tokenizer.ggml.pre".into(), "gpt-2".into()),
            ("tokenizer.ggml.tokens".into(), strings(&vocabulary())?),
            ("tokenizer.ggml.token_type".into(), Value::Array(Array::I32(types))),
            ("tokenizer.ggml.merges".into(), strings(&MERGES.map(String::from))?),
            ("tokenizer.ggml.bos_token_id".into(), Value::U32(first_special)),
            ("tokenizer.ggml.eos_token_id".into(), Value::U32(first_special + 1)),
            ("tokenizer.ggml.add_bos_token".into(), Value::Bool(false)),
            ("tokenizer.chat_template".into(), TEMPLATE.into()),
        ])
    }

    fn tensors(&self) -> Vec<Tensor> {
        let (q, kv) = (self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim);
        let matrix = |name: String, rows, cols| Tensor { name: name + ".weight", format: self.format, rows, cols };
        let vector = |name: String, cols| Tensor { name, format: Format::F32, rows: 1, cols };
        let mut tensors = vec![
            matrix("token_embd".into(), vocabulary().len(), self.n_embd),
            vector("output_norm.weight".into(), self.n_embd),
        ];
        for i in 0..self.n_layers {
            let name = |part: &str| format!("blk.{i}.{part}");
            for (part, rows, cols) in [
                ("attn_q", q, self.n_embd),
                ("attn_k", kv, self.n_embd),
                ("attn_v", kv, self.n_embd),
                ("attn_output", self.n_embd, q),
                ("ffn_gate", self.n_ff, self.n_embd),
                ("ffn_up", self.n_ff, self.n_embd),
                ("ffn_down", self.n_embd, self.n_ff),
            ] {
                tensors.push(matrix(name(part), rows, cols));
            }
            let vectors: &[(&str, usize)] = match self.architecture {
                "qwen2" => &[("attn_q.bias", q), ("attn_k.bias", kv), ("attn_v.bias", kv)],
                "gemma3" => &[
                    ("attn_q_norm.weight", self.head_dim),
                    ("attn_k_norm.weight", self.head_dim),
                    ("post_attention_norm.weight", self.n_embd),
                    ("post_ffw_norm.weight", self.n_embd),
                ],
                _ => &[],
            };
            let norms = [("attn_norm.weight", self.n_embd), ("ffn_norm.weight", self.n_embd)];
            tensors.extend(norms.iter().chain(vectors).map(|&(part, len)| vector(name(part), len)));
        }
        tensors
    }
}

/// A tensor to be filled with random values.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its name in the file.
    pub name: String,
    /// Its format.
    pub format: Format,
    /// Rows.
    pub rows: usize,
    /// Values per row.
    pub cols: usize,
}

impl Tensor {
    /// Random values; those of norms lie around 1, and RoPE's factors grow from 1 to 8 as those of Llama 3 do.
    fn data(&self, random: &mut Random) -> Vec<u8> {
        if self.name.ends_with("norm.weight") {
            return (0..self.cols).flat_map(|_| (1.0 + 0.1 * random.normal()).to_le_bytes()).collect();
        }
        if self.name == "rope_freqs.weight" {
            let last = self.cols.saturating_sub(1).max(1) as f32;
            return (0..self.cols).flat_map(|i| (1.0 + 7.0 * i as f32 / last).to_le_bytes()).collect();
        }
        random.weights(self.format, self.rows, self.cols).to_vec()
    }
}

/// A few merges, so that tokens longer than a byte exist.
const MERGES: [&str; 4] = ["t h", "th e", "Ġ the", "i n"];

/// Control tokens, after the bytes and the merges.
const SPECIALS: [&str; 3] = ["<|endoftext|>", "<|im_end|>", "<|im_start|>"];

/// ChatML.
const TEMPLATE: &str = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}\
                        {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// Every byte in the spelling of byte-level BPE (GPT-2: printable bytes as themselves, others from U+0100 on), then the
/// merges, then the control tokens.
fn vocabulary() -> Vec<String> {
    let printable = |b: &u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut others = (0x100u32..).filter_map(char::from_u32);
    let spell = |b: u8| if printable(&b) { char::from(b) } else { others.next().unwrap_or('\u{100}') };
    let bytes = (0..=255).map(spell).map(String::from).collect::<Vec<_>>();
    let merged = MERGES.iter().map(|merge| merge.replace(' ', ""));
    bytes.into_iter().chain(merged).chain(SPECIALS.map(String::from)).collect()
}
