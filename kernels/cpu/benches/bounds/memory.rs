//! How fast the memory is read.

use std::hint::black_box;
use std::num::NonZero;
use std::time::{Duration, Instant};

use silhak_cpu::{Team, default_threads};
use silhak_ops::Error;

/// Threads that read a buffer which no cache holds.
pub(crate) struct Memory {
    /// Of one thread, and of all where there are more, with the shortest time that each has taken for a piece.
    teams: Vec<(Team, f64)>,
}

impl Memory {
    /// # Errors
    /// If threads cannot be started.
    pub(crate) fn new() -> Result<Memory, Error> {
        let mut sizes = vec![NonZero::<usize>::MIN, default_threads()];
        sizes.dedup();
        let teams =
            sizes.into_iter().map(|size| Ok((Team::new(size)?, f64::INFINITY))).collect::<Result<_, Error>>()?;
        Ok(Memory { teams })
    }

    /// # Errors
    /// If a thread fails.
    pub(crate) fn measure(&mut self) -> Result<(), Error> {
        // Written, so that every page has memory of its own; and new, since some memory may be faster than other.
        let words: Vec<u64> = (0..BYTES as u64 / 8).collect();
        let pieces = words.chunks_exact(PIECE_BYTES / 8);
        for (team, best) in &mut self.teams {
            let start = Instant::now();
            for (piece, sum) in pieces.clone().cycle().zip(READERS.iter().cycle()) {
                let begin = Instant::now();
                team.run(|member| {
                    black_box(sum(&piece[member.share(piece.len(), LINE)]));
                    Ok(())
                })?;
                *best = best.min(begin.elapsed().as_secs_f64());
                if start.elapsed() > BUDGET {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Numbers of threads and gigabytes per second.
    pub(crate) fn bandwidths(&self) -> impl Iterator<Item = (usize, f64)> {
        self.teams.iter().map(|(team, best)| (team.n_threads(), PIECE_BYTES as f64 / best / 1e9))
    }
}

/// How many streams a core reads fastest depends on its prefetchers.
const READERS: [fn(&[u64]) -> u64; 3] = [sum::<1>, sum::<2>, sum::<4>];

/// Reads words a cache line at a time, from `STREAMS` places in turn.
fn sum<const STREAMS: usize>(words: &[u64]) -> u64 {
    let length = words.len() / STREAMS;
    let streams: [&[u64]; STREAMS] = std::array::from_fn(|i| &words[i * length..][..length]);
    let mut sums = [[0u64; LINE]; STREAMS];
    for line in (0..length - length % LINE).step_by(LINE) {
        for (sums, stream) in sums.iter_mut().zip(&streams) {
            for (sum, word) in sums.iter_mut().zip(&stream[line..][..LINE]) {
                *sum = sum.wrapping_add(*word);
            }
        }
    }
    sums.as_flattened().iter().fold(0, |sum, part| sum.wrapping_add(*part))
}

const BYTES: usize = 1 << 30;
/// About as much as a kernel reads at once: the best of short times is better than that of long ones where other machines
/// share the memory.
const PIECE_BYTES: usize = 16 << 20;
/// Time spent on each number of threads: what a kernel has, so that both meet as many quiet moments.
const BUDGET: Duration = Duration::from_millis(700);
/// Words of a cache line.
const LINE: usize = 8;
