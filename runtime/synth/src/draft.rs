//! What a file will hold, and writing it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use silhak_gguf::{TensorType, TensorWriter, Value, Writer};
use silhak_quant::Mix;

use crate::fill::Chunk;
use crate::vocabulary::Vocabulary;
use crate::{Error, Shape, Tensor};

/// A file that is not written yet. What it holds may be changed, to see what a reader makes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The metadata, vocabulary included.
    pub metadata: BTreeMap<String, Value>,
    /// The tensors, in the order of the file.
    pub tensors: Vec<Tensor>,
    /// The weights depend on nothing but this, the tensor's name and its format.
    pub seed: u64,
}

/// How far writing has come, in bytes of tensor data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes written.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Hears how far writing has come, after each chunk of a mebibyte at most, and says whether it shall go on.
pub type Monitor<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

impl Draft {
    /// A model of a shape, in the formats of a mix.
    ///
    /// # Errors
    /// [`Error::Vocabulary`] if the shape's vocabulary is too small to work.
    pub fn new(shape: &Shape, mix: Mix, seed: u64) -> Result<Draft, Error> {
        let mut metadata = BTreeMap::from([
            ("general.architecture".to_owned(), Value::from(shape.architecture)),
            ("general.file_type".to_owned(), Value::U32(mix.file_type())),
            // The version of the block formats, which is the one that all files have had since 2023.
            ("general.quantization_version".to_owned(), Value::U32(2)),
        ]);
        metadata.extend(shape.metadata());
        metadata.extend(Vocabulary::of(shape.n_vocab)?.metadata()?);
        Ok(Draft { metadata, tensors: Tensor::list(shape, mix), seed })
    }

    /// The number of weights.
    pub fn n_parameters(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.rows as u64 * tensor.cols as u64).sum()
    }

    /// The size of the file.
    ///
    /// # Errors
    /// [`Error::Gguf`] if the draft breaks a rule of the format.
    pub fn file_bytes(&self) -> Result<u64, Error> {
        let mut header = Count(0);
        let remaining = self.begin(&mut header)?.remaining();
        Ok(header.0 + remaining)
    }

    /// Writes a file whose weights are a hole, zeros that take no room on the disk: enough to see what a model would take.
    /// Returns the file's size.
    ///
    /// # Errors
    /// [`Error::Gguf`] if the draft breaks a rule of the format, [`Error::Io`].
    pub fn save_hollow(&self, path: &Path) -> Result<u64, Error> {
        let failed = |source| Error::Io { action: "write", path: path.to_owned(), source };
        let file = File::create(path).map_err(failed)?;
        self.begin(&file)?;
        let bytes = self.file_bytes()?;
        file.set_len(bytes).map_err(failed)?;
        Ok(bytes)
    }

    /// Writes the file, with weights made by `n_threads` threads. These change nothing of what is written.
    ///
    /// # Errors
    /// [`Error::Gguf`] if the draft breaks a rule of the format or `out` fails, [`Error::DiskFull`] if that is why it
    /// fails, [`Error::Cancelled`] if `monitor` breaks off.
    pub fn write(&self, out: impl Write, n_threads: NonZero<usize>, monitor: &mut Monitor<'_>) -> Result<(), Error> {
        self.write_chunks(out, n_threads.get(), monitor).map_err(|error| self.name_full_disk(error))
    }

    fn write_chunks(&self, out: impl Write, n_threads: usize, monitor: &mut Monitor<'_>) -> Result<(), Error> {
        let mut writer = self.begin(out)?;
        let mut progress = Progress { done: 0, total: writer.remaining() };
        thread::scope(|scope| {
            let makers: Vec<_> = (0..n_threads)
                .map(|first| {
                    // A chunk is made while the one before it is written.
                    let (sender, receiver) = sync_channel(1);
                    scope.spawn(move || self.make(self.chunks().skip(first).step_by(n_threads), &sender));
                    receiver
                })
                .collect();
            let mut makers = makers.iter().cycle();
            let mut cancelled = false;
            for tensor in &self.tensors {
                let mut made = tensor.chunks().zip(makers.by_ref());
                let written = writer.write_with(&tensor.name, |out| {
                    made.try_for_each(|(_, maker)| {
                        let data = maker.recv().map_err(io::Error::other)??;
                        out.write_all(&data)?;
                        progress.done += data.len() as u64;
                        cancelled = monitor(progress).is_break();
                        if cancelled { Err(io::Error::other("cancelled")) } else { Ok(()) }
                    })
                });
                if cancelled {
                    return Err(Error::Cancelled);
                }
                written?;
            }
            writer.finish()?;
            Ok(())
        })
    }

    fn chunks(&self) -> impl Iterator<Item = Chunk<'_>> {
        self.tensors.iter().flat_map(Tensor::chunks)
    }

    /// Fills chunks until all are done, or nobody wants more.
    fn make<'a>(&self, mut chunks: impl Iterator<Item = Chunk<'a>>, sender: &SyncSender<io::Result<Vec<u8>>>) {
        while chunks.next().is_some_and(|chunk| sender.send(chunk.fill(self.seed)).is_ok()) {}
    }

    /// Writes everything before the data.
    fn begin<W: Write>(&self, out: W) -> Result<TensorWriter<W>, Error> {
        let mut writer = Writer::new();
        for (key, value) in &self.metadata {
            writer.add(key, value.clone())?;
        }
        for Tensor { name, format, rows, cols, n_matrices } in &self.tensors {
            let dims = [*cols, rows / (*n_matrices).max(1), *n_matrices].map(|n| n as u64);
            let n_dims = if *n_matrices > 1 { 3 } else { 1 + usize::from(*rows > 1) };
            let ty = TensorType::from_name(format.name()).ok_or_else(|| silhak_gguf::Error::Unwritable {
                field: format!("tensor {name}"),
                reason: format!("{format} is no type that GGUF knows"),
            })?;
            writer.add_tensor(name, ty, &dims[..n_dims])?;
        }
        Ok(writer.begin(out)?)
    }

    fn name_full_disk(&self, error: Error) -> Error {
        let Error::Gguf(silhak_gguf::Error::Io { source, .. }) = &error else { return error };
        match (source.kind(), self.file_bytes()) {
            (io::ErrorKind::StorageFull, Ok(needed)) => Error::DiskFull { needed },
            _ => error,
        }
    }
}

/// Counts what is written to it.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use silhak_gguf::Gguf;

    use super::*;
    use crate::Preset;

    /// Shapes and names are what `silhak-model` looks for. The file is a hole where its weights would be.
    #[test]
    fn presets_are_models() {
        for preset in Preset::ALL {
            let draft = Draft::new(&preset.shape.with_layers(2), Mix::Q4KM, 1).unwrap();
            let file = tempfile::NamedTempFile::new().unwrap();
            draft.save_hollow(file.path()).unwrap();
            let model = silhak_model::Model::from_gguf(&Gguf::open(file.path()).unwrap()).unwrap();
            let (hyper, shape) = (model.hyper_params(), preset.shape);
            assert_eq!((hyper.n_layers, hyper.n_embd, hyper.n_vocab), (2, shape.n_embd, shape.n_vocab));
            // Nothing is there that no model reads. Numbers that the plan is written with are no weights in it.
            let n_weights = draft.tensors.iter().filter(|tensor| tensor.name != "bskcn_tv.weight").count();
            assert_eq!(model.weights().len(), n_weights, "{}", preset.name);
        }
    }

    /// The sizes of the published files of these models, which have more merges than ours.
    #[test]
    fn files_have_the_sizes_of_published_ones() {
        for (name, mix, published) in [
            ("llama-1b", Mix::Q4KM, 807_694_464u64),
            ("qwen2-7b", Mix::Q4KM, 4_683_074_240),
            ("qwen2-32b", Mix::Q4KM, 19_851_336_256),
            ("hcx-think-14b", Mix::Q4KM, 8_916_242_240),
        ] {
            let bytes = Draft::new(&Preset::find(name).unwrap().shape, mix, 1).unwrap().file_bytes().unwrap();
            let missing = published.abs_diff(bytes);
            assert!(bytes < published && missing < 6_000_000, "{name} {mix}: {bytes}, {missing} from {published}");
        }
    }

    fn small() -> Draft {
        let shape = Shape { n_vocab: 5000, n_embd: 512, n_ff: 512, ..Preset::ALL[0].shape };
        Draft::new(&shape.with_layers(1), Mix::Q4KM, 1).unwrap()
    }

    fn written(draft: &Draft, n_threads: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        draft.write(&mut bytes, NonZero::new(n_threads).unwrap(), &mut |_| ControlFlow::Continue(())).unwrap();
        bytes
    }

    #[test]
    fn the_same_draft_gives_the_same_bytes_whatever_the_threads() {
        let draft = small();
        assert!(draft.chunks().count() > draft.tensors.len(), "no tensor has several chunks");
        let bytes = written(&draft, 1);
        assert_eq!(bytes.len() as u64, draft.file_bytes().unwrap());
        for n_threads in [2, 3, 50] {
            assert!(bytes == written(&draft, n_threads), "{n_threads} threads");
        }
        assert!(bytes != written(&Draft { seed: 2, ..draft }, 1));
    }

    /// No two chunks are alike, neither of one tensor nor of two.
    #[test]
    fn weights_do_not_repeat() {
        let draft = small();
        let mut beginnings: Vec<_> = draft.chunks().map(|chunk| chunk.fill(1).unwrap()[..100].to_vec()).collect();
        let n = beginnings.len();
        beginnings.sort();
        beginnings.dedup();
        assert_eq!(beginnings.len(), n);
    }

    #[test]
    fn progress_rises_to_the_end() {
        let (draft, mut heard) = (small(), Vec::new());
        let mut monitor = |progress: Progress| {
            heard.push(progress);
            ControlFlow::Continue(())
        };
        draft.write(io::sink(), NonZero::<usize>::MIN, &mut monitor).unwrap();
        assert!(heard.is_sorted_by(|a, b| a.done < b.done && a.total == b.total));
        // Padding is not counted as it is written.
        let last = heard.last().unwrap();
        assert!(last.total - last.done < 32 * draft.tensors.len() as u64, "{last:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_called_so() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let error = small().write(full, NonZero::<usize>::MIN, &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(matches!(error, Error::DiskFull { needed } if needed == small().file_bytes().unwrap()), "{error}");
    }
}
