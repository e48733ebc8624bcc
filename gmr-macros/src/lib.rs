//! The attributes of gmr: [`main`], [`section`](macro@section), [`config`]. Use them through the `gmr` crate, which hands them on.
//!
//! The way of an attribute, a module for each step:
//!
//! | module | what it does |
//! |---|---|
//! | `args` | reads `name = value, ..`; knows which options there are, not what they mean |
//! | `values` | from a value as it was written to what its option wants; `signals` and `formats` know what there is |
//! | `item` | takes the function apart, and leaves its body alone |
//! | `main_attr`, `section_attr`, `task_attr` | the attributes: options, what cannot be, what is generated; `runtime` recognises async runtimes |
//! | `errors`, `fallback` | every mistake at once, each at its place, and the user's item after them; `suggest` guesses what was meant |
//!
//! What is generated names nothing but `::gmr::__private` (or what `crate = path` says), `::core` and `::std`. It is data and calls: what is to happen is
//! decided in `gmr-runtime`.

use proc_macro::TokenStream;

mod args;
mod errors;
mod fallback;
mod formats;
mod item;
mod main_attr;
mod runtime;
mod section_attr;
mod signals;
mod suggest;
mod task_attr;
mod values;

/// Makes a program answer `kill -USR2 PID` with a report.
///
/// ```no_run
/// #[gmr::main]
/// fn main() {
///     // The program, as it was.
/// }
/// ```
///
/// It goes on the program's `main`, whatever that returns: nothing, a `Result`, an `ExitCode`, `impl Termination`. If gmr cannot be installed, it says
/// why on stderr, and `main` runs all the same.
///
/// # With an async runtime
///
/// It goes together with `#[tokio::main]`, or any other runtime's attribute, in either order. Below the runtime's attribute it takes effect before the
/// runtime is built, above it as soon as the runtime runs `main`.
///
/// ```no_run
/// #[gmr::main]
/// #[tokio::main]
/// async fn main() {
///     tokio::task::yield_now().await;
/// }
/// ```
///
/// # Options
///
/// ## `version`, `product`, `vendor`
///
/// What the report's Package section says. Any expression that is a `&'static str` or a `String` will do. By default, `version` and `product` are
/// the version and the name of the package that `main` is in, and no vendor is named.
///
/// ```no_run
/// const VENDOR: &str = "Example Ltd";
///
/// #[gmr::main(version = concat!(env!("CARGO_PKG_VERSION"), "+nightly"), product = "Order Service", vendor = VENDOR)]
/// fn main() {}
/// ```
///
/// ## `signal`
///
/// The signal that asks for a report: a name, with or without `SIG`, or a number. By default it is `SIGUSR2`. The operator may choose another with the
/// environment variable `GMR_SIGNAL`. A signal that cannot be caught, or that tells of a fault of the program itself, is refused.
///
/// ```no_run
/// #[gmr::main(signal = "SIGUSR1")]
/// fn main() {}
/// ```
///
/// ## `format`
///
/// What a report is written as, on standard error: `"text"`, `"json"`, `"json-lines"`, `"xml"`, `"html"`; all but text need gmr's feature of that name (`json` has both of its). By default it is text. The
/// operator may choose another with the environment variable `GMR_FORMAT`.
///
/// ```
/// #[gmr::main(format = "text")]
/// fn main() {}
/// ```
///
/// ## `link`
///
/// Crates that contribute sections and are not mentioned elsewhere in the program. The compiler would leave them out, and their sections with them.
///
/// ```no_run
/// #[gmr::main(link(my_sections))]
/// fn main() {}
/// ```
///
/// ## `crate`
///
/// The path at which gmr is found, if it is not `::gmr`: for a crate that hands gmr on under a name of its own.
///
/// ```no_run
/// mod diagnostics {
///     pub use gmr as reports;
/// }
///
/// #[diagnostics::reports::main(crate = diagnostics::reports)]
/// fn main() {}
/// ```
///
/// # Expands, roughly, to
///
/// ```no_run
/// # use std::process::ExitCode;
/// fn main() -> ExitCode {
///     gmr::__private::arm(gmr::__private::Setup {
///         package: option_env!("CARGO_PKG_NAME"),
///         package_version: option_env!("CARGO_PKG_VERSION"),
///         debug_assertions: cfg!(debug_assertions),
///         product: None,
///         version: None,
///         vendor: None,
///         signal: None,
///         format: None,
///     });
///     // The program, as it was.
///     ExitCode::SUCCESS
/// }
/// ```
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    main_attr::expand(args.into(), &item.into()).into()
}

/// Adds a section to the reports of every program that the function is linked into.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// static HITS: AtomicU64 = AtomicU64::new(0);
/// static MISSES: AtomicU64 = AtomicU64::new(0);
///
/// #[derive(serde::Serialize)]
/// struct CacheStats {
///     hits: u64,
///     misses: u64,
/// }
///
/// #[gmr::section]
/// fn cache_stats() -> CacheStats {
///     CacheStats { hits: HITS.load(Ordering::Relaxed), misses: MISSES.load(Ordering::Relaxed) }
/// }
///
/// // It stays an ordinary function.
/// assert_eq!(cache_stats().hits, 0);
/// ```
///
/// The report then has a section *Cache Stats*, with a line for each field.
///
/// # The function
///
/// Any free function in any crate of the program, without arguments and generics, neither `async` nor `unsafe`. (A function inside an `impl` block
/// cannot be one: write a free function that calls it.) It is called for each report, on a thread of gmr's own: what it shows, it finds in statics, or
/// asks the system for. If it panics, or has not returned by its deadline, the report says so in its place and is otherwise whole.
///
/// # What it returns
///
/// | | shown as |
/// |---|---|
/// | anything that implements `serde::Serialize` | nested `key = value`, secrets masked |
/// | a `String`, a `&str`, anything that implements `Display` alone | text |
/// | an `Option` of these | the same, or as nothing there |
/// | a `Result` of these, its error `Display` | the same, or the error in its place |
///
/// # Options
///
/// ## `title`
///
/// By default it is made from the function's name. A literal in first place needs no `title =`; otherwise it is any constant `&'static str`.
///
/// ```
/// const TITLE: &str = "Queue";
///
/// #[gmr::section("Open Files")]
/// fn files() -> std::io::Result<usize> {
///     Ok(std::fs::read_dir("/proc/self/fd")?.count())
/// }
///
/// #[gmr::section(title = TITLE)]
/// fn queue() -> &'static str {
///     "empty"
/// }
/// ```
///
/// ## `order`
///
/// Where the section stands among those that were added: lower comes first, by default it is 0. Those of one order are sorted by their titles.
///
/// ```
/// #[gmr::section(order = -10)]
/// fn most_important() -> &'static str {
///     "comes early"
/// }
/// ```
///
/// ## `timeout`
///
/// How long the report waits for the function; by default two seconds. All sections together have a deadline as well, so that more than a few seconds are
/// of no use.
///
/// ```
/// #[gmr::section(timeout = "500ms")]
/// fn quick() -> &'static str {
///     "or not at all"
/// }
/// ```
///
/// ## `crate`
///
/// The path at which gmr is found, if it is not `::gmr`.
///
/// ```
/// use gmr as reports;
///
/// #[reports::section(crate = reports)]
/// fn answer() -> u8 {
///     42
/// }
/// ```
///
/// # Expands, roughly, to
///
/// ```
/// # use gmr::__private::{inventory, Content, Kind, SectionEntry};
/// # fn show(_: &str) -> Content { Content::Nothing }
/// fn queue() -> &'static str {
///     "empty"
/// }
///
/// inventory::submit! {
///     SectionEntry {
///         kind: Kind::Section,
///         function: "queue",
///         title: None,
///         order: 0,
///         timeout: None,
///         module_path: module_path!(),
///         generate: || show(queue()),
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn section(args: TokenStream, item: TokenStream) -> TokenStream {
    section_attr::expand(section_attr::Kind::Section, args.into(), &item.into()).into()
}

/// Adds a group to the Configuration section of every program that the function is linked into.
///
/// ```
/// #[derive(serde::Serialize)]
/// struct Database {
///     host: &'static str,
///     pool: u32,
///     password: &'static str,
/// }
///
/// #[gmr::config]
/// fn database() -> Database {
///     Database { host: "db.internal", pool: 16, password: "shown as ***" }
/// }
/// ```
///
/// The function, what it returns and the options are those of [`section`](macro@section); the title is the group's name.
///
/// ```
/// #[gmr::config("database", order = 1, timeout = "500ms")]
/// fn settings() -> Option<&'static str> {
///     None
/// }
/// ```
#[proc_macro_attribute]
pub fn config(args: TokenStream, item: TokenStream) -> TokenStream {
    section_attr::expand(section_attr::Kind::Config, args.into(), &item.into()).into()
}

/// Tracks each call of an `async fn` as a task: the Green Threads section shows it, with its stack, for as long as it runs.
///
/// It goes on free functions and on methods. What is called is the function's own future, inside whatever task awaits it; to track what is spawned, spawn with
/// `gmr::task::spawn` or `gmr::task::track`.
///
/// | option | |
/// |---|---|
/// | `"checkout"` or `name = ..` | the task's name; by default the function's path |
/// | `crate = path` | where gmr is found, if not at `::gmr` |
///
/// ```
/// #[gmr::task]
/// async fn checkout(order: u64) -> Result<u64, std::num::ParseIntError> {
///     gmr::task::label("order", order);
///     Ok(order + "1".parse::<u64>()?)
/// }
/// ```
///
/// # Errors
/// At compile time: the item is no `async fn`, or an option is unknown or given twice.
#[proc_macro_attribute]
pub fn task(args: TokenStream, item: TokenStream) -> TokenStream {
    task_attr::expand(args.into(), &item.into()).into()
}
