//! The threads of this process, as the kernel describes them: what they are, what they wait for, and whether they may be signalled.
//!
//! All of it is read before any thread is asked for its stack; afterwards the kernel would say that it was running.

use std::collections::HashMap;
use std::io;
use std::thread;
use std::time::{Duration, SystemTime};

use super::{descriptors, syscalls};
use crate::sys::own_threads;
use crate::sys::procfs::{self, Directory, Stat, Status};
use crate::threads::ThreadInfo;

/// Every thread. One that exits while it is being read is left out: it is none any more. `private` is the signal that threads are asked for their stacks with.
pub(crate) fn list(private: Option<i32>) -> io::Result<Vec<ThreadInfo>> {
    let tids = procfs::ids("/proc/self/task")?;
    let boot = boot();
    let (half, rest) = tids.split_at(if tids.len() < WORTH_A_THREAD { tids.len() } else { tids.len() / 2 });
    let mut tasks = thread::scope(|scope| {
        let other = (!rest.is_empty())
            .then(|| own_threads::spawn_scoped(scope, "gmr section", move || read_all(rest, boot, private)));
        let mut tasks = read_all(half, boot, private)?;
        tasks.extend(match other {
            None => Vec::new(),
            Some(Ok(thread)) => thread.join().unwrap_or_else(|_| read_all(rest, boot, private))?,
            // No thread to be had: then one after the other.
            Some(Err(_)) => read_all(rest, boot, private)?,
        });
        io::Result::Ok(tasks)
    })?;
    count_others(&mut tasks);
    descriptors::describe(&mut tasks);
    Ok(tasks)
}

/// Reading what the kernel tells of a thread takes some six microseconds, starting a thread to do half of it about sixty.
const WORTH_A_THREAD: usize = 64;

fn read_all(tids: &[u32], boot: Option<SystemTime>, private: Option<i32>) -> io::Result<Vec<ThreadInfo>> {
    let mut reader = Reader::new(boot, private)?;
    Ok(tids.iter().filter_map(|&tid| reader.read(tid)).collect())
}

/// When the machine was started, by the clock that people read.
fn boot() -> Option<SystemTime> {
    let since = Duration::try_from_secs_f64(procfs::seconds_since_boot()?).ok()?;
    SystemTime::now().checked_sub(since)
}

/// One thread; what cannot be read of it is missing.
pub(crate) fn info(tid: u32, private: Option<i32>) -> ThreadInfo {
    let read = Reader::new(boot(), private).ok().and_then(|mut reader| reader.read(tid));
    read.unwrap_or_else(|| ThreadInfo { tid, ..ThreadInfo::default() })
}

struct Reader {
    directory: Directory,
    boot: Option<SystemTime>,
    private: Option<i32>,
}

impl Reader {
    fn new(boot: Option<SystemTime>, private: Option<i32>) -> io::Result<Self> {
        Ok(Self { directory: Directory::open("/proc/self/task")?, boot, private })
    }

    fn read(&mut self, tid: u32) -> Option<ThreadInfo> {
        let stat = match Stat::of_task(&mut self.directory, tid) {
            Ok(stat) => stat,
            Err(error) if has_ended(&error) => return None,
            // It is there, and cannot be described: no descriptor left, for example. It keeps its place.
            Err(_) => return Some(ThreadInfo { tid, ..ThreadInfo::default() }),
        };
        let told = self.directory.read(&format!("{tid}/syscall")).map(|text| syscalls::parse(&text));
        let (call, untold) = (told.as_ref().ok().copied().flatten(), told.is_err());
        // This very thread is in the call that reads the file.
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
            skip_reason: self.skip_reason(tid, &stat, call, untold),
            name: stat.name,
        })
    }

    fn started_at(&self, stat: &Stat) -> Option<String> {
        let after_boot = Duration::from_millis(procfs::ticks_to_ms(stat.start_ticks));
        Some(humantime::format_rfc3339_seconds(self.boot? + after_boot).to_string())
    }

    /// Why the thread must not be sent the private signal. `untold` is whether its system call could not be read: the kernel refuses it to a process that has given up its rights and
    /// may not be traced.
    fn skip_reason(
        &mut self,
        tid: u32,
        stat: &Stat,
        call: Option<syscalls::Call>,
        untold: bool,
    ) -> Option<String> {
        // While it waits, the kernel unblocks the signals that it waits for, so its mask does not tell: ours would end the wait, or be taken for one of the
        // program's.
        let waits = call.is_some_and(syscalls::Call::waits_for_signals)
            || (untold && stat.state == 'S' && self.may_wait_for_signals(tid));
        if waits {
            return Some(
                "it waits for signals, and would take the one that stacks are taken with for its own".into(),
            );
        }
        if call.is_some_and(syscalls::Call::leaves_the_program) {
            return Some("it is becoming another program".into());
        }
        // The mask of all 64 signals is in another file, which takes as long as the two before. Who blocks real-time signals and no others is about to take them from a queue of the kernel's;
        // a thread that waits for a lock or for time to pass is not.
        let rests = call.is_some_and(syscalls::Call::rests);
        let signal = self.private.filter(|_| stat.blocks_some || !rests)?;
        let status = Status::of_task(&mut self.directory, tid).ok()?;
        status.blocks(signal).then(|| format!("it blocks signal {signal}, which stacks are taken with"))
    }

    /// By the function of the kernel that it sleeps in; where that is not told either, it may.
    fn may_wait_for_signals(&mut self, tid: u32) -> bool {
        let function = self.directory.read(&format!("{tid}/wchan"));
        function.map_or(true, |name| name.trim() == "0" || name.contains("sigtimedwait"))
    }
}

fn has_ended(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

/// Tells each thread that waits on a futex how many others wait on the same one.
fn count_others(tasks: &mut [ThreadInfo]) {
    let futex = |task: &ThreadInfo| task.waiting.as_ref()?.futex;
    let mut waiters: HashMap<u64, usize> = HashMap::new();
    for address in tasks.iter().filter_map(futex) {
        *waiters.entry(address).or_default() += 1;
    }
    for waiting in tasks.iter_mut().filter_map(|task| task.waiting.as_mut()) {
        waiting.futex_others = waiting.futex.map_or(0, |address| waiters[&address] - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::sys::current_tid;
    use crate::sys::linux::signal_masks;

    /// A signal that stands for the private one.
    const PRIVATE: i32 = 40;

    /// Reads until a thread's wait is as the test expects it: it has to get there first.
    fn waiting_for(tid: u32, expected: impl Fn(&crate::model::Waiting) -> bool) -> ThreadInfo {
        loop {
            let tasks = list(Some(PRIVATE)).unwrap();
            let task = tasks.into_iter().find(|task| task.tid == tid).unwrap();
            if task.waiting.as_ref().is_some_and(&expected) {
                return task;
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
        let task = waiting_for(tid, |waiting| waiting.call == "read");
        let waiting = task.waiting.unwrap();
        assert_eq!(waiting.descriptor, Some(descriptor));
        assert!(waiting.target.unwrap().starts_with("pipe:["));
        assert_eq!(task.skip_reason, None);
        assert!(task.started_at.unwrap().ends_with('Z'));
        assert_eq!(task.policy.as_deref(), Some("other"));
    }

    #[test]
    fn those_who_wait_on_one_lock_are_counted() {
        use std::sync::Mutex;
        static LOCK: Mutex<()> = Mutex::new(());
        let _held = LOCK.lock().unwrap();
        let tids: Vec<u32> = (0..3).map(|_| thread_that(|| drop(LOCK.lock()))).collect();
        let task = waiting_for(tids[0], |waiting| waiting.futex_others == 2);
        assert_eq!(task.waiting.unwrap().call, "futex");
    }

    #[test]
    fn one_that_blocks_no_other_signal_than_ours_is_left_alone() {
        use std::io::Read;
        let tid = thread_that(|| {
            signal_masks::block(PRIVATE);
            let (mut reader, _writer) = io::pipe().unwrap();
            drop(reader.read(&mut [0]));
        });
        let task = waiting_for(tid, |waiting| waiting.call == "read");
        assert!(task.skip_reason.unwrap().starts_with("it blocks signal"));
        let open = thread_that(|| {
            loop {
                thread::park();
            }
        });
        assert_eq!(waiting_for(open, |waiting| waiting.call == "futex").skip_reason, None);
    }

    #[test]
    fn this_thread_is_running_and_waits_for_nothing() {
        assert_eq!(info(current_tid(), None).waiting, None);
        assert_eq!(info(0, None).state, None);
    }
}
