//! Tensor data that several threads make.

use std::io::{self, Write};
use std::num::NonZero;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use crate::{Error, TensorWriter};

impl<W: Write> TensorWriter<W> {
    /// Writes the data of the next tensor, which must be `name`, in `n_chunks` pieces that threads make and this one
    /// writes, in order. `written` hears the length of each and may break off.
    ///
    /// # Errors
    /// As [`TensorWriter::write`], and whatever `make` and `written` return.
    pub fn write_chunks<E>(
        &mut self,
        name: &str,
        n_chunks: usize,
        n_threads: NonZero<usize>,
        make: impl Fn(usize) -> Result<Vec<u8>, E> + Sync,
        mut written: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<(), E>
    where
        E: From<Error> + Send,
    {
        let n_threads = n_threads.get().min(n_chunks);
        let mut failure = None;
        let result = thread::scope(|scope| {
            let makers: Vec<_> = (0..n_threads)
                .map(|first| {
                    // A chunk is made while the one before it is written.
                    let (sender, receiver) = sync_channel(1);
                    let make = &make;
                    scope.spawn(move || send_all((first..n_chunks).step_by(n_threads).map(make), &sender));
                    receiver
                })
                .collect();
            self.write_with(name, |out| {
                for maker in makers.iter().cycle().take(n_chunks) {
                    let outcome = match maker.recv().map_err(io::Error::other)? {
                        Ok(chunk) => {
                            out.write_all(&chunk)?;
                            written(chunk.len())
                        }
                        Err(error) => Err(error),
                    };
                    if let Err(error) = outcome {
                        failure = Some(error);
                        return Err(io::Error::other("stopped"));
                    }
                }
                Ok(())
            })
        });
        match failure {
            Some(error) => Err(error),
            None => Ok(result?),
        }
    }
}

/// Makes chunks until all are done, one fails, or nobody wants more.
fn send_all<E>(mut chunks: impl Iterator<Item = Result<Vec<u8>, E>>, sender: &SyncSender<Result<Vec<u8>, E>>) {
    while chunks.next().is_some_and(|chunk| {
        let is_last = chunk.is_err();
        sender.send(chunk).is_ok() && !is_last
    }) {}
}
