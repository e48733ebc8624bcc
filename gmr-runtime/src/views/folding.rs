//! Omits the runtime's frames from stacks, as std's short backtraces do: at the outer end those
//! between a thread's first function and the program's, at the inner end those that a function of
//! std calls internally.
//!
//! Of a thread's stack, only frames at the two ends are omitted, never one between two others.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::owner::{Owner, in_library, is_call_of_closure, owner};
use crate::model::{Frame, Stack, is_unqualified};

/// A frame, and what kind it is.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    pub(super) frame: &'a Frame,
    kind: OnceCell<Kind>,
}

impl<'a> Known<'a> {
    /// All frames of a report. The kind of each is determined once: thousands of stacks share them.
    pub(super) fn all(frames: &'a [Frame]) -> Vec<Self> {
        frames.iter().map(|frame| Self { frame, kind: OnceCell::new() }).collect()
    }

    fn kind(&self) -> Kind {
        *self.kind.get_or_init(|| Kind::of(self.frame))
    }
}

/// The frames of a stack, innermost first.
pub(super) fn of_stack<'a>(stack: &Stack, frames: &'a [Known<'a>]) -> Vec<&'a Known<'a>> {
    let frame = |&index: &u32| frames.get(usize::try_from(index).ok()?);
    stack.frames.iter().filter_map(frame).collect()
}

/// What decides whether a frame is shown.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "each is another question")]
struct Kind {
    in_libc: bool,
    /// It belongs to Rust's standard libraries or to the C library.
    is_standard: bool,
    /// It belongs to a runtime, a thread pool or a common building block of futures.
    is_runtime: bool,
    is_rust_entry: bool,
    is_c_entry: bool,
    /// Applies only if the C library has no module of its own.
    is_c_entry_of_static_libc: bool,
}

impl Kind {
    fn of(frame: &Frame) -> Self {
        let (owner, in_libc) = (owner(frame), in_libc(frame));
        // A function of Rust has a path, and is not in the C library.
        let can_be_libcs = frame.function.as_deref().is_none_or(is_unqualified);
        let without_file = frame.function.as_deref().filter(|_| frame.file.is_none());
        Self {
            in_libc,
            is_standard: can_be_libcs && in_libc || owner == Owner::Standard,
            is_runtime: owner == Owner::Runtime,
            is_rust_entry: is_rust_entry(frame),
            is_c_entry: without_file.is_some_and(|function| OUTSIDE_LIBC.contains(&function)),
            is_c_entry_of_static_libc: without_file.is_some_and(|function| IN_LIBC.contains(&function)),
        }
    }
}

/// Omits the standard libraries' frames at the inner end, except the outermost: the function that
/// the program called. If all frames are theirs, nothing is omitted.
pub(super) fn without_inner_runtime<'f, 'a>(frames: &'f [&'a Known<'a>]) -> &'f [&'a Known<'a>] {
    match frames.iter().position(|frame| !frame.kind().is_standard) {
        Some(first) => &frames[first.saturating_sub(1)..],
        None => frames,
    }
}

/// Omits the frames of a task's stack in which futures of the standard libraries and of runtimes
/// poll one another. The one that the program's innermost function called stays: it names what the
/// task waits for. If that function is a `select!` or `join!`, it is the future that this polls.
pub(super) fn fold_task<'a>(frames: &[&'a Known<'a>]) -> Vec<&'a Known<'a>> {
    // An attribute that wraps the function: nothing waits at its line.
    let wrapper = |frame: &Frame| frame.source.as_deref().is_some_and(|source| source.starts_with("#["));
    let plumbing = Plumbing::of(frames);
    let is_program = |known: &&Known<'_>| !plumbing.has(known) && !wrapper(known.frame);
    let Some(innermost) = frames.iter().position(is_program) else { return frames.to_vec() };
    let further_in = frames[..innermost].iter().rev();
    let waited_for =
        further_in.clone().find(|known| !is_of_macro(known.frame)).or(further_in.clone().next()).copied();
    waited_for.into_iter().chain(frames[innermost..].iter().copied().filter(is_program)).collect()
}

/// Files with the code of `select!` and `join!`, in tokio and futures, and of the future that it is
/// in.
const OF_MACROS: [&str; 6] = [
    "/core/src/future/poll_fn.rs",
    "/macros/select.rs",
    "/macros/join.rs",
    "/macros/try_join.rs",
    "/async_await/select_mod.rs",
    "/async_await/join_mod.rs",
];

fn is_of_macro(frame: &Frame) -> bool {
    frame.file.as_deref().is_some_and(|file| OF_MACROS.iter().any(|of_macro| file.ends_with(of_macro)))
}

/// Tells the frames of a stack that are not the program's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plumbing {
    /// Whether the C library is a module of its own in this stack.
    has_libc: bool,
}

impl Plumbing {
    pub(super) fn of(frames: &[&Known<'_>]) -> Self {
        Self { has_libc: frames.iter().any(|frame| frame.kind().in_libc) }
    }

    /// Whether the frame belongs to a standard library, a runtime, or a thread's entry: the C
    /// library's part of starting a thread or program, or Rust's.
    ///
    /// A program may have functions with the names of the C library's. A function outside the C
    /// library's module counts as the program's. If the C library is linked statically, it has no
    /// module of its own; its functions are then recognized by their lack of debug information.
    pub(super) fn has(self, frame: &Known<'_>) -> bool {
        let kind = frame.kind();
        kind.is_standard
            || kind.is_c_entry
            || !self.has_libc && kind.is_c_entry_of_static_libc
            || kind.is_rust_entry
            || kind.is_runtime
    }
}

/// Whether the frame belongs to a runtime, a thread pool or a common building block of futures.
pub(super) fn is_runtime_crate(frame: &Known<'_>) -> bool {
    frame.kind().is_runtime
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

/// Omits the runtime's frames at the outer end, and gmr's; of a thread of gmr's own, only the
/// runtime's. If all frames are the runtime's, nothing is omitted.
///
/// The first of them stays if it has no line information: the program's function may be inlined
/// into it.
pub(super) fn without_outer_runtime<'f, 'a>(frames: &'f [&'a Known<'a>]) -> &'f [&'a Known<'a>] {
    let plumbing = Plumbing::of(frames);
    // `main` of a program in C is the program's; that of one in Rust calls std at once.
    let of_rust = |index: usize| index > 0 && frames[index - 1].kind().is_rust_entry;
    let is_main = |index: usize| frames[index].frame.function.as_deref() == Some("main") && of_rust(index);
    // glibc's first function of a thread on aarch64. A program's function of this name has a caller.
    let is_first = |index: usize| {
        let frame = frames[index].frame;
        index + 1 == frames.len() && frame.function.as_deref() == Some("thread_start") && frame.file.is_none()
    };
    let is_program = |index: usize| {
        let known = frames[index];
        !plumbing.has(known) && !known.frame.is_gmr() && !is_main(index) && !is_first(index)
    };
    let last = (0..frames.len()).rev().find(|&index| is_program(index));
    let gmrs_last = || frames.iter().rposition(|known| known.frame.is_gmr());
    let Some(last) = last.or_else(gmrs_last) else { return frames };
    let is_unclear = |next: &&Known<'_>| next.frame.file.is_none() && next.kind().is_rust_entry;
    let unclear = frames.get(last + 1).is_some_and(is_unclear);
    &frames[..=last + usize::from(unclear)]
}

/// Omits the gmr frames that called a section. If all frames are gmr's, nothing is omitted.
pub(super) fn fold_section<'f, 'a>(frames: &'f [&'a Known<'a>]) -> &'f [&'a Known<'a>] {
    match frames.iter().position(|known| known.frame.is_gmr()) {
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

    type Folding = for<'f, 'a> fn(&'f [&'a Known<'a>]) -> &'f [&'a Known<'a>];

    /// The names of the frames that stay.
    fn names(folding: Folding, frames: &[Frame]) -> Vec<String> {
        let known = Known::all(frames);
        let all: Vec<&Known<'_>> = known.iter().collect();
        folding(&all).iter().map(|known| known.frame.function.clone().unwrap_or_default()).collect()
    }

    /// How many frames stay.
    fn count(folding: Folding, frames: &[Frame]) -> usize {
        names(folding, frames).len()
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
        functions[..count(without_outer_runtime, &frames)].to_vec()
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
    fn a_branch_of_a_select_is_named_after_its_future() {
        let frame = |function: &str, file: &str| Frame {
            function: Some(function.to_owned()),
            file: Some(file.to_owned()),
            ..Frame::default()
        };
        let poll_fn = frame("poll<F>", "library/core/src/future/poll_fn.rs");
        let closure = frame("{closure#0}", "/registry/src/index/tokio-1.54.1/src/macros/select.rs");
        let sleep =
            frame("<tokio::time::Sleep as core::future::Future>::poll", "tokio-1.54.1/src/time/sleep.rs");
        let program = frame("{async_fn#0}", "/srv/shop/src/main.rs");
        let folded = |frames: &[Frame]| -> Vec<String> {
            let known = Known::all(frames);
            let all: Vec<&Known<'_>> = known.iter().collect();
            fold_task(&all).iter().filter_map(|known| known.frame.file.clone()).collect()
        };
        let names = |frames: &[&Frame]| -> Vec<String> {
            frames.iter().filter_map(|frame| frame.file.clone()).collect()
        };
        let select = [sleep.clone(), closure, poll_fn.clone(), program.clone()];
        assert_eq!(folded(&select), names(&[&sleep, &program]));
        let alone = [poll_fn.clone(), program.clone()];
        assert_eq!(folded(&alone), names(&[&poll_fn, &program]));
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
        assert_eq!(
            names(without_inner_runtime, &frames),
            [
                "<std::sync::poison::mutex::Mutex<T>>::lock",
                "shop::pay",
                "core::iter::Iterator::for_each",
                "shop::main"
            ]
        );
        assert_eq!(count(without_inner_runtime, &frames[3..]), 3, "nothing to omit");
        let of_primitive = function("<usize as core::slice::index::SliceIndex<[T]>>::index", "/shop");
        let of_the_shop = function("<shop::Order as core::fmt::Display>::fmt", "/shop");
        assert!(Kind::of(&of_primitive).is_standard && !Kind::of(&of_the_shop).is_standard);
        assert_eq!(count(without_inner_runtime, &frames[..3]), 3, "no frame of the program");
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
        assert_eq!(count(without_outer_runtime, &frames), 2);
        assert_eq!(count(without_inner_runtime, &frames), 4, "what the program called stays");
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
        assert_eq!(count(without_outer_runtime, &blind), 2);
        let complete = [named("shop::pay", None), named(begin, Some("library/std/src/sys/backtrace.rs"))];
        assert_eq!(count(without_outer_runtime, &complete), 1);
    }

    #[test]
    fn a_section_is_shown_without_gmr() {
        let of_gmr = concat!(module_path!(), "::run");
        let functions = ["shop::cache", "shop::_::__gmr_generate", of_gmr];
        let frames = functions.map(|function| Frame { function: Some(function.into()), ..Frame::default() });
        assert_eq!(count(fold_section, &frames), 1);
        assert_eq!(count(fold_section, &frames[1..]), 2);
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
        assert_eq!(count(without_outer_runtime, &of_the_program), 3);
        // Linked statically, libc has no module of its own. A function of the program has lines.
        let of_libc = [shop("pay::one"), shop("start_thread"), shop("clone")];
        assert_eq!(count(without_outer_runtime, &of_libc), 1);
        let of_libc = [shop("pay::one"), shop("start_thread"), shop("thread_start")];
        assert_eq!(count(without_outer_runtime, &of_libc), 1);
        let of_the_program = [shop("pay::one"), shop("thread_start"), shop("start_thread")];
        assert_eq!(count(without_outer_runtime, &of_the_program), 2);
        let of_the_program = [shop("pay::one"), frame("clone", "/srv/shop", Some("clone.rs"))];
        assert_eq!(count(without_outer_runtime, &of_the_program), 2);
        let not_libc = frame("clone", "/srv/libc-wrapper.so", None);
        assert!(!in_libc(&not_libc) && !Kind::of(&not_libc).is_standard);
    }

    #[test]
    fn main_is_omitted_where_it_is_rusts() {
        assert_eq!(fold(&["shop::main", "std::rt::lang_start", "main", "_start"]), ["shop::main"]);
        assert_eq!(fold(&["shop_serve", "main", "_start"]), ["shop_serve", "main"]);
    }
}
