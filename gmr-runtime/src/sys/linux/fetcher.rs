//! Fetches pages that are not in memory, on threads that may wait forever.
//!
//! There is no way to tell in advance whether such a page will ever arrive. So a separate thread
//! touches it, and the thread that needs the page waits until a deadline. If it does not arrive by
//! then, its slot records that it is being waited for, and nothing else touches it until it has
//! arrived. Each of these threads has a slot, and the number of slots is fixed.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::thread::futex;

use super::super::deadline::Deadline;
use super::super::own_threads;
use super::super::procfs::Stat;
use super::super::thread_ids;
use super::super::timed_mutex::TimedMutex;
use super::{copy, current_tid, descriptor_table, pages, signal_masks};

/// How long the next page of a range may take. A busy disk takes some ten milliseconds.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(200);
/// How long a range may take, and how long a thread that fetches may wait for a CPU.
const TOTAL: Duration = Duration::from_secs(2);
/// How many threads may wait for pages that do not arrive.
const SLOTS: usize = 4;
/// How long a thread waits for more to do before it ends.
const LINGER: Duration = Duration::from_millis(50);

/// The result for a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// Each of its pages has been in memory.
    Whole,
    /// One of its pages cannot be read: nothing is mapped there, for example.
    Unreadable,
    /// One of its pages has not arrived in time, and is waited for. Or the range was not tried,
    /// because all slots wait for other pages.
    Unserved,
}

/// Fetches the pages of this range, unless one of them is already waited for.
pub(crate) fn fetch(address: u64, length: usize) -> Fetched {
    let size = pages::size();
    let range = address - address % size..address.saturating_add(length as u64);
    let Some(_turn) = TURN.lock_until(Instant::now() + TOTAL) else { return Fetched::Unserved };
    for slot in &ALL {
        slot.forget_parents();
    }
    if ALL.iter().any(|slot| slot.is_waiting_in(&range)) {
        return Fetched::Unserved;
    }
    let Some(slot) = ALL.iter().find(|slot| slot.is_available()) else { return Fetched::Unserved };
    if slot.begin(&range) { slot.wait(&range) } else { fetch_here(range) }
}

/// Fetches the range on the calling thread, if no other thread can be started. It has no deadline.
fn fetch_here(mut range: Range<u64>) -> Fetched {
    while !range.is_empty() {
        if copy::read(range.start, &mut [0]) != 1 {
            return Fetched::Unreadable;
        }
        range.start = range.start.saturating_add(pages::size());
    }
    Fetched::Whole
}

/// Only one range is fetched at a time.
static TURN: TimedMutex = TimedMutex::new();

static ALL: [Slot; SLOTS] = [const { Slot::new() }; SLOTS];

/// No thread belongs to the slot.
const FREE: u32 = 0;
/// Its thread has nothing to do, and ends soon.
const IDLE: u32 = 1;
/// Its thread is fetching a range, and `fetch` waits for that.
const BUSY: u32 = 2;
/// The same, but `fetch` no longer waits.
const ABANDONED: u32 = 3;
/// Its thread has fetched what can be fetched of the range.
const ENDED: u32 = 4;

/// The place of one thread that fetches.
///
/// `fetch` moves its state `FREE → BUSY`, `IDLE → BUSY`, `BUSY → ABANDONED` and `ENDED → IDLE`, and
/// is called by one thread at a time. The thread of the slot moves it `BUSY → ENDED`,
/// `ABANDONED → IDLE`, and `IDLE → FREE` or `ENDED → FREE` as its last action.
struct Slot {
    state: AtomicU32,
    /// The process that the thread belongs to.
    pid: AtomicU32,
    /// The thread; 0 until it runs.
    tid: AtomicU32,
    /// The page that is fetched, and the end of the range.
    at: AtomicU64,
    end: AtomicU64,
}

impl Slot {
    const fn new() -> Self {
        let [state, pid, tid] = [const { AtomicU32::new(0) }; 3];
        let [at, end] = [const { AtomicU64::new(0) }; 2];
        Self { state, pid, tid, at, end }
    }

    /// Frees the slot if its thread is one of the process that has forked this one.
    fn forget_parents(&self) {
        if self.pid.load(Ordering::Relaxed) != std::process::id() {
            self.state.store(FREE, Ordering::Relaxed);
        }
    }

    /// Whether its thread waits for a page of this range that has not arrived in time.
    fn is_waiting_in(&self, range: &Range<u64>) -> bool {
        self.state.load(Ordering::Acquire) == ABANDONED && range.contains(&self.at.load(Ordering::Relaxed))
    }

    fn is_available(&self) -> bool {
        matches!(self.state.load(Ordering::Acquire), FREE | IDLE)
    }

    /// Hands the range to the thread of this slot, which is available, or to a new one. False if no
    /// thread can be started.
    fn begin(&'static self, range: &Range<u64>) -> bool {
        // Its thread reads them only after it has seen BUSY.
        self.at.store(range.start, Ordering::Relaxed);
        self.end.store(range.end, Ordering::Relaxed);
        if self.change(IDLE, BUSY) {
            let _ = futex::wake(&self.state, futex::Flags::PRIVATE, 1);
            return true;
        }
        // There is no thread, or it has ended meanwhile.
        self.pid.store(std::process::id(), Ordering::Relaxed);
        self.tid.store(0, Ordering::Relaxed);
        self.state.store(BUSY, Ordering::Release);
        let started = own_threads::spawn("gmr fetch", || self.serve()).is_ok();
        if !started {
            self.state.store(FREE, Ordering::Relaxed);
        }
        started
    }

    /// Waits until the range is fetched, or its next page does not arrive in time.
    fn wait(&self, range: &Range<u64>) -> Fetched {
        let (mut at, mut deadline, mut total) =
            (range.start, Deadline::after(TIMEOUT), Deadline::after(TOTAL));
        while self.state.load(Ordering::Acquire) == BUSY {
            let _ = sleep(&self.state, BUSY, deadline.left().min(total.left()));
            let now = self.at.load(Ordering::Relaxed);
            if now != at {
                (at, deadline) = (now, Deadline::after(TIMEOUT));
            }
            let is_over = total.is_over() || (deadline.is_over() && !self.waits_for_cpu());
            if is_over && self.change(BUSY, ABANDONED) {
                return Fetched::Unserved;
            }
        }
        // Before the slot is given back.
        let reached = self.at.load(Ordering::Relaxed);
        // This fails if the thread has ended meanwhile.
        self.change(ENDED, IDLE);
        if reached >= range.end { Fetched::Whole } else { Fetched::Unreadable }
    }

    /// Whether its thread has not had a CPU since it was started or woken.
    fn waits_for_cpu(&self) -> bool {
        match self.tid.load(Ordering::Relaxed) {
            0 => true,
            tid => {
                let stat = Stat::read(&format!("self/task/{}", thread_ids::outer(tid)));
                stat.is_ok_and(|stat| stat.state == 'R')
            }
        }
    }

    /// What its thread does.
    fn serve(&self) {
        // If the kernel gave a signal for the process to this thread, it might never be handled.
        signal_masks::block_all_but([]);
        // It may wait forever.
        descriptor_table::leave_files();
        self.tid.store(current_tid(), Ordering::Relaxed);
        loop {
            match self.state.load(Ordering::Acquire) {
                BUSY => {
                    self.touch();
                    if self.change(BUSY, ENDED) {
                        let _ = futex::wake(&self.state, futex::Flags::PRIVATE, 1);
                    } else {
                        self.change(ABANDONED, IDLE);
                    }
                }
                idle => {
                    if sleep(&self.state, idle, LINGER) == Err(Errno::TIMEDOUT) && self.change(idle, FREE) {
                        return;
                    }
                }
            }
        }
    }

    /// Touches one page after the other, for as long as the range is wanted.
    fn touch(&self) {
        let (mut at, end) = (self.at.load(Ordering::Relaxed), self.end.load(Ordering::Relaxed));
        while at < end && self.state.load(Ordering::Relaxed) == BUSY && copy::read(at, &mut [0]) == 1 {
            at = at.saturating_add(pages::size());
            self.at.store(at, Ordering::Relaxed);
        }
    }

    fn change(&self, from: u32, to: u32) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// Sleeps while the state is `expected`, for no longer than `timeout`.
fn sleep(state: &AtomicU32, expected: u32, timeout: Duration) -> Result<(), Errno> {
    let timeout = rustix::thread::Timespec {
        tv_sec: timeout.as_secs().cast_signed(),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    futex::wait(state, futex::Flags::PRIVATE, expected, Some(&timeout)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::mapping::MappedBuffer;
    use super::super::memory;
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn pages_that_the_kernel_provides_are_fetched() {
        let page = usize::try_from(pages::size()).unwrap();
        let buffer = MappedBuffer::new(70 * page).unwrap();
        let start = buffer.as_ptr() as u64;
        assert_eq!(pages::resident(start, buffer.len()), 0);
        assert_eq!(fetch(start + 5, 3 * page), Fetched::Whole);
        assert_eq!(pages::resident(start, buffer.len()), 4 * page);
        // By the same thread, or by another one.
        assert_eq!(memory::provide_in_memory(start, buffer.len()), Fetched::Whole);
        assert_eq!(pages::resident(start, buffer.len()), buffer.len());
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn memory_that_cannot_be_read_ends_a_range() {
        assert_eq!(fetch(16, 8), Fetched::Unreadable);
        assert_eq!(memory::provide(u64::MAX - 7, 8), Fetched::Unreadable);
    }

    #[test]
    fn a_page_that_is_waited_for_is_known() {
        let slot = Slot::new();
        slot.at.store(0x5000, Ordering::Relaxed);
        assert!(!slot.is_waiting_in(&(0x4000..0x8000)), "its thread has nothing to do");
        slot.state.store(ABANDONED, Ordering::Relaxed);
        assert!(slot.is_waiting_in(&(0x4000..0x8000)) && slot.is_waiting_in(&(0x5000..0x5008)));
        assert!(!slot.is_waiting_in(&(0x4000..0x5000)) && !slot.is_waiting_in(&(0x6000..0x8000)));
        slot.pid.store(std::process::id(), Ordering::Relaxed);
        slot.forget_parents();
        assert!(slot.is_waiting_in(&(0x5000..0x5008)));
        slot.pid.store(std::process::id() + 1, Ordering::Relaxed);
        slot.forget_parents();
        assert!(!slot.is_waiting_in(&(0x5000..0x5008)), "its thread is not one of this process");
    }
}
