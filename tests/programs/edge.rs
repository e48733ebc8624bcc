//! A program with a thread on which there is little space for a signal handler: `stack` has an
//! alternate stack and is near the end of its own, and `alternate` has the smallest alternate stack
//! that the kernel accepts. `large` has two threads with large arrays on their stacks, `ring` one
//! that the kernel has started, and `unserved` has threads with [memory that does not
//! arrive](unserved).

#![allow(unsafe_code)]

mod unserved;

use std::hint::{black_box, spin_loop};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const STACK: usize = 256 << 10;
/// How much of its stack the thread leaves. A signal frame alone takes about as much.
const LEFT: usize = 2 << 10;
/// What is below the alternate stack.
const BELOW: usize = 64 << 10;
const UNTOUCHED: u8 = 0xa5;

static READY: AtomicBool = AtomicBool::new(false);
/// The lowest address of the thread's stack.
static LOWEST: AtomicUsize = AtomicUsize::new(0);

#[inline(never)]
fn descend(lowest: usize) -> usize {
    let here = black_box([0_u8; 32]);
    if &raw const here as usize - lowest > LEFT + 256 {
        return descend(lowest) + usize::from(here[0]);
    }
    READY.store(true, Ordering::Release);
    loop {
        spin_loop();
    }
}

#[inline(never)]
fn work() -> ! {
    READY.store(true, Ordering::Release);
    loop {
        spin_loop();
    }
}

/// Gives the calling thread an alternate stack.
fn use_alternate(stack: &'static mut [u8]) {
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
    // SAFETY: the memory lives for as long as the process, and nothing else uses it.
    assert_eq!(unsafe { libc::sigaltstack(&raw const stack, null_mut()) }, 0);
}

extern "C" fn near_the_end(_: *mut libc::c_void) -> *mut libc::c_void {
    use_alternate(vec![0; STACK].leak());
    black_box(descend(LOWEST.load(Ordering::Relaxed)));
    null_mut()
}

fn start_near_the_end() -> libc::pthread_t {
    let (mut attributes, mut thread) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    let (reading, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: the stack is a mapping of its own, whose first page is a guard, and it lives for as
    // long as the process. The attributes are initialised before they are used.
    unsafe {
        let guard = libc::mmap(null_mut(), STACK + 4096, reading, shared, -1, 0);
        assert_ne!(guard, libc::MAP_FAILED);
        assert_eq!(libc::mprotect(guard, 4096, libc::PROT_NONE), 0);
        let stack = guard.byte_add(4096);
        LOWEST.store(stack as usize, Ordering::Relaxed);
        libc::pthread_attr_init(attributes.as_mut_ptr());
        libc::pthread_attr_setstack(attributes.as_mut_ptr(), stack, STACK);
        let started =
            libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), near_the_end, null_mut());
        assert_eq!(started, 0);
        thread.assume_init()
    }
}

/// How many bytes of a frame are for the tiles of AMX, which a process may use if it has asked for
/// that (`arch/x86/xstate.rst` of the kernel's documentation).
fn tiles() -> libc::c_ulong {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if cpus.split_whitespace().any(|flag| flag == "amx_tile") { 8 << 10 } else { 0 }
}

/// Starts a thread, and returns what is below its alternate stack.
fn start_with_smallest() -> &'static [u8] {
    // SAFETY: it reads a value that the kernel gave the process at its start.
    let frame = unsafe { libc::getauxval(51) };
    // On aarch64, this is for a thread that uses all vector registers that the processor has, and with
    // AMX, for one that may use its tiles. The frame of this one is smaller, and would leave space for
    // the handler.
    let frame = if cfg!(target_arch = "aarch64") { 0 } else { frame.saturating_sub(tiles()) };
    let size = usize::try_from(frame).expect("a size").max(libc::MINSIGSTKSZ);
    let (below, stack) = vec![UNTOUCHED; BELOW + size].leak().split_at_mut(BELOW);
    std::thread::Builder::new()
        .name("smallest".to_owned())
        .spawn(move || {
            use_alternate(stack);
            work();
        })
        .expect("a thread can be started");
    below
}

/// How many more calls each thread makes, and the size of the array in each of their frames.
const CALLS: usize = 8;
const ARRAY: usize = 3 << 20;

#[inline(never)]
fn call_with_array(calls: usize, then: fn()) -> usize {
    let array = MaybeUninit::<[u8; ARRAY]>::uninit();
    black_box(array.as_ptr());
    if calls == 0 {
        then();
    } else {
        black_box(call_with_array(calls - 1, then));
    }
    black_box(array.as_ptr()) as usize
}

/// Starts a thread that waits, and one that runs on.
fn start_large() {
    let waits: fn() = || {
        READY.store(true, Ordering::Release);
        // Where a parked thread waits on aarch64, its stack cannot be read at rest.
        loop {
            std::thread::sleep(std::time::Duration::from_hours(1));
        }
    };
    let runs: fn() = || work();
    for (name, then) in [("waits", waits), ("runs", runs)] {
        let thread = std::thread::Builder::new().name(name.to_owned()).stack_size((CALLS + 4) * ARRAY);
        thread.spawn(move || black_box(call_with_array(CALLS, then))).expect("a thread can be started");
    }
}

/// An `io_uring` whose requests a thread of the kernel's takes (`IORING_SETUP_SQPOLL`). Where there
/// can be none, says so.
fn start_ring() -> bool {
    const FLAGS: usize = 2;
    const SQPOLL: u32 = 2;
    // `struct io_uring_params` has 120 bytes.
    let mut parameters = [0_u32; 30];
    parameters[FLAGS] = SQPOLL;
    // SAFETY: the kernel writes to the parameters, and to nothing else.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 8, parameters.as_mut_ptr()) };
    if ring < 0 {
        gmr_tests::say(&format!("no io_uring: {}", std::io::Error::last_os_error()));
    }
    READY.store(true, Ordering::Release);
    ring >= 0
}

#[gmr::main]
fn main() {
    let (mut thread, mut below) = (None, &[][..]);
    match std::env::args().nth(1).as_deref() {
        Some("stack") => thread = Some(start_near_the_end()),
        Some("alternate") => below = start_with_smallest(),
        Some("large") => start_large(),
        Some("ring") if !start_ring() => return,
        Some("ring") => {}
        Some("unserved") => return unserved::run(),
        mode => panic!("an unknown mode: {mode:?}"),
    }
    while !READY.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    gmr_tests::converse(|question| match (question, thread) {
        // SAFETY: the thread does not end.
        ("signal", Some(thread)) => unsafe { libc::pthread_kill(thread, libc::SIGUSR2) }.to_string(),
        _ => below.iter().filter(|byte| **byte != UNTOUCHED).count().to_string(),
    });
}
