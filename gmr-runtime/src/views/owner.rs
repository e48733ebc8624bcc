//! Whose code a frame is: the standard libraries', a runtime's, or the program's.
//!
//! For a trait's function, the name has a type and a trait, and the code can be in the crate of
//! either, or in that of a type that the trait is generic over; the coherence rules of Rust allow
//! no other. It counts as the program's unless all of these crates are known not to be the
//! program's, or the source file is known not to be.

use std::borrow::Cow;

use crate::model::{Frame, is_unqualified};

/// Whose code a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Rust's standard libraries, or what programs use to call the system without them.
    Standard,
    /// A runtime, a thread pool, or a common building block of futures.
    Runtime,
    /// Anything else.
    Program,
}

const STANDARD: [&str; 3] = ["std", "core", "alloc"];

/// Makes system calls, as the C library does.
const SYSTEM: &str = "rustix";

const RUNTIME: [&str; 33] = [
    "async_channel",
    "async_executor",
    "async_global_executor",
    "async_io",
    "async_lock",
    "async_std",
    "async_task",
    "blocking",
    "concurrent_queue",
    "crossbeam_channel",
    "crossbeam_deque",
    "crossbeam_epoch",
    "crossbeam_utils",
    "event_listener",
    "event_listener_strategy",
    "futures_channel",
    "futures_core",
    "futures_executor",
    "futures_lite",
    "futures_task",
    "futures_util",
    "gmr_tokio",
    "lock_api",
    "mio",
    "parking",
    "parking_lot",
    "parking_lot_core",
    "polling",
    "rayon",
    "rayon_core",
    "scoped_tls",
    "smol",
    "tokio",
];

/// Those of them whose names a crate of the program may have as well: common words, and words with
/// `async`.
const AMBIGUOUS: [&str; 11] = [
    "async_channel",
    "async_executor",
    "async_global_executor",
    "async_io",
    "async_lock",
    "async_task",
    "blocking",
    "concurrent_queue",
    "parking",
    "polling",
    "smol",
];

/// Those in which a thread only waits, on behalf of others. They do not say what it waits for.
const WAITING: [&str; 10] = [
    "concurrent_queue",
    "crossbeam_utils",
    "event_listener",
    "event_listener_strategy",
    "lock_api",
    "mio",
    "parking",
    "parking_lot",
    "parking_lot_core",
    "polling",
];

/// Modules of runtimes that only pass calls on to such a crate or to the standard library.
const PASSING_ON: [&str; 1] = ["tokio::loom::"];

/// Fundamental types: for the coherence rules, they count as what they contain.
const FUNDAMENTAL: [&str; 2] = ["alloc::boxed::Box<", "core::pin::Pin<"];

/// Standard traits for which the standard libraries implement forwarding, by references and boxes.
/// A program cannot implement the closure traits at all, and the others not for such types.
const FORWARDED: [&str; 3] =
    ["core::ops::function::Fn", "core::future::future::Future", "core::iter::traits::"];

/// Whose code this frame is, by its name, or else by its file. The program's if it has neither.
pub(super) fn owner(frame: &Frame) -> Owner {
    let by_file = || frame.file.as_deref().map(owner_of_file);
    let Some(function) = frame.function.as_deref().filter(|function| !is_unqualified(function)) else {
        // Without a function, a file alone says nothing: it may be that of an inlined one.
        return frame.function.as_ref().and_then(|_| by_file()).unwrap_or(Owner::Program);
    };
    match owner_of_name(function) {
        // A program's crate may have the name of a runtime's.
        ByName::Certain(Owner::Runtime) if is_programs(frame.file.as_deref(), function) => Owner::Program,
        ByName::Certain(owner) => owner,
        ByName::Likely(owner) => by_file().unwrap_or(owner),
    }
}

/// Whether this is a function of one of the traits that closures implement.
pub(super) fn is_call_of_closure(function: &str) -> bool {
    let of_trait = Qualified::parse(function).and_then(|name| name.of_trait);
    of_trait.is_some_and(|name| name.starts_with(FORWARDED[0]))
}

/// The crate of a frame that is not the program's: `std` for the standard libraries, `libc` for
/// functions without a path.
pub(super) fn library(frame: &Frame) -> Cow<'_, str> {
    let path = frame.function.as_deref().filter(|name| !is_unqualified(name));
    let crates = path.map(crates_of).unwrap_or_default();
    let by_file = || frame.file.as_deref().and_then(package_of).map(Cow::Owned);
    let of_rust = || path.is_some() || frame.file.as_deref().is_some_and(|file| in_library(file).is_some());
    let is_named = |name: &Cow<'_, str>| RUNTIME.contains(&&**name) || *name == SYSTEM;
    let by_name = crates.into_iter().map(Cow::Borrowed).find(is_named);
    by_name
        .or_else(|| by_file().filter(is_named).filter(|_| owner(frame) == Owner::Runtime || path.is_none()))
        .unwrap_or_else(|| Cow::Borrowed(if of_rust() { "std" } else { "libc" }))
}

/// The crates of the type and of the trait in a function's name, or the crate that its path begins
/// with.
fn crates_of(function: &str) -> Vec<&str> {
    let Some(Qualified { of_type, of_trait }) = Qualified::parse(function) else {
        return vec![first_segment(function)];
    };
    let mut crates = Vec::new();
    local_types(of_type, &mut crates);
    crates.extend(of_trait.map(first_segment));
    crates
}

/// Whether a runtime's frame says what its thread is doing, and not only that it waits.
pub(super) fn is_telling(frame: &Frame) -> bool {
    let name = frame.function.as_deref().unwrap_or_default().trim_start_matches('<');
    !PASSING_ON.iter().any(|module| name.starts_with(module)) && !WAITING.contains(&&*library(frame))
}

/// What a name says about whose code it is.
#[derive(Debug, PartialEq, Eq)]
enum ByName {
    Certain(Owner),
    /// The file can say otherwise.
    Likely(Owner),
}

fn owner_of_name(function: &str) -> ByName {
    let Some(Qualified { of_type, of_trait }) = Qualified::parse(function) else {
        return ByName::Certain(of_crate(first_segment(function)));
    };
    let head = crate_of_type(of_type);
    let Some(of_trait) = of_trait else {
        // Methods of the type itself are in the crate of the type; a primitive one's are std's.
        return ByName::Certain(head.map_or(Owner::Standard, of_crate));
    };
    if of_trait.starts_with(FORWARDED[0]) {
        return ByName::Certain(Owner::Standard);
    }
    let outer = widest(head.map(of_crate).into_iter().chain([of_crate(first_segment(of_trait))]));
    let mut inner = Vec::new();
    local_types(of_type, &mut inner);
    for argument in arguments(of_trait) {
        local_types(argument, &mut inner);
    }
    let all = widest(inner.into_iter().map(of_crate).chain([outer]));
    match (outer, all) {
        // `<Box<shop::Order> as Future>::poll`
        (Owner::Standard | Owner::Runtime, Owner::Program) => {
            let is_forwarded = FORWARDED.iter().any(|name| of_trait.starts_with(name));
            ByName::Likely(if is_forwarded { outer } else { Owner::Program })
        }
        (_, all) => ByName::Certain(all),
    }
}

/// The program's if one is, else a runtime's if one is.
fn widest(owners: impl Iterator<Item = Owner>) -> Owner {
    owners.max_by_key(|owner| *owner as u8).unwrap_or(Owner::Standard)
}

fn of_crate(name: &str) -> Owner {
    match name {
        _ if STANDARD.contains(&name) || name == SYSTEM => Owner::Standard,
        _ if RUNTIME.contains(&name) => Owner::Runtime,
        _ => Owner::Program,
    }
}

fn owner_of_file(file: &str) -> Owner {
    match package_of(file) {
        _ if in_library(file).is_some() => Owner::Standard,
        Some(name) => of_crate(&name),
        None => Owner::Program,
    }
}

/// Whether a function may be the program's although its name is that of a runtime's. Without the
/// directory of its file, that is so for the names that are not unmistakable.
fn is_programs(file: Option<&str>, function: &str) -> bool {
    match file.and_then(|file| file.rsplit_once('/')) {
        Some(_) => !file.is_some_and(is_fetched),
        None => crates_of(function).iter().any(|name| AMBIGUOUS.contains(name)),
    }
}

/// Whether the source file is that of a crate that is not written with the program: in a directory
/// with a version, as in cargo's registry, or where such crates are copied to.
pub(super) fn is_fetched(file: &str) -> bool {
    const BEGINNINGS: [&str; 5] = ["vendor", "third_party", "third-party", "external", "checkouts"];
    let Some((directories, _)) = file.rsplit_once('/') else { return false };
    let is_fetched = |name: &str| {
        let version = name.rsplit_once('-').map(|(_, version)| version);
        version.is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
            || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
    };
    in_library(file).is_some() || directories.split('/').any(is_fetched)
}

/// The crate of a source file in cargo's registry: `tokio` for `.../tokio-1.54.1/src/park.rs`.
fn package_of(file: &str) -> Option<String> {
    let (package, _) = file.rsplit_once("/src/")?;
    // A package's directory ends with a version, a module's does not.
    let (name, version) = package.rsplit('/').next()?.rsplit_once('-')?;
    version.starts_with(|first: char| first.is_ascii_digit()).then(|| name.replace('-', "_"))
}

/// The path within Rust's standard libraries, if the file belongs to them.
pub(super) fn in_library(file: &str) -> Option<&str> {
    let (before, path) = file.split_once("library/")?;
    // Distributions build them in a folder such as `/usr/src/rustc-1.96.0`.
    let folder = before.strip_suffix('/').and_then(|before| before.rsplit('/').next());
    let of_rust = before.is_empty()
        || before.contains("/rustc/")
        || before.ends_with("/src/rust/")
        || folder
            .and_then(|name| name.strip_prefix("rustc-"))
            .is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()));
    (of_rust && ["std/", "core/", "alloc/"].iter().any(|standard| path.starts_with(standard))).then_some(path)
}

/// The parts of a name such as `<Type as Trait>::function` or `<Type>::function`.
struct Qualified<'a> {
    of_type: &'a str,
    of_trait: Option<&'a str>,
}

impl<'a> Qualified<'a> {
    fn parse(function: &'a str) -> Option<Self> {
        let inside = function.strip_prefix('<')?;
        let end =
            top_level(inside).find(|(_, rest)| rest.starts_with('>')).map_or(inside.len(), |(at, _)| at);
        let inside = &inside[..end];
        let split = top_level(inside).find(|(_, rest)| rest.starts_with(" as ")).map(|(at, _)| at);
        Some(match split {
            Some(at) => Self { of_type: &inside[..at], of_trait: Some(&inside[at + " as ".len()..]) },
            None => Self { of_type: inside, of_trait: None },
        })
    }
}

/// The places outside all brackets, and what follows each. A bracket that is not opened is one.
fn top_level(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut depth = 0_usize;
    let mut before = ' ';
    text.char_indices().filter_map(move |(at, character)| {
        // Not the bracket of `fn() -> T`.
        let is_arrow = character == '>' && before == '-';
        let outside = depth == 0 && !is_arrow;
        match character {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' | ')' | ']' | '}' if !is_arrow => depth = depth.saturating_sub(1),
            _ => {}
        }
        before = character;
        outside.then(|| (at, &text[at..]))
    })
}

/// The generic arguments of a type or trait.
fn arguments(path: &str) -> Vec<&str> {
    let Some((_, inside)) = path.split_once('<') else { return Vec::new() };
    let end = top_level(inside).find(|(_, rest)| rest.starts_with('>')).map_or(inside.len(), |(at, _)| at);
    let inside = &inside[..end];
    let commas = top_level(inside).filter(|(_, rest)| rest.starts_with(',')).map(|(at, _)| at);
    let (mut arguments, mut start) = (Vec::new(), 0);
    for comma in commas {
        arguments.push(inside[start..comma].trim());
        start = comma + 1;
    }
    arguments.push(inside[start..].trim());
    arguments
}

/// The type without references to it.
fn dereferenced(of_type: &str) -> &str {
    let mut inner = of_type;
    while let Some(referenced) = ["&", "mut ", "dyn "].iter().find_map(|prefix| inner.strip_prefix(prefix)) {
        inner = referenced.trim_start();
    }
    inner
}

/// The crate of a type's own name. None for primitive types and parameters.
fn crate_of_type(of_type: &str) -> Option<&str> {
    let name = dereferenced(of_type);
    if let Some(projection) = Qualified::parse(name) {
        return Some(first_segment(projection.of_trait.unwrap_or(projection.of_type)));
    }
    let path = name.split(['<', ' ', '(', '[']).next().unwrap_or_default();
    path.contains("::").then(|| first_segment(path))
}

/// Adds the crates in which a trait can be implemented for this type.
fn local_types<'a>(of_type: &'a str, crates: &mut Vec<&'a str>) {
    /// A hostile name could nest thousands of boxes.
    const MAX_DEPTH: usize = 8;
    let mut name = dereferenced(of_type);
    for _ in 0..MAX_DEPTH {
        crates.extend(crate_of_type(name));
        if !FUNDAMENTAL.iter().any(|fundamental| name.starts_with(fundamental)) {
            return;
        }
        let Some(inner) = arguments(name).into_iter().next() else { return };
        name = dereferenced(inner);
    }
    // Nested too deep: any crate is possible.
    crates.push("");
}

/// `shop` for `shop::pay`.
fn first_segment(path: &str) -> &str {
    path.split("::").next().unwrap_or_default()
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    fn owner_at(function: &str, file: Option<&str>) -> Owner {
        let (function, file) = (Some(function.to_owned()), file.map(str::to_owned));
        owner(&Frame { function, file, ..Frame::default() })
    }

    #[test]
    fn a_function_is_of_its_crate() {
        assert_eq!(owner_at("std::thread::park", None), Owner::Standard);
        assert_eq!(owner_at("core::ptr::drop_in_place<shop::Order>", None), Owner::Standard);
        assert_eq!(owner_at("tokio::runtime::park", None), Owner::Runtime);
        assert_eq!(owner_at("shop::pay", Some("/rustc/0/library/std/src/macros.rs")), Owner::Program);
        assert_eq!(owner_at("standard::pay", None), Owner::Program);
        assert_eq!(owner_at("<std::thread::Builder>::spawn", None), Owner::Standard);
        assert_eq!(owner_at("<shop::Order>::pay::{closure#0}", None), Owner::Program);
        assert_eq!(owner_at("<[shop::Order]>::sort", None), Owner::Standard);
        assert_eq!(owner_at("<dyn shop::Job>::start", None), Owner::Program);
    }

    #[test]
    fn a_trait_of_the_program_is_the_programs_for_any_type() {
        for name in [
            "<core::option::Option<u32> as app::Job>::deeper",
            "<tokio::sync::notify::Notify as app::Ext>::ext",
            "<&mut alloc::vec::Vec<u8> as app::Job>::run",
            "<T as app::Ext>::ext",
            "<u32 as app::Ext>::ext::{closure#0}",
            "<fn(u8) -> core::option::Option<u8> as app::Ext>::ext",
            "<(u8, alloc::string::String) as app::Ext>::ext",
            "<<core::vec::Vec<u8> as core::iter::IntoIterator>::IntoIter as app::Ext>::ext",
        ] {
            assert_eq!(owner_at(name, None), Owner::Program, "{name}");
            assert_eq!(owner_at(name, Some("/srv/app/src/main.rs")), Owner::Program, "{name}");
        }
    }

    #[test]
    fn a_type_of_the_program_is_the_programs_for_any_trait() {
        for name in [
            "<shop::Order as core::fmt::Display>::fmt",
            "<shop::Order as tokio::io::AsyncRead>::poll_read",
            "<alloc::string::String as core::convert::From<shop::Order>>::from",
            "<alloc::boxed::Box<shop::Order> as core::fmt::Display>::fmt",
            "<&shop::Order as core::ops::arith::Add<u8>>::add",
            "<shop::Wrap<<F as core::ops::function::FnOnce<()>>::Output> as core::fmt::Debug>::fmt",
        ] {
            assert_eq!(owner_at(name, None), Owner::Program, "{name}");
        }
    }

    #[test]
    fn a_trait_and_a_type_of_known_crates_are_theirs() {
        assert_eq!(owner_at("<usize as core::slice::index::SliceIndex<[T]>>::index", None), Owner::Standard);
        assert_eq!(
            owner_at("<alloc::vec::Vec<shop::Order> as core::clone::Clone>::clone", None),
            Owner::Standard
        );
        assert_eq!(
            owner_at("<tokio::task::Unconstrained<shop::Pay> as core::future::future::Future>::poll", None),
            Owner::Runtime
        );
    }

    #[test]
    fn what_a_name_leaves_open_the_file_decides() {
        let library = Some("/rustc/0/library/alloc/src/vec/mod.rs");
        let extend = "<alloc::vec::Vec<shop::Order> as core::iter::Extend<shop::Order>>::extend";
        assert_eq!(owner_at(extend, None), Owner::Program);
        assert_eq!(owner_at(extend, library), Owner::Standard);
        assert_eq!(owner_at(extend, Some("/srv/shop/src/main.rs")), Owner::Program);
        let poll = "<core::pin::Pin<&mut shop::Pay> as core::future::future::Future>::poll";
        assert_eq!(owner_at(poll, None), Owner::Standard);
        assert_eq!(owner_at(poll, Some("/srv/shop/src/main.rs")), Owner::Program);
        assert!(is_call_of_closure(
            "<shop::main::{closure#0} as core::ops::function::FnOnce<()>>::call_once"
        ));
        assert!(!is_call_of_closure(
            "<shop::Wrap<<F as core::ops::function::FnOnce<()>>::Output> as shop::T>::go"
        ));
    }

    #[test]
    fn a_crate_of_the_program_may_have_the_name_of_a_runtimes() {
        let of = |file| owner_at("polling::lots::poll_all", Some(file));
        for own in ["/srv/polling/src/lots.rs", "src/main.rs", "/srv/shop/crates/polling/src/lots.rs"] {
            assert_eq!(of(own), Owner::Program, "{own}");
            assert_eq!(owner_at("<polling::Lot as core::fmt::Display>::fmt", Some(own)), Owner::Program);
        }
        for fetched in [
            "/home/x/registry/src/index/polling-3.11.0/src/epoll.rs",
            "/srv/shop/vendor/polling/src/epoll.rs",
            "third_party/rust/polling/v3/src/epoll.rs",
            "/home/x/git/checkouts/polling-0a1b2c/1a2b3c4/src/epoll.rs",
            "/rustc/0/library/core/src/task/poll.rs",
        ] {
            assert_eq!(of(fetched), Owner::Runtime, "{fetched}");
        }
    }

    #[test]
    fn what_may_be_the_programs_is_the_programs() {
        for name in [
            "polling::lots::poll_all",
            "<polling::Lot>::poll",
            "<tokio::sync::notify::Notify as polling::Wait>::wait",
            "<&mut blocking::Job as core::fmt::Display>::fmt",
            "smol::beer::brew::{closure#0}",
        ] {
            assert_eq!(owner_at(name, None), Owner::Program, "{name}");
            assert_eq!(owner_at(name, Some("epoll.rs")), Owner::Program, "{name}");
        }
        assert_eq!(owner_at("tokio::runtime::park", Some("park.rs")), Owner::Runtime);
        assert_eq!(owner_at("<parking_lot_core::ThreadParker>::park", None), Owner::Runtime);
        assert!(AMBIGUOUS.iter().all(|name| RUNTIME.contains(name)));
    }

    #[test]
    fn names_without_paths_are_known_by_their_files() {
        let std = "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/sync/poison/mutex.rs";
        assert_eq!(owner_at("lock<u32>", Some(std)), Owner::Standard);
        assert_eq!(owner_at("{closure#0}", Some("/srv/shop/src/main.rs")), Owner::Program);
        let tokio = "/home/x/registry/src/index/tokio-1.54.1/src/runtime/park.rs";
        assert_eq!(owner_at("run", Some(tokio)), Owner::Runtime);
        for of_a_distribution in ["/usr/src/rustc-1.96.0/", "/builddir/build/BUILD/rustc-1.96.0-src/"] {
            let file = format!("{of_a_distribution}library/std/src/panic.rs");
            assert_eq!(in_library(&file), Some("std/src/panic.rs"));
        }
        assert_eq!(in_library("/srv/rustc-shop/library/std/src/panic.rs"), None, "another program");
        assert_eq!(
            in_library("/srv/shop/library/std/src/panic.rs"),
            None,
            "another project's library directory"
        );
    }

    #[test]
    fn a_frame_that_is_not_the_programs_has_a_crate() {
        let of = |function: &str, file: Option<&str>| {
            let (function, file) = (Some(function.to_owned()), file.map(str::to_owned));
            let frame = Frame { function, file, ..Frame::default() };
            (library(&frame).into_owned(), is_telling(&frame))
        };
        let tokio = "/home/x/registry/src/index/tokio-1.54.1/src/runtime/park.rs";
        assert_eq!(of("tokio::runtime::park::Inner::park", None), ("tokio".into(), true));
        assert_eq!(of("tokio::loom::std::parking_lot::Condvar::wait", None), ("tokio".into(), false));
        assert_eq!(of("<tokio::loom::std::Condvar>::wait", None), ("tokio".into(), false));
        assert_eq!(of("park<T>", Some(tokio)), ("tokio".into(), true));
        assert_eq!(
            of("<parking_lot_core::ThreadParker as parking_lot_core::ThreadParkerT>::park", None),
            ("parking_lot_core".into(), false)
        );
        let boxed = "<core::pin::Pin<&mut tokio::time::Sleep> as core::future::future::Future>::poll";
        assert_eq!(of(boxed, Some(tokio)).0, "tokio");
        assert_eq!(of("std::thread::park", None).0, "std");
        assert_eq!(of("core::ops::function::FnOnce::call_once", Some(tokio)).0, "std");
        assert_eq!(of("rustix::event::poll::poll", None).0, "rustix");
        assert_eq!(owner_at("rustix::event::poll::poll", None), Owner::Standard);
        assert_eq!(of("do_call<F, R>", Some("library/std/src/panicking.rs")).0, "std");
        assert_eq!(of("clone3", None).0, "libc");
    }

    #[test]
    fn damaged_names_are_read_without_panics() {
        let name = "<a::B<(c::D, [e::F; 3])> as g::H<fn(&i::J) -> k::L>>::m::{closure#0}";
        for start in 0..name.len() {
            for end in start..=name.len() {
                owner_at(&name[start..end], None);
                library(&Frame { function: Some(name[start..end].to_owned()), ..Frame::default() });
            }
        }
        owner_at(&"<".repeat(10_000), None);
        owner_at(&"alloc::boxed::Box<".repeat(10_000), None);
        let boxes = format!("<{} as core::fmt::Display>::fmt", "alloc::boxed::Box<".repeat(10_000));
        assert_eq!(owner_at(&boxes, None), Owner::Standard, "it has no end");
    }
}
