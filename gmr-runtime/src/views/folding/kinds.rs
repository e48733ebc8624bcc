//! What kind a frame of a stack is: the program's, a library's, or what starts a thread.

use std::cell::OnceCell;
use std::ops::Deref;

use crate::model::{Frame, Stack, is_unqualified};
use crate::views::owner::is_fetched;
use crate::views::owner::{Owner, in_library, is_call_of_closure, is_telling, owner};
use crate::views::path::short_path;

/// A frame, and what takes long to find out about it. Thousands of stacks share a frame.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    pub(in crate::views) frame: &'a Frame,
    kind: OnceCell<Kind>,
    path: OnceCell<Option<Box<str>>>,
}

impl<'a> Known<'a> {
    /// All frames of a report.
    pub(in crate::views) fn all(frames: &'a [Frame]) -> Vec<Self> {
        let known = |frame| Self { frame, kind: OnceCell::new(), path: OnceCell::new() };
        frames.iter().map(known).collect()
    }

    /// The source file as it is shown.
    pub(in crate::views) fn path(&self) -> Option<&str> {
        self.path.get_or_init(|| Some(short_path(self.frame.file.as_deref()?).into())).as_deref()
    }

    pub(super) fn kind(&self) -> Kind {
        *self.kind.get_or_init(|| Kind::of(self.frame))
    }

    /// Whether it is the program's, as far as its name and its file say: of no library, and of
    /// nothing that starts threads.
    pub(in crate::views) fn is_own(&self) -> bool {
        let kind = self.kind();
        let is_librarys = kind.is_standard || kind.is_runtime || kind.is_gmr;
        let is_entry = kind.is_rust_entry || kind.is_c_entry || kind.is_c_entry_of_static_libc;
        let is_fetched = || self.frame.file.as_deref().is_some_and(is_fetched);
        self.frame.function.is_some() && !is_librarys && !is_entry && !is_fetched()
    }

    pub(super) fn is_telling(&self) -> bool {
        self.kind().is_runtime && is_telling(self.frame)
    }
}

impl Deref for Known<'_> {
    type Target = Frame;

    fn deref(&self) -> &Frame {
        self.frame
    }
}

/// The frames of a stack, innermost first.
pub(in crate::views) fn of_stack<'a>(stack: &Stack, frames: &'a [Known<'a>]) -> Vec<&'a Known<'a>> {
    let frame = |&index: &u32| frames.get(usize::try_from(index).ok()?);
    let mut all = Vec::with_capacity(stack.frames.len());
    all.extend(stack.frames.iter().filter_map(frame));
    all
}

/// What decides whether a frame is shown.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "each is another question")]
pub(super) struct Kind {
    pub(super) is_gmr: bool,
    pub(super) in_libc: bool,
    /// It belongs to Rust's standard libraries or to the C library.
    pub(super) is_standard: bool,
    /// It belongs to a runtime, a thread pool or a common building block of futures.
    pub(super) is_runtime: bool,
    pub(super) is_rust_entry: bool,
    pub(super) is_c_entry: bool,
    /// Applies only if the C library has no module of its own.
    pub(super) is_c_entry_of_static_libc: bool,
}

impl Kind {
    pub(super) fn of(frame: &Frame) -> Self {
        let (owner, in_libc) = (owner(frame), in_libc(frame));
        // A function of Rust has a path, and is not in the C library.
        let can_be_libcs = frame.function.as_deref().is_none_or(is_unqualified);
        let without_file = frame.function.as_deref().filter(|_| frame.file.is_none());
        Self {
            is_gmr: frame.is_gmr(),
            in_libc,
            is_standard: can_be_libcs && in_libc || owner == Owner::Standard,
            is_runtime: owner == Owner::Runtime,
            is_rust_entry: is_rust_entry(frame),
            is_c_entry: without_file.is_some_and(|function| OUTSIDE_LIBC.contains(&function)),
            is_c_entry_of_static_libc: without_file.is_some_and(|function| IN_LIBC.contains(&function)),
        }
    }
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

/// Whether the function's name lacks its path.
fn has_no_path(frame: &Frame) -> bool {
    frame.function.as_deref().is_some_and(is_unqualified)
}

pub(super) fn in_libc(frame: &Frame) -> bool {
    const FILES: [&str; 7] =
        ["libc.so.", "libc-2.", "libpthread.so.", "libpthread-2.", "ld-linux", "ld-musl-", "[vdso]"];
    let file = frame.module.as_deref().and_then(|module| module.rsplit('/').next());
    file.is_some_and(|file| FILES.iter().any(|name| file.starts_with(name)))
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
