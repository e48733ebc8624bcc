//! What the last list of threads has read of each, for the next list and for a second look: a
//! thread that has not run since is what it was.

use std::sync::{Mutex, TryLockError};
use std::time::{Duration, Instant};

use super::rest::{Observer, Rest};
use crate::sys::linux::mapping::MappedList;
use crate::sys::linux::scheduler;
use crate::sys::procfs::Stat;

/// What was read of a thread at a moment at which it did not run.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub(super) tid: u32,
    pub(super) rest: Rest,
    pub(super) facts: Facts,
    pub(super) name: Name,
    /// When the first list saw it at this moment.
    pub(super) since: Instant,
}

/// A thread's name, in as many bytes as the kernel keeps of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    bytes: [u8; 16],
    length: u8,
}

impl Name {
    /// `None` if it is longer, because it has bytes that are not UTF-8 and were replaced.
    pub(super) fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(Self { bytes, length: u8::try_from(name.len()).ok()? })
    }

    pub(super) fn as_str(&self) -> &str {
        let name = self.bytes.get(..usize::from(self.length));
        name.and_then(|name| str::from_utf8(name).ok()).unwrap_or_default()
    }
}

/// What the last list has read.
struct Last {
    /// In ascending order of the ids.
    known: MappedList<Known>,
    /// `None` before the first list.
    times: Option<Times>,
}

#[derive(Clone, Copy)]
struct Times {
    /// Before the first thread was read.
    began: Instant,
    /// After the last one was read.
    ended: Instant,
}

impl Last {
    /// When it ended. `None` if it began before this moment: then it is not the list of a report that
    /// began there, but one that was late.
    fn ended(&self, since: Instant) -> Option<Instant> {
        self.times.filter(|times| times.began >= since).map(|times| times.ended)
    }
}

/// What does not change while a thread does not run.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    pub(super) state: char,
    pub(super) user_ticks: u64,
    pub(super) system_ticks: u64,
    pub(super) start_ticks: u64,
    pub(super) processor: Option<u32>,
}

impl From<&Stat> for Facts {
    fn from(stat: &Stat) -> Self {
        let &Stat { state, user_ticks, system_ticks, start_ticks, processor, .. } = stat;
        Self { state, user_ticks, system_ticks, start_ticks, processor }
    }
}

static LAST: Mutex<Last> = Mutex::new(Last { known: MappedList::empty(), times: None });
/// For how many threads it is kept. It takes 112 bytes for each.
pub(super) const MAX_KNOWN: usize = 16 << 10;

impl Known {
    /// What is known, for the exclusive use of the caller. Nothing is known if another thread of
    /// gmr uses it, or did when the process forked.
    pub(super) fn take() -> MappedList<Self> {
        let mut last = match LAST.try_lock() {
            Ok(last) => last,
            Err(TryLockError::Poisoned(last)) => last.into_inner(),
            Err(TryLockError::WouldBlock) => return MappedList::empty(),
        };
        std::mem::replace(&mut last.known, MappedList::empty())
    }

    /// Replaces what is known by what a list has read that began at this moment. Threads that have
    /// ended are no longer part of it.
    pub(super) fn keep(known: MappedList<Self>, began: Instant) {
        if let Ok(mut last) = LAST.try_lock() {
            *last = Last { known, times: Some(Times { began, ended: Instant::now() }) };
        }
    }
}

/// How long ago the list of the report that began at this moment was read, at least. Zero if there was
/// none, or if that is not known.
pub(crate) fn since_list(report: Instant) -> Duration {
    let ended = LAST.try_lock().ok().and_then(|last| last.ended(report));
    ended.map_or(Duration::ZERO, |ended| ended.elapsed())
}

/// Those of these threads that have run since the list of the report that began at this moment, or of
/// which that is not known.
pub(crate) fn moved(tids: &[u32], report: Instant) -> Vec<u32> {
    let (Ok(last), Ok(mut observer)) = (LAST.try_lock(), Observer::new()) else { return tids.to_vec() };
    if last.ended(report).is_none() {
        return tids.to_vec();
    }
    let mut is_still = |tid: u32| {
        let before = find(&last.known, tid)?.rest.moment();
        let now = observer.observe(tid, before.inode()).ok()??;
        (now.moment() == before).then_some(())
    };
    tids.iter().copied().filter(|&tid| is_still(tid).is_none()).collect()
}

/// The processor time that these threads have used. `None` of a thread that has ended, and of all
/// threads where clocks count ticks, which are too long for what is measured.
pub(crate) fn processor_times(tids: &[u32]) -> Vec<Option<Duration>> {
    let is_precise = scheduler::is_precise();
    let time = |&tid: &u32| scheduler::cpu_time(tid).ok().filter(|_| is_precise).map(Duration::from_nanos);
    tids.iter().map(time).collect()
}

pub(super) fn find(known: &[Known], tid: u32) -> Option<&Known> {
    let index = known.binary_search_by_key(&tid, |known| known.tid).ok()?;
    Some(&known[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_if_it_is_as_the_kernel_has_it() {
        for name in ["", "worker", "fifteen bytes !", "größer"] {
            assert_eq!(Name::new(name).unwrap().as_str(), name);
        }
        assert_eq!(Name::new(&"\u{fffd}".repeat(15)), None);
    }
}
