//! The copied pieces of a stack, as the memory that rules read.

/// Why a rule could not be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It needs the memory at this address, which was not copied.
    Missing(u64),
    /// It needs this register, whose value is unknown.
    Unknown(usize),
    /// It has a form that compilers do not write for unwinding.
    Unsupported,
}

/// The address that a piece of a stack was copied from, and the piece.
pub(crate) type Piece<'a> = (u64, &'a [u8]);

/// What was copied of a thread's stacks.
pub(super) struct Memory<'a> {
    pieces: &'a [Piece<'a>],
}

impl<'a> Memory<'a> {
    pub(super) fn new(pieces: &'a [Piece<'a>]) -> Self {
        Self { pieces }
    }

    /// The eight bytes at this address.
    pub(super) fn word(&self, address: u64) -> Result<u64, Failure> {
        let word = |&(start, bytes): &Piece<'_>| {
            let offset = usize::try_from(address.checked_sub(start)?).ok()?;
            bytes.get(offset..)?.first_chunk::<8>().map(|word| u64::from_ne_bytes(*word))
        };
        self.pieces.iter().find_map(word).ok_or(Failure::Missing(address))
    }

    /// A number of up to eight bytes.
    pub(super) fn unsigned(&self, address: u64, size: u8) -> Result<u64, Failure> {
        let size = usize::from(size);
        let number = |&(start, bytes): &Piece<'_>| {
            let offset = usize::try_from(address.checked_sub(start)?).ok()?;
            let mut number = [0; 8];
            // Both architectures are little-endian.
            number.get_mut(..size)?.copy_from_slice(bytes.get(offset..)?.get(..size)?);
            Some(u64::from_le_bytes(number))
        };
        self.pieces.iter().find_map(number).ok_or(Failure::Missing(address))
    }
}
