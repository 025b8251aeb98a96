//! Choosing the next token where the logits are.

/// How a device chooses a token from a row of logits: from the most likely ones, by a number that was drawn before.
///
/// The rule is that of the engine's sampler, without bias and penalties: temperature, top-k, top-p, min-p.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Divides the logits; 0 takes the most likely token, the first of several.
    pub temperature: f32,
    /// How many of the most likely tokens are kept, `1..=Choice::MOST_TOP_K`; 1 takes the most likely.
    pub top_k: usize,
    /// Keeps the fewest tokens whose probabilities sum to at least `top_p`; 1 keeps all.
    pub top_p: f32,
    /// Keeps tokens at least `min_p` times as likely as the most likely one; 0 keeps all.
    pub min_p: f32,
    /// Decides among them: uniform in `0..1`.
    pub uniform: f32,
}

impl Choice {
    /// Most tokens that are kept.
    pub const MOST_TOP_K: usize = 64;

    /// Most choices in a batch.
    pub const MOST_IN_BATCH: usize = 16;

    /// The most likely token.
    pub const GREEDY: Choice = Choice { temperature: 0.0, top_k: 1, top_p: 1.0, min_p: 0.0, uniform: 0.0 };
}

/// Where a device keeps the token that it chose last for a sequence, so that the next batch can go on with it before anyone
/// has read it. There are as many as the first key-value group has pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(pub u32);
