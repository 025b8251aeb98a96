//! A matmul's activations in the form that its kernel takes.

use std::marker::PhantomData;
use std::ops::Range;
use std::slice;

use silhak_ops::{ActivationFormat, Error};

use crate::Caps;
use crate::quantize::{BLOCK_LEN, Quantizer, Quants, SUM_LEN};

/// How a kernel wants its activations: linears that read the same value and agree on this can share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ActivationLayout {
    format: ActivationFormat,
    order: Order,
}

/// How the tokens stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Order {
    /// One token after the other.
    Rows,
    /// Groups of [`TOKENS`] tokens side by side, by four values in 8 bits.
    Quads,
    /// Groups of [`TOKENS`] tokens side by side, by eight values in 8 bits.
    #[cfg_attr(not(target_arch = "aarch64"), allow(dead_code, reason = "ARM's kernels alone use it"))]
    Octs,
}

/// Tokens of a group.
pub(crate) const TOKENS: usize = 4;

impl ActivationLayout {
    /// One token after the other, in `format`.
    pub(crate) const fn rows(format: ActivationFormat) -> Self {
        ActivationLayout { format, order: Order::Rows }
    }

    /// Groups of [`TOKENS`] tokens, quantized.
    pub(crate) const QUADS: Self = ActivationLayout { format: ActivationFormat::A8, order: Order::Quads };

    /// Groups of [`TOKENS`] tokens, quantized, by eight values.
    #[cfg(target_arch = "aarch64")]
    pub(crate) const OCTS: Self = ActivationLayout { format: ActivationFormat::A8, order: Order::Octs };

    /// The number format.
    pub fn format(self) -> ActivationFormat {
        self.format
    }

    /// Bytes that [`Activations`] of `n_tokens` rows of `cols` values take.
    pub fn bytes(self, n_tokens: usize, cols: usize) -> usize {
        let (n, padded) = (n_tokens * cols, n_tokens.next_multiple_of(TOKENS) * cols);
        match (self.order, self.format) {
            (Order::Rows, ActivationFormat::F32) => n * size_of::<f32>(),
            (Order::Rows, _) => n + n / BLOCK_LEN * size_of::<f32>() + n / SUM_LEN * size_of::<i16>(),
            (Order::Quads | Order::Octs, _) => {
                let of_block = size_of::<[f32; TOKENS]>() + size_of::<GroupSums>();
                padded + padded / (BLOCK_LEN * TOKENS) * of_block
            }
        }
    }

    /// Values that share a scale; 1 if there are no scales.
    fn block_len(self) -> usize {
        match self.format {
            ActivationFormat::F32 => 1,
            ActivationFormat::A8 => BLOCK_LEN,
        }
    }
}

/// The activations of a batch: made once for a value, shared by all linears that read it, reused for the next.
///
/// [`reset`](Activations::reset) sizes the buffers, [`writer`](Activations::writer) fills them, by one thread or by many.
#[derive(Debug)]
pub struct Activations {
    quantizer: Quantizer,
    layout: ActivationLayout,
    n_tokens: usize,
    cols: usize,
    /// `[n_tokens, cols]` if the format is float32.
    values: Vec<f32>,
    /// `[n_tokens, cols]`.
    qs: Vec<i8>,
    /// `[n_tokens, cols / BLOCK_LEN]`.
    scales: Vec<f32>,
    /// `[n_tokens, cols / SUM_LEN]`.
    sums: Vec<i16>,
    /// The quants of groups: `[n_groups, cols / 4]`; by eight, two items hold the first and the last two tokens.
    group_quads: Vec<[[i8; 4]; TOKENS]>,
    /// The scales of groups: `[n_groups, cols / BLOCK_LEN]`.
    group_scales: Vec<[f32; TOKENS]>,
    /// The sums of groups: `[n_groups, cols / BLOCK_LEN]`.
    group_sums: Vec<GroupSums>,
}

impl Activations {
    /// Empty buffers, to be filled with the help of what `caps` allows.
    pub fn new(caps: &Caps) -> Self {
        Activations {
            quantizer: Quantizer::new(caps),
            layout: ActivationLayout::rows(ActivationFormat::F32),
            n_tokens: 0,
            cols: 0,
            values: Vec::new(),
            qs: Vec::new(),
            scales: Vec::new(),
            sums: Vec::new(),
            group_quads: Vec::new(),
            group_scales: Vec::new(),
            group_sums: Vec::new(),
        }
    }

    /// Makes room for `n_tokens` rows of `cols` values; what they hold is unspecified until they are filled.
    ///
    /// # Errors
    /// [`Error::Shape`] if `cols` is not a whole number of blocks, [`Error::OutOfMemory`] if there is no room.
    pub fn reset(&mut self, layout: ActivationLayout, n_tokens: usize, cols: usize) -> Result<(), Error> {
        let block_len = layout.block_len();
        if !cols.is_multiple_of(block_len) {
            return Err(Error::Shape {
                op: "linear".into(),
                expected: format!("activations in blocks of {block_len}"),
                found: format!("rows of {cols}"),
            });
        }
        let padded = n_tokens.checked_next_multiple_of(TOKENS).and_then(|n| n.checked_mul(cols));
        let padded = padded.ok_or(Error::OutOfMemory { what: "activations", bytes: usize::MAX })?;
        let n = n_tokens * cols;
        match (layout.order, layout.format) {
            (Order::Rows, ActivationFormat::F32) => resize(&mut self.values, n)?,
            (Order::Rows, _) => {
                resize(&mut self.qs, n)?;
                resize(&mut self.scales, n / BLOCK_LEN)?;
                resize(&mut self.sums, n / SUM_LEN)?;
            }
            (Order::Quads | Order::Octs, _) => {
                let per_token = padded / TOKENS;
                resize(&mut self.group_quads, per_token / 4)?;
                resize(&mut self.group_scales, per_token / BLOCK_LEN)?;
                resize(&mut self.group_sums, per_token / BLOCK_LEN)?;
            }
        }
        (self.layout, self.n_tokens, self.cols) = (layout, n_tokens, cols);
        Ok(())
    }

    /// Fills every row from `x`, `[n_tokens, cols]`.
    ///
    /// # Panics
    /// If `x` has another length.
    pub fn fill(&mut self, x: &[f32]) {
        let all = 0..self.n_tokens;
        // SAFETY: the writer borrows these activations exclusively and this thread is the only one that has it.
        unsafe { self.writer().fill(all, x) }
    }

    /// A handle with which several threads fill rows.
    pub fn writer(&mut self) -> ActivationWriter<'_> {
        ActivationWriter {
            quantizer: self.quantizer,
            layout: self.layout,
            n_tokens: self.n_tokens,
            cols: self.cols,
            values: self.values.as_mut_ptr(),
            qs: self.qs.as_mut_ptr(),
            scales: self.scales.as_mut_ptr(),
            sums: self.sums.as_mut_ptr(),
            group_quads: self.group_quads.as_mut_ptr().cast(),
            group_scales: self.group_scales.as_mut_ptr().cast(),
            group_sums: self.group_sums.as_mut_ptr(),
            buffers: PhantomData,
        }
    }

    /// The layout that was asked for last.
    pub fn layout(&self) -> ActivationLayout {
        self.layout
    }

    /// Bytes held, for the largest rows that were asked for.
    pub fn bytes(&self) -> usize {
        let rows = size_of_val(&*self.qs) + size_of_val(&*self.scales) + size_of_val(&*self.sums);
        let (scales, sums) = (size_of_val(&*self.group_scales), size_of_val(&*self.group_sums));
        let quants = size_of_val(&*self.group_quads);
        size_of_val(&*self.values) + rows + quants + scales + sums
    }

    /// Rows.
    pub fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// Values per row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The float32 row of token `t`.
    pub(crate) fn values(&self, t: usize) -> &[f32] {
        &self.values[t * self.cols..][..self.cols]
    }

    /// The quantized row of token `t`.
    pub(crate) fn row(&self, t: usize) -> QuantizedRow<'_> {
        let (n_scales, n_sums) = (self.cols / BLOCK_LEN, self.cols / SUM_LEN);
        QuantizedRow {
            qs: &self.qs[t * self.cols..][..self.cols],
            scales: &self.scales[t * n_scales..][..n_scales],
            sums: &self.sums[t * n_sums..][..n_sums],
        }
    }

    /// Group `g`: tokens `TOKENS * g ..`.
    pub(crate) fn group(&self, g: usize) -> TokenGroup<'_> {
        let (n_quads, n_blocks) = (self.cols / 4, self.cols / BLOCK_LEN);
        TokenGroup {
            quads: &self.group_quads[g * n_quads..][..n_quads],
            scales: &self.group_scales[g * n_blocks..][..n_blocks],
            sums: &self.group_sums[g * n_blocks..][..n_blocks],
        }
    }
}

/// The activations of a group of tokens, side by side. Those beyond the last token are unspecified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenGroup<'a> {
    /// `[cols / 4]`: four quants of each token, or in two items eight of each.
    pub(crate) quads: &'a [[[i8; 4]; TOKENS]],
    /// One for each block.
    pub(crate) scales: &'a [[f32; TOKENS]],
    /// Those of each block.
    pub(crate) sums: &'a [GroupSums],
}

/// What a block of a group's activations adds up to, token by token: what minima and zero points are multiplied by.
#[repr(align(64))]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GroupSums {
    /// The sums times the scales.
    pub(crate) scaled: [f32; TOKENS],
    /// The sums of the quants.
    pub(crate) whole: [i32; TOKENS],
    /// Of each half of the block: the sum of the quants whose columns are 0 or 1 modulo 4, and that of the others. They
    /// stand as products do that are added up in 16 bits, two columns to a word.
    pub(crate) words: [[[i16; 2]; 2]; TOKENS],
}

impl GroupSums {
    /// The sums of the quants of both halves for token `t`.
    #[inline(always)]
    pub(crate) fn halves(&self, t: usize) -> [i16; 2] {
        self.words[t].map(|[a, b]| a + b)
    }
}

/// One token's activations in 8 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuantizedRow<'a> {
    /// `[cols]`.
    pub(crate) qs: &'a [i8],
    /// One for each block.
    pub(crate) scales: &'a [f32],
    /// One for each half of a block.
    pub(crate) sums: &'a [i16],
}

/// Fills rows of an [`Activations`]; threads may share it.
#[derive(Clone, Copy, Debug)]
pub struct ActivationWriter<'a> {
    quantizer: Quantizer,
    layout: ActivationLayout,
    n_tokens: usize,
    cols: usize,
    values: *mut f32,
    qs: *mut i8,
    scales: *mut f32,
    sums: *mut i16,
    group_quads: *mut [i8; 4],
    group_scales: *mut f32,
    group_sums: *mut GroupSums,
    buffers: PhantomData<&'a mut Activations>,
}

// SAFETY: the writer stands for an exclusive borrow of buffers of plain numbers, and `fill` asks its callers to keep
// the rows that they write apart.
unsafe impl Send for ActivationWriter<'_> {}
// SAFETY: as above.
unsafe impl Sync for ActivationWriter<'_> {}

impl ActivationWriter<'_> {
    /// Values per row.
    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    /// Fills the rows of `tokens` from `x`, `[tokens.len(), cols]`.
    ///
    /// # Safety
    /// No other thread may fill any of these rows at the same time.
    ///
    /// # Panics
    /// If `tokens` reaches beyond the rows or `x` has another length.
    pub unsafe fn fill(&self, tokens: Range<usize>, x: &[f32]) {
        assert!(tokens.start <= tokens.end && tokens.end <= self.n_tokens, "{tokens:?} of {} tokens", self.n_tokens);
        assert_eq!(x.len(), tokens.len() * self.cols, "{} rows of {} values", tokens.len(), self.cols);
        if self.cols == 0 {
            return;
        }
        match (self.layout.order, self.layout.format) {
            // SAFETY: `values` has `n_tokens * cols` items, these rows are within, and the caller keeps others off.
            (Order::Rows, ActivationFormat::F32) => unsafe {
                slice::from_raw_parts_mut(self.values.add(tokens.start * self.cols), x.len()).copy_from_slice(x);
            },
            // SAFETY: the tokens are within, and the caller keeps others off their rows.
            (Order::Rows, _) => unsafe { self.quantize_rows(tokens.start, x) },
            (Order::Quads | Order::Octs, _) => {
                for (t, x) in tokens.zip(x.chunks_exact(self.cols)) {
                    // SAFETY: as above, for one token.
                    unsafe { self.quantize_in_group(t, x) }
                }
            }
        }
    }

    /// Fills whole rows from token `first` on.
    ///
    /// # Safety
    /// The rows must be within, and no other thread may fill them at the same time.
    unsafe fn quantize_rows(&self, first: usize, x: &[f32]) {
        let (start, n) = (first * self.cols, x.len());
        // SAFETY: the buffers have an item for each value, block and sum of `n_tokens * cols` values; rows are whole
        // blocks, these are within, and the caller keeps others off.
        let out = unsafe {
            Quants {
                qs: slice::from_raw_parts_mut(self.qs.add(start), n),
                scales: slice::from_raw_parts_mut(self.scales.add(start / BLOCK_LEN), n / BLOCK_LEN),
                sums: slice::from_raw_parts_mut(self.sums.add(start / SUM_LEN), n / SUM_LEN),
            }
        };
        self.quantizer.run(x, out);
    }

    /// Fills one token's places in its group.
    ///
    /// # Safety
    /// The token must be within, and no other thread may fill it at the same time.
    unsafe fn quantize_in_group(&self, t: usize, x: &[f32]) {
        let (group, lane) = (t / TOKENS, t % TOKENS);
        let (mut qs, mut scales, mut sums) = ([0; 256], [0.0; 8], [0; 16]);
        for (c, x) in x.chunks(256).enumerate() {
            let n = x.len();
            let (qs, scales, sums) = (&mut qs[..n], &mut scales[..n / BLOCK_LEN], &mut sums[..n / SUM_LEN]);
            self.quantizer.run(x, Quants { qs, scales, sums });
            let start = group * self.cols + 256 * c;
            // SAFETY: the buffers have `TOKENS` items for each four values, block and pair of sums of each group of
            // rows, padded to whole groups; the token is within, and the caller keeps others off.
            unsafe {
                if self.layout.order == Order::Octs {
                    let octs = self.group_quads.cast::<[i8; 8]>();
                    for (i, &oct) in qs.as_chunks::<8>().0.iter().enumerate() {
                        octs.add((start / 8 + i) * TOKENS + lane).write(oct);
                    }
                } else {
                    for (i, &quad) in qs.as_chunks::<4>().0.iter().enumerate() {
                        self.group_quads.add((start / 4 + i) * TOKENS + lane).write(quad);
                    }
                }
                for (i, (&scale, qs)) in scales.iter().zip(qs.as_chunks().0).enumerate() {
                    let at = start / BLOCK_LEN + i;
                    self.group_scales.add(at * TOKENS + lane).write(scale);
                    let (sums, words) = (self.group_sums.add(at), words(qs));
                    let whole = words.as_flattened().iter().map(|&sum| i32::from(sum)).sum::<i32>();
                    (&raw mut (*sums).scaled[lane]).write(whole as f32 * scale);
                    (&raw mut (*sums).whole[lane]).write(whole);
                    (&raw mut (*sums).words[lane]).write(words);
                }
            }
        }
    }
}

/// [`GroupSums::words`] of one token.
fn words(qs: &[i8; BLOCK_LEN]) -> [[i16; 2]; 2] {
    let mut words = [[0; 2]; 2];
    for (words, qs) in words.iter_mut().zip(qs.as_chunks::<SUM_LEN>().0) {
        for &[a, b, c, d] in qs.as_chunks().0 {
            words[0] += i16::from(a) + i16::from(b);
            words[1] += i16::from(c) + i16::from(d);
        }
    }
    words
}

/// Makes `buffer` hold `n` items at least.
fn resize<T: Copy + Default>(buffer: &mut Vec<T>, n: usize) -> Result<(), Error> {
    if n > buffer.len() {
        let more = n - buffer.len();
        let failed = Error::OutOfMemory { what: "activations", bytes: n.saturating_mul(size_of::<T>()) };
        buffer.try_reserve_exact(more).map_err(|_| failed)?;
        buffer.resize(n, T::default());
    }
    Ok(())
}
