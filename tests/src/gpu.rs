//! The GPU that tests run on, and a model to run there.

use silhak::ModelFile;
use silhak_gpu::{Gpu, GpuError, GpuOptions};
use silhak_ops::{Backend, Batch, Error, ExecConfig, Executor, KvConfig, KvElement, Page};

use crate::tiny::Tiny;

/// A GPU, or `None` with a word on why the test is skipped.
///
/// # Panics
/// If there is no GPU and `SILHAK_REQUIRE` has `gpu`, or if one is there and does not open.
pub fn open_or_skip(options: &GpuOptions) -> Option<Gpu> {
    match Gpu::open(options) {
        Ok(gpu) => Some(gpu),
        Err(GpuError::NoAdapter) => {
            let required = std::env::var("SILHAK_REQUIRE").is_ok_and(|list| list.split(',').any(|word| word == "gpu"));
            assert!(!required, "a GPU is required, and there is none");
            println!("SKIPPED: no GPU; Mesa's software driver is enough (on Debian: mesa-vulkan-drivers)");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

const PAGE_LEN: usize = 16;
const N_PAGES: usize = 4;

/// A tiny model with random weights, and what to prepare it for.
pub struct Subject {
    file: ModelFile,
    config: ExecConfig,
}

impl Subject {
    /// A model of an architecture.
    ///
    /// # Panics
    /// If the disk is full.
    pub fn new(architecture: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        Tiny::new(architecture).write(&path).unwrap();
        let file = ModelFile::open(&path).unwrap();
        let n_pages = vec![N_PAGES; file.model().plan().kv_groups().len()];
        let kv = KvConfig { page_len: PAGE_LEN, n_pages, element: KvElement::F16 };
        Subject { file, config: ExecConfig { kv, max_tokens: 32, max_outputs: 1 } }
    }

    /// Readies it on a GPU.
    ///
    /// # Errors
    /// What the GPU says.
    pub fn prepare(&self, gpu: &Gpu) -> Result<Box<dyn Executor>, Error> {
        gpu.prepare(self.file.model().plan(), self.file.model().weights(), &self.config)
    }

    /// The logits after the last of `n` tokens that begin at `start`.
    ///
    /// # Errors
    /// What the GPU says.
    pub fn logits(&self, executor: &mut dyn Executor, start: u32, n: u32) -> Result<Vec<f32>, Error> {
        let mut batch = Batch::new();
        let table: Vec<_> = (0..N_PAGES as u32).map(|page| Some(Page(page))).collect();
        let sequence = batch.add_sequence(vec![table; self.config.kv.n_pages.len()]);
        (start..start + n).for_each(|i| batch.add_token(sequence, 7 * i % 263, i, i == start + n - 1));
        let mut outputs = [Vec::new()];
        executor.run(&batch, &[], &mut outputs)?;
        let [logits] = outputs;
        Ok(logits)
    }
}
