//! What the code of a function does to the stack pointer, the frame pointer and the flow of
//! control, in the terms that the decoders of both architectures share.

/// The code of a function.
pub(super) struct Code<'a> {
    pub(super) start: u64,
    pub(super) bytes: &'a [u8],
}

#[cfg(target_arch = "x86_64")]
impl Code<'_> {
    /// How far from its start an address in it is.
    pub(super) fn offset_of(&self, address: u64) -> Option<usize> {
        let offset = usize::try_from(address.checked_sub(self.start)?).ok()?;
        (offset < self.bytes.len()).then_some(offset)
    }
}

/// Where a call or a jump goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// To this address.
    Code(u64),
    /// To the address that is stored here.
    Slot(u64),
    /// To the address in a register, or somewhere in memory.
    Unknown,
}

/// What an instruction does, as far as it matters here.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "some instructions are x86_64's only"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing that matters.
    None,
    /// Adds this to the stack pointer.
    AddToStack(i64),
    /// Rounds the stack pointer down to a multiple of this power of two.
    Align(u64),
    /// Sets the frame pointer to the stack pointer and this distance.
    SetFrame(i64),
    /// Sets the stack pointer to the frame pointer and this distance.
    StackFromFrame(i64),
    /// Loads the caller's frame pointer from the top of the stack.
    PopFrame,
    /// Ends the frame, wherever the stack pointer is.
    Leave,
    /// Changes the stack pointer by an amount that the code does not show.
    Unclear,
    Call(Target),
    /// Goes elsewhere, and never on to the next instruction.
    Jump(Target),
    /// May go elsewhere.
    Branch(u64),
    /// Never goes on to the next instruction: a return, a trap.
    End,
}
