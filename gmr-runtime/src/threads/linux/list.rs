//! Lists the threads of this process: name, state, CPU time, what each is waiting for, and how its
//! stack can be taken.
//!
//! All of it is read before any thread is signalled, because a signalled thread shows up as
//! running. What was read of a thread is kept: for a thread that has not run since, the next list
//! reads only what can change meanwhile.

use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::known::{Facts, Known, MAX_KNOWN, Name, find};
use super::rest::{Observer, Rest};
use super::{objects, syscalls, waits};
use crate::sys::current_tid;
use crate::sys::linux::mapping::MappedList;
use crate::sys::linux::{parallel, sandbox, scheduler};
use crate::sys::procfs::{self, Directory, Stat, Status};
use crate::sys::thread_ids;
use crate::threads::{Access, ThreadInfo};

/// Threads, in memory of their own: a process can have thousands.
pub(crate) type List = MappedList<ThreadInfo>;

/// All threads, in ascending order of their ids. A thread that exits while it is being read is left
/// out. `capture_signal` is the signal that stacks are captured with.
pub(crate) fn list(capture_signal: Option<i32>) -> io::Result<List> {
    list_for(capture_signal, false)
}

/// The same for a look. Of a thread that has not run since the last list, nothing is read: it is where
/// it was, but may have been woken meanwhile. What descriptors refer to is not looked up.
pub(crate) fn look(capture_signal: Option<i32>) -> io::Result<List> {
    list_for(capture_signal, true)
}

fn list_for(capture_signal: Option<i32>, is_look: bool) -> io::Result<List> {
    let began = Instant::now();
    let ids = thread_ids::list()?;
    let known = Known::take();
    let boot = boot();
    let read = parallel::divide(&ids, |chunks| {
        let mut reader = Reader { is_look, ..Reader::new(boot, capture_signal)? };
        let threads = chunks.flatten().filter_map(|&id| reader.read(id, find(&known, id.0)));
        MappedList::new(ids.len(), threads)
    });
    let mut kept = Vec::with_capacity(ids.len());
    let merged = merged(read.into_iter().collect::<io::Result<_>>()?).map(|(thread, known)| {
        kept.extend(known);
        thread
    });
    let mut threads = MappedList::new(ids.len(), merged)?;
    // Without memory for it, everything is read again.
    let kept = MappedList::new(kept.len().min(MAX_KNOWN), kept.into_iter());
    Known::keep(kept.unwrap_or(MappedList::empty()), began);
    if is_look {
        objects::compare(&mut threads);
    } else {
        objects::describe(&mut threads);
    }
    Ok(threads)
}

/// A thread, and what to keep of it.
type Read = (ThreadInfo, Option<Known>);

/// What several workers have read, in the order of the threads' ids: each has taken its threads in
/// this order.
fn merged(of_workers: Vec<MappedList<Read>>) -> impl Iterator<Item = Read> {
    let mut of_workers: Vec<_> = of_workers.into_iter().map(|read| read.into_iter().peekable()).collect();
    std::iter::from_fn(move || {
        let heads = of_workers.iter_mut().filter_map(|read| {
            let (thread, _) = read.peek()?;
            Some((thread.tid, read))
        });
        heads.min_by_key(|(tid, _)| *tid)?.1.next()
    })
}

/// The wall-clock time at which the machine booted.
fn boot() -> Option<SystemTime> {
    let since = Duration::try_from_secs_f64(procfs::seconds_since_boot().ok()?).ok()?;
    SystemTime::now().checked_sub(since)
}

/// One thread. Fields that cannot be read are missing.
pub(crate) fn info(tid: u32, capture_signal: Option<i32>) -> ThreadInfo {
    let read = Reader::new(boot(), capture_signal).ok().and_then(|mut reader| reader.read((tid, 0), None));
    read.map_or_else(|| ThreadInfo { tid, ..ThreadInfo::default() }, |(info, _)| info)
}

/// Why the capture signal must not be sent to a thread; `None` if it may be.
pub(crate) fn skip_reason(tid: u32, capture_signal: Option<i32>) -> Option<String> {
    let mut reader = Reader::new(None, capture_signal).ok()?;
    let stat = Stat::of_thread(reader.directory(), tid).ok()?;
    let call = reader.directory().read_of(tid, "syscall").map(|text| syscalls::parse(&text));
    reader.skip_reason(tid, &stat, call.as_ref().ok().copied().flatten(), call.is_err())
}

struct Reader {
    observer: Observer,
    /// Whether CPU clocks tell that a thread has not run.
    clocks_are_precise: bool,
    boot: Option<SystemTime>,
    capture_signal: Option<i32>,
    /// When it began to read threads.
    began: Instant,
    is_look: bool,
}

impl Reader {
    fn new(boot: Option<SystemTime>, capture_signal: Option<i32>) -> io::Result<Self> {
        let clocks_are_precise = scheduler::is_precise();
        let began = Instant::now();
        let observer = Observer::new()?;
        Ok(Self { observer, clocks_are_precise, boot, capture_signal, began, is_look: false })
    }

    fn directory(&mut self) -> &mut Directory {
        self.observer.directory()
    }

    fn read(&mut self, (tid, inode): (u32, u64), known: Option<&Known>) -> Option<Read> {
        let is_still =
            |known: &&Known| known.rest.moment().inode() == inode && Observer::has_not_run(tid, &known.rest);
        if self.is_look
            && self.clocks_are_precise
            && let Some(known) = known.filter(is_still)
        {
            return Some((self.unchanged(known.rest, known), Some(*known)));
        }
        let rest = self.observer.observe(tid, inode);
        let target_unread = rest.as_ref().err().filter(|error| !has_ended(error));
        let target_unread = target_unread.map(|error| error.raw_os_error().unwrap_or(libc::EIO));
        let at_rest = rest.as_ref().ok().copied().flatten().filter(|_| self.clocks_are_precise);
        if let Some(rest) = at_rest
            && let Some(known) = known.filter(|known| known.rest.moment() == rest.moment())
        {
            return Some((self.unchanged(rest, known), Some(*known)));
        }
        let stat = match Stat::of_thread(self.directory(), tid) {
            Ok(stat) => stat,
            Err(error) if has_ended(&error) => return None,
            // The thread exists but cannot be read (no free descriptor, for example): it stays
            // listed.
            Err(error) => {
                let unread = Some(error.raw_os_error().unwrap_or(libc::EIO));
                return Some((ThreadInfo { tid, unread, ..ThreadInfo::default() }, None));
            }
        };
        // A running thread is not waiting: the calling thread is in the `read` of this very file.
        let is_running = stat.state == 'R' || tid == current_tid();
        let at_rest = at_rest.filter(|_| !is_running);
        let blocked = rest.as_ref().ok().copied().flatten();
        let call = blocked.and_then(|rest| rest.call);
        let facts = Facts::from(&stat);
        let mut thread = self.describe(tid, facts, blocked.filter(|_| !is_running));
        if self.clocks_are_precise {
            // Of one that is not blocked, the clock has not been read.
            let time = blocked.map(|rest| rest.moment().cpu_time()).or_else(|| scheduler::cpu_time(tid).ok());
            thread.cpu_us = time.map(|time| time / 1_000);
        }
        thread.policy = stat.policy.map(procfs::policy_in_words);
        thread.is_kernels = stat.is_kernels;
        thread.target_unread = target_unread.filter(|_| !is_running);
        thread.access = match at_rest {
            Some(rest) => Access::AtRest(rest),
            None => self.skip_reason(tid, &stat, call, rest.is_err()).map_or(Access::BySignal, Access::Skip),
        };
        let known = at_rest.zip(Name::new(&stat.name));
        thread.name = stat.name;
        Some((thread, known.map(|(rest, name)| Known { tid, rest, facts, name, since: Instant::now() })))
    }

    /// A thread that has not run since it was read. Its scheduling policy is read again: an
    /// operator can change it meanwhile.
    ///
    /// Its name is kept. A thread changes it by running, except where another thread writes to its
    /// `comm` file: then the old name is shown until the thread runs. Reading that file takes as
    /// long as everything else about a thread that has not run.
    fn unchanged(&mut self, rest: Rest, &Known { tid, facts, name, since, .. }: &Known) -> ThreadInfo {
        let policy = scheduler::policy(tid).or_else(|| Stat::of_thread(self.directory(), tid).ok()?.policy);
        let policy = policy.map(procfs::policy_in_words);
        let (name, access) = (name.as_str().to_owned(), Access::AtRest(rest));
        let at_rest_ms = u64::try_from(self.began.duration_since(since).as_millis()).ok();
        let cpu_us = Some(rest.moment().cpu_time() / 1_000);
        ThreadInfo { name, cpu_us, policy, at_rest_ms, access, ..self.describe(tid, facts, Some(rest)) }
    }

    /// What does not change while the thread does not run, and what it waits for.
    fn describe(&mut self, tid: u32, facts: Facts, rest: Option<Rest>) -> ThreadInfo {
        let waiting = rest.and_then(|rest| {
            waits::describe(&mut self.observer, tid, &rest, self.clocks_are_precise, facts.state == 'D')
        });
        ThreadInfo {
            tid,
            state: Some(procfs::state_in_words(facts.state)),
            cpu_user_ms: Some(procfs::ticks_to_ms(facts.user_ticks)),
            cpu_system_ms: Some(procfs::ticks_to_ms(facts.system_ticks)),
            started_at: self.started_at(facts.start_ticks),
            last_cpu: facts.processor,
            waiting,
            ..ThreadInfo::default()
        }
    }

    fn started_at(&self, ticks: u64) -> Option<String> {
        let after_boot = Duration::from_millis(procfs::ticks_to_ms(ticks));
        timestamp(self.boot?.checked_add(after_boot)?)
    }

    /// Why the capture signal must not be sent to the thread. `call_unreadable` is whether its
    /// system call could not be read: the kernel refuses that to a process that dropped its
    /// privileges and is not dumpable.
    fn skip_reason(
        &mut self,
        tid: u32,
        stat: &Stat,
        call: Option<syscalls::Call>,
        call_unreadable: bool,
    ) -> Option<String> {
        if matches!(stat.state, 'Z' | 'X' | 'x') {
            return Some("it has exited".into());
        }
        if stat.is_kernels {
            return Some(
                "a thread of the kernel, such as a worker of io_uring, has no stack in the program".into(),
            );
        }
        // While a thread waits for signals, the kernel unblocks those signals, so its mask does not
        // show them. The capture signal would end the wait, or be mistaken for one of the
        // program's.
        let waits = call.is_some_and(syscalls::Call::waits_for_signals)
            || (call_unreadable && stat.state == 'S' && self.may_wait_for_signals(tid));
        if waits {
            return Some("blocked in sigwait; it would consume the capture signal".into());
        }
        if call.is_some_and(syscalls::Call::replaces_the_program) {
            return Some("in execve; another program is replacing this one".into());
        }
        // The full mask of 64 signals is in another file, as are filters.
        let signal = self.capture_signal?;
        let status = match Status::of_thread(self.directory(), tid) {
            Ok(status) => status,
            Err(error) if has_ended(&error) => return None,
            Err(error) => return Some(format!("what it blocks could not be read: {error}")),
        };
        if sandbox::has_others(&status) {
            return Some(
                "a seccomp filter of its own may not allow the system calls of the capture signal's handler"
                    .into(),
            );
        }
        status.blocks(signal).then(|| format!("it blocks the capture signal ({signal})"))
    }

    /// Decides by the kernel function that the thread sleeps in. If that cannot be read either, the
    /// answer is yes.
    fn may_wait_for_signals(&mut self, tid: u32) -> bool {
        let function = self.directory().read_of(tid, "wchan");
        function.map_or(true, |name| name.trim() == "0" || name.contains("sigtimedwait"))
    }
}

/// The time in RFC 3339's format. `None` outside the years 1970 to 9999, which it cannot express:
/// where the clock was set back to 1970, the time of boot lies before that.
fn timestamp(time: SystemTime) -> Option<String> {
    const YEAR_10000: u64 = 253_402_300_800;
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    (since.as_secs() < YEAR_10000).then(|| humantime::format_rfc3339_seconds(time).to_string())
}

fn has_ended(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::sys::linux::signal_masks;
    use crate::threads::linux::testing::thread_that;

    /// Takes the place of the capture signal.
    const CAPTURE_SIGNAL: i32 = 40;

    /// Lists threads until this one waits as the test expects.
    fn waiting_for(tid: u32, expected: impl Fn(&crate::model::Waiting) -> bool) -> ThreadInfo {
        loop {
            let threads = list(Some(CAPTURE_SIGNAL)).unwrap();
            let thread = threads.into_iter().find(|thread| thread.tid == tid).unwrap();
            if thread.waiting.as_ref().is_some_and(&expected) {
                return thread;
            }
            thread::yield_now();
        }
    }

    #[test]
    fn a_reader_of_a_pipe_is_seen_reading_it() {
        use std::io::Read;
        use std::os::fd::AsRawFd;
        let (mut reader, _writer) = io::pipe().unwrap();
        let descriptor = reader.as_raw_fd();
        let tid = thread_that(move || drop(reader.read(&mut [0])));
        let thread = waiting_for(tid, |waiting| waiting.call == "read");
        let waiting = thread.waiting.unwrap();
        assert_eq!(waiting.descriptor, Some(descriptor));
        assert!(waiting.target.unwrap().starts_with("pipe:["));
        assert!(matches!(thread.access, Access::AtRest(_)));
        assert!(thread.started_at.unwrap().ends_with('Z'));
        assert_eq!(thread.policy.as_deref(), Some("other"));
    }

    #[test]
    fn threads_that_wait_on_one_lock_are_counted() {
        use std::sync::Mutex;
        static LOCK: Mutex<()> = Mutex::new(());
        let _held = LOCK.lock().unwrap();
        let tids: Vec<u32> = (0..3).map(|_| thread_that(|| drop(LOCK.lock()))).collect();
        let thread = waiting_for(tids[0], |waiting| waiting.futex_others == 2);
        assert_eq!(thread.waiting.unwrap().call, "futex");
    }

    #[test]
    fn a_thread_that_blocks_only_the_capture_signal_is_skipped() {
        use std::io::Read;
        let tid = thread_that(|| {
            signal_masks::block(CAPTURE_SIGNAL);
            let (mut reader, _writer) = io::pipe().unwrap();
            drop(reader.read(&mut [0]));
        });
        waiting_for(tid, |waiting| waiting.call == "read");
        let reason = skip_reason(tid, Some(CAPTURE_SIGNAL)).unwrap();
        assert!(reason.starts_with("it blocks the capture signal"), "{reason}");
        let open = parked();
        waiting_for(open, |waiting| waiting.call == "futex");
        assert_eq!(skip_reason(open, Some(CAPTURE_SIGNAL)), None);
    }

    fn parked() -> u32 {
        thread_that(|| {
            loop {
                thread::park();
            }
        })
    }

    /// A thread that blocks again each time it is woken.
    fn listener() -> (u32, mpsc::Sender<()>) {
        let (wake, woken) = mpsc::channel();
        (thread_that(move || while woken.recv().is_ok() {}), wake)
    }

    fn rest_of(thread: &ThreadInfo) -> Rest {
        let Access::AtRest(rest) = thread.access else { panic!("{thread:?}") };
        rest
    }

    fn rename(tid: u32, name: &str) {
        std::fs::write(format!("/proc/self/task/{tid}/comm"), name).unwrap();
    }

    #[test]
    fn what_is_known_of_a_thread_is_kept_until_it_runs() {
        let (tid, wake) = listener();
        let mut before = waiting_for(tid, |_| true);
        // It may have been on its way.
        let thread = loop {
            let thread = waiting_for(tid, |waiting| waiting.call == "futex");
            if rest_of(&thread) == rest_of(&before) {
                break thread;
            }
            before = thread;
        };
        rename(tid, "of another");
        let again = waiting_for(tid, |_| true);
        assert_eq!(rest_of(&again), rest_of(&thread), "it has not run");
        let facts = |thread: &ThreadInfo| {
            // When it started is told from the time of boot, which the clock's hundredths round.
            let thread = ThreadInfo { started_at: None, at_rest_ms: None, ..thread.clone() };
            let thread = ThreadInfo { access: Access::BySignal, ..thread };
            format!("{thread:?}")
        };
        assert_eq!(facts(&again), facts(&thread));
        while waiting_for(tid, |_| true).at_rest_ms.is_none_or(|time| time == 0) {
            thread::yield_now();
        }
        wake.send(()).unwrap();
        while waiting_for(tid, |_| true).name != "of another" {
            thread::yield_now();
        }
        assert_eq!(info(tid, None).name, "of another");
    }

    #[test]
    fn nothing_is_kept_of_an_earlier_thread_with_the_same_id() {
        let (tid, _wake) = listener();
        rename(tid, "real");
        waiting_for(tid, |waiting| waiting.call == "futex");
        let mut reader = Reader::new(None, None).unwrap();
        let mut read = |inode, known: Option<&Known>| {
            let (thread, known) = reader.read((tid, inode), known).unwrap();
            (thread.name, known.unwrap())
        };
        let (name, known) = loop {
            let (first, second) = (read(7, None), read(7, None));
            if first.1.rest.moment() == second.1.rest.moment() {
                break second;
            }
        };
        assert_eq!(name, "real");
        let known = Known { name: Name::new("kept").unwrap(), ..known };
        assert_eq!(read(7, Some(&known)).0, "kept");
        assert_eq!(read(8, Some(&known)).0, "real");
    }

    #[test]
    fn times_that_cannot_be_written_are_missing() {
        let hour = Duration::from_hours(1);
        assert_eq!(timestamp(UNIX_EPOCH + hour).as_deref(), Some("1970-01-01T01:00:00Z"));
        assert_eq!(timestamp(UNIX_EPOCH - hour), None);
        assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(253_402_300_800)), None);
    }

    #[test]
    fn this_thread_is_running_and_waits_for_nothing() {
        assert_eq!(info(current_tid(), None).waiting, None);
        assert_eq!(info(0, None).state, None);
    }
}
