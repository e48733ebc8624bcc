//! Leaving out what the runtime puts around every stack, as std's short backtraces do: the frames between a thread's very first function and the program's.
//!
//! Only frames at the outer end are left out, never one between two others.

use std::sync::Arc;

use crate::model::Frame;

/// The frames without the runtime's at the outer end; all of them, if they are all the runtime's.
pub(super) fn without_runtime(frames: &[Arc<Frame>]) -> &[Arc<Frame>] {
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
        functions[..without_runtime(&frames).len()].to_vec()
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
