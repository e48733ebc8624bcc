//! Memory mapped by gmr itself, for the large things that a report needs: stack copies, unwind
//! tables, debug files and what has to be inflated from them.
//!
//! The kernel provides it and takes it back. The program's allocator would keep pieces of this
//! size, and would raise the thresholds above which it returns memory at all.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsRawFd;
use std::ptr::null_mut;
use std::sync::Arc;

use crate::sys::Lasting;

/// A mapping as raw memory, unmapped when it is dropped. It gives out no reference to its contents:
/// signal handlers may be writing to them.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: *mut u8,
    length: usize,
}

// SAFETY: it owns its mapping, which belongs to no thread; through a shared reference it only gives
// out its address and length.
unsafe impl Send for Mapping {}
// SAFETY: as above. What is read or written through the address is up to whoever does it.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Zeroed memory without reserved swap space, for a buffer of which only a part may be used.
    pub(crate) fn reserve(length: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        Self::new(length, libc::PROT_READ | libc::PROT_WRITE, flags, -1)
    }

    fn new(length: usize, protection: libc::c_int, flags: libc::c_int, fd: libc::c_int) -> io::Result<Self> {
        // SAFETY: a new private mapping at an address of the kernel's choice affects no other
        // memory. A length of zero is refused.
        let base = unsafe { libc::mmap(null_mut(), length, protection, flags, fd, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { base: base.cast(), length })
    }

    /// Its first byte. Valid for accesses to the whole mapping until the mapping is dropped, and
    /// forever if it is forgotten (`std::mem::forget`).
    pub(crate) fn base(&self) -> *mut u8 {
        self.base
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the mapping made in `new`, and only its owner unmaps it. Code that keeps
        // a pointer or a reference into it also keeps the mapping alive: `MappedBytes`,
        // `MappedBuffer` and `MappedList` by their borrows, the arena as it argues.
        unsafe { libc::munmap(self.base.cast(), self.length) };
    }
}

/// A mapping whose contents no longer change in this process: they can be borrowed as a slice.
#[derive(Debug)]
pub(crate) struct MappedBytes(Mapping);

impl MappedBytes {
    /// The contents of a file, as they are now.
    ///
    /// Replacing the file (as package managers do) leaves this mapping unchanged. Truncating it or
    /// writing to it in place while it is mapped can crash the program or make it show nonsense; so
    /// can a disk that answers with errors. `docs/no-harm.md` documents this.
    pub(crate) fn file(file: &File) -> io::Result<Self> {
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        Mapping::new(length, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd()).map(Self)
    }

    /// Anonymous memory, filled by `fill`. None if there is no memory, or if `fill` returns false.
    pub(crate) fn filled(length: usize, fill: impl FnOnce(&mut [u8]) -> bool) -> Option<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let mapping = Mapping::new(length, libc::PROT_READ | libc::PROT_WRITE, flags, -1).ok()?;
        // SAFETY: the mapping is readable, writable, zeroed, and of exactly this length. It was
        // made in the line above, so no other pointer into it exists; the slice ends with this
        // call.
        let filled = fill(unsafe { std::slice::from_raw_parts_mut(mapping.base, mapping.length) });
        filled.then_some(Self(mapping))
    }
}

impl Deref for MappedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is readable, initialised (by the file or with zeroes), and lives as
        // long as the borrow. Nothing in this process writes to it: a file's mapping is read-only,
        // and an anonymous one is written in `filled` alone, before this value exists. Changes that
        // another process makes to the file in place show through; readers check every offset and
        // length that they take from it.
        unsafe { std::slice::from_raw_parts(self.0.base, self.0.length) }
    }
}

/// A smaller piece is left to the allocator: it does not keep the memory around it for long.
const LARGE: usize = 128 << 10;

/// The same bytes, for readers who may take their time. When they are dropped, the kernel has the
/// memory again, whatever the allocator does with what made them.
pub(crate) fn lasting(bytes: Vec<u8>) -> Lasting {
    let copy = |to: &mut [u8]| {
        to.copy_from_slice(&bytes);
        true
    };
    match (bytes.len() >= LARGE).then(|| MappedBytes::filled(bytes.len(), copy)).flatten() {
        Some(mapped) => Arc::new(mapped),
        None => Arc::new(bytes),
    }
}

/// Anonymous memory that only its owner accesses: a buffer that is filled again and again.
#[derive(Debug)]
pub(crate) struct MappedBuffer(Mapping);

impl MappedBuffer {
    /// Zeroed memory. The kernel provides its pages as they are written to.
    pub(crate) fn new(length: usize) -> io::Result<Self> {
        Mapping::reserve(length).map(Self)
    }
}

impl Deref for MappedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is readable, zeroed by the kernel, and lives as long as the borrow.
        // Its address never leaves this value, so it is written through `deref_mut` alone, which
        // borrows the value exclusively.
        unsafe { std::slice::from_raw_parts(self.0.base, self.0.length) }
    }
}

impl DerefMut for MappedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is readable, writable and zeroed by the kernel, and lives as long as
        // the borrow, which is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.0.base, self.0.length) }
    }
}

/// A list of values in memory of its own: for what outlives a report, and for large lists of a
/// report. The program's allocator would keep it, or the freed memory around it, from being
/// returned to the kernel.
#[derive(Debug)]
pub(crate) struct MappedList<T> {
    mapping: Option<Mapping>,
    length: usize,
    values: PhantomData<T>,
}

impl<T> MappedList<T> {
    /// The empty list.
    pub(crate) const fn empty() -> Self {
        Self { mapping: None, length: 0, values: PhantomData }
    }

    /// The first `capacity` of these values.
    ///
    /// # Errors
    /// If there is no memory. Then no value is taken.
    pub(crate) fn new(capacity: usize, values: impl Iterator<Item = T>) -> io::Result<Self> {
        const { assert!(align_of::<T>() <= 4096 && size_of::<T>() > 0, "aligned as the smallest page") };
        let mut list = Self::empty();
        if capacity == 0 {
            return Ok(list);
        }
        let bytes = capacity.checked_mul(size_of::<T>()).ok_or(io::ErrorKind::OutOfMemory)?;
        list.mapping = Some(Mapping::reserve(bytes)?);
        let base = list.base();
        for value in values.take(capacity) {
            // SAFETY: the mapping has room for `capacity` values, and `length` is below that. It
            // begins with a page, so it is aligned. No reference to it exists: the list is not
            // handed out before the loop has ended.
            unsafe { base.add(list.length).write(value) };
            list.length += 1;
        }
        Ok(list)
    }

    /// Where the values are; dangling, but aligned, without a mapping.
    fn base(&self) -> *mut T {
        self.mapping.as_ref().map_or(std::ptr::dangling_mut(), |mapping| mapping.base().cast())
    }
}

impl<T> Deref for MappedList<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the first `length` values of the mapping are initialised; without a mapping,
        // `length` is 0. The mapping lives as long as the borrow, and is written through
        // `deref_mut` alone, which borrows the list exclusively.
        unsafe { std::slice::from_raw_parts(self.base(), self.length) }
    }
}

impl<T> DerefMut for MappedList<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.base(), self.length) }
    }
}

impl<T> Drop for MappedList<T> {
    fn drop(&mut self) {
        let values = &raw mut **self;
        // SAFETY: these are the values that have not been moved out, and the list is not used after
        // this. The mapping is unmapped after it, as a field.
        unsafe { values.drop_in_place() };
    }
}

impl<T> IntoIterator for MappedList<T> {
    type Item = T;
    type IntoIter = MappedValues<T>;

    fn into_iter(mut self) -> MappedValues<T> {
        // From here on, the iterator owns the values, and the list only their memory.
        let end = std::mem::take(&mut self.length);
        MappedValues { list: self, next: 0, end }
    }
}

/// The values of a list, moved out one by one.
#[derive(Debug)]
pub(crate) struct MappedValues<T> {
    list: MappedList<T>,
    next: usize,
    end: usize,
}

impl<T> Iterator for MappedValues<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.next == self.end {
            return None;
        }
        let index = self.next;
        self.next += 1;
        // SAFETY: the values from `next` to `end` are initialised and belong to this iterator,
        // which has just given up this one.
        Some(unsafe { self.list.base().add(index).read() })
    }
}

impl<T> Drop for MappedValues<T> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::sync::Arc;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "the kernel maps it")]
    fn a_file_is_mapped_as_it_is() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let mapped = MappedBytes::file(&File::open(path).unwrap()).unwrap();
        assert_eq!(*mapped, *std::fs::read(path).unwrap());
        assert!(MappedBytes::file(&File::open("/proc/self/stat").unwrap()).is_err(), "it has no length");
    }

    #[test]
    fn a_mapping_that_could_not_be_filled_is_dropped() {
        let hello = |good| {
            MappedBytes::filled(5, |bytes| {
                bytes.copy_from_slice(b"hello");
                good
            })
        };
        assert_eq!(*hello(true).unwrap(), *b"hello");
        assert!(hello(false).is_none());
    }

    #[test]
    fn a_buffer_is_zeroed_and_keeps_what_is_written() {
        let mut buffer = MappedBuffer::new(8192).unwrap();
        assert!(buffer.len() == 8192 && buffer.iter().all(|byte| *byte == 0));
        buffer[8191] = 7;
        assert_eq!(buffer[8190..], [0, 7]);
        assert!(MappedBuffer::new(0).is_err());
    }

    #[test]
    fn a_list_has_its_values_up_to_its_capacity() {
        let list = MappedList::new(1000, (0..).map(|number: u64| (number, 'x'))).unwrap();
        assert_eq!(list.len(), 1000);
        assert!(list.iter().zip(0..).all(|(value, number)| *value == (number, 'x')));
        assert_eq!(MappedList::new(3, [7_u8].into_iter()).unwrap()[..], [7]);
        assert!(MappedList::new(0, [7_u8].into_iter()).unwrap().is_empty());
        assert!(MappedList::new(usize::MAX, [7_u64].into_iter()).is_err());
        assert!(MappedList::<u8>::empty().is_empty());
        assert_eq!(MappedList::<String>::empty().into_iter().next(), None);
    }

    #[test]
    fn each_value_of_a_list_is_dropped_once() {
        let value = Arc::new(());
        let of =
            |length: usize| MappedList::new(length, std::iter::repeat_with(|| Arc::clone(&value))).unwrap();
        let mut list = of(5);
        list[4] = Arc::new(());
        assert_eq!(Arc::strong_count(&value), 5);
        drop(list);
        assert_eq!(Arc::strong_count(&value), 1);

        let mut values = of(5).into_iter();
        let first = values.next();
        assert_eq!(Arc::strong_count(&value), 6);
        drop(values);
        assert_eq!(Arc::strong_count(&value), 2);
        drop(first);

        // A panic in the middle of it.
        let failing = (0..5).map(|number| if number == 3 { panic!("expected") } else { Arc::clone(&value) });
        assert!(std::panic::catch_unwind(AssertUnwindSafe(|| MappedList::new(5, failing))).is_err());
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn reserved_memory_is_zeroed_and_writable() {
        let mapping = Mapping::reserve(8192).unwrap();
        // SAFETY: both bytes lie within the mapping, which nothing else accesses.
        let (first, last) = unsafe {
            mapping.base().write(7);
            (mapping.base().read(), mapping.base().add(8191).read())
        };
        assert_eq!((first, last), (7, 0));
    }
}
