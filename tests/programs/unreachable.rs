//! Threads that no signal handler can run on: one blocks all signals, one waits for signals, two
//! wait for their children to call `exec`, and one is stopped by a debugger.
//!
//! `unreachable trace TID` is the debugger: it stops the thread, and ends with its standard input.

#![allow(unsafe_code, reason = "std offers none of this")]

use std::ffi::{c_int, c_void};
use std::io::{BufRead, BufReader, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::process::{Command, Stdio};
use std::ptr::null_mut;
use std::sync::mpsc;
use std::thread;

/// Waits for a child that reads from this pipe.
type Wait = fn([RawFd; 2]);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["trace", tid] => trace(tid.parse().expect("a thread id")),
        _ => be_unreachable(),
    }
}

fn be_unreachable() {
    let _guard = gmr::Builder::new().product("unreachable").install().expect("gmr is installed");
    let (send_tid, tid) = mpsc::channel();
    let start = |name: &'static str, wait: fn()| {
        let send_tid = send_tid.clone();
        let run = move || {
            send_tid.send(rustix::thread::gettid()).expect("it is awaited");
            gmr_tests::arrive();
            wait();
            // After the call, so that it is not a tail call.
            std::hint::black_box(name.len());
        };
        thread::Builder::new().name(name.to_owned()).spawn(run).expect("a thread");
        tid.recv().expect("it starts").as_raw_nonzero()
    };
    start("blocks all", block_all_signals);
    start("sigwait", wait_for_signals);
    let traced = start("traced", wait_traced);
    gmr_tests::settle(3);
    // Before the debugger: the child would keep the debugger's standard input open.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let descriptors = [reader.as_raw_fd(), writer.as_raw_fd()];
    // Both children read from the same pipe: each closes its own copy of the other end.
    let waits: [(&str, Wait); 2] = [("vfork", wait_for_child), ("clone", wait_for_cloned)];
    for (name, wait) in waits {
        thread::Builder::new().name(name.to_owned()).spawn(move || wait(descriptors)).expect("a thread");
        while !is_waiting_for_child(name) {
            thread::yield_now();
        }
    }
    let mut debugger = Command::new(std::env::current_exe().expect("it is known"))
        .args(["trace", &traced.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the debugger starts");
    // SAFETY: it permits another process to trace this one, which some systems forbid otherwise.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::c_ulong::from(debugger.id())) };
    let say_begin = debugger.stdin.as_mut().expect("it is piped");
    std::io::Write::write_all(say_begin, b"begin\n").expect("it reads");
    let mut answer = String::new();
    let output = debugger.stdout.as_mut().expect("it is piped");
    BufReader::new(output).read_line(&mut answer).expect("it answers");
    gmr_tests::converse(|_| answer.trim().to_owned());
    drop(debugger.stdin.take());
    let _ = debugger.wait();
    // The pipe is closed by the end of this process, which ends the child.
}

#[inline(never)]
fn block_all_signals() {
    let mut all = MaybeUninit::uninit();
    // SAFETY: the set is initialised before it is used, and a null pointer says that the old mask
    // is not wanted.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), null_mut());
    }
    let (mut reader, _writer) = std::io::pipe().expect("a pipe");
    let _ = reader.read(&mut [0]);
}

#[inline(never)]
fn wait_for_signals() {
    let mut wanted = MaybeUninit::uninit();
    let mut signal = 0;
    // SAFETY: the set is initialised before it is used, and the number is valid for writes.
    unsafe {
        libc::sigemptyset(wanted.as_mut_ptr());
        libc::sigaddset(wanted.as_mut_ptr(), libc::SIGUSR1);
        libc::pthread_sigmask(libc::SIG_BLOCK, wanted.as_ptr(), null_mut());
        libc::sigwait(wanted.as_ptr(), &raw mut signal);
    }
}

#[inline(never)]
fn wait_traced() {
    let (mut reader, _writer) = std::io::pipe().expect("a pipe");
    let _ = reader.read(&mut [0]);
}

unsafe extern "C" {
    fn vfork() -> libc::pid_t;
}

/// Starts a child that shares this process's memory, and waits for it until the pipe is closed.
#[inline(never)]
fn wait_for_child([reader, writer]: [RawFd; 2]) {
    // SAFETY: the child makes system calls only, and leaves by `_exit`. This thread goes on
    // afterwards, and uses nothing that the child has written to.
    unsafe {
        if vfork() == 0 {
            // The child's own copy of the end that this process holds open.
            libc::close(writer);
            libc::read(reader, (&raw mut CHILD_READS).cast(), 1);
            libc::_exit(0);
        }
    }
    std::hint::black_box((reader, writer));
}

/// The same with `clone`, by which the C library starts programs. Its child has a stack of its own.
#[inline(never)]
fn wait_for_cloned(descriptors: [RawFd; 2]) {
    let mut stack = vec![0_u128; 4096];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let argument: *const [RawFd; 2] = &raw const descriptors;
    // SAFETY: the stack and the descriptors outlive the child's use of them, as this thread waits
    // until it has ended. Nothing else uses the stack.
    unsafe {
        libc::clone(read_to_end, stack.as_mut_ptr_range().end.cast(), flags, argument.cast_mut().cast())
    };
    std::hint::black_box((stack, descriptors));
}

/// What the cloned child does: system calls only.
extern "C" fn read_to_end(descriptors: *mut c_void) -> c_int {
    // SAFETY: it is the argument of `clone` above.
    let [reader, writer] = unsafe { *descriptors.cast::<[RawFd; 2]>() };
    // SAFETY: as in `wait_for_child`.
    unsafe {
        libc::close(writer);
        libc::read(reader, (&raw mut CHILD_READS).cast(), 1);
        libc::_exit(0);
    }
}

/// Where the child reads to: not the stack, which it shares.
static mut CHILD_READS: u8 = 0;

fn is_waiting_for_child(name: &str) -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").expect("the threads can be listed").flatten();
    tasks.map(|task| std::fs::read_to_string(task.path().join("stat")).unwrap_or_default()).any(|stat| {
        let split = stat.rsplit_once(") ").and_then(|(start, rest)| Some((start.split_once('(')?.1, rest)));
        split.is_some_and(|(of_thread, rest)| of_thread == name && rest.starts_with('D'))
    })
}

/// Stops a thread of another process until standard input is closed.
fn trace(tid: libc::pid_t) {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("it can be read");
    // SAFETY: neither request accesses memory of this process.
    let stopped = unsafe {
        libc::ptrace(libc::PTRACE_SEIZE, tid, 0_usize, 0_usize) == 0
            && libc::ptrace(libc::PTRACE_INTERRUPT, tid, 0_usize, 0_usize) == 0
            // SAFETY: a null pointer says that the status is not wanted.
            && libc::waitpid(tid, null_mut(), libc::__WALL) == tid
    };
    gmr_tests::say(if stopped { "stopped" } else { "refused" });
    let _ = std::io::stdin().read_line(&mut line);
}
