//! Omits the runtime's frames from stacks, as std's short backtraces do: at the outer end those
//! between a thread's first function and the program's, at the inner end those that a function of
//! std calls internally.
//!
//! Of a thread's stack, only frames at the two ends are omitted, never one between two others.

use std::borrow::Cow;

use super::owner::{Owner, in_library, is_call_of_closure, owner};
use crate::model::{Frame, is_unqualified};

/// Omits the standard libraries' frames at the inner end, except the outermost: the function that
/// the program called. If all frames are theirs, nothing is omitted.
pub(super) fn without_inner_runtime<'f, 'a>(frames: &'f [&'a Frame]) -> &'f [&'a Frame] {
    match frames.iter().position(|frame| !is_standard(frame)) {
        Some(first) => &frames[first.saturating_sub(1)..],
        None => frames,
    }
}

/// Whether the frame belongs to Rust's standard libraries or to the C library.
fn is_standard(frame: &Frame) -> bool {
    // A function of Rust has a path, and is not in the C library.
    let can_be_libcs = frame.function.as_deref().is_none_or(is_unqualified);
    can_be_libcs && in_libc(frame) || owner(frame) == Owner::Standard
}

/// Omits the frames of a task's stack in which futures of the standard libraries and of runtimes
/// poll one another. The one that the program's innermost function called stays: it names what the
/// task waits for.
pub(super) fn fold_task<'a>(frames: &[&'a Frame]) -> Vec<&'a Frame> {
    // An attribute that wraps the function: nothing waits at its line.
    let wrapper = |frame: &Frame| frame.source.as_deref().is_some_and(|source| source.starts_with("#["));
    let plumbing = Plumbing::of(frames);
    let is_program = |frame: &&Frame| !plumbing.has(frame) && !wrapper(frame);
    let Some(innermost) = frames.iter().position(is_program) else { return frames.to_vec() };
    let waited_for = innermost.checked_sub(1).map(|before| frames[before]);
    waited_for.into_iter().chain(frames[innermost..].iter().copied().filter(is_program)).collect()
}

/// Tells the frames of a stack that are not the program's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plumbing {
    /// Whether the C library is a module of its own in this stack.
    has_libc: bool,
}

impl Plumbing {
    pub(super) fn of(frames: &[&Frame]) -> Self {
        Self { has_libc: frames.iter().any(|frame| in_libc(frame)) }
    }

    /// Whether the frame belongs to a standard library, a runtime, or a thread's entry.
    pub(super) fn has(self, frame: &Frame) -> bool {
        is_standard(frame) || self.is_c_entry(frame) || is_rust_entry(frame) || is_runtime_crate(frame)
    }

    /// Whether the frame is in the C library's part of starting a thread or program, or of Rust's
    /// catching a panic.
    ///
    /// A program may have functions of the same names. It is one of those if it is not in the C
    /// library; except if that is linked statically, where it has no module of its own, and no
    /// debug information as a program's function has.
    fn is_c_entry(self, frame: &Frame) -> bool {
        let Some(function) = frame.function.as_deref() else { return false };
        frame.file.is_none()
            && (OUTSIDE_LIBC.contains(&function) || !self.has_libc && IN_LIBC.contains(&function))
    }
}

/// Whether the frame belongs to a runtime, a thread pool or a common building block of futures.
pub(super) fn is_runtime_crate(frame: &Frame) -> bool {
    owner(frame) == Owner::Runtime
}

/// The name of an `async fn` as in its source. The compiler turns its body, and each async block,
/// into a closure.
fn strip_closures(name: &str) -> &str {
    let mut name = name;
    while let Some(outer) = ["::{{closure}}", "::{closure#0}", "::{async_fn#0}", "::{async_block#0}"]
        .iter()
        .find_map(|inner| name.strip_suffix(inner))
    {
        name = outer;
    }
    name
}

/// The frame with the name that its `async fn` has in the source.
pub(super) fn with_source_name(frame: &Frame) -> Cow<'_, Frame> {
    let name = frame.function.as_deref().unwrap_or_default();
    match strip_closures(name) {
        same if same == name => Cow::Borrowed(frame),
        stripped => {
            Cow::Owned(Frame { function: Some(stripped.to_owned()), inlined: false, ..frame.clone() })
        }
    }
}

/// Whether the function's name lacks its path.
fn has_no_path(frame: &Frame) -> bool {
    frame.function.as_deref().is_some_and(is_unqualified)
}

fn in_libc(frame: &Frame) -> bool {
    const FILES: [&str; 7] =
        ["libc.so.", "libc-2.", "libpthread.so.", "libpthread-2.", "ld-linux", "ld-musl-", "[vdso]"];
    let file = frame.module.as_deref().and_then(|module| module.rsplit('/').next());
    file.is_some_and(|file| FILES.iter().any(|name| file.starts_with(name)))
}

/// Omits the runtime's frames at the outer end. If all frames are the runtime's, nothing is
/// omitted.
///
/// The first of them stays if it has no line information: the program's function may be inlined
/// into it.
pub(super) fn without_outer_runtime<'f, 'a>(frames: &'f [&'a Frame]) -> &'f [&'a Frame] {
    let plumbing = Plumbing::of(frames);
    // `main` of a program in C is the program's; that of one in Rust calls std at once.
    let of_rust = |index: usize| index > 0 && is_rust_entry(frames[index - 1]);
    let is_main = |index: usize| frames[index].function.as_deref() == Some("main") && of_rust(index);
    let is_program =
        |index: usize| !plumbing.has(frames[index]) && !frames[index].is_gmr() && !is_main(index);
    let Some(last) = (0..frames.len()).rev().find(|&index| is_program(index)) else { return frames };
    let unclear = frames.get(last + 1).is_some_and(|next| next.file.is_none() && is_rust_entry(next));
    &frames[..=last + usize::from(unclear)]
}

/// Omits the gmr frames that called a section. If all frames are gmr's, nothing is omitted.
pub(super) fn fold_section<'f, 'a>(frames: &'f [&'a Frame]) -> &'f [&'a Frame] {
    match frames.iter().position(|frame| frame.is_gmr()) {
        None | Some(0) => frames,
        Some(first) => &frames[..first],
    }
}

fn is_rust_entry(frame: &Frame) -> bool {
    let Some(function) = frame.function.as_deref() else { return false };
    if has_no_path(frame) {
        let path = frame.file.as_deref().and_then(in_library);
        return path.is_some_and(|path| RUST_ENTRY_FILES.contains(&path));
    }
    RUST_ENTRY_PREFIXES.iter().any(|beginning| function.starts_with(beginning))
        || is_call_of_closure(function)
}

/// The C library's functions between the kernel and a thread's or a program's first function.
const IN_LIBC: [&str; 10] = [
    "clone",
    "clone3",
    "__clone",
    "__clone3",
    "start_thread",
    "start_thread_c",
    "__libc_start_main",
    "__libc_start_main_impl",
    "__libc_start_call_main",
    "libc_start_main_stage2",
];

/// Those of them that are part of the program's file, and the compiler's function that catches
/// panics.
const OUTSIDE_LIBC: [&str; 2] = ["_start", "__rust_try"];

/// The functions of std between there and the program's function, by the paths that they have had
/// across releases.
const RUST_ENTRY_PREFIXES: [&str; 14] = [
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

/// The files of these functions, for names that lack their paths.
const RUST_ENTRY_FILES: [&str; 11] = [
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
                let (module, file) = match *function {
                    "start_thread" | "clone3" => ("/usr/lib/libc.so.6", None),
                    "main" | "_start" => ("/srv/shop", None),
                    _ => ("/srv/shop", Some("shop.rs".to_owned())),
                };
                let (function, module) = (Some((*function).to_owned()), Some(module.to_owned()));
                Frame { function, file, module, ..Frame::default() }
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
        assert_eq!(without_inner_runtime(&all(&frames[3..])).len(), 3, "nothing to omit");
        let of_primitive = function("<usize as core::slice::index::SliceIndex<[T]>>::index", "/shop");
        let of_the_shop = function("<shop::Order as core::fmt::Display>::fmt", "/shop");
        assert!(is_standard(&of_primitive) && !is_standard(&of_the_shop));
        assert_eq!(without_inner_runtime(&all(&frames[..3])).len(), 3, "no frame of the program");
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
        assert_eq!(without_inner_runtime(&all(&frames)).len(), 4, "what the program called stays");
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
        let complete = [named("shop::pay", None), named(begin, Some("library/std/src/sys/backtrace.rs"))];
        assert_eq!(without_outer_runtime(&all(&complete)).len(), 1);
    }

    #[test]
    fn a_section_is_shown_without_gmr() {
        let of_gmr = concat!(module_path!(), "::run");
        let functions = ["shop::cache", "shop::_::__gmr_generate", of_gmr];
        let frames = functions.map(|function| Frame { function: Some(function.into()), ..Frame::default() });
        assert_eq!(fold_section(&all(&frames)).len(), 1);
        assert_eq!(fold_section(&all(&frames[1..])).len(), 2);
    }

    #[test]
    fn functions_of_the_program_stay() {
        let frames = ["shop::main", "domain::clone", "my::start_thread", "clone_box"];
        assert_eq!(fold(&frames), frames);
        let frames = ["shop::pay", "<core::option::Option<u32> as shop::Job>::run", "clone3"];
        assert_eq!(fold(&frames), frames[..2]);
    }

    #[test]
    fn functions_named_as_the_c_librarys_are_omitted_there_only() {
        let frame = |function: &str, module: &str, file: Option<&str>| Frame {
            function: Some(function.into()),
            module: Some(module.into()),
            file: file.map(str::to_owned),
            ..Frame::default()
        };
        let shop = |function| frame(function, "/srv/shop", None);
        let libc = frame("clone3", "/usr/lib/libc.so.6", None);
        let of_the_program = [shop("pay::one"), shop("clone"), shop("start_thread"), libc];
        assert_eq!(without_outer_runtime(&all(&of_the_program)).len(), 3);
        // Linked statically, libc has no module of its own. A function of the program has lines.
        let of_libc = [shop("pay::one"), shop("start_thread"), shop("clone")];
        assert_eq!(without_outer_runtime(&all(&of_libc)).len(), 1);
        let of_the_program = [shop("pay::one"), frame("clone", "/srv/shop", Some("clone.rs"))];
        assert_eq!(without_outer_runtime(&all(&of_the_program)).len(), 2);
        let not_libc = frame("clone", "/srv/libc-wrapper.so", None);
        assert!(!in_libc(&not_libc) && !is_standard(&not_libc));
    }

    #[test]
    fn main_is_omitted_where_it_is_rusts() {
        assert_eq!(fold(&["shop::main", "std::rt::lang_start", "main", "_start"]), ["shop::main"]);
        assert_eq!(fold(&["shop_serve", "main", "_start"]), ["shop_serve", "main"]);
    }
}
