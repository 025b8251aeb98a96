//! llama.cpp's models and contexts behind safe types.

use anyhow::{Context as _, Result, bail};
use llama_cpp_sys_2 as sys;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, Once};

/// A loaded model.
pub(crate) struct Model {
    pointer: NonNull<sys::llama_model>,
}

impl Model {
    /// With the last `gpu_layers` layers on the GPUs, the output counted as one; with 0, nothing runs on a GPU.
    pub(crate) fn load(path: &Path, gpu_layers: u32) -> Result<Self> {
        start();
        if gpu_layers > 0 && !has_gpu() {
            bail!(
                "llama.cpp finds no GPU: build it with `cargo xtask oracle --vulkan ...`, and look for one with `vulkaninfo --summary`"
            );
        }
        let text = path.to_str().with_context(|| format!("{}: not UTF-8", path.display()))?;
        let c_path = CString::new(text)?;
        // SAFETY: returns plain data.
        let mut params = unsafe { sys::llama_model_default_params() };
        params.n_gpu_layers = i32::try_from(gpu_layers)?;
        // Without layers on a GPU llama.cpp would still send large products there; an empty list of devices forbids it.
        let mut no_devices = [ptr::null_mut()];
        if gpu_layers == 0 {
            params.devices = no_devices.as_mut_ptr();
        }
        // SAFETY: `c_path` ends with NUL, the list of devices with a null pointer, and both outlive the call; the rest of
        // `params` came from llama.cpp.
        let pointer = unsafe { sys::llama_model_load_from_file(c_path.as_ptr(), params) };
        let pointer = NonNull::new(pointer).with_context(|| format!("llama.cpp cannot load {}", path.display()))?;
        Ok(Model { pointer })
    }

    /// Token ids of `text` with the special tokens that the model wants around it; `text` itself has none.
    pub(crate) fn tokenize(&self, text: &str) -> Result<Vec<i32>> {
        let length = i32::try_from(text.len()).context("the text is over 2 GiB")?;
        // One token per byte, and BOS and EOS, are enough.
        let mut ids = vec![0; text.len() + 2];
        // SAFETY: both buffers have the lengths that are passed.
        let count = unsafe {
            sys::llama_tokenize(
                self.vocab(),
                text.as_ptr().cast::<c_char>(),
                length,
                ids.as_mut_ptr(),
                ids.len() as i32,
                true,
                false,
            )
        };
        let count = usize::try_from(count).context("llama.cpp cannot tokenize the text")?;
        ids.truncate(count);
        Ok(ids)
    }

    /// Number of tokens in the vocabulary.
    pub(crate) fn n_vocab(&self) -> usize {
        // SAFETY: the vocabulary belongs to the model, which is alive.
        unsafe { sys::llama_vocab_n_tokens(self.vocab()) as usize }
    }

    fn vocab(&self) -> *const sys::llama_vocab {
        // SAFETY: the model is alive.
        unsafe { sys::llama_model_get_vocab(self.pointer.as_ptr()) }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: contexts borrow the model, so none is left.
        unsafe { sys::llama_model_free(self.pointer.as_ptr()) }
    }
}

/// How a context computes.
pub(crate) struct Settings {
    /// Tokens that fit.
    pub(crate) n_ctx: usize,
    pub(crate) threads: usize,
    /// Keep keys and values in float32 and attend without the fused kernel; otherwise what llama.cpp's programs do by
    /// default.
    pub(crate) precise: bool,
}

/// One sequence of one model.
pub(crate) struct Context<'model> {
    pointer: NonNull<sys::llama_context>,
    model: &'model Model,
    n_batch: usize,
}

impl<'model> Context<'model> {
    pub(crate) fn new(model: &'model Model, settings: &Settings) -> Result<Self> {
        // SAFETY: returns plain data.
        let mut params = unsafe { sys::llama_context_default_params() };
        params.n_ctx = u32::try_from(settings.n_ctx)?;
        params.n_threads = i32::try_from(settings.threads)?;
        params.n_threads_batch = params.n_threads;
        if settings.precise {
            params.type_k = sys::GGML_TYPE_F32;
            params.type_v = sys::GGML_TYPE_F32;
            params.flash_attn_type = sys::LLAMA_FLASH_ATTN_TYPE_DISABLED;
        } else {
            // Layers with a sliding window keep the window alone: so do llama.cpp's programs, if not its library.
            params.swa_full = false;
        }
        let n_batch = params.n_batch as usize;
        // SAFETY: the model is alive, and stays so for as long as the context; `params` came from llama.cpp.
        let pointer = unsafe { sys::llama_init_from_model(model.pointer.as_ptr(), params) };
        let pointer = NonNull::new(pointer).context("llama.cpp cannot create a context: is there enough memory?")?;
        Ok(Context { pointer, model, n_batch })
    }

    /// Runs `tokens` from position `start` on, and hands the logits of each wanted one, with its place in `tokens`,
    /// to `see`.
    pub(crate) fn decode(
        &mut self,
        tokens: &[i32],
        start: usize,
        wanted: Wanted,
        mut see: impl FnMut(usize, &[f32]),
    ) -> Result<()> {
        for (index, chunk) in tokens.chunks(self.n_batch).enumerate() {
            let first = index * self.n_batch;
            let mut batch = Batch::new(chunk, start + first)?;
            for (place, flag) in batch.flags.iter_mut().enumerate() {
                *flag = i8::from(wanted == Wanted::All || first + place + 1 == tokens.len());
            }
            // SAFETY: the batch's pointers are to arrays with one entry per token, alive for the call.
            let code = unsafe { sys::llama_decode(self.pointer.as_ptr(), batch.raw()) };
            if code != 0 {
                bail!("llama_decode returned {code} for {} tokens", chunk.len());
            }
            for (place, _) in batch.flags.iter().enumerate().filter(|(_, flag)| **flag != 0) {
                // SAFETY: logits of this token were asked for; llama.cpp keeps one row of the vocabulary's size until
                // the next call.
                let row = unsafe {
                    let row = sys::llama_get_logits_ith(self.pointer.as_ptr(), place as i32);
                    NonNull::new(row).map(|row| std::slice::from_raw_parts(row.as_ptr(), self.model.n_vocab()))
                };
                see(first + place, row.context("llama.cpp has no logits for a token")?);
            }
        }
        Ok(())
    }

    /// Forgets all tokens.
    pub(crate) fn clear(&mut self) {
        // SAFETY: the context is alive, and so is its memory.
        unsafe { sys::llama_memory_clear(sys::llama_get_memory(self.pointer.as_ptr()), true) }
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        // SAFETY: nothing else has the pointer.
        unsafe { sys::llama_free(self.pointer.as_ptr()) }
    }
}

/// Which tokens' logits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    Last,
}

/// What llama.cpp was built with, such as `AVX2 = 1 | OPENMP = 1`.
pub(crate) fn system_info() -> String {
    start();
    // SAFETY: returns a pointer to a string that lives as long as the program.
    let text = unsafe { CStr::from_ptr(sys::llama_print_system_info()) };
    text.to_string_lossy().trim_end_matches([' ', '|']).to_owned()
}

/// Whether llama.cpp has a GPU to run on.
fn has_gpu() -> bool {
    start();
    [sys::GGML_BACKEND_DEVICE_TYPE_GPU, sys::GGML_BACKEND_DEVICE_TYPE_IGPU].into_iter().any(|kind| {
        // SAFETY: the backends are there; returns null where no device is of that kind.
        let device = unsafe { sys::ggml_backend_dev_by_type(kind) };
        !device.is_null()
    })
}

/// What llama.cpp chose and said about it while it loaded models: devices with their features, layers on them, fused
/// attention.
pub(crate) fn notes() -> Vec<String> {
    NOTES.lock().map(|notes| notes.clone()).unwrap_or_default()
}

static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub(crate) fn start() {
    static BACKEND: Once = Once::new();
    BACKEND.call_once(|| {
        // SAFETY: called once, before anything else of llama.cpp; `log` matches the callback's type.
        unsafe {
            sys::llama_log_set(Some(log), ptr::null_mut());
            sys::llama_backend_init();
        }
    });
}

/// Tokens of sequence 0 at consecutive positions.
struct Batch {
    tokens: Vec<i32>,
    positions: Vec<i32>,
    counts: Vec<i32>,
    /// Every entry of `sequences` points here.
    _sequence: Box<i32>,
    sequences: Vec<*mut i32>,
    flags: Vec<i8>,
}

impl Batch {
    fn new(tokens: &[i32], start: usize) -> Result<Self> {
        let start = i32::try_from(start)?;
        let mut sequence = Box::new(0);
        let sequences = vec![&raw mut *sequence; tokens.len()];
        Ok(Batch {
            tokens: tokens.to_vec(),
            positions: (start..).take(tokens.len()).collect(),
            counts: vec![1; tokens.len()],
            _sequence: sequence,
            sequences,
            flags: vec![0; tokens.len()],
        })
    }

    /// Valid while `self` is neither moved from nor changed.
    fn raw(&mut self) -> sys::llama_batch {
        sys::llama_batch {
            n_tokens: self.tokens.len() as i32,
            token: self.tokens.as_mut_ptr(),
            embd: ptr::null_mut(),
            pos: self.positions.as_mut_ptr(),
            n_seq_id: self.counts.as_mut_ptr(),
            seq_id: self.sequences.as_mut_ptr(),
            logits: self.flags.as_mut_ptr(),
        }
    }
}

/// Passes on errors, and keeps `NOTES`.
unsafe extern "C" fn log(level: sys::ggml_log_level, text: *const c_char, _: *mut c_void) {
    // SAFETY: llama.cpp passes a string that ends with NUL.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    if level == sys::GGML_LOG_LEVEL_ERROR {
        eprint!("{text}");
    }
    let wanted = ["ggml_vulkan: ", " offloaded ", "flash_attn  ", "Flash Attention "];
    if wanted.iter().any(|part| text.contains(part))
        && let Ok(mut notes) = NOTES.lock()
    {
        // Most begin with the name of the function that says them.
        let words = text.split_whitespace().skip_while(|word| word.ends_with(':') && !word.starts_with("ggml"));
        let note = words.collect::<Vec<_>>().join(" ");
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
}
