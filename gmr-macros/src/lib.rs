//! The attributes of gmr: [`main`], [`section`](macro@section), [`config`] and
//! [`task`](macro@task). Use them through the `gmr` crate, which re-exports them.
//!
//! The modules, in the order in which an attribute uses them:
//!
//! - `args` parses `name = value, ..`. It knows which options exist, not what they mean.
//! - `values` converts an option's value to what the option needs. `signals`, `formats` and
//!   `sections` know the valid names; `suggest` finds what a misspelled one was meant to be.
//! - `item` parses the function's head and keeps its body as raw tokens.
//! - `main_attr`, `section_attr`, `task_attr` and `test_attr` validate and expand. `tokio_attr`
//!   expands the attributes of gmr-tokio. `runtime` detects whether an async runtime runs `main`,
//!   and `source` what is above an attribute. `marks` remembers which functions were expanded
//!   before, so that a report can name entries that the linker has dropped.
//! - `errors` collects all mistakes, each with its span. `fallback` emits them with the user's
//!   item.
//!
//! Generated code names only `::gmr::__private` (or the path given by `crate = path`), `::core` and
//! `::std`. It consists of data and calls; all logic is in `gmr-runtime`.

// The documentation of the attributes has examples. `gmr-tests` runs them: here, they would need
// gmr.

use proc_macro::TokenStream;

mod args;
mod errors;
mod fallback;
mod formats;
mod item;
mod main_attr;
mod marks;
mod required;
mod runtime;
mod section_attr;
mod sections;
mod signals;
mod source;
mod suggest;
mod task_attr;
mod test_attr;
mod tokio_attr;
mod tracking;
mod values;

#[cfg_attr(not(doctest), doc = include_str!("../docs/main.md"))]
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    main_attr::expand(args.into(), &item.into()).into()
}

#[cfg_attr(not(doctest), doc = include_str!("../docs/section.md"))]
#[proc_macro_attribute]
pub fn section(args: TokenStream, item: TokenStream) -> TokenStream {
    section_attr::expand(section_attr::Kind::Section, args.into(), &item.into()).into()
}

#[cfg_attr(not(doctest), doc = include_str!("../docs/config.md"))]
#[proc_macro_attribute]
pub fn config(args: TokenStream, item: TokenStream) -> TokenStream {
    section_attr::expand(section_attr::Kind::Config, args.into(), &item.into()).into()
}

#[cfg_attr(not(doctest), doc = include_str!("../docs/task.md"))]
#[proc_macro_attribute]
pub fn task(args: TokenStream, item: TokenStream) -> TokenStream {
    task_attr::expand(args.into(), &item.into()).into()
}

#[cfg_attr(not(doctest), doc = include_str!("../docs/test.md"))]
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    let registered = test_attr::Registered::by_source(proc_macro::Span::call_site());
    test_attr::expand(registered, &args.into(), &item.into()).into()
}

/// `#[gmr::test]` below an attribute that makes a test.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn registered_test(args: TokenStream, item: TokenStream) -> TokenStream {
    test_attr::expand(test_attr::Registered::Before, &args.into(), &item.into()).into()
}

/// For gmr-tokio: `#[tokio::main]`, with the function's future tracked.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn tokio_main(args: TokenStream, item: TokenStream) -> TokenStream {
    tokio_attr::expand("main", &args.into(), &item.into()).into()
}

/// For gmr-tokio: `#[tokio::test]`, with the function's future tracked.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn tokio_test(args: TokenStream, item: TokenStream) -> TokenStream {
    tokio_attr::expand("test", &args.into(), &item.into()).into()
}

/// For gmr-tokio: tracks the future in what tokio's attribute has expanded to.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn tokio_track(args: TokenStream, item: TokenStream) -> TokenStream {
    tokio_attr::track(args.into(), item.into()).into()
}
