//! Leaving out what the runtime puts around every stack, as std's short backtraces do: at the outer end what stands between a thread's very first function and the
//! program's, at the inner end what stands below the function of std that the program has called.
//!
//! Only frames at the two ends are left out, never one between two others.

use std::borrow::Cow;

use crate::model::{Frame, is_unqualified};

/// The frames without those that the standard libraries have called on their own behalf: of the ones at the inner end the outermost stays, which the
/// program has called. All of them, if they are all the standard libraries'.
pub(super) fn without_inner_runtime<'f, 'a>(frames: &'f [&'a Frame]) -> &'f [&'a Frame] {
    match frames.iter().position(|frame| !is_standard(frame)) {
        Some(own) => &frames[own.saturating_sub(1)..],
        None => frames,
    }
}

/// Whether it belongs to one of Rust's standard libraries, or to C's.
fn is_standard(frame: &Frame) -> bool {
    const CRATES: [&str; 3] = ["std::", "core::", "alloc::"];
    let in_libc = || frame.module.as_deref().is_some_and(is_libc);
    if has_no_path(frame) {
        return in_libc() || frame.file.as_deref().is_some_and(|file| in_library(file).is_some());
    }
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

/// A task's stack without what lies between the functions that people have written: how futures of the standard libraries and of runtimes poll one another. What the program has called at the inner end
/// stays, as the name of what is waited for.
pub(super) fn of_task<'a>(frames: &[&'a Frame]) -> Vec<&'a Frame> {
    // A line that is an attribute is no place where anything waits: the attribute has wrapped the function.
    let wrapper = |frame: &Frame| frame.source.as_deref().is_some_and(|source| source.starts_with("#["));
    let own = |frame: &&Frame| !is_plumbing(frame) && !wrapper(frame);
    let Some(innermost) = frames.iter().position(own) else { return frames.to_vec() };
    let waited_for = innermost.checked_sub(1).map(|before| frames[before]);
    waited_for.into_iter().chain(frames[innermost..].iter().copied().filter(own)).collect()
}

/// Whether it is neither the program's nor a library's that does the program's work.
pub(super) fn is_plumbing(frame: &Frame) -> bool {
    is_standard(frame) || is_runtime(frame) || is_of_a_runtime(frame)
}

/// Whether it belongs to a runtime, or to what futures are commonly built with.
pub(super) fn is_of_a_runtime(frame: &Frame) -> bool {
    const CRATES: [&str; 18] = [
        "crossbeam_channel::",
        "crossbeam_epoch::",
        "mio::",
        "parking_lot::",
        "parking_lot_core::",
        "rayon_core::",
        "tokio::",
        "futures_util::",
        "futures_core::",
        "futures_channel::",
        "futures_executor::",
        "futures_lite::",
        "async_io::",
        "async_executor::",
        "async_task::",
        "async_lock::",
        "async_channel::",
        "event_listener::",
    ];
    if has_no_path(frame) {
        let of = frame.file.as_deref().and_then(crate_of);
        return of.is_some_and(|of| CRATES.iter().any(|known| known.trim_end_matches("::") == of));
    }
    let function = frame.function.as_deref().unwrap_or_default();
    let path = function.trim_start_matches(['<', '&']);
    let path = path.strip_prefix("mut ").unwrap_or(path);
    CRATES.iter().any(|of| path.starts_with(of))
}

/// The crate that a source file of cargo's belongs to: `tokio` for `.../tokio-1.54.1/src/park.rs`.
fn crate_of(file: &str) -> Option<String> {
    let (package, _) = file.rsplit_once("/src/")?;
    // `src/sync/src` would be a module: the package is what has a version.
    let (name, version) = package.rsplit('/').next()?.rsplit_once('-')?;
    version.starts_with(|first: char| first.is_ascii_digit()).then(|| name.replace('-', "_"))
}

/// The name of an `async fn` as its author wrote it: the compiler makes a closure of its body, and of each async block.
fn as_written(name: &str) -> &str {
    let mut name = name;
    while let Some(outer) = ["::{{closure}}", "::{closure#0}", "::{async_fn#0}", "::{async_block#0}"]
        .iter()
        .find_map(|inner| name.strip_suffix(inner))
    {
        name = outer;
    }
    name
}

/// A frame of a task as a person reads it: an `async fn` by the name that its author gave it.
pub(super) fn as_read(frame: &Frame) -> Cow<'_, Frame> {
    let name = frame.function.as_deref().unwrap_or_default();
    match as_written(name) {
        same if same == name => Cow::Borrowed(frame),
        written => Cow::Owned(Frame { function: Some(written.to_owned()), inlined: false, ..frame.clone() }),
    }
}

/// Whether its name is without the path to it.
fn has_no_path(frame: &Frame) -> bool {
    frame.function.as_deref().is_some_and(is_unqualified)
}

/// The path of a source file within Rust's standard libraries.
fn in_library(file: &str) -> Option<&str> {
    let (before, path) = file.split_once("library/")?;
    let of_rust = before.is_empty() || before.contains("/rustc/") || before.ends_with("/src/rust/");
    (of_rust && ["std/", "core/", "alloc/"].iter().any(|standard| path.starts_with(standard))).then_some(path)
}

fn is_libc(module: &str) -> bool {
    let file = module.rsplit('/').next().unwrap_or_default();
    ["libc.so", "libc-", "libpthread", "ld-", "[vdso]"].iter().any(|name| file.starts_with(name))
}

/// The frames without the runtime's at the outer end; all of them, if they are all the runtime's.
///
/// The first of the runtime's stays if nothing tells what was inlined into it: it may be the program's function.
pub(super) fn without_outer_runtime<'f, 'a>(frames: &'f [&'a Frame]) -> &'f [&'a Frame] {
    let Some(last) = frames.iter().rposition(|frame| !is_plumbing(frame) && !frame.is_gmr()) else {
        return frames;
    };
    let unclear = frames.get(last + 1).is_some_and(|next| next.file.is_none() && is_rust_runtime(next));
    &frames[..=last + usize::from(unclear)]
}

/// The frames of a section's own, without those of gmr which has called it; all of them, if they are all gmr's.
pub(super) fn of_section<'f, 'a>(frames: &'f [&'a Frame]) -> &'f [&'a Frame] {
    match frames.iter().position(|frame| frame.is_gmr()) {
        None | Some(0) => frames,
        Some(first) => &frames[..first],
    }
}

fn is_runtime(frame: &Frame) -> bool {
    frame.function.as_deref().is_some_and(|function| EXACTLY.contains(&function)) || is_rust_runtime(frame)
}

fn is_rust_runtime(frame: &Frame) -> bool {
    let Some(function) = frame.function.as_deref() else { return false };
    if has_no_path(frame) {
        let path = frame.file.as_deref().and_then(in_library);
        return path.is_some_and(|path| FILES.contains(&path));
    }
    BEGINNINGS.iter().any(|beginning| function.starts_with(beginning))
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

/// The files that these are in, for functions whose names are without their paths.
const FILES: [&str; 11] = [
    "alloc/src/boxed.rs",
    "core/src/ops/function.rs",
    "core/src/panic/unwind_safe.rs",
    "std/src/panic.rs",
    "std/src/panicking.rs",
    "std/src/rt.rs",
    "std/src/sys/backtrace.rs",
    "std/src/sys/pal/unix/thread.rs",
    "std/src/sys/thread/unix.rs",
    "std/src/thread/lifecycle.rs",
    "std/src/thread/mod.rs",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn all(frames: &[Frame]) -> Vec<&Frame> {
        frames.iter().collect()
    }

    fn fold<'a>(functions: &[&'a str]) -> Vec<&'a str> {
        let frames: Vec<_> = functions
            .iter()
            .map(|function| {
                let file = Some("told.rs".to_owned());
                Frame { function: Some((*function).to_owned()), file, ..Frame::default() }
            })
            .collect();
        functions[..without_outer_runtime(&all(&frames)).len()].to_vec()
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
        let function = |function: &str, module: &str| Frame {
            function: Some(function.into()),
            module: Some(module.into()),
            ..Frame::default()
        };
        let frames = [
            function("__GI___futex_wait", "/usr/lib/libc.so.6"),
            function("std::sys::sync::mutex::futex::Mutex::lock_contended", "/shop"),
            function("<std::sync::poison::mutex::Mutex<T>>::lock", "/shop"),
            function("shop::pay", "/shop"),
            function("core::iter::Iterator::for_each", "/shop"),
            function("shop::main", "/shop"),
        ];
        let names = |frames: &[&Frame]| -> Vec<String> {
            frames.iter().map(|frame| frame.function.clone().unwrap()).collect()
        };
        assert_eq!(
            names(without_inner_runtime(&all(&frames))),
            [
                "<std::sync::poison::mutex::Mutex<T>>::lock",
                "shop::pay",
                "core::iter::Iterator::for_each",
                "shop::main"
            ]
        );
        assert_eq!(without_inner_runtime(&all(&frames[3..])).len(), 3, "nothing to leave out");
        let of_nobody = function("<usize as core::slice::index::SliceIndex<[T]>>::index", "/shop");
        let of_the_shop = function("<shop::Order as core::fmt::Display>::fmt", "/shop");
        assert!(is_standard(&of_nobody) && !is_standard(&of_the_shop));
        assert_eq!(without_inner_runtime(&all(&frames[..3])).len(), 3, "nothing of the program's");
    }

    #[test]
    fn a_stack_of_the_runtime_alone_is_shown() {
        assert_eq!(fold(&["std::rt::lang_start", "main", "_start"]).len(), 3);
        assert_eq!(fold(&[]).len(), 0);
    }

    #[test]
    fn names_without_paths_are_known_by_their_files() {
        let frame = |function: &str, file: &str| Frame {
            function: Some(function.into()),
            file: Some(file.into()),
            ..Frame::default()
        };
        let std = "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/";
        let frames = [
            frame("lock<u32>", &format!("{std}sync/poison/mutex.rs")),
            frame("{closure#0}", "/srv/shop/src/main.rs"),
            frame("do_call<shop::main::{closure_env#0}, ()>", &format!("{std}panicking.rs")),
            frame("catch_unwind", "library/std/src/panic.rs"),
        ];
        assert_eq!(without_outer_runtime(&all(&frames)).len(), 2);
        assert_eq!(without_inner_runtime(&all(&frames)).len(), 4, "what the program has called stays");
        assert!(is_standard(&frames[0]) && !is_standard(&frames[1]));
        let in_tokio = frame("run", "/home/x/registry/src/index/tokio-1.54.1/src/runtime/park.rs");
        assert!(is_of_a_runtime(&in_tokio) && !is_of_a_runtime(&frames[1]));
        assert_eq!(in_library("/srv/shop/library/std/src/panic.rs"), None, "somebody else's library");
    }

    #[test]
    fn a_function_that_may_hold_the_programs_stays() {
        let named = |function: &str, file: Option<&str>| Frame {
            function: Some(function.into()),
            file: file.map(str::to_owned),
            ..Frame::default()
        };
        let begin = "std::sys::backtrace::__rust_begin_short_backtrace";
        let blind = [named("lock_contended", None), named(begin, None), named("clone3", None)];
        assert_eq!(without_outer_runtime(&all(&blind)).len(), 2);
        let told = [named("shop::pay", None), named(begin, Some("library/std/src/sys/backtrace.rs"))];
        assert_eq!(without_outer_runtime(&all(&told)).len(), 1);
    }

    #[test]
    fn a_section_is_shown_without_gmr() {
        let functions = ["shop::cache", "shop::_::__gmr_generate", "gmr_runtime::section::run::go"];
        let frames = functions.map(|function| Frame { function: Some(function.into()), ..Frame::default() });
        assert_eq!(of_section(&all(&frames)).len(), 1);
        assert_eq!(of_section(&all(&frames[1..])).len(), 2);
    }

    #[test]
    fn functions_of_the_program_stay() {
        let frames = ["shop::main", "domain::clone", "my::start_thread", "clone_box"];
        assert_eq!(fold(&frames), frames);
    }
}
