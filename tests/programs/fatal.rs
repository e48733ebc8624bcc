//! A program that crashes in the way that its argument names. The operator has its fatal signals
//! reported, or not.

#![allow(unsafe_code, reason = "it crashes")]

mod filter;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, Ordering};
use std::{panic, thread};

/// Aborts within an allocation if it is to, with a lock held that each allocation takes.
struct Locking;

static LOCKED: AtomicBool = AtomicBool::new(false);
static ABORTS: AtomicBool = AtomicBool::new(false);

// SAFETY: std's allocator does it.
unsafe impl GlobalAlloc for Locking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        while LOCKED.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        if ABORTS.load(Ordering::Relaxed) {
            std::process::abort();
        }
        // SAFETY: as the caller promises.
        let memory = unsafe { System.alloc(layout) };
        LOCKED.store(false, Ordering::Release);
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Locking = Locking;

#[inline(never)]
fn reads_null() {
    // SAFETY: none. It crashes.
    black_box(unsafe { null::<u8>().read_volatile() });
}

fn page() -> usize {
    rustix::param::page_size()
}

/// Two pages.
fn mapped(protection: i32, flags: i32, fd: i32) -> *mut u8 {
    // SAFETY: a new mapping affects no other memory.
    let memory = unsafe { libc::mmap(null_mut(), 2 * page(), protection, flags, fd, 0) };
    assert_ne!(memory, libc::MAP_FAILED);
    memory.cast()
}

#[inline(never)]
fn writes_to_guard() {
    let guard = mapped(libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1);
    // SAFETY: none. It crashes.
    unsafe { guard.write_volatile(1) };
}

#[inline(never)]
fn reads_past_the_end() {
    let name = c"fatal";
    // SAFETY: the name is a string.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    let memory = mapped(libc::PROT_READ, libc::MAP_SHARED, fd);
    // SAFETY: none. It crashes.
    black_box(unsafe { memory.read_volatile() });
}

#[inline(never)]
#[allow(unconditional_recursion)]
fn recurses(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    recurses(depth + 1) + frame[usize::try_from(depth % 16).expect("it is small")]
}

#[inline(never)]
fn frees_twice() {
    // SAFETY: none. The allocator notices it.
    unsafe {
        let memory = libc::malloc(100);
        libc::free(black_box(memory));
        libc::free(black_box(memory));
    }
}

#[inline(never)]
fn divides_by_zero() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: none. It crashes.
    unsafe {
        std::arch::asm!("xor edx, edx", "mov eax, 1", "xor ecx, ecx", "div ecx", out("eax") _, out("ecx") _, out("edx") _);
    }
    // There, the result is zero.
    #[cfg(not(target_arch = "x86_64"))]
    raise(libc::SIGFPE);
}

#[inline(never)]
fn runs_no_instruction() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: none. It crashes.
    unsafe {
        std::arch::asm!("ud2");
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: none. It crashes.
    unsafe {
        std::arch::asm!("udf #0");
    }
}

#[inline(never)]
fn calls_nothing() {
    type Function = extern "C" fn();
    // SAFETY: none. It crashes.
    let function = unsafe { std::mem::transmute::<usize, Function>(black_box(16)) };
    function();
}

fn raise(signal: i32) {
    // SAFETY: it has no preconditions.
    unsafe { libc::raise(signal) };
}

#[inline(never)]
fn aborts_in_an_allocation() {
    ABORTS.store(true, Ordering::Relaxed);
    drop(black_box(Box::new([1_u8; 100])));
}

extern "C" fn foreign() {
    panic!("in a callback");
}

/// Makes the inside of the index of the unwind tables inaccessible: whoever looks something up
/// there crashes.
fn hide_tables() {
    #[allow(clippy::cast_possible_truncation, reason = "addresses of this process")]
    unsafe extern "C" fn hide(
        info: *mut libc::dl_phdr_info,
        _: libc::size_t,
        _: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the loader passes an object with its headers.
        let (base, headers) = unsafe {
            (
                (*info).dlpi_addr as usize,
                std::slice::from_raw_parts((*info).dlpi_phdr, (*info).dlpi_phnum.into()),
            )
        };
        let tables = headers.iter().find(|header| header.p_type == libc::PT_GNU_EH_FRAME).expect("tables");
        let start = (base + tables.p_vaddr as usize + 1).next_multiple_of(page());
        let end = (base + tables.p_vaddr as usize + tables.p_memsz as usize - 1) / page() * page();
        assert!(start < end, "they are too small");
        // SAFETY: nothing else is on these pages.
        unsafe { libc::mprotect(start as *mut libc::c_void, end - start, libc::PROT_NONE) };
        1
    }
    // SAFETY: the function does not unwind where it succeeds.
    unsafe { libc::dl_iterate_phdr(Some(hide), null_mut()) };
}

static PAGE: AtomicPtr<u8> = AtomicPtr::new(null_mut());
static HANDLED: AtomicU32 = AtomicU32::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);

extern "C" fn ends(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo; `_exit` may be called in a handler.
    unsafe { libc::_exit(40 + (*info).si_code) }
}

extern "C" fn repairs(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo; the page is the program's.
    unsafe {
        CODE.store((*info).si_code, Ordering::Relaxed);
        libc::mprotect(PAGE.load(Ordering::Relaxed).cast(), page(), libc::PROT_READ | libc::PROT_WRITE);
    }
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// Calls the handler that was there before.
extern "C" fn chains(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let former = PAGE.load(Ordering::Relaxed);
    // SAFETY: it is the handler from before.
    let former = unsafe { std::mem::transmute::<*mut u8, Handler>(former) };
    former(signal, info, context);
}

/// Sets a handler. Returns the one from before.
fn handle(signal: i32, handler: Handler) -> usize {
    // SAFETY: all-zero is a valid action; the handlers above do what a handler may do.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        let mut former: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, &raw const action, &raw mut former);
        former.sa_sigaction
    }
}

#[inline(never)]
fn waits() {
    gmr_tests::arrive();
    loop {
        thread::park();
    }
}

#[inline(never)]
fn spins() {
    gmr_tests::arrive();
    loop {
        black_box(1);
    }
}

/// Runs in a child, and says how that has ended.
fn in_child(run: fn()) {
    // SAFETY: the child crashes at once.
    let child = unsafe { libc::fork() };
    if child == 0 {
        run();
    }
    let mut status = 0;
    // SAFETY: it gets a valid variable.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    println!("{child} {}", libc::WTERMSIG(status));
}

fn crash(how: &str) {
    match how {
        "null" | "handled" => reads_null(),
        "guard" => writes_to_guard(),
        "end" => reads_past_the_end(),
        "overflow" => {
            recurses(1);
        }
        "thread overflow" => drop(thread::spawn(|| recurses(1)).join()),
        "abort" => std::process::abort(),
        "allocation" => aborts_in_an_allocation(),
        "heap" => frees_twice(),
        "division" => divides_by_zero(),
        "instruction" => runs_no_instruction(),
        "call" => calls_nothing(),
        "system call" => raise(libc::SIGSYS),
        "panic" => drop(thread::spawn(|| foreign()).join()),
        "nested" => {
            hide_tables();
            reads_null();
        }
        "nested abort" => {
            hide_tables();
            std::process::abort();
        }
        "filtered" => {
            filter::refuse(&[libc::SYS_fsync], libc::EPERM);
            reads_null();
        }
        "all" => {
            let threads: Vec<_> = (0..8).map(|_| thread::spawn(reads_null)).collect();
            for thread in threads {
                drop(thread.join());
            }
        }
        "child" => in_child(reads_null),
        "repaired" => {
            for _ in 0..2 {
                let guard = mapped(libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1);
                PAGE.store(guard, Ordering::Relaxed);
                // SAFETY: the handler makes it writable.
                unsafe { guard.write_volatile(1) };
            }
            println!("{} {}", HANDLED.load(Ordering::Relaxed), CODE.load(Ordering::Relaxed));
        }
        "chained" => {
            PAGE.store(handle(libc::SIGSEGV, chains) as *mut u8, Ordering::Relaxed);
            reads_null();
        }
        "full" => {
            // What is written to it later would block.
            let mut pipe = [0; 2];
            // SAFETY: it gets a valid array; the descriptors are the program's.
            unsafe {
                libc::pipe(pipe.as_mut_ptr());
                libc::dup2(pipe[1], 2);
                libc::fcntl(pipe[1], libc::F_SETFL, libc::O_NONBLOCK);
                while libc::write(pipe[1], [0_u8; 4096].as_ptr().cast(), 4096) > 0 {}
                libc::fcntl(pipe[1], libc::F_SETFL, 0);
            }
            reads_null();
        }
        _ => {}
    }
}

fn main() {
    let how = std::env::args().nth(1).unwrap_or_default();
    match &*how {
        "handled" => drop(handle(libc::SIGSEGV, ends)),
        "repaired" => drop(handle(libc::SIGSEGV, repairs)),
        _ => {}
    }
    gmr::Builder::new().product("shop").install().expect("it is installed").keep();
    if std::env::args().nth(2).as_deref() == Some("threads") {
        gmr_tests::start_named("waiting", waits);
        gmr_tests::start_named("spinning", spins);
        while gmr_tests::arrived() < 2 {
            thread::yield_now();
        }
    }
    panic::set_hook(Box::new(|_| {}));
    gmr_tests::converse(|_| {
        crash(&how);
        "alive".to_owned()
    });
}
