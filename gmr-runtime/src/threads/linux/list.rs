//! Lists the threads of this process: name, state, CPU time, what each is waiting for, and whether
//! it may be signalled.
//!
//! All of it is read before any thread is signalled, because a signalled thread shows up as
//! running.

use std::collections::HashMap;
use std::io;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{descriptors, syscalls};
use crate::sys::own_threads;
use crate::sys::procfs::{self, Directory, Stat, Status};
use crate::threads::ThreadInfo;

/// All threads. A thread that exits while it is being read is left out. `capture_signal` is the
/// signal that stacks are captured with.
pub(crate) fn list(capture_signal: Option<i32>) -> io::Result<Vec<ThreadInfo>> {
    let tids = procfs::ids("/proc/self/task")?;
    let boot = boot();
    let (half, rest) = tids.split_at(if tids.len() < PARALLEL_FROM { tids.len() } else { tids.len() / 2 });
    let mut threads = thread::scope(|scope| {
        let other = (!rest.is_empty()).then(|| {
            own_threads::spawn_scoped(scope, "gmr section", move || read_all(rest, boot, capture_signal))
        });
        let mut threads = read_all(half, boot, capture_signal)?;
        threads.extend(match other {
            None => Vec::new(),
            Some(Ok(thread)) => thread.join().unwrap_or_else(|_| read_all(rest, boot, capture_signal))?,
            // No second thread can be started: read the rest on this one.
            Some(Err(_)) => read_all(rest, boot, capture_signal)?,
        });
        io::Result::Ok(threads)
    })?;
    count_others(&mut threads);
    descriptors::describe(&mut threads);
    Ok(threads)
}

/// From this many threads on, a second one helps to read them. Reading one takes some six
/// microseconds, starting a thread about sixty.
const PARALLEL_FROM: usize = 64;

fn read_all(
    tids: &[u32],
    boot: Option<SystemTime>,
    capture_signal: Option<i32>,
) -> io::Result<Vec<ThreadInfo>> {
    let mut reader = Reader::new(boot, capture_signal)?;
    Ok(tids.iter().filter_map(|&tid| reader.read(tid)).collect())
}

/// The wall-clock time at which the machine booted.
fn boot() -> Option<SystemTime> {
    let since = Duration::try_from_secs_f64(procfs::seconds_since_boot()?).ok()?;
    SystemTime::now().checked_sub(since)
}

/// One thread. Fields that cannot be read are missing.
pub(crate) fn info(tid: u32, capture_signal: Option<i32>) -> ThreadInfo {
    let read = Reader::new(boot(), capture_signal).ok().and_then(|mut reader| reader.read(tid));
    read.unwrap_or_else(|| ThreadInfo { tid, ..ThreadInfo::default() })
}

struct Reader {
    directory: Directory,
    boot: Option<SystemTime>,
    capture_signal: Option<i32>,
}

impl Reader {
    fn new(boot: Option<SystemTime>, capture_signal: Option<i32>) -> io::Result<Self> {
        Ok(Self { directory: Directory::open("/proc/self/task")?, boot, capture_signal })
    }

    fn read(&mut self, tid: u32) -> Option<ThreadInfo> {
        let stat = match Stat::of_thread(&mut self.directory, tid) {
            Ok(stat) => stat,
            Err(error) if has_ended(&error) => return None,
            // The thread exists but cannot be read (no free descriptor, for example): it stays
            // listed.
            Err(_) => return Some(ThreadInfo { tid, ..ThreadInfo::default() }),
        };
        let syscall = self.directory.read(&format!("{tid}/syscall")).map(|text| syscalls::parse(&text));
        let (call, call_unreadable) = (syscall.as_ref().ok().copied().flatten(), syscall.is_err());
        // A running thread is not waiting: the calling thread is in the `read` of this very file.
        let mut waiting = call.filter(|_| stat.state != 'R').map(syscalls::Call::describe);
        if let Some(waiting) = waiting.as_mut().filter(|_| stat.state == 'D') {
            let function = self.directory.read(&format!("{tid}/wchan"));
            waiting.kernel_function =
                function.ok().map(|name| name.trim().to_owned()).filter(|name| name != "0");
        }
        Some(ThreadInfo {
            tid,
            state: Some(stat.state_in_words()),
            cpu_user_ms: Some(procfs::ticks_to_ms(stat.user_ticks)),
            cpu_system_ms: Some(procfs::ticks_to_ms(stat.system_ticks)),
            started_at: self.started_at(&stat),
            policy: stat.policy_in_words(),
            last_cpu: stat.processor,
            waiting,
            skip_reason: self.skip_reason(tid, &stat, call, call_unreadable),
            name: stat.name,
        })
    }

    fn started_at(&self, stat: &Stat) -> Option<String> {
        let after_boot = Duration::from_millis(procfs::ticks_to_ms(stat.start_ticks));
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
        // The full mask of 64 signals is in another file, which takes as long to read as the two
        // before. A thread that blocks only real-time signals is about to fetch them with a system
        // call; a thread that waits for a lock or a timeout is not.
        let idle = call.is_some_and(syscalls::Call::waits_for_lock_or_time);
        let signal = self.capture_signal.filter(|_| stat.blocks_some || !idle)?;
        let status = Status::of_thread(&mut self.directory, tid).ok()?;
        status.blocks(signal).then(|| format!("it blocks the capture signal ({signal})"))
    }

    /// Decides by the kernel function that the thread sleeps in. If that cannot be read either, the
    /// answer is yes.
    fn may_wait_for_signals(&mut self, tid: u32) -> bool {
        let function = self.directory.read(&format!("{tid}/wchan"));
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

/// Sets, for each thread that waits on a futex, how many others wait on the same one.
fn count_others(threads: &mut [ThreadInfo]) {
    let futex = |thread: &ThreadInfo| thread.waiting.as_ref()?.futex;
    let mut waiters: HashMap<u64, usize> = HashMap::new();
    for address in threads.iter().filter_map(futex) {
        *waiters.entry(address).or_default() += 1;
    }
    for waiting in threads.iter_mut().filter_map(|thread| thread.waiting.as_mut()) {
        waiting.futex_others = waiting.futex.map_or(0, |address| waiters[&address] - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::sys::current_tid;
    use crate::sys::linux::signal_masks;

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

    fn thread_that(wait: impl FnOnce() + Send + 'static) -> u32 {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            sender.send(current_tid()).unwrap();
            wait();
        });
        receiver.recv().unwrap()
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
        assert_eq!(thread.skip_reason, None);
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
        let thread = waiting_for(tid, |waiting| waiting.call == "read");
        assert!(thread.skip_reason.unwrap().starts_with("it blocks the capture signal"));
        let open = thread_that(|| {
            loop {
                thread::park();
            }
        });
        assert_eq!(waiting_for(open, |waiting| waiting.call == "futex").skip_reason, None);
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
