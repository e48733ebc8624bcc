//! Which frames of a thread's stack are shown. They are not kept in a list of parts: a document of
//! somebody else's can have a stack of millions of frames, each of which takes two bytes there.

use std::iter;
use std::ops::Range;

use super::kinds::{Known, Plumbing};
use super::parts::{Omitted, Part};

/// The parts of a thread's stack. `is_complete` says whether it reaches the first function of its
/// thread.
///
/// Of frames that are not the program's, these stay:
/// - the outermost of those further in than the program's functions, which these have called; and
///   if a runtime's are further in, the innermost one that says what the thread is doing;
/// - of those between two functions of the program, the one that the outer of them has called; and
///   the one that calls the inner one, if it has no line information: the program's function may be
///   inlined into it. A few are not worth a line that says how many there are;
/// - of those that lead to the program's functions, the innermost one, if it is std's and has no
///   line information.
///
/// gmr's frames count as the program's if the thread runs nothing else. If all frames are the
/// standard libraries', nothing is omitted.
pub(in crate::views) fn fold_thread<'a>(
    frames: &[&'a Known<'a>],
    is_complete: bool,
) -> impl Iterator<Item = Part<'a>> {
    let plumbing = Plumbing::of(frames);
    let is_gmrs = move |index: usize| frames[index].kind().is_gmr;
    let is_programs = move |index: usize| !is_foreign(plumbing, frames, index) && !is_gmrs(index);
    let runs_program = (0..frames.len()).any(is_programs);
    let stays = move |index: usize| if runs_program { is_programs(index) } else { is_gmrs(index) };
    let first = (0..frames.len()).find(|&index| stays(index));
    let last = (0..frames.len()).rfind(|&index| stays(index));
    let (inner, own, outer) = match first.zip(last) {
        Some((first, last)) => {
            let outer = further_out(&frames[last + 1..], is_complete);
            ([further_in(&frames[..first]), Run::default()], first..last + 1, outer)
        }
        None => (runtimes_alone(frames), 0..0, Run::default()),
    };
    inner.into_iter().chain(own_and_between(frames, own, stays)).chain([outer]).flat_map(Run::parts)
}

/// Frames that are shown, and what is omitted between them.
#[derive(Default)]
struct Run<'f, 'a> {
    inner: &'f [&'a Known<'a>],
    omitted: Option<Omitted<'a>>,
    outer: &'f [&'a Known<'a>],
}

impl<'f, 'a> Run<'f, 'a> {
    fn all(frames: &'f [&'a Known<'a>]) -> Self {
        Self { inner: frames, ..Self::default() }
    }

    fn parts(self) -> impl Iterator<Item = Part<'a>> {
        let shown = |frames: &'f [&'a Known<'a>]| frames.iter().copied().map(Part::Frame);
        shown(self.inner).chain(self.omitted.map(Part::Omitted)).chain(shown(self.outer))
    }
}

/// From the innermost to the outermost frame that stays: runs of frames that do, and what is in
/// between.
fn own_and_between<'f, 'a>(
    frames: &'f [&'a Known<'a>],
    own: Range<usize>,
    stays: impl Fn(usize) -> bool,
) -> impl Iterator<Item = Run<'f, 'a>> {
    let mut left = own;
    iter::from_fn(move || {
        let from = left.next()?;
        let is_own = stays(from);
        left.start = left.find(|&index| stays(index) != is_own).unwrap_or(left.end);
        let run = &frames[from..left.start];
        Some(if is_own { Run::all(run) } else { between(run) })
    })
}

/// The number of frames in a row that are not worth a line that says how many there are.
const FEW: usize = 2;

/// Frames that functions of the program have called.
fn further_in<'f, 'a>(frames: &'f [&'a Known<'a>]) -> Run<'f, 'a> {
    let Some(called) = frames.len().checked_sub(1) else { return Run::default() };
    let (inner, called) = frames.split_at(called);
    // The standard libraries' own functions are of no interest, nor is their number.
    if inner.iter().all(|known| known.kind().is_standard) {
        return Run::all(called);
    }
    let telling = inner.iter().position(|known| known.is_telling());
    let others = inner.iter().enumerate().filter(|(index, _)| Some(*index) != telling);
    let omitted = omitted(others.map(|(_, known)| *known));
    let telling = telling.map_or(&[][..], |index| &inner[index..=index]);
    Run { inner: telling, omitted, outer: called }
}

/// Frames between two functions of the program.
fn between<'f, 'a>(frames: &'f [&'a Known<'a>]) -> Run<'f, 'a> {
    let Some(called) = frames.len().checked_sub(1) else { return Run::default() };
    let (inner, called) = frames.split_at(called);
    let unclear = inner.first().is_some_and(|known| known.frame.file.is_none());
    let (kept, others) = inner.split_at(usize::from(unclear));
    if others.len() <= FEW {
        return Run::all(frames);
    }
    Run { inner: kept, omitted: omitted(others.iter().copied()), outer: called }
}

/// Frames that lead to the program's functions.
fn further_out<'f, 'a>(frames: &'f [&'a Known<'a>], is_complete: bool) -> Run<'f, 'a> {
    if !is_complete {
        // Where the stack ends, it ends for a reason.
        let (others, last) = frames.split_at(frames.len().saturating_sub(1));
        return match others.len() {
            0..=FEW => Run::all(frames),
            _ => Run { inner: &[], omitted: omitted(others.iter().copied()), outer: last },
        };
    }
    let unclear =
        frames.first().is_some_and(|known| known.frame.file.is_none() && known.kind().is_rust_entry);
    let (kept, others) = frames.split_at(usize::from(unclear));
    // Every thread has those of std and of the C library.
    let is_worth_it = others.iter().any(|known| known.kind().is_runtime);
    Run { inner: kept, omitted: is_worth_it.then(|| Omitted::of(others.iter().copied())), outer: &[] }
}

/// A stack without a function of the program. A runtime's is shown by the innermost frame that says
/// what the thread is doing, and the outermost, which the program may have called.
fn runtimes_alone<'f, 'a>(frames: &'f [&'a Known<'a>]) -> [Run<'f, 'a>; 2] {
    let Some(telling) = telling(frames) else { return [Run::all(frames), Run::default()] };
    let outermost = frames.iter().rposition(|known| known.kind().is_runtime).unwrap_or(telling);
    let entry = frames[outermost + 1..].iter().position(|known| known.kind().is_rust_entry);
    let unclear =
        entry.map(|entry| outermost + 1 + entry).filter(|&entry| frames[entry].frame.file.is_none());
    let stays = |index: usize| [Some(telling), Some(outermost), unclear].contains(&Some(index));
    let others = frames.iter().enumerate().filter(|(index, _)| !stays(*index));
    let one = |index: Option<usize>| index.map_or(&[][..], |index| &frames[index..=index]);
    let inner = Run {
        inner: one(Some(telling)),
        omitted: omitted(others.map(|(_, known)| *known)),
        outer: one(Some(outermost).filter(|outermost| *outermost != telling)),
    };
    [inner, Run::all(one(unclear))]
}

fn omitted<'a>(frames: impl Iterator<Item = &'a Known<'a>>) -> Option<Omitted<'a>> {
    Some(Omitted::of(frames)).filter(|omitted| omitted.frames > 0)
}

/// The innermost frame of a runtime, if possible one that says more than that the thread waits.
fn telling(frames: &[&Known<'_>]) -> Option<usize> {
    let is_runtime = |known: &&Known<'_>| known.kind().is_runtime;
    frames.iter().position(|known| known.is_telling()).or_else(|| frames.iter().position(is_runtime))
}

/// Where a thread is that runs no function of the program, but a runtime's: one frame, and what is
/// omitted. None for any other thread.
pub(in crate::views) fn fold_pool_thread<'a>(
    frames: &[&'a Known<'a>],
) -> Option<(&'a Known<'a>, Omitted<'a>)> {
    let plumbing = Plumbing::of(frames);
    if !frames.iter().all(|frame| plumbing.has(frame)) {
        return None;
    }
    let telling = telling(frames)?;
    let others = frames.iter().enumerate().filter(|(index, _)| *index != telling);
    Some((frames[telling], Omitted::of(others.map(|(_, known)| *known))))
}

/// Whether a frame of a thread belongs to a standard library, a runtime, or what starts a thread.
fn is_foreign(plumbing: Plumbing, frames: &[&Known<'_>], index: usize) -> bool {
    let frame = frames[index].frame;
    let function = frame.function.as_deref();
    // `main` of a program in C is the program's; that of one in Rust calls std at once.
    let is_main = || function == Some("main") && index > 0 && frames[index - 1].kind().is_rust_entry;
    // glibc's first function of a thread on aarch64. A program's function of this name has a
    // caller.
    let is_first = || index + 1 == frames.len() && function == Some("thread_start") && frame.file.is_none();
    plumbing.has(frames[index]) || is_main() || is_first()
}

/// Omits the gmr frames that called a section. If all frames are gmr's, nothing is omitted.
pub(in crate::views) fn fold_section<'f, 'a>(frames: &'f [&'a Known<'a>]) -> &'f [&'a Known<'a>] {
    match frames.iter().position(|known| known.kind().is_gmr) {
        None | Some(0) => frames,
        Some(first) => &frames[..first],
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::super::kinds::{Kind, in_libc};
    use super::*;
    use crate::model::Frame;

    /// What is shown of a thread's stack: names, and for what is omitted `-`, its number of frames
    /// and its crates.
    fn parts(frames: &[Frame], is_complete: bool) -> Vec<String> {
        let known = Known::all(frames);
        let all: Vec<&Known<'_>> = known.iter().collect();
        let part = |part: &Part<'_>| match part {
            Part::Frame(frame) | Part::Repeated(frame, _) | Part::OwnBody(frame) => {
                frame.function.clone().unwrap_or_default()
            }
            Part::Omitted(Omitted { frames, crates }) => format!("-{frames} {}", crates.join(" ")),
        };
        fold_thread(&all, is_complete).map(|one| part(&one)).collect()
    }

    /// How many frames stay.
    fn count(frames: &[Frame]) -> usize {
        parts(frames, true).iter().filter(|part| !part.starts_with('-')).count()
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
        functions[..count(&frames)].to_vec()
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
        assert_eq!(
            parts(&frames, true),
            [
                "<std::sync::poison::mutex::Mutex<T>>::lock",
                "shop::pay",
                "core::iter::Iterator::for_each",
                "shop::main"
            ]
        );
        assert_eq!(count(&frames[3..]), 3, "nothing to omit");
        let of_primitive = function("<usize as core::slice::index::SliceIndex<[T]>>::index", "/shop");
        let of_the_shop = function("<shop::Order as core::fmt::Display>::fmt", "/shop");
        assert!(Kind::of(&of_primitive).is_standard && !Kind::of(&of_the_shop).is_standard);
        assert_eq!(count(&frames[..3]), 3, "no frame of the program");
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
        assert_eq!(parts(&frames, true), ["lock<u32>", "{closure#0}"]);
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
        assert_eq!(count(&blind), 2);
        let complete = [named("shop::pay", None), named(begin, Some("library/std/src/sys/backtrace.rs"))];
        assert_eq!(count(&complete), 1);
    }

    #[test]
    fn a_section_is_shown_without_gmr() {
        let of_gmr = concat!(module_path!(), "::run");
        let functions = ["shop::cache", "shop::_::__gmr_generate", of_gmr];
        let frames = functions.map(|function| Frame { function: Some(function.into()), ..Frame::default() });
        let count = |frames: &[Frame]| {
            let known = Known::all(frames);
            fold_section(&known.iter().collect::<Vec<_>>()).len()
        };
        assert_eq!((count(&frames), count(&frames[1..])), (1, 2));
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
        assert_eq!(count(&of_the_program), 3);
        // Linked statically, libc has no module of its own. A function of the program has lines.
        let of_libc = [shop("pay::one"), shop("start_thread"), shop("clone")];
        assert_eq!(count(&of_libc), 1);
        let of_libc = [shop("pay::one"), shop("start_thread"), shop("thread_start")];
        assert_eq!(count(&of_libc), 1);
        let of_the_program = [shop("pay::one"), shop("thread_start"), shop("start_thread")];
        assert_eq!(count(&of_the_program), 2);
        let of_the_program = [shop("pay::one"), frame("clone", "/srv/shop", Some("clone.rs"))];
        assert_eq!(count(&of_the_program), 2);
        let not_libc = frame("clone", "/srv/libc-wrapper.so", None);
        assert!(!in_libc(&not_libc) && !Kind::of(&not_libc).is_standard);
    }

    /// Frames of these functions; those whose names begin with `+` have a file.
    fn frames(functions: &[&str]) -> Vec<Frame> {
        let frame = |function: &&str| {
            let name = function.strip_prefix('+');
            let file = name.map(|_| "lib.rs".to_owned());
            let module = (*function == "syscall").then(|| "/usr/lib/libc.so.6".to_owned());
            Frame { function: Some(name.unwrap_or(function).to_owned()), file, module, ..Frame::default() }
        };
        functions.iter().map(frame).collect()
    }

    /// A thread that a runtime has parked, further in than what the program calls.
    const PARKED: [&str; 7] = [
        "syscall",
        "+<parking_lot_core::ThreadParker>::park",
        "+parking_lot::Condvar::wait",
        "+tokio::loom::std::Condvar::wait",
        "+tokio::runtime::park::Inner::park",
        "+std::thread::local::LocalKey<T>::with",
        "+tokio::runtime::Runtime::block_on",
    ];

    #[test]
    fn of_a_runtime_that_the_program_has_called_two_frames_stay() {
        let stack = frames(&[&PARKED[..], &["+shop::main", "+std::rt::lang_start"]].concat());
        let shown = [
            "tokio::runtime::park::Inner::park",
            "-5 libc parking_lot_core parking_lot tokio std",
            "tokio::runtime::Runtime::block_on",
            "shop::main",
        ];
        assert_eq!(parts(&stack, true), shown);
        let receives = ["syscall", "+std::thread::park", "+crossbeam_channel::recv", "+shop::main"];
        assert_eq!(parts(&frames(&receives), true), ["crossbeam_channel::recv", "shop::main"]);
        let gmr = concat!("+", module_path!(), "::capture");
        let waits = frames(&["syscall", "+std::thread::park", gmr, "+shop::main"]);
        assert_eq!(parts(&waits, true), [&gmr[1..], "shop::main"]);
    }

    /// A function of the program that another one calls through these.
    fn through(between: &[&str]) -> Vec<Frame> {
        frames(&[&["+shop::add"], between, &["+rayon_core::join", "+shop::sum"]].concat())
    }

    #[test]
    fn of_a_runtime_between_functions_of_the_program_the_one_that_it_calls_stays() {
        let between = ["+core::ops::FnOnce::call_once", "+rayon_core::job", "+std::panic::catch_unwind"];
        let shown = parts(&through(&between), true);
        assert_eq!(shown, ["shop::add", "-3 std rayon_core", "rayon_core::join", "shop::sum"]);
        // A line for two is not shorter.
        assert_eq!(parts(&through(&between[..2]), true).len(), 5);
        // Without its file, the program's function may be inlined into it.
        let unclear =
            ["rayon_core::job::run", "+rayon_core::job", "+rayon_core::scope", "+std::thread::scope"];
        let shown = parts(&through(&unclear), true);
        assert_eq!(shown[1..3], ["rayon_core::job::run", "-3 rayon_core std"]);
    }

    #[test]
    fn what_leads_from_a_runtime_to_the_program_is_counted() {
        let outer = ["+tokio::runtime::task::poll", "+std::panic::catch_unwind", "+tokio::runtime::run"];
        let stack = frames(&[&["+shop::pay"], &outer[..], &["+std::thread::start", "syscall"]].concat());
        assert_eq!(parts(&stack, true), ["shop::pay", "-5 tokio std libc"]);
        // It ends before the thread's first function.
        assert_eq!(parts(&stack[..5], false), ["shop::pay", "-3 tokio std", "std::thread::start"]);
        assert_eq!(parts(&stack[..4], false).len(), 4);
    }

    #[test]
    fn a_thread_that_runs_a_runtime_alone_is_shown_by_where_that_is() {
        let started = ["+tokio::runtime::blocking::run", "+std::thread::start"];
        let stack = frames(&[&PARKED[..6], &started].concat());
        let shown = ["tokio::runtime::park::Inner::park", "-6 std libc parking_lot_core parking_lot tokio"];
        let outermost = "tokio::runtime::blocking::run";
        assert_eq!(parts(&stack, true), [&shown[..], &[outermost]].concat());
        let unclear = "std::sys::backtrace::__rust_begin_short_backtrace";
        let stack = frames(&[&PARKED[..6], &[started[0], unclear, "+std::thread::start"]].concat());
        assert_eq!(parts(&stack, true), [&shown[..], &[outermost, unclear]].concat());
        let known = Known::all(&stack);
        let (frame, omitted) = fold_pool_thread(&known.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!((frame.function.as_deref(), omitted.frames), (Some(shown[0]), 8));
        // A frame that only waits, where there is no other.
        let known = Known::all(&stack[..2]);
        let (frame, _) = fold_pool_thread(&known.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(frame.function.as_deref(), Some(&PARKED[1][1..]));
    }

    #[test]
    fn main_is_omitted_where_it_is_rusts() {
        assert_eq!(fold(&["shop::main", "std::rt::lang_start", "main", "_start"]), ["shop::main"]);
        assert_eq!(fold(&["shop_serve", "main", "_start"]), ["shop_serve", "main"]);
    }
}
