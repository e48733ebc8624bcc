//! Leaving out what the runtime puts around every stack, as std's short backtraces do: at the outer end what stands between a thread's very first function and the
//! program's, at the inner end what stands below the function of std that the program has called.
//!
//! Only frames at the two ends are left out, never one between two others.

use std::sync::Arc;

use crate::model::Frame;

/// The frames without those that the standard libraries have called on their own behalf: of the ones at the inner end the outermost stays, which the
/// program has called. All of them, if they are all the standard libraries'.
pub(super) fn without_inner_runtime(frames: &[Arc<Frame>]) -> &[Arc<Frame>] {
    match frames.iter().position(|frame| !is_standard(frame)) {
        Some(own) => &frames[own.saturating_sub(1)..],
        None => frames,
    }
}

/// Whether it belongs to one of Rust's standard libraries, or to C's.
fn is_standard(frame: &Frame) -> bool {
    const CRATES: [&str; 3] = ["std::", "core::", "alloc::"];
    let in_libc = || frame.module.as_deref().is_some_and(is_libc);
    frame.function.as_deref().map_or_else(in_libc, |function| {
        let path = function.trim_start_matches(['<', '&']);
        // `<usize as core::slice::SliceIndex<[T]>>::index`: a trait of theirs for a type that is nobody's.
        let path = path
            .split_once(" as ")
            .filter(|(of, _)| !of.contains("::"))
            .map_or(path, |(_, of_trait)| of_trait);
        CRATES.iter().any(|standard| path.starts_with(standard)) || in_libc()
    })
}

fn is_libc(module: &str) -> bool {
    let file = module.rsplit('/').next().unwrap_or_default();
    ["libc.so", "libc-", "libpthread", "ld-", "[vdso]"].iter().any(|name| file.starts_with(name))
}

/// The frames without the runtime's at the outer end; all of them, if they are all the runtime's.
pub(super) fn without_outer_runtime(frames: &[Arc<Frame>]) -> &[Arc<Frame>] {
    let last_own = frames.iter().rposition(|frame| !is_runtime(frame));
    last_own.map_or(frames, |last| &frames[..=last])
}

fn is_runtime(frame: &Frame) -> bool {
    let Some(function) = &frame.function else { return false };
    EXACTLY.contains(&function.as_str())
        || BEGINNINGS.iter().any(|beginning| function.starts_with(beginning))
        || (function.starts_with('<') && function.contains(" as core::ops::function::Fn"))
}

/// C's entry into a thread and into a program, and Rust's.
const EXACTLY: [&str; 13] = [
    "main",
    "_start",
    "clone",
    "clone3",
    "__clone",
    "__clone3",
    "start_thread",
    "start_thread_c",
    "__libc_start_main",
    "__libc_start_main_impl",
    "__libc_start_call_main",
    "__rust_try",
    "libc_start_main_stage2",
];

/// std's way from there to the program's function. It has moved between releases: each place stands here.
const BEGINNINGS: [&str; 14] = [
    "core::ops::function::Fn",
    "core::panic::unwind_safe::AssertUnwindSafe",
    "<core::panic::unwind_safe::AssertUnwindSafe",
    "std::panic::catch_unwind",
    "std::panicking::",
    "std::rt::lang_start",
    "std::sys::backtrace::__rust_begin_short_backtrace",
    "std::sys_common::backtrace::__rust_begin_short_backtrace",
    "std::sys::pal::unix::thread::",
    "std::sys::thread::unix::Thread::new",
    "<std::sys::thread::unix::Thread>::new",
    "std::thread::Builder::spawn_unchecked",
    "<std::thread::Builder>::spawn_unchecked",
    "std::thread::lifecycle::spawn_unchecked",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn fold<'a>(functions: &[&'a str]) -> Vec<&'a str> {
        let frames: Vec<_> = functions
            .iter()
            .map(|function| Arc::new(Frame { function: Some((*function).to_owned()), ..Frame::default() }))
            .collect();
        functions[..without_outer_runtime(&frames).len()].to_vec()
    }

    #[test]
    fn the_outer_end_goes_and_nothing_between() {
        let thread = [
            "syscall",
            "std::panic::catch_unwind",
            "shop::worker",
            "std::sys::backtrace::__rust_begin_short_backtrace",
            "<core::panic::unwind_safe::AssertUnwindSafe<F> as core::ops::function::FnOnce<()>>::call_once",
            "std::panicking::catch_unwind::do_call",
            "core::ops::function::FnOnce::call_once{{vtable.shim}}",
            "<alloc::boxed::Box<dyn core::ops::function::FnOnce<()>> as core::ops::function::FnOnce<()>>::call_once",
            "<std::sys::thread::unix::Thread>::new::thread_start",
            "start_thread",
            "clone3",
        ];
        assert_eq!(fold(&thread), ["syscall", "std::panic::catch_unwind", "shop::worker"]);
    }

    #[test]
    fn at_the_inner_end_what_the_program_called_stays() {
        let function = |function: &str, module: &str| {
            Arc::new(Frame {
                function: Some(function.into()),
                module: Some(module.into()),
                ..Frame::default()
            })
        };
        let frames = [
            function("__GI___futex_wait", "/usr/lib/libc.so.6"),
            function("std::sys::sync::mutex::futex::Mutex::lock_contended", "/shop"),
            function("<std::sync::poison::mutex::Mutex<T>>::lock", "/shop"),
            function("shop::pay", "/shop"),
            function("core::iter::Iterator::for_each", "/shop"),
            function("shop::main", "/shop"),
        ];
        let names = |frames: &[Arc<Frame>]| -> Vec<String> {
            frames.iter().map(|frame| frame.function.clone().unwrap()).collect()
        };
        assert_eq!(
            names(without_inner_runtime(&frames)),
            [
                "<std::sync::poison::mutex::Mutex<T>>::lock",
                "shop::pay",
                "core::iter::Iterator::for_each",
                "shop::main"
            ]
        );
        assert_eq!(without_inner_runtime(&frames[3..]).len(), 3, "nothing to leave out");
        let of_nobody = function("<usize as core::slice::index::SliceIndex<[T]>>::index", "/shop");
        let of_the_shop = function("<shop::Order as core::fmt::Display>::fmt", "/shop");
        assert!(is_standard(&of_nobody) && !is_standard(&of_the_shop));
        assert_eq!(without_inner_runtime(&frames[..3]).len(), 3, "nothing of the program's");
    }

    #[test]
    fn a_stack_of_the_runtime_alone_is_shown() {
        assert_eq!(fold(&["std::rt::lang_start", "main", "_start"]).len(), 3);
        assert_eq!(fold(&[]).len(), 0);
    }

    #[test]
    fn functions_of_the_program_stay() {
        let frames = ["shop::main", "domain::clone", "my::start_thread", "clone_box"];
        assert_eq!(fold(&frames), frames);
    }
}
