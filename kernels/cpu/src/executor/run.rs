//! How the threads of a team carry out steps.
//!
//! Every step says in [`super::schedule`] which parts of its buffers each thread touches; the schedule puts barriers
//! between steps whose parts differ. That is what the safety comments here rely on.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use silhak_ops::{Batch, Error, RopeTable, Rows, Value};
use silhak_quant::dequantize;

use super::buffer::Shared;
use super::program::{Amount, Amounts, Elementwise, Matrix, Program, Slot, Step};
use crate::attention::{self, Attention, Queries};
use crate::kv::{KvStore, LayerView};
use crate::linear::TILE_ROWS;
use crate::team::Member;
use crate::{ActivationWriter, Activations, Caps, LinearKernel, Output, gate, norm, rope};

/// What the threads share while a batch runs.
pub(super) struct Run<'a> {
    pub(super) caps: &'a Caps,
    pub(super) program: &'a Program,
    pub(super) batch: &'a Batch,
    pub(super) amounts: Amounts,
    pub(super) kv: &'a KvStore,
    pub(super) queries: &'a Queries,
    pub(super) ropes: &'a [RopeTable],
    /// Per rope table, `[n_tokens, n_rot]`.
    pub(super) turns: &'a [Shared<'a, f32>],
    /// Buffers of values.
    pub(super) slots: &'a [Shared<'a, f32>],
    pub(super) activations: &'a [SharedActivations<'a>],
    /// Room for attention's splits.
    pub(super) partials: Shared<'a, f32>,
    /// Which tokens go to which expert.
    pub(super) groups: Shared<'a, u32>,
    /// Room of each thread: `[n_threads, workspace]`.
    pub(super) workspaces: Shared<'a, f32>,
    /// Per step, the pieces that threads have taken.
    pub(super) taken: &'a [AtomicUsize],
}

/// Activations that one step fills and others read.
pub(super) struct SharedActivations<'a> {
    writer: ActivationWriter<'a>,
    reader: NonNull<Activations>,
}

// SAFETY: a reader is used by steps that are kept apart from those that write.
unsafe impl Send for SharedActivations<'_> {}
// SAFETY: as above.
unsafe impl Sync for SharedActivations<'_> {}

impl<'a> SharedActivations<'a> {
    pub(super) fn new(activations: &'a mut Activations) -> Self {
        let reader = NonNull::from(activations);
        // SAFETY: the pointer is that of an exclusive borrow for `'a`, which ends here. The writer writes what the
        // activations' buffers hold, never the activations themselves; readers read those, and what they hold later.
        let writer = unsafe { &mut *reader.as_ptr() }.writer();
        SharedActivations { writer, reader }
    }

    /// Values per row.
    pub(super) fn cols(&self) -> usize {
        self.writer.cols()
    }

    /// Fills rows.
    ///
    /// # Safety
    /// No other thread may read any, or fill these, at the same time.
    pub(super) unsafe fn fill(&self, rows: std::ops::Range<usize>, x: &[f32]) {
        // SAFETY: as the caller promises.
        unsafe { self.writer.fill(rows, x) }
    }

    /// The activations.
    ///
    /// # Safety
    /// No thread may fill any while they are in use.
    pub(super) unsafe fn get(&self) -> &Activations {
        // SAFETY: the pointer is that of a borrow which outlives this, and nobody writes.
        unsafe { self.reader.as_ref() }
    }
}

impl Run<'_> {
    /// One thread's part of all steps.
    pub(super) fn run(&self, member: &Member) -> Result<(), Error> {
        let steps = self.program.steps.iter().zip(&self.program.schedule).zip(self.taken);
        for ((step, &wait), taken) in steps {
            if wait {
                member.barrier()?;
            }
            self.batch.check_cancelled()?;
            self.step(member, step, taken)?;
        }
        Ok(())
    }

    fn step(&self, member: &Member, step: &Step, taken: &AtomicUsize) -> Result<(), Error> {
        match *step {
            Step::Turns { table } => self.turns(member, table),
            Step::Embed { ref table, out } => return self.embed(member, table, out),
            Step::Select { x, out, width } => self.select(member, x, out, width),
            Step::RmsNorm { x, ref weight, eps, out, value } => {
                self.each_row(member, value.rows, |row| {
                    let (x, out) = (self.row(x, row, value.width), self.row_mut(out, row, value.width));
                    norm::rms_norm(self.caps, x, weight, eps, out);
                });
            }
            Step::Quantize { x, acts, parts, value } => self.quantize(member, x, acts, parts, value),
            Step::Linear { acts, kernel, ref weight, ref bias, out, value } => {
                let linear = Linear { acts, kernel, weight, bias: bias.as_deref(), out, rows: value.rows };
                self.linear(member, &linear, taken);
            }
            Step::Route { logits, ref bias, routing, out, value } => {
                self.each_row(member, value.rows, |row| {
                    let logits = self.row(logits, row, value.width);
                    routing.choose(logits, bias.as_deref(), self.row_mut(out, row, 2 * routing.n_used));
                });
            }
            Step::Group { experts, rows } => self.group(member, experts, rows),
            Step::QuantizeByExpert { x, acts, experts, value } => {
                self.quantize_by_expert(member, x, acts, experts, value);
            }
            Step::ExpertLinear(ref linear) => self.expert_linear(member, linear, taken),
            Step::ExpertSum { x, experts, out, value } => self.expert_sum(member, x, experts, out, value),
            Step::HeadSlice { x, n_heads, start, out, width, value } => {
                self.each_row(member, value.rows, |row| {
                    let (x, out) = (self.row(x, row, width), self.row_mut(out, row, value.width));
                    let (dim, len) = (width / n_heads, value.width / n_heads);
                    let heads = x.chunks_exact(dim).zip(out.chunks_exact_mut(len));
                    heads.for_each(|(x, out)| out.copy_from_slice(&x[start..start + len]));
                });
            }
            Step::HeadConcat { parts: [a, b], widths: [of_a, of_b], n_heads, out, value } => {
                self.each_row(member, value.rows, |row| {
                    let (a, b, out) =
                        (self.row(a, row, of_a), self.row(b, row, of_b), self.row_mut(out, row, value.width));
                    let heads = a.chunks_exact(of_a / n_heads).zip(b.chunks_exact(of_b / n_heads));
                    for ((a, b), out) in heads.zip(out.chunks_exact_mut(value.width / n_heads)) {
                        let (first, second) = out.split_at_mut(a.len());
                        first.copy_from_slice(a);
                        second.copy_from_slice(b);
                    }
                });
            }
            Step::Rope { x, table, head_dim, pairing, out, value } => {
                let n_rot = 2 * self.ropes[table].frequencies.len();
                self.each_row(member, value.rows, |row| {
                    let (x, out) = (self.row(x, row, value.width), self.row_mut(out, row, value.width));
                    // SAFETY: this thread wrote the turns of its rows.
                    let turns = unsafe { self.turns[table].get(row * n_rot..(row + 1) * n_rot) };
                    rope::rope(self.caps, x, head_dim, pairing, turns, out);
                });
            }
            Step::KvWrite { layer, k, v, width } => {
                let (view, group) = self.kv.layer(layer);
                return member.share(self.batch.n_tokens(), 1).try_for_each(|token| {
                    self.kv_write(view, group, token, self.row(k, token, width), self.row(v, token, width))
                });
            }
            Step::Attention { attention, q, out, .. } => return self.attention(member, attention, q, out, taken),
            Step::Merge { attention, q, out } => {
                let tokens = member.share(self.batch.n_tokens(), 1);
                // SAFETY: a barrier ended the units of attention; other threads merge other tokens.
                unsafe { attention.merge(&self.attention_call(member, q, out), tokens) }
            }
            Step::Elementwise { op, out, value } => self.elementwise(member, op, out, value),
        }
        Ok(())
    }

    fn turns(&self, member: &Member, table: usize) {
        let n_rot = 2 * self.ropes[table].frequencies.len();
        for row in member.share(self.batch.n_tokens(), 1) {
            // SAFETY: rows are shared out, and only this thread reads its own.
            let out = unsafe { self.turns[table].get_mut(row * n_rot..(row + 1) * n_rot) };
            rope::turns(&self.ropes[table], self.batch.positions()[row], out);
        }
    }

    fn embed(&self, member: &Member, table: &Matrix, out: Slot) -> Result<(), Error> {
        member.share(self.batch.n_tokens(), 1).try_for_each(|row| {
            let token = self.batch.tokens()[row] as usize;
            Ok(dequantize(table.format, table.bytes(token..token + 1), self.row_mut(out, row, table.cols))?)
        })
    }

    fn select(&self, member: &Member, x: Slot, out: Slot, width: usize) {
        self.each_row(member, Rows::Outputs, |row| {
            let token = self.batch.outputs()[row] as usize;
            self.row_mut(out, row, width).copy_from_slice(self.row(x, token, width));
        });
    }

    fn quantize(&self, member: &Member, x: Slot, acts: usize, parts: usize, Value { width, rows }: Value) {
        let rows = member.share(self.n_rows(rows), 1);
        if !rows.is_empty() {
            // SAFETY: rows are shared out, and a barrier ended all readers of what the activations held.
            unsafe {
                let x = self.slots[x].get(rows.start * width..rows.end * width);
                self.activations[acts].fill(rows.start * parts..rows.end * parts, x);
            }
        }
    }

    fn linear(&self, member: &Member, linear: &Linear, taken: &AtomicUsize) {
        let n_out = linear.weight.rows;
        if self.n_rows(linear.rows) == 0 {
            return;
        }
        if self.amounts.of(linear.rows) == Amount::Few {
            self.linear_rows(linear, member.share(n_out, COLUMN_UNIT));
            return;
        }
        let piece = n_out.div_ceil(PIECES_PER_THREAD * member.n_threads());
        let piece = piece.next_multiple_of(TILE_ROWS).min(MOST_ROWS_PER_PIECE);
        loop {
            let start = taken.fetch_add(piece, Ordering::Relaxed);
            if start >= n_out {
                return;
            }
            self.linear_rows(linear, start..(start + piece).min(n_out));
        }
    }

    /// Multiplies some of a weight's rows with all activations.
    fn linear_rows(&self, linear: &Linear, part: std::ops::Range<usize>) {
        let Linear { acts, kernel, weight, bias, out, rows } = linear;
        if part.is_empty() {
            return;
        }
        let n = self.n_rows(*rows);
        // SAFETY: a barrier ended those who filled the activations, and none begins before the readers end.
        let acts = unsafe { self.activations[*acts].get() };
        // SAFETY: the slot has room for `[n, weight.rows]`, and no other thread has these columns.
        let mut out = unsafe {
            let whole = self.slots[*out].get_raw(n * weight.rows);
            Output::from_raw(whole.add(part.start), weight.rows, n, part.len())
        };
        kernel.run(weight.bytes(part.clone()), weight.cols, acts, 0..n, &mut out);
        if let Some(bias) = bias {
            (0..n).for_each(|t| gate::add_assign(self.caps, out.token(t), &bias[part.clone()]));
        }
    }

    fn kv_write(&self, view: LayerView, group: usize, token: usize, k: &[f32], v: &[f32]) -> Result<(), Error> {
        let table = self.batch.page_table(self.batch.sequences()[token], group);
        let position = self.batch.positions()[token] as usize;
        // SAFETY: the batch was checked to store each token in a place of its own, and a barrier keeps readers away.
        unsafe { view.write(table, position, k, v) }
    }

    fn attention(
        &self,
        member: &Member,
        attention: Attention,
        q: Slot,
        out: Slot,
        taken: &AtomicUsize,
    ) -> Result<(), Error> {
        // SAFETY: each thread has a workspace of its own; barriers keep this call apart from those that write what it
        // reads.
        unsafe { attention.run(&self.attention_call(member, q, out), taken, self.workspace(member)) }
    }

    /// The thread's own workspace.
    ///
    /// # Safety
    /// The thread must not have it already.
    #[expect(clippy::mut_from_ref, reason = "each thread has a workspace of its own, and takes it once per step")]
    pub(super) unsafe fn workspace(&self, member: &Member) -> &mut [f32] {
        let len = self.workspaces.len() / member.n_threads();
        // SAFETY: as the caller promises.
        unsafe { self.workspaces.get_mut(member.index() * len..(member.index() + 1) * len) }
    }

    fn attention_call(&self, member: &Member, q: Slot, out: Slot) -> attention::Call<'_> {
        attention::Call {
            caps: self.caps,
            kv: self.kv,
            batch: self.batch,
            queries: self.queries,
            q: self.slots[q],
            out: self.slots[out],
            partials: self.partials,
            n_threads: member.n_threads(),
        }
    }

    fn elementwise(&self, member: &Member, op: Elementwise, out: Slot, Value { width, rows }: Value) {
        let n = self.n_rows(rows);
        let apply = |range: std::ops::Range<usize>| {
            // SAFETY: the range is this thread's share, by rows or by columns.
            let read = |slot: Slot| unsafe { self.slots[slot].get(range.clone()) };
            // SAFETY: as above; a step never writes where it reads.
            let out = unsafe { self.slots[out].get_mut(range.clone()) };
            match op {
                Elementwise::Gate { gate, up, activation } => {
                    gate::gate(self.caps, activation, read(gate), read(up), out);
                }
                Elementwise::Add { a, b } => gate::add(self.caps, read(a), read(b), out),
                Elementwise::Scale { x, factor } => gate::scale(self.caps, read(x), factor, out),
                Elementwise::SoftCap { x, cap } => gate::soft_cap(self.caps, read(x), cap, out),
            }
        };
        if self.amounts.of(rows) == Amount::Few {
            let columns = member.share(width, COLUMN_UNIT);
            (0..n).for_each(|row| apply(row * width + columns.start..row * width + columns.end));
        } else {
            let rows = member.share(n, 1);
            apply(rows.start * width..rows.end * width);
        }
    }

    /// Calls `f` for each row of the thread's share.
    pub(super) fn each_row(&self, member: &Member, rows: Rows, f: impl FnMut(usize)) {
        member.share(self.n_rows(rows), 1).for_each(f);
    }

    pub(super) fn n_rows(&self, rows: Rows) -> usize {
        match rows {
            Rows::Tokens => self.batch.n_tokens(),
            Rows::Outputs => self.batch.n_outputs(),
        }
    }

    /// A row to read. Steps read what they wrote themselves, or what a barrier has come after.
    pub(super) fn row(&self, slot: Slot, row: usize, width: usize) -> &[f32] {
        // SAFETY: the schedule keeps writers of this row away until the step is over.
        unsafe { self.slots[slot].get(row * width..(row + 1) * width) }
    }

    /// A row of the thread's share to write.
    #[expect(clippy::mut_from_ref, reason = "each thread has rows of its own, and takes each of them once per step")]
    pub(super) fn row_mut(&self, slot: Slot, row: usize, width: usize) -> &mut [f32] {
        // SAFETY: the row is in this thread's share, and the schedule keeps the others away until the step is over.
        unsafe { self.slots[slot].get_mut(row * width..(row + 1) * width) }
    }
}

/// A matmul and what it works on.
struct Linear<'a> {
    acts: usize,
    kernel: LinearKernel,
    weight: &'a Matrix,
    bias: Option<&'a [f32]>,
    out: Slot,
    rows: Rows,
}

/// Columns are shared out in cache lines of 16 values, so that no two threads write to one.
pub(super) const COLUMN_UNIT: usize = 16;

/// Pieces of a matmul's weight per thread: enough that threads which the system disturbs do fewer of them.
const PIECES_PER_THREAD: usize = 8;

/// A piece of more rows gains nothing.
const MOST_ROWS_PER_PIECE: usize = 256;
