//! How `gmr report` asks a process for a report on its own terminal: by the value of a queued
//! report signal. This is the layout of that value, and where the signal's handler keeps it.
//!
//! A report signal without such a value requests a report on standard error, as ever. The value has
//! no address and no path, and the process connects to nobody because of it: it offers the report
//! in a memory file, and the kernel decides who may open that.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The layout. The mark of a process says which one it understands, and with it all before: reports
/// since 1, looks since 2.
pub(crate) const LAYOUT: u32 = 2;

/// The first 24 bits: "gmr". A program that queues signals with values of its own uses pointers or
/// small numbers, which these are not: addresses of user space have 56 bits at most, and begin with
/// zeros.
const MAGIC: u64 = 0x67_6d72;
/// Of the next 8 bits, 4 have the layout of the value, which is 1 as well in the values of layout 2,
/// 2 have the format, and 2 are flags.
const OF_VALUES: u32 = 1;
const FORMAT_JSON: u64 = 1 << 34;
const FORMATS: u64 = 0b11 << 34;
/// Since layout 2. To a process of layout 1, a value with it is no request: it would write a report to
/// its standard error. So the command reads the mark first.
const LOOK: u64 = 1 << 33;
const WITHOUT_TASKS: u64 = 1 << 32;

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "__cli"), expect(unreachable_pub, reason = "the command `gmr` makes it"))]
pub struct Attach {
    /// The format: JSON, and not text.
    pub is_json: bool,
    /// The report is to leave tasks alone.
    pub without_tasks: bool,
    /// One of many looks, and no whole report: threads and tasks only, and those as JSON.
    pub is_look: bool,
    /// A random number, by which the command finds its file. The same number is the same request. All
    /// looks of a command have the same upper half.
    pub token: u32,
}

impl Attach {
    /// The value of the signal.
    #[cfg_attr(not(any(test, feature = "__cli")), allow(dead_code, reason = "the command `gmr` sends it"))]
    pub(crate) fn encode(self) -> u64 {
        let flags = [(self.is_json, FORMAT_JSON), (self.is_look, LOOK), (self.without_tasks, WITHOUT_TASKS)];
        let flags = flags.into_iter().filter(|(is_set, _)| *is_set).fold(0, |all, (_, flag)| all | flag);
        MAGIC << 40 | u64::from(OF_VALUES) << 36 | flags | u64::from(self.token)
    }

    /// From the value of a signal. `None` if it is none of `gmr report`, or of a layout that is not
    /// known here. It may be called in a signal handler.
    pub(crate) fn decode(value: u64) -> Option<Self> {
        let (magic, layout, format) = (value >> 40, value >> 36 & 0xf, value & FORMATS);
        let is_look = value & LOOK != 0;
        let is_known = magic == MAGIC
            && layout == u64::from(OF_VALUES)
            && (format == FORMAT_JSON || format == 0 && !is_look);
        #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
        is_known.then_some(Self {
            is_json: format == FORMAT_JSON,
            without_tasks: value & WITHOUT_TASKS != 0,
            is_look,
            token: value as u32,
        })
    }

    /// The command that looks, by what all of its looks have in common.
    pub(crate) fn looker(self) -> Option<u32> {
        self.is_look.then_some(self.token >> 16)
    }

    /// What the names of all files with this token begin with. The number is that of the files'
    /// layout.
    pub(crate) fn file_begin(token: u32) -> String {
        format!("gmr-report:1 token={token:08x} format=")
    }
}

/// The value of a signal, if it is a request. It may be called in a signal handler.
#[cfg(target_os = "linux")]
pub(super) fn of_signal(info: &libc::siginfo_t) -> Option<u64> {
    super::queued_value(info).filter(|value| Attach::decode(*value).is_some())
}

/// How many requests can wait for the reporter. It takes them within microseconds, unless it makes
/// a report; then they are as many as people look at one process at the same time.
const SLOTS: usize = 16;

/// The value of a slot that a handler is filling. No request has it.
const FILLING: u64 = 1;

/// The requests that the handler has noted, and the reporter has not taken.
pub(crate) struct Requests {
    slots: [Slot; SLOTS],
    /// The last ones that were taken. The command sends one again if it finds no file, because the
    /// kernel drops a signal while another one is pending.
    taken: [AtomicU64; SLOTS],
    next_taken: AtomicUsize,
}

struct Slot {
    /// 0 if it is free.
    value: AtomicU64,
    /// The id of the process that has sent it, which has 22 bits, plus one in the upper half, and
    /// its user in the lower one; 0 if that is not known.
    sender: AtomicU64,
}

/// What has become of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    New,
    /// The same one waits already, or has been taken.
    Known,
    /// No slot is free.
    Full,
}

impl Requests {
    pub(crate) const fn new() -> Self {
        Self {
            slots: [const { Slot { value: AtomicU64::new(0), sender: AtomicU64::new(0) } }; SLOTS],
            taken: [const { AtomicU64::new(0) }; SLOTS],
            next_taken: AtomicUsize::new(0),
        }
    }

    /// Notes a request, and the process and user that have sent it. It changes atomics, and waits
    /// for nothing: it may be called in a signal handler, by several threads at a time.
    pub(crate) fn note(&self, value: u64, sender: Option<(u32, u32)>) -> Noted {
        // What is taken meanwhile is first among those that were.
        let mut known = self.slots.iter().map(|slot| &slot.value).chain(&self.taken);
        if known.any(|known| known.load(Ordering::Acquire) == value) {
            return Noted::Known;
        }
        let sender = sender.map_or(0, |(pid, uid)| (u64::from(pid) + 1) << 32 | u64::from(uid));
        for Slot { value: slot, sender: its_sender } in &self.slots {
            if slot.compare_exchange(0, FILLING, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                its_sender.store(sender, Ordering::Relaxed);
                slot.store(value, Ordering::Release);
                return Noted::New;
            }
        }
        Noted::Full
    }

    /// Takes one of the requests. One thread may do so at a time.
    pub(crate) fn take(&self) -> Option<(u64, Option<(u32, u32)>)> {
        self.slots.iter().find_map(|slot| {
            let value = slot.value.load(Ordering::Acquire);
            if value <= FILLING {
                return None;
            }
            let sender = slot.sender.load(Ordering::Relaxed);
            let next = self.next_taken.fetch_add(1, Ordering::Relaxed) % SLOTS;
            self.taken[next].store(value, Ordering::Release);
            slot.value.store(0, Ordering::Release);
            // The halves of the number.
            #[allow(clippy::cast_possible_truncation)]
            let (pid, uid) = ((sender >> 32) as u32, sender as u32);
            Some((value, pid.checked_sub(1).map(|pid| (pid, uid))))
        })
    }

    /// Takes all requests that are there.
    pub(crate) fn take_all(&self) -> impl Iterator<Item = (u64, Option<(u32, u32)>)> {
        (0..SLOTS).map_while(|_| self.take())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| slot.value.load(Ordering::Acquire) <= FILLING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        for flags in 0..8_u32 {
            let [is_json, without_tasks, is_look] = [0, 1, 2].map(|bit| flags >> bit & 1 == 1);
            for token in [0, 1, 0x8000_0000, u32::MAX] {
                let attach = Attach { is_json, without_tasks, is_look, token };
                let read = Some(attach).filter(|_| is_json || !is_look);
                assert_eq!(Attach::decode(attach.encode()), read, "{:#x}", attach.encode());
            }
        }
    }

    #[test]
    fn other_values_are_no_requests() {
        let one = Attach { is_json: true, without_tasks: false, is_look: false, token: 7 }.encode();
        // What a process of layout 1 understands.
        assert_eq!(one, 0x676d_7214_0000_0007);
        // Another magic, layout or format.
        for bit in (40..64).chain(36..40).chain([35]) {
            assert_eq!(Attach::decode(one ^ 1 << bit), None, "bit {bit}");
        }
        for other in [0, 1, 42, u64::MAX, u64::MAX >> 1, 0x7fff_ffff_f000, 0x0067_6d72, 0x676d_7200_0000_0000]
        {
            assert_eq!(Attach::decode(other), None, "{other:#x}");
        }
        // Any value is either refused, or the one that the request has.
        let mut value: u64 = 0x9e37_79b9_7f4a_7c15;
        for round in 0..20_000_u32 {
            value = value.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let value = if round % 2 == 0 { value } else { value >> 24 | MAGIC << 40 };
            assert!(Attach::decode(value).is_none_or(|attach| attach.encode() == value), "{value:#x}");
        }
    }

    #[test]
    fn a_request_waits_once_with_its_sender() {
        let slots = Requests::new();
        assert!(slots.is_empty() && slots.take().is_none());
        assert_eq!(slots.note(70, Some((0, u32::MAX))), Noted::New);
        assert_eq!(slots.note(70, None), Noted::Known);
        assert_eq!(slots.note(71, None), Noted::New);
        assert!(!slots.is_empty());
        assert_eq!(slots.take(), Some((70, Some((0, u32::MAX)))));
        assert_eq!(slots.note(72, Some((1 << 22, 1))), Noted::New);
        assert!(slots.take_all().eq([(72, Some((1 << 22, 1))), (71, None)]));
        assert!(slots.is_empty());
        assert_eq!(slots.note(72, None), Noted::Known, "it was taken");
        let noted: Vec<_> = (2..20).map(|value| slots.note(value, None)).collect();
        assert_eq!(noted.iter().filter(|noted| **noted == Noted::New).count(), SLOTS);
        assert_eq!(noted.last(), Some(&Noted::Full));
        assert_eq!(slots.take_all().count(), SLOTS);
    }

    #[test]
    fn none_is_lost_between_threads() {
        let (slots, each) = (Requests::new(), if cfg!(miri) { 20 } else { 5_000 });
        std::thread::scope(|scope| {
            for thread in 0..3_u64 {
                let slots = &slots;
                scope.spawn(move || {
                    for number in 0..each {
                        let value = 2 + thread * each + number;
                        let sender = Some((u32::try_from(value).unwrap(), 7));
                        while slots.note(value, sender) == Noted::Full {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            let mut taken = Vec::new();
            while taken.len() < usize::try_from(3 * each).unwrap() {
                match slots.take() {
                    Some((value, sender)) => {
                        assert_eq!(sender, Some((u32::try_from(value).unwrap(), 7)));
                        taken.push(value);
                    }
                    None => std::thread::yield_now(),
                }
            }
            taken.sort_unstable();
            assert!(taken.into_iter().eq(2..2 + 3 * each), "each once");
        });
    }
}
