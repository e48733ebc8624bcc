//! The one place where a process adopts gmr: what is decided once, and the guard that takes it back.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};

use serde::Serialize;

use crate::error::{self, Error, ErrorKind};
use crate::generators::Identity;
use crate::model::{Content, Heading, Report, Section, Summary, Trigger};
use crate::reporter::{self, Plan, Style};
use crate::section::generator::Generator;
use crate::section::{convert, panics};
use crate::sys::own_threads;
use crate::trigger::signals_by_name::{self, Signal};
use crate::trigger::{self, Outbox, Request};
use crate::views::{Detail, Format};
use crate::{capture, env, mask};

/// The signal that asks for reports unless somebody says otherwise: what the services of `OpenStack` answer.
const DEFAULT_SIGNAL: &str = "SIGUSR2";

/// Where requests go while gmr is installed. Held for a moment at a time; never by the reporter.
static INSTALLED: Mutex<Option<Installed>> = Mutex::new(None);

#[derive(Debug)]
struct Installed {
    /// The process that the reporter is a thread of. A forked child has this memory, and no such thread.
    pid: u32,
    outbox: Arc<Outbox>,
}

/// The installation of this very process, and not of one that it was forked from.
fn here(installed: Option<&Installed>) -> Option<&Installed> {
    installed.filter(|installed| installed.pid == std::process::id())
}

/// Prepares gmr for this process, for those who want no attribute on `main`.
///
/// ```
/// # fn main() -> Result<(), gmr_runtime::Error> {
/// let guard = gmr_runtime::Builder::new()
///     .product("order service")
///     .version(env!("CARGO_PKG_VERSION"))
///     .section("Queue", || std::collections::BTreeMap::from([("waiting", 17), ("running", 4)]))
///     .install()?;
/// // From here on, `kill -USR2 PID` prints a report, until the guard is dropped.
/// # drop(guard);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Builder {
    identity: Identity,
    signal: Option<Cow<'static, str>>,
    format: Format,
    sections: Vec<Generator>,
}

impl Builder {
    /// A builder with the defaults: no product, no version, `SIGUSR2`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The product's name.
    #[must_use]
    pub fn product(mut self, product: impl Into<Cow<'static, str>>) -> Self {
        self.identity.product = Some(product.into());
        self
    }

    /// Who makes the product.
    #[must_use]
    pub fn vendor(mut self, vendor: impl Into<Cow<'static, str>>) -> Self {
        self.identity.vendor = Some(vendor.into());
        self
    }

    /// The product's version.
    #[must_use]
    pub fn version(mut self, version: impl Into<Cow<'static, str>>) -> Self {
        self.identity.version = Some(version.into());
        self
    }

    /// The signal that asks for a report: a name (`"SIGUSR2"`, `"USR2"`) or a number (`"12"`). By default it is `SIGUSR2`; the operator's `GMR_SIGNAL`
    /// is stronger than both.
    #[must_use]
    pub fn signal(mut self, signal: impl Into<Cow<'static, str>>) -> Self {
        self.signal = Some(signal.into());
        self
    }

    /// What a report that a signal asks for is written as, on standard error. By default it is text; the operator's `GMR_FORMAT` is stronger than both.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Adds a section. What `generate` returns is shown as `#[gmr::section]` shows it: a string as text, `None` as nothing, anything else that
    /// serializes as nested `key = value`, secrets masked.
    ///
    /// It is called on a thread of gmr's own, for each report, with a deadline of two seconds.
    ///
    /// ```
    /// # use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    /// let served = Arc::new(AtomicU64::new(0));
    /// let counter = Arc::clone(&served);
    /// let builder = gmr_runtime::Builder::new()
    ///     .section("Served", move || counter.load(Ordering::Relaxed));
    /// ```
    #[must_use]
    pub fn section<T: Serialize>(
        mut self,
        title: impl Into<String>,
        generate: impl Fn() -> T + Send + Sync + 'static,
    ) -> Self {
        self.sections.push(Generator::new(title, move || convert::from_serialize(&generate())));
        self
    }

    /// Adds a section that may fail: the error is shown in its place.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new()
    ///     .try_section("Load", || std::fs::read_to_string("/proc/loadavg"));
    /// ```
    #[must_use]
    pub fn try_section<T: Serialize, E: Display>(
        mut self,
        title: impl Into<String>,
        generate: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Self {
        self.sections.push(Generator::new(title, move || match generate() {
            Ok(value) => convert::from_serialize(&value),
            Err(error) => Content::Error(mask::text(&error.to_string()).into_owned()),
        }));
        self
    }

    /// Takes the signal and starts the reporter.
    ///
    /// # Errors
    /// gmr is installed already, the signal is not known or cannot be taken, or the operating system refused a thread, a descriptor or a handler. The
    /// process is then as it was before.
    pub fn install(self) -> Result<Guard, Error> {
        let Signal { number, name } = signal(self.signal.as_deref().unwrap_or(DEFAULT_SIGNAL))?;
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if here(installed.as_ref()).is_some() {
            let message =
                "gmr is installed in this process already: keep one `#[gmr::main]` or one `Builder`";
            return Err(Error::new(ErrorKind::AlreadyInstalled, message));
        }
        let detail = env::detail().unwrap_or_else(|problem| {
            warn(&problem);
            Detail::default()
        });
        let format = env::format().unwrap_or_else(|problem| {
            warn(&format!("{problem}; using {}", self.format));
            None
        });
        let style = Style { format: format.unwrap_or(self.format), detail };
        panics::install_hook();
        capture::prepare(Some(number))
            .map_err(|error| Error::system("no signal to take stacks with", error))?;
        let (outbox, inbox) = trigger::open(Some(number))
            .map_err(|error| Error::system(&format!("{name} could not be taken"), error))?;
        let plan = Plan::new(self.identity, self.sections);
        own_threads::spawn(own_threads::REPORTER, move || {
            capture::shield_thread(Some(number));
            reporter::serve(inbox, &plan, &name, style);
        })
        .map_err(|error| Error::system("the reporter's thread could not be started", error))?;
        let outbox = Arc::new(outbox);
        *installed = Some(Installed { pid: std::process::id(), outbox: Arc::clone(&outbox) });
        Ok(Guard { outbox: Some(outbox) })
    }
}

/// The signal that asks for reports: the operator's, if it is one, or the program's.
fn signal(programs: &str) -> Result<Signal, Error> {
    match env::signal().map(|text| signals_by_name::find(&text)) {
        Some(Ok(operators)) => Ok(operators),
        // The program's is better than none: without a handler, the next request would end the process.
        Some(Err(error)) => {
            let signal = signals_by_name::find(programs)?;
            warn(&format!("GMR_SIGNAL: {error}; using {}", signal.name));
            Ok(signal)
        }
        None => signals_by_name::find(programs),
    }
}

/// Says it on standard error. Not `eprintln!`, which panics where that is closed.
fn warn(problem: &str) {
    let _ = writeln!(std::io::stderr(), "gmr: warning: {problem}");
}

/// Keeps gmr installed for as long as it lives.
///
/// Dropping it stops the reporter; the signal is ignored from then on, since its default would end the process.
#[derive(Debug)]
#[must_use = "dropping the guard uninstalls gmr; bind it to a variable, or call `keep`"]
pub struct Guard {
    outbox: Option<Arc<Outbox>>,
}

impl Guard {
    /// Leaves gmr installed until the process ends.
    ///
    /// ```
    /// # fn main() -> Result<(), gmr_runtime::Error> {
    /// gmr_runtime::Builder::new().version("1.0").install()?.keep();
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep(mut self) {
        self.outbox = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(outbox) = self.outbox.take() {
            *INSTALLED.lock().unwrap_or_else(PoisonError::into_inner) = None;
            outbox.send(Request::Stop);
        }
    }
}

/// What `#[gmr::main]` knows about the program: its options, and what only the user's crate can tell.
///
/// Generated code builds it. Not part of the public interface.
#[derive(Debug)]
pub struct Setup {
    /// `CARGO_PKG_NAME` of the user's crate; `None` if cargo does not build it.
    pub package: Option<&'static str>,
    /// `CARGO_PKG_VERSION` of the user's crate; `None` if cargo does not build it.
    pub package_version: Option<&'static str>,
    /// Whether the user's crate has debug assertions. A dependency may be built in another profile.
    pub debug_assertions: bool,
    /// The option `product`.
    pub product: Option<Cow<'static, str>>,
    /// The option `version`.
    pub version: Option<Cow<'static, str>>,
    /// The option `vendor`.
    pub vendor: Option<Cow<'static, str>>,
    /// The option `signal`.
    pub signal: Option<&'static str>,
    /// The option `format`.
    pub format: Option<Format>,
}

/// A value of the options `product`, `version` and `vendor`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be shown in the report's Package section",
    label = "expected `&'static str` or `String`"
)]
pub trait PackageText {
    /// The value.
    fn into_text(self) -> Cow<'static, str>;
}

impl PackageText for &'static str {
    fn into_text(self) -> Cow<'static, str> {
        Cow::Borrowed(self)
    }
}

impl PackageText for String {
    fn into_text(self) -> Cow<'static, str> {
        Cow::Owned(self)
    }
}

impl PackageText for Cow<'static, str> {
    fn into_text(self) -> Self {
        self
    }
}

/// [`PackageText::into_text`] as a function, which is all that generated code has to name.
pub fn package_text(value: impl PackageText) -> Cow<'static, str> {
    value.into_text()
}

impl Setup {
    fn into_builder(self) -> Builder {
        Builder {
            identity: Identity {
                product: self.product.or(self.package.map(Cow::Borrowed)),
                vendor: self.vendor,
                version: self.version.or(self.package_version.map(Cow::Borrowed)),
                debug_assertions: Some(self.debug_assertions),
            },
            signal: self.signal.map(Cow::Borrowed),
            format: self.format.unwrap_or_default(),
            ..Builder::default()
        }
    }
}

/// The statement that `#[gmr::main]` inserts at the top of `main`: installs gmr. If that fails, it
/// warns on stderr, and `main` runs all the same.
pub fn arm(setup: Setup) {
    let install = || setup.into_builder().install().map(Guard::keep);
    let installed = panic::catch_unwind(AssertUnwindSafe(install));
    let problem = match installed {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error::chain(&error),
        Err(_) => "it panicked".to_owned(),
    };
    warn(&format!("could not install gmr: {problem}; its report signal now terminates this process"));
}

impl Report {
    /// Makes a report now and returns it.
    ///
    /// It takes as long as a report does: milliseconds, and never more than the deadlines of its generators together. If another report is being made, the
    /// next one answers this call. A section's function cannot ask for a report of its own: it gets one that says so.
    ///
    /// ```
    /// let report = gmr_runtime::Report::capture();
    /// assert!(report.section("Threads").is_some());
    /// println!("{report}");
    /// ```
    pub fn capture() -> Self {
        if panics::in_generator() {
            return refused("a report cannot be made by a section of a report: it would wait for itself");
        }
        match ask_the_reporter() {
            Some(report) => Arc::unwrap_or_clone(report),
            None => capture_here(),
        }
    }
}

/// The reporter's answer; none where there is no reporter, or it was stopped before it came to this request.
fn ask_the_reporter() -> Option<Arc<Report>> {
    let outbox = {
        let installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&here(installed.as_ref())?.outbox)
    };
    let (sender, answer) = mpsc::channel();
    if !outbox.send(Request::Capture(sender)) {
        return None;
    }
    answer.recv().ok()
}

/// Without a reporter, the calling thread makes the report.
fn capture_here() -> Report {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    panics::install_hook();
    let plan = PLAN.get_or_init(|| Plan::new(Identity::default(), Vec::new()));
    reporter::make(plan, Trigger::Api, Vec::new(), |_| ())
}

fn refused(reason: &str) -> Report {
    let content = Content::Error(reason.to_owned());
    let section = Section { title: "Report".to_owned(), took_us: 0, content };
    Report {
        heading: Heading {
            number: 0,
            made_at: humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string(),
            pid: std::process::id(),
            trigger: Trigger::Api,
            notes: Vec::new(),
        },
        sections: vec![section],
        frames: Vec::new(),
        summary: Summary { number: 0, sections: 1, failed: 1, threads: 0, took_us: 0 },
    }
}
