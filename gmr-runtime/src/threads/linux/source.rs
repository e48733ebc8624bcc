//! The memory that arguments of a system call point to, and what else is known about a thread in
//! one. This file does no I/O: the caller makes it available as a [`Source`].

/// What is known about a thread in a system call, beyond the call and its arguments.
pub(super) trait Source {
    /// Fills `buffer` with the process's memory from `address` on, and returns how many bytes could
    /// be read.
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> usize;

    /// Size of the thread's descriptor table: each open descriptor is below it.
    fn table_size(&mut self) -> Option<u64>;

    /// The kernel function that the thread sleeps in.
    fn kernel_function(&mut self) -> Option<String>;
}

/// A source for what the arguments alone say.
pub(super) struct Nothing;

impl Source for Nothing {
    fn read(&mut self, _address: u64, _buffer: &mut [u8]) -> usize {
        0
    }

    fn table_size(&mut self) -> Option<u64> {
        None
    }

    fn kernel_function(&mut self) -> Option<String> {
        None
    }
}

/// The number at `address`.
pub(super) fn number(address: u64, source: &mut impl Source) -> Option<u64> {
    let mut words = [0];
    read_words(address, &mut words, source).then_some(words[0])
}

/// Fills `words` from `address` on. False if not all of them can be read.
pub(super) fn read_words(address: u64, words: &mut [u64], source: &mut impl Source) -> bool {
    let mut buffer = [0; 512];
    let bytes = &mut buffer[..words.len() * 8];
    if source.read(address, bytes) < bytes.len() {
        return false;
    }
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
    }
    true
}

/// An argument of type `int`: the upper half of its register has no meaning.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "it is an int")]
pub(super) fn int(argument: u64) -> i32 {
    argument as i32
}
