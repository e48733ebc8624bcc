//! The handler of fatal signals, for the option `on_fatal`. It has a report made, and passes the
//! signal on to the action that was there before.
//!
//! All other signal handlers of gmr copy and count, and leave the rest to a thread. This one makes
//! the whole report itself, because nobody else can: when it returns, the process ends, and until
//! then every other thread may be waiting for a lock of the one that crashes. So it may do only
//! what an async-signal-safe function may. It does not allocate (the signal may come from inside
//! the allocator), takes no lock, uses no thread-local variable but `errno`, and asks no loader.
//!
//! # Stacks
//! The kernel starts the handler on the thread's alternate stack, if it has one. std's have room for
//! little more than the signal frame, so the handler goes over to a stack of its own, which was
//! mapped with guard pages at the start. While it is there, the alternate stack of the thread is a
//! second one of gmr's: a second signal must not overwrite the frame of the first.
//!
//! # Ends
//! One thread makes a report, once in a process. Another one that crashes meanwhile waits until that
//! has ended, and no longer than a deadline. If the thread that makes the report crashes, or a timer
//! says that its time is over, then the signal that arrives for that, which is a fatal one again,
//! abandons the report: its handler returns to where the first signal arrived, by that one's frame.
//! No lock and no other thread is needed.
//!
//! # Passing the signal on
//! The action from before is set again, and the signal is queued once more with all that the kernel
//! said about it. It arrives as soon as the handler returns, where it arrived the first time, with
//! the registers of that place: a handler, a debugger and a core dump see what they would have seen
//! without gmr. If another handler has called this one, the one before it is called instead.

#![allow(unsafe_code)]

mod stacks;
mod timer;

use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;
use std::ptr::{null_mut, with_exposed_provenance};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};
use std::time::Duration;

use super::super::disposition;
use super::{sandbox, signal_masks};
use stacks::Stacks;
use timer::Timer;

/// The signals that it handles.
pub(crate) const SIGNALS: [i32; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGSYS];

/// How long a report may take before it is abandoned. It takes a few milliseconds, and its parts
/// have limits of 50 ms each; this one is for what does not keep to them, such as a write that
/// blocks.
const WITHIN: Duration = Duration::from_millis(500);

/// How long another thread that crashes waits for the report: a little longer than that may take.
const WAIT: Duration = Duration::from_millis(600);
/// How long it sleeps at a time.
const NAP: Duration = Duration::from_millis(1);

/// What makes the report. It does only what a signal handler may do.
pub(crate) trait Report: Send {
    /// Makes a report of this crash.
    fn make(&mut self, crash: &Crash);
}

/// What the kernel says about a fatal signal.
#[derive(Debug)]
pub(crate) struct Crash {
    pub(crate) signal: i32,
    /// Why it was sent (`si_code`).
    pub(crate) code: i32,
    /// The address that it is about.
    pub(crate) address: Option<u64>,
    /// The process and the user that have sent it.
    pub(crate) sender: Option<(u32, u32)>,
    /// The system call that a filter has refused.
    pub(crate) system_call: Option<i32>,
    /// The thread that it has arrived at.
    pub(crate) tid: i32,
    /// The handler that gets the signal next; `None` if it is the default action.
    pub(crate) next: Option<usize>,
    /// The third argument of the handler.
    context: *const libc::c_void,
}

impl Crash {
    /// The third argument of the running `SA_SIGINFO` handler: the interrupted thread's context.
    pub(crate) fn context(&self) -> *const libc::c_void {
        self.context
    }
}

/// `OWNER` while no report was made, and once one was.
const NOBODY: i32 = 0;
const ENDED: i32 = -1;

/// The thread that makes a report.
static OWNER: AtomicI32 = AtomicI32::new(NOBODY);

/// The arguments of the handler of the first signal.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
static INFO: AtomicPtr<libc::siginfo_t> = AtomicPtr::new(null_mut());
static CONTEXT: AtomicPtr<libc::c_void> = AtomicPtr::new(null_mut());

/// `errno` of the code that it has interrupted.
static ERRNO: AtomicI32 = AtomicI32::new(0);

/// The timer of the report.
static TIMER: Timer = Timer::new();

/// Descriptor 2 if a part of the report has been written to it, and else -1.
static WRITTEN_TO: AtomicI32 = AtomicI32::new(-1);

/// What makes the report. It is behind one more pointer, because it is a fat one itself.
static REPORT: AtomicPtr<&'static mut dyn Report> = AtomicPtr::new(null_mut());

/// The handler's stacks.
static STACKS: AtomicPtr<Stacks> = AtomicPtr::new(null_mut());

/// The action of a signal from before.
struct Former {
    is_set: AtomicBool,
    action: UnsafeCell<MaybeUninit<libc::sigaction>>,
}

// SAFETY: the action is written before `is_set` becomes true, and only read after that.
unsafe impl Sync for Former {}

static FORMER: [Former; SIGNALS.len()] =
    [const { Former { is_set: AtomicBool::new(false), action: UnsafeCell::new(MaybeUninit::uninit()) } };
        SIGNALS.len()];

impl Former {
    fn of(signal: i32) -> Option<&'static Self> {
        FORMER.get(SIGNALS.iter().position(|one| *one == signal)?)
    }

    fn get(&self) -> Option<libc::sigaction> {
        // SAFETY: it is initialised, and no longer changes.
        self.is_set.load(Ordering::Acquire).then(|| unsafe { (*self.action.get()).assume_init() })
    }
}

fn address() -> libc::sighandler_t {
    on_signal as *const () as usize
}

/// Handles the fatal signals from now on, in a process in which nobody else has called this. A
/// signal that is ignored stays so.
///
/// # Errors
/// There is no memory for the stacks, or a signal cannot be handled.
pub(crate) fn install(report: &'static mut dyn Report) -> io::Result<()> {
    if STACKS.load(Ordering::Acquire).is_null() {
        STACKS.store(Box::into_raw(Box::new(Stacks::map()?)), Ordering::Release);
    }
    // The one from before stays: a thread may be using it.
    REPORT.store(Box::into_raw(Box::new(report)), Ordering::Release);
    SIGNALS.into_iter().try_for_each(handle)
}

fn handle(signal: i32) -> io::Result<()> {
    let current = disposition::current(signal)?;
    let Some(former) = Former::of(signal) else { return Ok(()) };
    if current.sa_sigaction == address() || current.sa_sigaction == libc::SIG_IGN {
        return Ok(());
    }
    if former.is_set.load(Ordering::Acquire) {
        // It was uninstalled. If the program has set another handler since, that one stays: which
        // one was there before cannot be changed while somebody may be reading it.
        if former.get().is_none_or(|former| former.sa_sigaction != current.sa_sigaction) {
            return Ok(());
        }
    } else {
        // SAFETY: nobody reads it before `is_set` is true, and installations do not run at the same
        // time, as the caller makes sure.
        unsafe { (*former.action.get()).write(current) };
        former.is_set.store(true, Ordering::Release);
    }
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all-zero is a valid action; sigdelset gets an initialised set. The handler takes the
    // arguments of an `SA_SIGINFO` handler, lives as long as the code of gmr, and is
    // async-signal-safe, as is argued above.
    let result = unsafe {
        let target = action.as_mut_ptr();
        (*target).sa_sigaction = address();
        // SA_NODEFER: a crash inside the handler must arrive. No SA_RESTART: it is not asked for by
        // what was there before, either.
        (*target).sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        // No other handler of the program runs in between.
        (*target).sa_mask = signal_masks::full();
        for fatal in SIGNALS {
            libc::sigdelset(&raw mut (*target).sa_mask, fatal);
        }
        libc::sigaction(signal, action.as_ptr(), null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives the signals their former actions back, where nobody else has set another one.
pub(crate) fn uninstall() {
    for signal in SIGNALS {
        let former = Former::of(signal).and_then(Former::get);
        if let Some(former) = former.filter(|_| disposition::handler(signal) == Some(address())) {
            // SAFETY: it is an action that the kernel has returned.
            unsafe { libc::sigaction(signal, &raw const former, null_mut()) };
        }
    }
}

/// A part of the report has been written to descriptor 2.
pub(crate) fn has_written() {
    WRITTEN_TO.store(libc::STDERR_FILENO, Ordering::Relaxed);
}

/// The handler. Its own frame is small: there may be little space on this stack.
extern "C" fn on_signal(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the pointer is to the calling thread's own errno, and always valid.
    let errno = unsafe { *libc::__errno_location() };
    let tid = tid();
    match OWNER.compare_exchange(NOBODY, tid, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            SIGNAL.store(signal, Ordering::Relaxed);
            INFO.store(info, Ordering::Relaxed);
            CONTEXT.store(context, Ordering::Relaxed);
            ERRNO.store(errno, Ordering::Relaxed);
            let stacks = STACKS.load(Ordering::Acquire);
            if !stacks.is_null() && may_report() {
                // SAFETY: the stacks stay mapped, and this thread alone uses them, because it is
                // the owner. The function does not unwind.
                unsafe { (*stacks).run(on_own_stack) };
            }
            OWNER.store(ENDED, Ordering::Release);
        }
        Err(owner) if owner == tid => {
            // SAFETY: these are the arguments of this handler. The owner is this thread, so the
            // first signal's handler is still running further out on it.
            unsafe { abandon(info, context) };
            return;
        }
        Err(ENDED) => {}
        Err(_) => wait_for_end(),
    }
    // SAFETY: these are the arguments of this handler.
    unsafe {
        pass_on(signal, info, context);
        *libc::__errno_location() = errno;
    }
}

/// Whether the system calls of a report do not end the process instead of the signal: not if this
/// thread has set a filter for itself after gmr was installed.
fn may_report() -> bool {
    // SAFETY: it has no further arguments, and changes nothing. It fails where there are no
    // filters.
    sandbox::may_end_the_process() || unsafe { libc::prctl(libc::PR_GET_SECCOMP) } <= 0
}

#[allow(clippy::cast_possible_truncation, reason = "a thread id is an int")]
fn tid() -> i32 {
    // SAFETY: gettid has no arguments and cannot fail.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

/// Makes the report, on a stack of gmr's.
extern "C" fn on_own_stack() {
    let stacks = STACKS.load(Ordering::Acquire);
    // SAFETY: it was checked before.
    let Some(former) = (unsafe { (*stacks).begin_nested() }) else { return };
    unblock_fatal();
    TIMER.start(WITHIN, other_signal(SIGNAL.load(Ordering::Relaxed)), tid());
    let (info, context) = (INFO.load(Ordering::Relaxed), CONTEXT.load(Ordering::Relaxed));
    // SAFETY: the handler further out got these from the kernel, or from another handler that got
    // them there.
    let crash = unsafe { described(SIGNAL.load(Ordering::Relaxed), &*info, context) };
    // SAFETY: it was set by `install`, stays as long as the process, and only the owner uses it.
    if let Some(report) = unsafe { REPORT.load(Ordering::Acquire).as_mut() } {
        report.make(&crash);
    }
    TIMER.stop();
    Stacks::end_nested(&former);
}

/// Another fatal signal whose handler this is.
fn other_signal(signal: i32) -> Option<i32> {
    SIGNALS
        .into_iter()
        .rev()
        .find(|other| *other != signal && disposition::handler(*other) == Some(address()))
}

/// The sender's codes are in `siginfo`; this one says that the kernel has sent the signal, for a
/// reason that it does not tell.
const SI_KERNEL: i32 = 0x80;

/// What the kernel says.
///
/// # Safety
/// The arguments are those of a running handler.
unsafe fn described(signal: i32, info: &libc::siginfo_t, context: *const libc::c_void) -> Crash {
    let code = info.si_code;
    let is_fault = code > 0 && code != SI_KERNEL;
    let has_address = matches!(signal, libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE);
    // SAFETY: for a fault, the kernel has filled in the address.
    let address = (is_fault && has_address).then(|| unsafe { info.si_addr() } as u64);
    let system_call = (is_fault && signal == libc::SIGSYS).then(|| {
        // SAFETY: the kernel's layout for SIGSYS: behind three numbers and four bytes for alignment
        // are the address of the call, and its number.
        unsafe { (&raw const *info).cast::<i32>().add(6).read() }
    });
    let former = Former::of(signal).and_then(Former::get).map(|former| former.sa_sigaction);
    let next = former.filter(|handler| !matches!(*handler, libc::SIG_DFL | libc::SIG_IGN));
    let sender = super::siginfo::sender(info);
    Crash { signal, code, address, sender, system_call, tid: tid(), next, context }
}

fn unblock_fatal() {
    change_mask(libc::SIG_UNBLOCK, SIGNALS);
}

fn change_mask(how: libc::c_int, signals: impl IntoIterator<Item = i32>) {
    let mut set = MaybeUninit::zeroed();
    // SAFETY: the set is initialised before it is used.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        libc::sigprocmask(how, set.as_ptr(), null_mut());
    }
}

/// Waits until another thread's report has ended.
fn wait_for_end() {
    let nap = libc::timespec { tv_sec: 0, tv_nsec: NAP.subsec_nanos().into() };
    for _ in 0..WAIT.as_millis() / NAP.as_millis() {
        if OWNER.load(Ordering::Acquire) == ENDED {
            return;
        }
        // SAFETY: it gets a valid time.
        unsafe { libc::nanosleep(&raw const nap, null_mut()) };
    }
}

/// How much of a context belongs to the thread: what the kernel reads from it when a handler
/// returns. On x86-64, the C library's type is longer than the kernel's, which ends with the mask
/// of eight bytes.
const CONTEXT_LENGTH: usize = if cfg!(target_arch = "x86_64") {
    std::mem::offset_of!(libc::ucontext_t, uc_sigmask) + 8
} else {
    size_of::<libc::ucontext_t>()
};

/// Ends the report, and passes the first signal on. When the handler returns after this, it returns
/// to where the first signal has arrived.
///
/// # Safety
/// The arguments are those of a running handler, and the first signal's handler is running further out
/// on this thread.
unsafe fn abandon(info: *const libc::siginfo_t, context: *mut libc::c_void) {
    OWNER.store(ENDED, Ordering::Release);
    TIMER.stop();
    // SAFETY: the kernel passes a valid siginfo.
    let is_late = unsafe { (*info).si_code } == libc::SI_TIMER;
    say(if is_late {
        b"\ngmr: the report of the fatal signal ends here: its time is over\n"
    } else {
        b"\ngmr: the report of the fatal signal ends here: it crashed\n"
    });
    let first = CONTEXT.load(Ordering::Relaxed);
    // SAFETY: the first signal's frame is further out, and was not overwritten: the handler's
    // stacks are others. Both contexts are the kernel's, which do not overlap; what they point to
    // is in the first one's frame.
    unsafe {
        pass_on(SIGNAL.load(Ordering::Relaxed), INFO.load(Ordering::Relaxed), first);
        first.cast::<u8>().copy_to_nonoverlapping(context.cast(), CONTEXT_LENGTH);
        *libc::__errno_location() = ERRNO.load(Ordering::Relaxed);
    }
}

/// Writes a line to standard error if the report was written there, and the line goes out at once.
fn say(line: &[u8]) {
    let fd = WRITTEN_TO.load(Ordering::Relaxed);
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one valid element; the bytes are valid for reads.
    unsafe {
        if fd >= 0 && libc::poll(&raw mut poll, 1, 0) == 1 {
            libc::write(fd, line.as_ptr().cast(), line.len());
        }
    }
}

/// Passes a signal on to its former action.
///
/// # Safety
/// The arguments are those of a running handler of this signal.
unsafe fn pass_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let former = Former::of(signal).and_then(Former::get);
    let Some(former) = former else { return };
    let handler = former.sa_sigaction;
    let is_function = !matches!(handler, libc::SIG_DFL | libc::SIG_IGN);
    if is_function && disposition::handler(signal) != Some(address()) {
        // Another handler has called this one.
        let handler: *const () = with_exposed_provenance(handler);
        if former.sa_flags & libc::SA_SIGINFO == 0 {
            type Handler = extern "C" fn(libc::c_int);
            // SAFETY: it is a handler that was set without `SA_SIGINFO`.
            let handler = unsafe { std::mem::transmute::<*const (), Handler>(handler) };
            handler(signal);
        } else {
            type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: it is a handler that was set with `SA_SIGINFO`.
            let handler = unsafe { std::mem::transmute::<*const (), Handler>(handler) };
            handler(signal, info, context);
        }
        return;
    }
    // SAFETY: it is an action that the kernel has returned.
    unsafe { libc::sigaction(signal, &raw const former, null_mut()) };
    // The mask from before the signal is set again when the handler returns.
    change_mask(libc::SIG_BLOCK, [signal]);
    // SAFETY: the kernel copies the siginfo, which it has made. For the own process, it accepts
    // every code. Sending a signal touches no memory.
    unsafe {
        let (pid, tid) = (libc::getpid(), tid());
        let queued = libc::syscall(libc::SYS_rt_tgsigqueueinfo, pid, tid, signal, info);
        if queued != 0 && (*info).si_code <= 0 {
            // A fault happens again by itself.
            libc::syscall(libc::SYS_tgkill, pid, tid, signal);
        }
    }
}
