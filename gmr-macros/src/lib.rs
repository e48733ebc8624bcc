//! The attributes of gmr: [`main`], [`section`](macro@section), [`config`] and
//! [`task`](macro@task). Use them through the `gmr` crate, which re-exports them.
//!
//! The modules, in the order in which an attribute uses them:
//!
//! - `args` parses `name = value, ..`. It knows which options exist, not what they mean.
//! - `values` converts an option's value to what the option needs. `signals` and `formats` know the
//!   valid names; `suggest` finds what a misspelled one was meant to be.
//! - `item` parses the function's head and keeps its body as raw tokens.
//! - `main_attr`, `section_attr` and `task_attr` validate and expand. `runtime` detects whether an
//!   async runtime runs `main`. `marks` remembers which functions were expanded before, so that a
//!   report can name entries that the linker has dropped.
//! - `errors` collects all mistakes, each with its span. `fallback` emits them with the user's
//!   item.
//!
//! Generated code names only `::gmr::__private` (or the path given by `crate = path`), `::core` and
//! `::std`. It consists of data and calls; all logic is in `gmr-runtime`.

use proc_macro::TokenStream;

mod args;
mod errors;
mod fallback;
mod formats;
mod item;
mod main_attr;
mod marks;
mod runtime;
mod section_attr;
mod signals;
mod suggest;
mod task_attr;
mod values;

/// Installs gmr at the start of `main`. From then on, SIGUSR2 triggers a report.
///
/// ```no_run
/// #[gmr::main]
/// fn main() {
///     // your program
/// }
/// ```
///
/// The attribute can be applied to `main` with any return type: `()`, a `Result`, an `ExitCode`,
/// `impl Termination`. If gmr can't be installed, it prints a warning with the reason to stderr,
/// and `main` still runs.
///
/// # Async runtimes
///
/// The attribute works with `#[tokio::main]` and other runtimes' attributes, in either order. Below
/// the runtime's attribute, it installs gmr before the runtime is built; above it, as soon as the
/// runtime runs `main`.
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
/// Values for the report's Package section: any expression of type `&'static str` or `String`.
/// `version` and `product` default to the version and the name of the package that contains `main`;
/// `vendor` has no default.
///
/// ```no_run
/// const VENDOR: &str = "Example Ltd";
///
/// #[gmr::main(
///     version = concat!(env!("CARGO_PKG_VERSION"), "+nightly"),
///     product = "Order Service",
///     vendor = VENDOR,
/// )]
/// fn main() {}
/// ```
///
/// ## `signal`
///
/// The signal that triggers a report: a name, with or without `SIG`, or a number. The default is
/// `SIGUSR2`. The environment variable `GMR_SIGNAL` overrides both. Signals that can't be caught,
/// and those that report a fault in the program, such as `SIGSEGV`, are rejected at compile time.
///
/// ```no_run
/// #[gmr::main(signal = "SIGUSR1")]
/// fn main() {}
/// ```
///
/// ## `format`
///
/// The format of reports on stderr: `"text"`, `"json"`, `"json-lines"`, `"xml"` or `"html"`. The
/// default is text. The other formats require a feature of `gmr`: `json` (for both JSON formats),
/// `xml` or `html`. The environment variable `GMR_FORMAT` overrides the option.
///
/// ```
/// #[gmr::main(format = "text")]
/// fn main() {}
/// ```
///
/// ## `poll_tasks`
///
/// Whether reports poll async tasks: `true`, the default, or `false`. The environment variable
/// `GMR_POLL_TASKS` overrides the option. For a report, every waiting tracked task is polled once
/// more than it asked for, to see where it waits. With `false`, tasks are shown without a stack.
///
/// ```
/// #[gmr::main(poll_tasks = false)]
/// fn main() {}
/// ```
///
/// ## `link`
///
/// Crates that contribute sections but are not used elsewhere in the program. Without this option,
/// the compiler does not link them, and the report lacks their sections.
///
/// ```no_run
/// #[gmr::main(link(my_sections))]
/// fn main() {}
/// ```
///
/// ## `crate`
///
/// The path of gmr if it is not `::gmr`, for example because another crate re-exports it.
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
/// # Expansion
///
/// Roughly:
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
///         poll_tasks: None,
///     });
///     // your program
///     ExitCode::SUCCESS
/// }
/// ```
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    main_attr::expand(args.into(), &item.into()).into()
}

/// Adds a section to the reports of every program that links this function.
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
/// // It is still an ordinary function.
/// assert_eq!(cache_stats().hits, 0);
/// ```
///
/// The report contains a section *Cache Stats* with one line per field.
///
/// # The function
///
/// The attribute can be applied to any free function in any crate of the program. The function
/// takes no arguments and is not generic, `async` or `unsafe`. For a method, add a free function
/// that calls it.
///
/// gmr calls the function for each report, on a thread of its own. The function can read shared
/// state or query the system. If it panics or misses its deadline, the section says so, and the
/// rest of the report is not affected.
///
/// # The return type
///
/// | type | shown as |
/// |---|---|
/// | implements `serde::Serialize` | nested `key = value`, with secrets masked |
/// | `String`, `&str`, or implements only `Display` | text, with secrets masked |
/// | `Option` of these | the value, or `(nothing to show)` |
/// | `Result` of these, with an error that implements `Display` | the value, or the error |
///
/// # Options
///
/// ## `title`
///
/// The section's title: any constant expression of type `&'static str`. If it is a literal and the
/// first argument, `title =` can be omitted. The default is derived from the function's name.
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
/// The section's position among registered sections: an `i32`, lowest first. The default is 0.
/// Sections with equal order are sorted by title.
///
/// ```
/// #[gmr::section(order = -10)]
/// fn most_important() -> &'static str {
///     "precedes sections with the default order"
/// }
/// ```
///
/// ## `timeout`
///
/// How long a report waits for the function. The default is two seconds. All sections together have
/// ten seconds, so a longer timeout has no effect.
///
/// ```
/// #[gmr::section(timeout = "500ms")]
/// fn load() -> std::io::Result<String> {
///     std::fs::read_to_string("/proc/loadavg")
/// }
/// ```
///
/// ## `crate`
///
/// The path of gmr if it is not `::gmr`.
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
/// # Expansion
///
/// Roughly:
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
///         mark: "queue (src/main.rs:7)",
///         earlier: &[],
///         generate: || show(queue()),
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn section(args: TokenStream, item: TokenStream) -> TokenStream {
    section_attr::expand(section_attr::Kind::Section, args.into(), &item.into()).into()
}

/// Adds a group to the Configuration section of every program that links this function.
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
/// The requirements on the function, the return types and the options are the same as for
/// [`section`](macro@section). The title is the name of the group.
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

/// Tracks each call of an `async fn`: while it runs, the Green Threads section shows it with its
/// stack.
///
/// The attribute can be applied to free functions and methods. It tracks the future that the
/// function returns, in the task that awaits it. To track a spawned task, use `gmr::task::spawn` or
/// `gmr::task::track`.
///
/// ```
/// #[gmr::task]
/// async fn checkout(order: u64) -> Result<u64, std::num::ParseIntError> {
///     gmr::task::label("order", order);
///     Ok(order + "1".parse::<u64>()?)
/// }
/// ```
///
/// # Options
///
/// ## `name`
///
/// The name that the report shows: any expression of type `&'static str`. If it is a
/// literal and the first argument, `name =` can be omitted. The default is the function's path.
///
/// ```
/// #[gmr::task("checkout")]
/// async fn handle(order: u64) {
///     gmr::task::label("order", order);
/// }
/// ```
///
/// ## `poll`
///
/// Whether reports poll the task: `true`, the default, or `false`. For a report, every waiting task
/// is polled once more than it asked for, to see where it waits. With `false`, the task is shown
/// without a stack.
///
/// ```
/// #[gmr::task(poll = false)]
/// async fn count_polls() {}
/// ```
///
/// ## `crate`
///
/// The path of gmr if it is not `::gmr`.
///
/// ```
/// use gmr as reports;
///
/// #[reports::task(crate = reports)]
/// async fn answer() -> u8 {
///     42
/// }
/// ```
#[proc_macro_attribute]
pub fn task(args: TokenStream, item: TokenStream) -> TokenStream {
    task_attr::expand(args.into(), &item.into()).into()
}
