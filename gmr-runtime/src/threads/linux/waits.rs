//! What a thread that is in a system call waits for.
//!
//! The call's arguments can point to memory that belongs to the call while the thread is in it. It
//! is read without stopping the thread, so what was read counts only if the thread has not run
//! meanwhile.

use super::arguments;
use super::rest::{Observer, Rest};
use super::source::{Nothing, Source};
use crate::model::Waiting;
use crate::sys::linux::memory;
use crate::sys::procfs::Status;

/// What the thread waits for, without what [`objects`](super::objects) looks up. `None` outside of
/// a system call.
pub(super) fn describe(
    observer: &mut Observer,
    tid: u32,
    rest: &Rest,
    clocks_are_precise: bool,
    uninterruptible: bool,
) -> Option<Waiting> {
    let call = rest.call?;
    if observer.is_32_bit(rest) {
        // Its number and its arguments have the meaning that they have in 32-bit programs.
        return Some(Waiting { call: format!("32-bit system call {}", call.number), ..Waiting::default() });
    }
    let mut live = Live { observer, tid, was_read: false };
    let mut waiting = arguments::describe(call, &mut live);
    if live.was_read {
        // The clock alone tells this, without reading a file again.
        let is_in_it = if clocks_are_precise {
            Observer::has_not_run(tid, rest)
        } else {
            live.observer.is_unchanged(tid, rest)
        };
        if !is_in_it {
            waiting = arguments::describe(call, &mut Nothing);
        }
    }
    if uninterruptible {
        waiting.kernel_function = live.kernel_function();
    }
    Some(waiting)
}

/// A thread of this process.
struct Live<'a> {
    observer: &'a mut Observer,
    tid: u32,
    /// Whether something was read that is true only while the thread is in its call.
    was_read: bool,
}

impl Source for Live<'_> {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> usize {
        self.was_read = true;
        memory::read(address, buffer)
    }

    fn table_size(&mut self) -> Option<u64> {
        self.was_read = true;
        Status::of_thread(self.observer.directory(), self.tid).ok()?.descriptor_table_size
    }

    fn kernel_function(&mut self) -> Option<String> {
        self.was_read = true;
        let name = self.observer.directory().read(&format!("{}/wchan", self.tid)).ok()?;
        Some(name.trim()).filter(|name| *name != "0").map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};
    use std::net::UdpSocket;
    use std::os::fd::{AsFd, AsRawFd};
    use std::process::{Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags};
    use rustix::thread::futex;

    use super::super::{objects, rest};
    use super::*;
    use crate::model::{Children, Event};
    use crate::sys::current_tid;
    use crate::threads::linux::testing::thread_that;
    use crate::threads::{self, ThreadInfo};

    /// Lists threads until this one is in this call, and waits as the test expects.
    fn waiting_in(tid: u32, call: &str, expected: impl Fn(&Waiting) -> bool) -> Waiting {
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            let threads = threads::list(None).unwrap();
            let thread = threads.into_iter().find(|thread| thread.tid == tid).unwrap();
            match thread.waiting {
                Some(waiting) if waiting.call == call && expected(&waiting) => return waiting,
                waiting => assert!(Instant::now() < until, "{waiting:?}"),
            }
            thread::yield_now();
        }
    }

    #[test]
    fn a_poll_names_its_descriptors() {
        let (reader, writer) = io::pipe().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (expected, address) = ([reader.as_raw_fd(), socket.as_raw_fd()], socket.local_addr().unwrap());
        let tid = thread_that(move || {
            let _open = writer;
            let flags = PollFlags::IN;
            let mut both = [
                PollFd::from_borrowed_fd(reader.as_fd(), flags),
                PollFd::from_borrowed_fd(socket.as_fd(), flags | PollFlags::PRI),
            ];
            let _ = rustix::event::poll(&mut both, None);
        });
        let waiting = waiting_in(tid, "poll", |waiting| !waiting.descriptors.is_empty());
        let [pipe, socket] = &waiting.descriptors[..] else { panic!("{waiting:?}") };
        assert_eq!([pipe.descriptor, socket.descriptor], expected);
        assert_eq!(
            (&pipe.events[..], &socket.events[..]),
            (&[Event::Read][..], &[Event::Read, Event::Priority][..])
        );
        assert!(pipe.target.as_ref().unwrap().starts_with("pipe:["), "{waiting:?}");
        assert_eq!(socket.target, Some(format!("UDP {address}")));
        assert_eq!((waiting.more_descriptors, waiting.descriptor), (0, None));
    }

    #[test]
    fn a_lock_with_priority_inheritance_names_its_owner() {
        let lock = Arc::new(AtomicU32::new(0));
        let (sender, receiver) = mpsc::channel();
        let held = Arc::clone(&lock);
        let owner = thread::Builder::new().name("the owner".into()).spawn(move || {
            futex::lock_pi(&held, futex::Flags::PRIVATE, None).unwrap();
            sender.send(current_tid()).unwrap();
            loop {
                thread::park();
            }
        });
        drop(owner.unwrap());
        let owner = receiver.recv().unwrap();
        let waiter = || {
            let lock = Arc::clone(&lock);
            thread_that(move || {
                let _ = futex::lock_pi(&lock, futex::Flags::PRIVATE, None);
            })
        };
        let [_, tid] = [waiter(), waiter()];
        let is_owned = |waiting: &Waiting| waiting.futex_owner.is_some() && waiting.futex_others == 1;
        let waiting = waiting_in(tid, "futex", is_owned);
        let shown = waiting.futex_owner.unwrap();
        assert_eq!((shown.tid, shown.name.as_deref()), (owner, Some("the owner")));
        assert_eq!(waiting.futex, Some(lock.as_ptr() as u64));
    }

    #[test]
    fn those_that_wait_on_several_futexes_are_counted_once() {
        let words: Arc<[AtomicU32; 2]> = Arc::default();
        let addresses = [0, 1].map(|index: usize| words[index].as_ptr() as u64);
        let wait_for_both = || {
            let words = Arc::clone(&words);
            thread_that(move || {
                let mut waiters = [futex::Wait::new(); 2];
                for (waiter, word) in waiters.iter_mut().zip(&*words) {
                    waiter.uaddr = futex::WaitPtr::new(word.as_ptr().cast());
                    waiter.flags = futex::WaitFlags::PRIVATE | futex::WaitFlags::SIZE_U32;
                }
                let result = futex::waitv(
                    &waiters,
                    futex::WaitvFlags::empty(),
                    None,
                    rustix::thread::ClockId::Monotonic,
                );
                panic!("{result:?}");
            })
        };
        let [tid, _] = [wait_for_both(), wait_for_both()];
        let single = Arc::clone(&words);
        let single = thread_that(move || {
            let _ = futex::wait(&single[0], futex::Flags::PRIVATE, 0, None);
        });
        let waiting = waiting_in(tid, "futex_waitv", |waiting| waiting.futex_others == 2);
        assert_eq!((waiting.futex, &waiting.futexes[..]), (None, &addresses[..]));
        let waiting = waiting_in(single, "futex", |waiting| waiting.futex_others == 2);
        assert_eq!(waiting.futex, Some(addresses[0]));
    }

    #[test]
    fn a_child_is_named_and_another_process_is_not() {
        // Without input, it waits.
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let (pid, input) = (child.id(), child.stdin.take());
        let tid = thread_that(move || drop(child.wait()));
        // Between the start of the child and its program, it has this one's name.
        let named = Some(Children::One { pid, name: Some("cat".into()) });
        waiting_in(tid, "wait", |waiting| waiting.children == named);
        drop(input);

        let children = Some(Children::One { pid: 1, name: None });
        let waiting = Waiting { call: "wait".into(), children: children.clone(), ..Waiting::default() };
        let mut threads = [ThreadInfo { waiting: Some(waiting), ..ThreadInfo::default() }];
        objects::describe(&mut threads);
        assert_eq!(threads[0].waiting.as_ref().unwrap().children, children);
    }

    /// A thread that polls two lists in turn, at the same address and for a moment each: what is
    /// shown is one of the lists, not a mixture.
    #[test]
    fn a_list_that_changes_all_the_time_is_shown_as_it_was_in_a_call() {
        const LENGTH: usize = 8;
        const LOOKS: usize = 1_000;
        /// On a busy machine, few looks meet the thread in its call.
        const ENOUGH: usize = 10;
        let pipes = [io::pipe().unwrap(), io::pipe().unwrap()];
        let readers = [0, 1].map(|index: usize| pipes[index].0.as_raw_fd());
        let begun = Instant::now();
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let tid = thread_that(move || {
            let moment = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000 };
            let entry = |index: usize| PollFd::from_borrowed_fd(pipes[index].0.as_fd(), PollFlags::IN);
            let mut list = [(); LENGTH].map(|()| entry(0));
            for index in (0..2).cycle() {
                for place in 0..LENGTH {
                    list[place] = entry(index);
                    // Long enough for a look at what is half written.
                    (0..2_000).for_each(|_| std::hint::spin_loop());
                    std::hint::black_box(&mut list);
                }
                if end.load(Ordering::Relaxed) {
                    break;
                }
                let _ = rustix::event::poll(&mut list, Some(&moment));
            }
        });
        let mut observer = Observer::new().unwrap();
        let is_precise = crate::sys::linux::scheduler::is_precise();
        let mut shown = 0;
        while shown < LOOKS && (shown < ENOUGH || begun.elapsed() < Duration::from_secs(10)) {
            assert!(begun.elapsed() < Duration::from_mins(1), "only {shown} looks");
            let Ok(Some(rest)) = observer.observe(tid, 0) else { continue };
            let waiting = describe(&mut observer, tid, &rest, is_precise, false).unwrap_or_default();
            if let [first, ..] = &waiting.descriptors[..] {
                assert!(readers.contains(&first.descriptor), "{waiting:?}");
                assert!(waiting.descriptors.iter().all(|other| other == first), "{waiting:?}");
                shown += 1;
            }
        }
        ended.store(true, Ordering::Relaxed);
    }

    #[test]
    fn what_a_thread_that_went_on_has_pointed_to_is_not_shown() {
        let (mut reader, writer) = io::pipe().unwrap();
        let tid = thread_that(move || drop(reader.read(&mut [0])));
        waiting_in(tid, "read", |_| true);
        let (number, path) = (libc::SYS_openat, c"/run/fifo".as_ptr() as u64);
        // `AT_FDCWD` is the directory.
        let open = format!("{number} 0xffffffffffffff9c {path:#x} 0x0 0x0 0x0 0x0 0x1 0x2");
        let open = rest::parse(&open, 0, 0).unwrap();
        let mut observer = Observer::new().unwrap();
        let mut live = Live { observer: &mut observer, tid, was_read: false };
        let path = arguments::describe(open.call.unwrap(), &mut live).path;
        assert_eq!((path.as_deref(), live.was_read), (Some("/run/fifo"), true));
        // The thread is in another call, and has run since.
        for clocks_are_precise in [true, false] {
            let waiting = describe(&mut observer, tid, &open, clocks_are_precise, false).unwrap();
            assert_eq!((waiting.call.as_str(), waiting.path), ("open", None));
        }
        drop(writer);
    }
}
