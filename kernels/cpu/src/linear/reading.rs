//! How a matvec reads panels: from how many places in turns, and how far ahead it asks for them.

use std::fmt;

/// How a matvec reads panels. It decides how fast it is and never what it computes; which is fastest differs from
/// processor to processor, and is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reading {
    /// The places of a matrix, equally far apart, that a thread reads from in turns: 1 to [`Reading::MOST_STREAMS`].
    pub streams: usize,
    /// How many bytes ahead of each place are asked for.
    pub ahead: usize,
}

impl Reading {
    /// A thread keeps the sums of so many places.
    pub const MOST_STREAMS: usize = 4;

    /// What is worth trying, the likeliest first.
    pub const CANDIDATES: [Reading; 6] = [
        Reading { streams: 4, ahead: 4096 },
        Reading { streams: 2, ahead: 4096 },
        Reading { streams: 1, ahead: 4096 },
        Reading { streams: 4, ahead: 2048 },
        Reading { streams: 2, ahead: 2048 },
        Reading { streams: 1, ahead: 8192 },
    ];
}

impl Default for Reading {
    fn default() -> Self {
        Self::CANDIDATES[0]
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} streams, {} bytes ahead", self.streams, self.ahead)
    }
}
