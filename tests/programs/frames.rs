//! Threads whose stacks are hard to unwind: in assembly without unwind rules, in a realigned frame,
//! on the stacks of coroutines, in a signal handler on an alternate stack, in generated code and
//! called from it, beside a mapping of the program's own file, and on overwritten stacks.

#![allow(unsafe_code, reason = "assembly, signals and mappings")]

use std::ffi::c_int;
#[cfg(target_arch = "x86_64")]
use std::ffi::c_void;
#[cfg(target_arch = "x86_64")]
use std::os::fd::AsRawFd;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

static STOPPED: AtomicBool = AtomicBool::new(false);

#[inline(never)]
extern "C" fn wait_here() {
    while !STOPPED.load(Ordering::Relaxed) {
        thread::park();
    }
}

/// Its address is on stacks, but it is on none of them.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
extern "C" fn never_called() {
    std::hint::black_box(1);
}

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    // Two words on top of the stack: the second one looks like a return address.
    ".globl without_rules",
    ".type without_rules,@function",
    "without_rules:",
    "push rdi",
    "push rdi",
    "2:",
    "pause",
    "cmp byte ptr [rsi], 0",
    "je 2b",
    "add rsp, 16",
    "ret",
    ".size without_rules, .-without_rules",
    // Has rules, but nothing calls it.
    ".globl never_returned_to",
    ".type never_returned_to,@function",
    ".cfi_startproc",
    "nop",
    "nop",
    "nop",
    "nop",
    "nop",
    "nop",
    "nop",
    "never_returned_to:",
    "ret",
    ".cfi_endproc",
    ".size never_returned_to, .-never_returned_to",
    // The return from a signal handler, shorter than that of the C library.
    ".globl restorer",
    ".type restorer,@function",
    "nop",
    "restorer:",
    "mov eax, 15",
    "syscall",
    ".size restorer, .-restorer",
    // Waits in `pause`, with a frame pointer, and is called directly.
    ".globl waits_in_frame",
    ".type waits_in_frame,@function",
    "waits_in_frame:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "2:",
    "mov eax, 34",
    "syscall",
    "jmp 2b",
    ".cfi_endproc",
    ".size waits_in_frame, .-waits_in_frame",
    ".globl calls_wait",
    ".type calls_wait,@function",
    "calls_wait:",
    ".cfi_startproc",
    "sub rsp, 8",
    ".cfi_adjust_cfa_offset 8",
    "call waits_in_frame",
    "add rsp, 8",
    ".cfi_adjust_cfa_offset -8",
    "ret",
    ".cfi_endproc",
    ".size calls_wait, .-calls_wait",
    // While it calls the function, its return address is replaced by the second argument, as on a
    // stack that was overwritten.
    ".globl overwritten",
    ".type overwritten,@function",
    "overwritten:",
    ".cfi_startproc",
    "push rsi",
    ".cfi_adjust_cfa_offset 8",
    "xchg [rsp + 8], rsi",
    "push rsi",
    ".cfi_adjust_cfa_offset 8",
    "sub rsp, 8",
    ".cfi_adjust_cfa_offset 8",
    "call rdi",
    "add rsp, 8",
    ".cfi_adjust_cfa_offset -8",
    "pop rsi",
    ".cfi_adjust_cfa_offset -8",
    "mov [rsp + 8], rsi",
    "add rsp, 8",
    ".cfi_adjust_cfa_offset -8",
    "ret",
    ".cfi_endproc",
    ".size overwritten, .-overwritten",
    // What GCC makes of a function with an over-aligned variable. The CFA is stored in the frame.
    ".globl realigned",
    ".type realigned,@function",
    "realigned:",
    ".cfi_startproc",
    "lea r10, [rsp + 8]",
    ".cfi_def_cfa r10, 0",
    "and rsp, -64",
    "push qword ptr [r10 - 8]",
    "push rbp",
    "mov rbp, rsp",
    ".cfi_escape 0x10, 6, 2, 0x76, 0", // rbp is at the address rbp
    "push r10",
    ".cfi_escape 0x0f, 3, 0x76, 0x78, 6", // the CFA is at the address rbp - 8
    "sub rsp, 184",
    "call rdi",
    "add rsp, 184",
    "pop r10",
    ".cfi_def_cfa r10, 0",
    "pop rbp",
    "lea rsp, [r10 - 8]",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    ".size realigned, .-realigned",
    // Calls the first argument on the stack that ends at the second.
    ".globl run_on_stack",
    ".type run_on_stack,@function",
    "run_on_stack:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "mov rsp, rsi",
    "call rdi",
    "mov rsp, rbp",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    ".size run_on_stack, .-run_on_stack",
);

#[cfg(target_arch = "x86_64")]
unsafe extern "C" {
    fn without_rules(word: usize, stopped: *const AtomicBool);
    fn overwritten(run: extern "C" fn(), with: *const c_void);
    fn never_returned_to();
    fn restorer();
    fn calls_wait();
    fn realigned(run: extern "C" fn());
    fn run_on_stack(run: extern "C" fn(), end: *mut u8);
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn call_without_rules() {
    // SAFETY: it reads the flag, and restores what it changes.
    unsafe { without_rules(never_called as extern "C" fn() as usize + 4, &raw const STOPPED) };
    std::hint::black_box("without rules");
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn call_overwritten(run: extern "C" fn(), with: *const c_void) {
    // SAFETY: it calls the function, and restores what it changes.
    unsafe { overwritten(run, with) };
    std::hint::black_box("overwritten");
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn call_realigned() {
    // SAFETY: it calls the function, and restores what it changes.
    unsafe { realigned(wait_here) };
    std::hint::black_box("realigned");
}

#[cfg(target_arch = "x86_64")]
fn on_new_stack(run: extern "C" fn()) {
    const LENGTH: usize = 256 << 10;
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // With a guard page below, as coroutines have, it is not taken for a part of the stack next to
    // it.
    // SAFETY: a new mapping at an address of the kernel's choice.
    let stack = unsafe {
        let stack = libc::mmap(null_mut(), LENGTH, access, kind, -1, 0);
        assert_ne!(stack, libc::MAP_FAILED);
        assert_eq!(libc::mprotect(stack, 4096, libc::PROT_NONE), 0);
        stack
    };
    // SAFETY: nothing else uses the stack.
    unsafe { run_on_stack(run, stack.byte_add(LENGTH).cast()) };
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
extern "C" fn compute() {
    while !STOPPED.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
extern "C" fn computing_inner() {
    on_new_stack(compute);
    std::hint::black_box("computing, inner");
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
extern "C" fn computing_middle() {
    on_new_stack(computing_inner);
    std::hint::black_box("computing, middle");
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn computing_outer() {
    on_new_stack(computing_middle);
    std::hint::black_box("computing, outer");
}

/// Each call is on a stack of its own; there are more of them than a report copies.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
extern "C" fn descend() {
    static DEPTH: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let is_last = DEPTH.fetch_add(1, Ordering::Relaxed) == 20;
    on_new_stack(if is_last { compute } else { descend });
    std::hint::black_box("descend");
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
extern "C" fn inner() {
    on_new_stack(wait_here);
    std::hint::black_box("inner");
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
extern "C" fn middle() {
    on_new_stack(inner);
    std::hint::black_box("middle");
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn outer() {
    on_new_stack(middle);
    std::hint::black_box("outer");
}

extern "C" fn handle(_signal: c_int) {
    wait_here();
}

#[inline(never)]
fn interrupted() {
    let memory = Box::leak(vec![0_u8; 64 << 10].into_boxed_slice());
    let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: memory.len() };
    // SAFETY: the memory belongs to the thread forever; an all-zero action is valid, and the
    // handler is a function of one argument.
    unsafe {
        assert_eq!(libc::sigaltstack(&raw const stack, null_mut()), 0);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handle as extern "C" fn(c_int) as usize;
        action.sa_flags = libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(libc::SIGURG, &raw const action, null_mut()), 0);
        assert_eq!(libc::raise(libc::SIGURG), 0);
    }
}

/// Interrupted by a signal whose handler returns to code of this program.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn interrupted_with_restorer() {
    /// `struct sigaction` of the kernel.
    #[repr(C)]
    struct Action {
        handler: extern "C" fn(c_int),
        flags: usize,
        restorer: unsafe extern "C" fn(),
        mask: u64,
    }
    const SA_RESTORER: usize = 0x0400_0000;
    let action = Action { handler: handle, flags: SA_RESTORER, restorer, mask: 0 };
    // SAFETY: the action is what the kernel expects, and the handler is a function of one argument.
    unsafe {
        let set = libc::syscall(
            libc::SYS_rt_sigaction,
            libc::SIGPROF,
            &raw const action,
            null_mut::<Action>(),
            size_of::<u64>(),
        );
        assert_eq!(set, 0);
        assert_eq!(libc::raise(libc::SIGPROF), 0);
    }
}

/// Runs on a stack that `makecontext` has prepared.
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
#[inline(never)]
fn run_in_context() {
    let memory = Box::leak(vec![0_u128; 16 << 10].into_boxed_slice());
    // SAFETY: both contexts are filled in by `getcontext`, and nothing else uses the stack. Neither
    // is left while the process lives.
    unsafe {
        let mut before: libc::ucontext_t = std::mem::zeroed();
        let mut context: libc::ucontext_t = std::mem::zeroed();
        assert_eq!(libc::getcontext(&raw mut context), 0);
        context.uc_stack.ss_sp = memory.as_mut_ptr().cast();
        context.uc_stack.ss_size = size_of_val(memory);
        context.uc_link = &raw mut before;
        libc::makecontext(&raw mut context, wait_here, 0);
        assert_eq!(libc::swapcontext(&raw mut before, &raw const context), 0);
    }
}

/// Pushes its argument and loops: `push rdi; l: pause; jmp l`.
#[cfg(target_arch = "x86_64")]
const ENDLESS: &[u8] = &[0x57, 0xf3, 0x90, 0xeb, 0xfc];

/// `l: mov eax, 34; syscall; jmp l`: waits in `pause`.
#[cfg(target_arch = "x86_64")]
const PAUSING: &[u8] = &[0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7];

/// Calls its argument: `sub rsp, 8; call rdi; add rsp, 8; ret`.
#[cfg(target_arch = "x86_64")]
const CALLING: &[u8] = &[0x48, 0x83, 0xec, 8, 0xff, 0xd7, 0x48, 0x83, 0xc4, 8, 0xc3];

/// Generated code, in the same region of addresses as a mapping of this program's own file.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn run_generated(bytes: &[u8], argument: usize) {
    let own = std::fs::File::open("/proc/self/exe").expect("the program's file");
    let length = usize::try_from(own.metadata().expect("its length").len()).expect("it fits");
    let map = |length, protection, flags, file| {
        // SAFETY: new private mappings, at addresses of the kernel's choice.
        let mapped =
            unsafe { libc::mmap(null_mut(), length, protection, libc::MAP_PRIVATE | flags, file, 0) };
        assert_ne!(mapped, libc::MAP_FAILED);
        mapped
    };
    let _: *mut c_void = map(length, libc::PROT_READ, 0, own.as_raw_fd());
    let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let code: *mut u8 = map(4096, all, libc::MAP_ANONYMOUS, -1).cast();
    // SAFETY: the page is written before it is run, and the code is a function of one argument.
    unsafe {
        code.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        let run: extern "C" fn(usize) = std::mem::transmute(code);
        run(argument);
    }
}

const THREADS: &[(&str, fn())] = &[
    ("handler", interrupted),
    #[cfg(target_arch = "x86_64")]
    ("without-rules", call_without_rules),
    #[cfg(target_arch = "x86_64")]
    ("overwritten", || call_overwritten(wait_here, (&raw const STOPPED).cast())),
    #[cfg(target_arch = "x86_64")]
    ("no-call", || call_overwritten(wait_here, never_returned_to as *const c_void)),
    #[cfg(target_arch = "x86_64")]
    ("running-no-call", || call_overwritten(compute, never_returned_to as *const c_void)),
    #[cfg(target_arch = "x86_64")]
    ("own-restorer", interrupted_with_restorer),
    #[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
    ("context", run_in_context),
    #[cfg(target_arch = "x86_64")]
    ("realigned", call_realigned),
    #[cfg(target_arch = "x86_64")]
    ("other-stacks", outer),
    #[cfg(target_arch = "x86_64")]
    ("computing", computing_outer),
    #[cfg(target_arch = "x86_64")]
    ("many-stacks", || descend()),
    #[cfg(target_arch = "x86_64")]
    ("generated", || run_generated(ENDLESS, never_called as extern "C" fn() as usize + 4)),
    #[cfg(target_arch = "x86_64")]
    ("pausing", || run_generated(PAUSING, 0)),
    #[cfg(target_arch = "x86_64")]
    ("below-generated", || run_generated(CALLING, calls_wait as *const () as usize)),
];

#[gmr::main]
fn main() {
    for (name, run) in THREADS {
        gmr_tests::start_named(name, run);
    }
    gmr_tests::converse(str::to_owned);
    std::process::exit(0);
}
