//! The descriptors that a system call waits for, where there can be several: the list of a `poll`,
//! the sets of a `select`, the two sides of a `splice`. It does no I/O.

use super::source::{Source, int, read_words};
use crate::model::{Event, Waiting, Watched};

/// How many descriptors of a `poll` or `select` are shown; the others are counted.
pub(super) const MAX_DESCRIPTORS: usize = 8;

/// A longer list is not read. By default, no process can have more descriptors.
const MAX_ENTRIES: u64 = 1 << 20;

/// Descriptors that a call waits for: the first few, and the number of the others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Several {
    descriptors: Vec<Watched>,
    more: usize,
}

impl Several {
    fn push(&mut self, descriptor: i32, events: impl FnOnce() -> Vec<Event>) {
        if self.descriptors.len() < MAX_DESCRIPTORS {
            self.descriptors.push(Watched { descriptor, target: None, events: events() });
        } else {
            self.more += 1;
        }
    }

    pub(super) fn into(self, waiting: Waiting) -> Waiting {
        Waiting { descriptors: self.descriptors, more_descriptors: self.more, ..waiting }
    }
}

/// `poll(list, count, ..)`, entries of 8 bytes each: the descriptor, the events, and the result,
/// which the kernel writes when the call returns. Nothing if the list cannot be read.
pub(super) fn polled(arguments: [u64; 6], source: &mut impl Source) -> Several {
    let [list, count, ..] = arguments;
    // An unsigned int.
    let count = count & u64::from(u32::MAX);
    let mut several = Several::default();
    if count > MAX_ENTRIES {
        return several;
    }
    let mut buffer = [0; 4096];
    let mut index = 0;
    while index < count {
        let part = usize::try_from((count - index) * 8).unwrap_or(usize::MAX).min(buffer.len());
        let entries = &mut buffer[..part];
        if source.read(list.wrapping_add(index * 8), entries) < part {
            return Several::default();
        }
        for entry in entries.chunks_exact(8) {
            let descriptor = i32::from_ne_bytes(entry[..4].try_into().expect("four bytes"));
            let events = i16::from_ne_bytes(entry[4..6].try_into().expect("two bytes"));
            // The kernel ignores negative ones.
            if descriptor >= 0 {
                several.push(descriptor, || events_of(events));
            }
        }
        index += part as u64 / 8;
    }
    several
}

fn events_of(bits: i16) -> Vec<Event> {
    let events = [
        (Event::Read, libc::POLLIN | libc::POLLRDNORM | libc::POLLRDBAND),
        (Event::Write, libc::POLLOUT | libc::POLLWRNORM | libc::POLLWRBAND),
        (Event::Priority, libc::POLLPRI),
        (Event::Hangup, libc::POLLRDHUP),
    ];
    events.into_iter().filter(|(_, mask)| bits & mask != 0).map(|(event, _)| event).collect()
}

/// `select(count, read, write, except, ..)`: three sets of bits, in words of 64. The kernel writes
/// the result into them when the call returns. Nothing if a set cannot be read.
pub(super) fn selected(arguments: [u64; 6], source: &mut impl Source) -> Several {
    const EVENTS: [Event; 3] = [Event::Read, Event::Write, Event::Priority];
    /// Length of one piece of a set.
    const WORDS: usize = 64;
    const PIECE: u64 = 64 * WORDS as u64;
    // A program can pass any count: the kernel ignores what is beyond the descriptor table, and
    // there is not necessarily a set there. An `fd_set` has `FD_SETSIZE` bits.
    let count = u64::try_from(int(arguments[0])).unwrap_or(0);
    let limit = if count > 64 { source.table_size().unwrap_or(libc::FD_SETSIZE as u64) } else { 64 };
    let count = count.min(limit);
    let mut several = Several::default();
    if count > MAX_ENTRIES {
        return several;
    }
    let mut start = 0;
    while start < count {
        let bits = (count - start).min(PIECE);
        let words = bits.div_ceil(64) as usize;
        let mut sets = [[0; WORDS]; EVENTS.len()];
        for (set, &address) in sets.iter_mut().zip(&arguments[1..]) {
            let address = (address != 0).then(|| address.wrapping_add(start / 8));
            if address.is_some_and(|address| !read_words(address, &mut set[..words], source)) {
                return Several::default();
            }
        }
        for word in 0..words {
            let mut any = sets.iter().fold(0, |any, set| any | set[word]);
            while any != 0 {
                let bit = any.trailing_zeros();
                any &= any - 1;
                let index = word as u64 * 64 + u64::from(bit);
                let events = EVENTS.iter().zip(&sets).filter(|(_, set)| set[word] >> bit & 1 == 1);
                if index < bits {
                    several.push(int(start + index), || events.map(|(event, _)| *event).collect());
                }
            }
        }
        start += PIECE;
    }
    several
}

/// Both sides of a call that moves data, or the one that it waits for.
pub(super) fn moved(from: u64, to: u64, source: &mut impl Source) -> Several {
    let from = |several: &mut Several| several.push(int(from), || vec![Event::Read]);
    let to = |several: &mut Several| several.push(int(to), || vec![Event::Write]);
    let mut several = Several::default();
    let function = source.kernel_function().unwrap_or_default();
    // The compiler can append to the name, as in `.isra.0`.
    match function.split('.').next().unwrap_or_default() {
        "pipe_wait_readable" | "sk_wait_data" | "unix_stream_data_wait" => from(&mut several),
        "pipe_wait_writable" | "sk_stream_wait_memory" | "sock_alloc_send_pskb" => to(&mut several),
        _ => {
            from(&mut several);
            to(&mut several);
        }
    }
    several
}
