//! What a kernel's bind group holds.

/// One binding of group 0. Group 1 has one for every kernel that needs to know the batch: its buffer, read only, at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// Numbers that stay the same from batch to batch.
    Params,
    /// A storage buffer that is read.
    Read(u32),
    /// A storage buffer that is read and written.
    Write(u32),
}

impl Binding {
    /// Its number.
    pub fn number(self) -> u32 {
        match self {
            Binding::Params => 0,
            Binding::Read(number) | Binding::Write(number) => number,
        }
    }
}
