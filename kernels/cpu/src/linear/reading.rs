//! How a matvec reads panels: from how many places in turns, and how far ahead it asks for them.

use std::fmt;

/// How a matvec reads panels. It decides how fast it is and never what it computes; which is fastest differs from
/// processor to processor, and is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reading {
    /// The places that a thread reads from in turns.
    pub streams: Streams,
    /// How many bytes ahead of each place are asked for.
    pub ahead: usize,
}

/// A number of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Streams {
    /// From the first to the last.
    One,
    /// Half of the matrix apart.
    Two,
    /// A quarter of the matrix apart.
    Four,
}

impl Reading {
    /// What is worth trying, the likeliest first.
    pub const CANDIDATES: [Reading; 6] = [
        Reading { streams: Streams::Four, ahead: 4096 },
        Reading { streams: Streams::Two, ahead: 4096 },
        Reading { streams: Streams::One, ahead: 4096 },
        Reading { streams: Streams::Four, ahead: 2048 },
        Reading { streams: Streams::Two, ahead: 2048 },
        Reading { streams: Streams::One, ahead: 8192 },
    ];
}

impl Default for Reading {
    fn default() -> Self {
        Self::CANDIDATES[0]
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let streams = match self.streams {
            Streams::One => 1,
            Streams::Two => 2,
            Streams::Four => 4,
        };
        write!(f, "{streams} streams, {} bytes ahead", self.ahead)
    }
}
