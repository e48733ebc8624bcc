//! The names of signals and of their codes, as the C library's headers have them, and what they
//! mean.

use crate::sys::linux::fatal_signal::Crash;

/// The name of a fatal signal.
pub(super) fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGABRT => "SIGABRT",
        libc::SIGSYS => "SIGSYS",
        _ => "unknown",
    }
}

/// The name of its code, and what that means. The numbers are the kernel's
/// (`asm-generic/siginfo.h`).
pub(super) fn code_name(crash: &Crash) -> Option<(&'static str, &'static str)> {
    Some(match (crash.signal, crash.code) {
        (_, 0) => ("SI_USER", "it was sent by kill"),
        (_, -1) => ("SI_QUEUE", "it was sent by sigqueue"),
        (_, -6) => ("SI_TKILL", "it was sent to this thread, as abort does"),
        (_, 0x80) => ("SI_KERNEL", "the kernel does not say which address it is about"),
        (libc::SIGSEGV, 1) => ("SEGV_MAPERR", "no memory is mapped at the address"),
        (libc::SIGSEGV, 2) => ("SEGV_ACCERR", "the memory at the address may not be accessed in this way"),
        (libc::SIGSEGV, 3) => ("SEGV_BNDERR", "a check of bounds has failed"),
        (libc::SIGSEGV, 4) => ("SEGV_PKUERR", "a protection key forbids the access"),
        (libc::SIGBUS, 1) => ("BUS_ADRALN", "the address is not aligned"),
        (libc::SIGBUS, 2) => ("BUS_ADRERR", "there is nothing behind the address, such as past a file's end"),
        (libc::SIGBUS, 3) => ("BUS_OBJERR", "an error of the hardware"),
        (libc::SIGBUS, 4 | 5) => ("BUS_MCEERR", "the memory is damaged"),
        (libc::SIGILL, 1) => ("ILL_ILLOPC", "an illegal instruction"),
        (libc::SIGILL, 2) => ("ILL_ILLOPN", "an illegal instruction"),
        (libc::SIGILL, 3) => ("ILL_ILLADR", "an illegal way to address"),
        (libc::SIGILL, 4) => ("ILL_ILLTRP", "an illegal trap"),
        (libc::SIGFPE, 1) => ("FPE_INTDIV", "an integer was divided by zero"),
        (libc::SIGFPE, 2) => ("FPE_INTOVF", "an integer has overflowed"),
        (libc::SIGFPE, 3) => ("FPE_FLTDIV", "a floating-point number was divided by zero"),
        (libc::SIGFPE, 4) => ("FPE_FLTOVF", "a floating-point number has overflowed"),
        (libc::SIGFPE, 5) => ("FPE_FLTUND", "a floating-point number has underflowed"),
        (libc::SIGFPE, 6) => ("FPE_FLTRES", "a floating-point result is inexact"),
        (libc::SIGFPE, 7) => ("FPE_FLTINV", "an invalid floating-point operation"),
        (libc::SIGSYS, 1) => ("SYS_SECCOMP", "a filter has refused a system call"),
        _ => return None,
    })
}
