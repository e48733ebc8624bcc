//! A thread that sleeps until a signal is not answered in time, and what it writes then.

mod code;
mod output;

use std::ffi::CStr;
use std::fmt::{self, Write};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};

use self::code::{CodeMap, Memory};
use self::output::Output;
use crate::capture;
use crate::sinks::Stderr;
use crate::sys::linux::mappings_are_left;
use crate::sys::linux::pages::Pagemap;
use crate::sys::report_signal::Arrivals;
use crate::sys::short::Short;
use crate::sys::{self, Modules, Purpose, deadline, own_threads};
use crate::threads::linux::call_name;
use crate::trigger::Outbox;

/// How long this thread sleeps at a time while it waits for the reporter. The waits below are
/// counts of that: on a machine on which threads wait for a CPU, this one does, too, so that it
/// does not take a reporter for stuck that has had no chance to run. Under a quota of CPU time it is
/// longer: this thread, which needs next to none, has its turn long before the reporter has.
const ROUND: Duration = Duration::from_millis(200);
/// How long the reporter may take to begin a report: to make its heading. An idle machine takes
/// less than a millisecond for that.
const BEGIN_WITHIN: u32 = 15;
/// How long a report that has begun may take before a signal that arrived meanwhile is answered. It
/// has deadlines of its own, which together are less, even where the kernel withholds the CPU.
const MAKE_WITHIN: u32 = 300;
/// How long the output of a report may take before a signal that arrived meanwhile is answered. It
/// has a deadline of 60 seconds, after 10 for a file, and this one would be in the middle of it.
/// But the thread that writes it can be stuck forever, between two pieces or after the last one.
const WRITE_WITHIN: u32 = 375;
/// The same when the reporter is known to be stuck.
const STUCK: u32 = 1;

/// How long another thread may be writing a report: that of another copy of gmr in this process, or
/// one that is stuck in the middle of it.
const OUTPUT_OF_OTHERS: Duration = Duration::from_secs(1);

/// How much memory a whole report may need. With less, threads may not start, and an allocation
/// that fails would abort the process. A report of a small program needs a tenth of it.
const NEEDED: usize = 64 << 20;
/// For how many pairs of mappings there must be space: those of the threads of a report, which have
/// up to three each.
const MAPPINGS: usize = 32;

/// Whether there is memory for a whole report.
pub(crate) fn has_memory() -> bool {
    sys::memory_is_left(NEEDED) && mappings_are_left(MAPPINGS)
}

/// Starts the thread. `package` makes what the report has of the section, as lines. `ready` is
/// called when the thread has all that it needs.
///
/// # Errors
/// The operating system can't start a thread.
pub(crate) fn start(
    outbox: &Outbox,
    package: impl Fn() -> String + Send + Sync + 'static,
    next_number: fn() -> u64,
    ready: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let arrivals = outbox.arrivals();
    let stderr = Stderr::new();
    own_threads::spawn("gmr emergency", move || {
        capture::shield_thread(None);
        let (package, modules, round) =
            sys::with_files(|| (package(), Modules::load(), deadline::under_quota(ROUND)));
        let mut report = Emergency::new(package, modules, stderr);
        arrivals.set_watched();
        ready();
        watch(&arrivals, round, |reason| report.write(next_number(), reason));
    })
}

/// Calls `report` with the reason whenever the reporter does not answer a signal in time, or leaves
/// it to this thread. Returns when the reporter ends.
fn watch(arrivals: &Arc<Arrivals>, round: Duration, mut report: impl FnMut(&str)) {
    // How many signals had arrived, and how far the reporter was, at the last such report.
    let (mut answered, mut stuck_at) = (0, None);
    loop {
        let seen = arrivals.seen();
        if arrivals.is_closed() {
            return;
        }
        let state = arrivals.progress();
        if arrivals.take_declined() {
            report("too little memory is left for a whole report, or the kernel refuses to map any");
            answered = state.signals;
            continue;
        }
        if state.signals <= state.begun.max(answered) {
            arrivals.wait(seen, None);
            continue;
        }
        let is_writing = arrivals.is_writing();
        let (rounds, reason) = match state.step {
            step if stuck_at == Some(step) => (STUCK, "the reporter is still stuck"),
            _ if is_writing => (WRITE_WITHIN, "the output of the report before this one does not end"),
            step if step % 2 == 1 => (MAKE_WITHIN, "the report before this one does not end"),
            _ => (BEGIN_WITHIN, "the report did not begin; a stuck thread may hold a lock of the allocator"),
        };
        // The end of an output counts as a step, so one that ends during this wait is noticed. One
        // that has begun meanwhile gets its own time.
        let goes_on = (0..rounds).any(|_| arrivals.wait_for_step(state.step, round));
        if !goes_on && (is_writing || !arrivals.is_writing()) {
            report(reason);
            (answered, stuck_at) = (state.signals, Some(state.step));
        }
    }
}

/// How much of a thread's stack is searched for return addresses.
const STACK: usize = 8 << 10;
/// The most return addresses that are written for a thread.
const MAX_ADDRESSES: usize = 48;

/// The report, and all memory that it takes.
struct Emergency {
    package: String,
    stderr: Stderr,
    code: CodeMap,
    output: Box<[u8; 8 << 10]>,
    file: Box<[u8; 8 << 10]>,
    entries: Box<[MaybeUninit<u8>; 8 << 10]>,
    stack: Box<[u8; STACK]>,
}

impl Emergency {
    fn new(package: String, modules: Modules, stderr: Stderr) -> Self {
        Self {
            package,
            stderr,
            code: CodeMap::new(modules),
            output: Box::new([0; 8 << 10]),
            file: Box::new([0; 8 << 10]),
            entries: Box::new([MaybeUninit::uninit(); 8 << 10]),
            stack: Box::new([0; STACK]),
        }
    }

    fn write(&mut self, number: u64, reason: &str) {
        let Self { package, stderr, code, output, file, entries, stack } = self;
        // The reporter may hold this claim, and be stuck.
        let _output = sys::claim(Purpose::Output, OUTPUT_OF_OTHERS, || ());
        // If the last report was not written, this one cannot mention that.
        stderr.begin();
        code.read(&mut file[..]);
        let pagemap =
            openat(CWD, "/proc/thread-self/pagemap", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let pagemap = pagemap.ok().map(Pagemap::new);
        let mut output = Output::new(stderr, &mut output[..]);
        let memory = Memory { code, pagemap: pagemap.as_ref() };
        let mut threads = Threads { memory, file: &mut file[..], stack: &mut stack[..] };
        // The output returns no errors.
        let _ = heading(&mut output, number, reason, package)
            .and_then(|()| threads.write(&mut output, &mut entries[..]))
            .and_then(|()| writeln!(output, "\n==== Code ====\n{}", threads.memory.code))
            .and_then(|()| writeln!(output, "==== end of emergency report {number} ===="));
        output.flush();
    }
}

fn heading(output: &mut Output<'_>, number: u64, reason: &str, package: &str) -> fmt::Result {
    writeln!(output, "\n==== Guru Meditation: emergency report {number} ====")?;
    let now = SystemTime::now();
    if now > SystemTime::UNIX_EPOCH {
        writeln!(output, "made_at = {}", humantime::format_rfc3339_seconds(now))?;
    }
    writeln!(output, "pid = {}\nreason = {reason}", std::process::id())?;
    writeln!(output, "missing = all other sections, stacks by the unwind tables, names of functions")?;
    writeln!(output, "\n==== Package ====\n{package}")
}

struct Threads<'a> {
    memory: Memory<'a>,
    file: &'a mut [u8],
    stack: &'a mut [u8],
}

impl Threads<'_> {
    fn write(&mut self, output: &mut Output<'_>, entries: &mut [MaybeUninit<u8>]) -> fmt::Result {
        writeln!(output, "\n==== Threads ====")?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = match openat(CWD, "/proc/self/task", flags, Mode::empty()) {
            Ok(directory) => directory,
            Err(error) => return writeln!(output, "could not be listed: {error:?}"),
        };
        let mut list = RawDir::new(&directory, entries);
        while let Some(entry) = list.next() {
            match entry {
                Ok(entry) if entry.file_name().to_bytes().first().is_some_and(u8::is_ascii_digit) => {
                    self.thread(output, &directory, entry.file_name())?;
                }
                Ok(_) => {}
                Err(error) => return writeln!(output, "not all of them could be listed: {error:?}"),
            }
        }
        Ok(())
    }

    fn thread(&mut self, output: &mut Output<'_>, directory: &OwnedFd, tid: &CStr) -> fmt::Result {
        let tid = tid.to_str().unwrap_or_default();
        let comm = read(directory, tid, "comm", self.file);
        write!(output, "{tid} \"{}\"", comm.strip_suffix(b"\n").unwrap_or(comm).escape_ascii())?;
        let stat = read(directory, tid, "stat", self.file);
        let state = stat.iter().rposition(|byte| *byte == b')').and_then(|end| stat.get(end + 2));
        write!(output, " state {}", char::from(*state.unwrap_or(&b'?')))?;
        let line = str::from_utf8(read(directory, tid, "syscall", self.file)).unwrap_or_default();
        let number = line.split(' ').next().and_then(|number| number.parse().ok());
        match number.map(|number: i64| (number, call_name(number))) {
            Some((_, Some(name))) => write!(output, ", in the system call {name}")?,
            Some((number @ 0.., None)) => write!(output, ", in the system call {number}")?,
            _ => {}
        }
        let Some((sp, ip)) = registers(line) else { return writeln!(output) };
        writeln!(output, "\n  at {}", self.memory.code.at(ip))?;
        self.return_addresses(output, sp)
    }

    /// The words on the stack that a call has left there. Without the unwind tables, nothing tells
    /// those of calls that have returned from the others.
    fn return_addresses(&mut self, output: &mut Output<'_>, sp: u64) -> fmt::Result {
        let copied = self.memory.read(sp, self.stack);
        let words = self.stack[..copied].as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word));
        let mut addresses =
            words.filter(|word| self.memory.is_after_call(*word)).take(MAX_ADDRESSES).peekable();
        if addresses.peek().is_some() {
            writeln!(output, "  return addresses on its stack, maybe some of earlier calls:")?;
        }
        addresses.try_for_each(|address| writeln!(output, "    {}", self.memory.code.at(address)))
    }
}

/// The stack pointer and the instruction pointer of a thread that is blocked: the last words of the
/// kernel's line.
fn registers(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_ascii_whitespace().rev();
    let mut register = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
    let (ip, sp) = (register()?, register()?);
    (sp != 0).then_some((sp, ip))
}

/// The beginning of a file below the directory of threads; empty if it cannot be read.
fn read<'a>(directory: &OwnedFd, tid: &str, name: &str, buffer: &'a mut [u8]) -> &'a [u8] {
    let mut path = Short::<64>::default();
    let _ = write!(path, "{tid}/{name}");
    let file = openat(directory, path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let length = file.and_then(|file| rustix::io::read(file, &mut *buffer)).unwrap_or(0);
    &buffer[..length]
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// Runs the watch with these rounds. Returns the reasons of the reports that it makes.
    fn watched(arrivals: &Arc<Arrivals>, round: Duration) -> mpsc::Receiver<String> {
        let (sender, reasons) = mpsc::channel();
        let arrivals = Arc::clone(arrivals);
        thread::spawn(move || watch(&arrivals, round, |reason| sender.send(reason.to_owned()).unwrap()));
        reasons
    }

    #[test]
    #[cfg_attr(miri, ignore = "it waits in the kernel")]
    fn a_signal_that_is_not_answered_is_reported_and_one_that_is_answered_is_not() {
        const ROUND: Duration = Duration::from_millis(50);
        let arrivals = Arc::new(Arrivals::new());
        let reasons = watched(&arrivals, ROUND);
        arrivals.record_sender(None);
        arrivals.begun(arrivals.take().count());
        arrivals.ended();
        assert!(reasons.recv_timeout(ROUND * (BEGIN_WITHIN + 1)).is_err(), "it was answered");
        arrivals.record_sender(None);
        assert!(reasons.recv().unwrap().contains("did not begin"));
        arrivals.record_sender(None);
        assert!(reasons.recv().unwrap().contains("still stuck"));
        arrivals.decline();
        assert!(reasons.recv().unwrap().contains("memory"));
        arrivals.close(None);
        assert!(reasons.recv().is_err(), "it ends with the reporter");
    }

    #[test]
    #[cfg_attr(miri, ignore = "it waits in the kernel")]
    fn an_output_that_does_not_end_is_waited_for_but_not_forever() {
        const ROUND: Duration = Duration::from_millis(10);
        let arrivals = Arc::new(Arrivals::new());
        let reasons = watched(&arrivals, ROUND);
        arrivals.record_sender(None);
        arrivals.begun(arrivals.take().count());
        arrivals.output_begins();
        arrivals.ended();
        arrivals.record_sender(None);
        let early = reasons.recv_timeout(ROUND * (BEGIN_WITHIN + 1));
        assert!(early.is_err(), "it would be in the middle of a report: {early:?}");
        assert!(reasons.recv().unwrap().contains("output"));
        arrivals.record_sender(None);
        assert!(reasons.recv().unwrap().contains("still stuck"));
        arrivals.close(None);
        assert!(reasons.recv().is_err(), "it ends with the reporter");
    }

    #[test]
    fn the_registers_of_a_blocked_thread_are_the_last_words() {
        assert_eq!(registers("202 0x1 0x2 0x3 0x4 0x5 0x6 0x7ffd 0x7f02\n"), Some((0x7ffd, 0x7f02)));
        for line in ["running\n", "", "-1 0x0 0x0\n"] {
            assert_eq!(registers(line), None, "{line:?}");
        }
    }
}
