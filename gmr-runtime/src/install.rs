//! Installing gmr in a process: the settings, the reporter's start, and the guard that ends it.

pub(crate) mod early;
mod mark;
mod options;
pub(crate) mod setup;
mod signal;
mod target;
mod warning;
mod watched;

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::generators::{Identity, Selection};
use crate::reporter::{self, Plan, Style, Target};
use crate::section::added;
use crate::section::generator::Generator;
use crate::section::panics::on_panic::OnPanic;
use crate::section::panics::{self, on_panic};
use crate::sinks::Stderr;
use crate::sys::channel::{self, Sender};
use crate::sys::forked_lock::lock_within;
use crate::sys::{self, own_threads};
use crate::trigger::automatic::{self, Installation};
use crate::trigger::scopes;
use crate::trigger::signals_by_name::Signal;
use crate::trigger::{Inbox, Outbox, Request};
use crate::views::{Detail, Format};
use crate::{capture, emergency, env, fatal, task};
use signal::{Parents, handle, open};
use target::Logs;
use warning::operators;
pub(crate) use warning::warn;
use watched::{Conditions, watch_file};

/// The default report signal, the same as for `OpenStack` services.
const DEFAULT_SIGNAL: &str = "SIGUSR2";

/// How long gmr's threads may take to start before the program goes on. They take milliseconds.
const STARTED_WITHIN: Duration = Duration::from_secs(1);

/// How long gmr may be being installed by another thread. In a forked child, that thread may not
/// exist.
const UNLOCKED_WITHIN: Duration = Duration::from_secs(2);

/// Where requests go while gmr is installed. Never locked by the reporter.
static INSTALLED: Mutex<Option<Installed>> = Mutex::new(None);

#[derive(Debug)]
struct Installed {
    /// The process that has the reporter. A forked child has this memory, but not that thread.
    pid: u32,
    outbox: Arc<Outbox>,
    /// That of the guard. In a forked child, gmr may have been started again, with another one.
    guards: Arc<Outbox>,
    settings: Arc<Settings>,
    mark: Option<sys::Marking>,
}

impl Installed {
    fn as_parents(&self) -> Parents<'_> {
        Parents { signal: self.settings.signal.as_ref(), outbox: &self.outbox }
    }
}

/// What gmr was installed with.
#[derive(Debug)]
struct Settings {
    /// `None` if reports are requested in other ways only.
    signal: Option<Signal>,
    style: Style,
    identity: Identity,
    plan: Plan,
    target: Target,
    trigger_file: Option<PathBuf>,
    conditions: Conditions,
}

/// The installation of this process, as opposed to that of the parent that it was forked from.
fn here(installed: Option<&Installed>) -> Option<&Installed> {
    installed.filter(|installed| installed.pid == std::process::id())
}

/// Whether there is a reporter in this process.
fn is_here() -> bool {
    lock_within(&INSTALLED, UNLOCKED_WITHIN).is_some_and(|installed| here(installed.as_ref()).is_some())
}

fn prepare_thread() {
    capture::shield_thread(None);
}

/// Sends a request to the reporter. False if there is none.
pub(crate) fn send(request: Request) -> bool {
    let outbox = {
        let installed = lock_within(&INSTALLED, UNLOCKED_WITHIN);
        installed
            .and_then(|installed| here(installed.as_ref()).map(|installed| Arc::clone(&installed.outbox)))
    };
    outbox.is_some_and(|outbox| outbox.send(request))
}

/// Installs gmr without an attribute on `main`, and adds sections at run time.
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
    skip_polls: bool,
    second_look: Option<Duration>,
    on_panic: OnPanic,
    slow_start: Option<Duration>,
    slow_shutdown: Option<Duration>,
    conditions: Conditions,
    min_interval: Option<Duration>,
    selection: Option<Cow<'static, str>>,
    max_per_hour: Option<u32>,
    max_bytes: Option<u64>,
    logs: Logs,
    trigger_file: Option<PathBuf>,
    mask: String,
    sections: Vec<Generator>,
    groups: Vec<Generator>,
}

impl Builder {
    /// A builder with the defaults: no product, vendor or version, `SIGUSR2`, text.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of the product.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().product("order service");
    /// ```
    #[must_use]
    pub fn product(mut self, product: impl Into<Cow<'static, str>>) -> Self {
        self.identity.product = Some(product.into());
        self
    }

    /// The vendor of the product.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().vendor("ACME");
    /// ```
    #[must_use]
    pub fn vendor(mut self, vendor: impl Into<Cow<'static, str>>) -> Self {
        self.identity.vendor = Some(vendor.into());
        self
    }

    /// The version of the product.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().version(env!("CARGO_PKG_VERSION"));
    /// ```
    #[must_use]
    pub fn version(mut self, version: impl Into<Cow<'static, str>>) -> Self {
        self.identity.version = Some(version.into());
        self
    }

    /// The revision of the source code that the program is built from. By default, that of the
    /// environment variable `VERGEN_GIT_SHA` when `#[gmr::main]` is compiled; a builder has none.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().revision("4f2c1e9");
    /// ```
    #[must_use]
    pub fn revision(mut self, revision: impl Into<Cow<'static, str>>) -> Self {
        self.identity.revision = Some(revision.into());
        self
    }

    /// The signal that triggers a report: a name (`"SIGUSR2"`, `"USR2"`) or a number (`"12"`). The
    /// default is `SIGUSR2`. With `"none"`, gmr handles no signal for that, and reports are made
    /// for other reasons only. `GMR_SIGNAL` overrides all of them.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().signal("SIGUSR1");
    /// ```
    #[must_use]
    pub fn signal(mut self, signal: impl Into<Cow<'static, str>>) -> Self {
        self.signal = Some(signal.into());
        self
    }

    /// The format of the reports that the signal prints to standard error. The default is text.
    /// `GMR_FORMAT` overrides both.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().format(gmr_runtime::Format::Text);
    /// ```
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Adds a section, as `#[gmr::section]` does for a function.
    ///
    /// `generator` is a closure that returns a `Serialize` value. For a closure that can fail, and
    /// to set the section's order and deadline, pass a [`Generator`](crate::Generator); to show a
    /// value that implements only `Display`, wrap it in [`display`](crate::display). gmr calls the
    /// closure once for each report, on a thread of its own, and masks secrets in the value.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gmr_runtime::{Builder, Generator};
    ///
    /// let builder = Builder::new()
    ///     .section("Queue", || std::collections::BTreeMap::from([("waiting", 17)]))
    ///     .section("Orders", Generator::new(|| 3).order(-1).timeout(Duration::from_secs(5)));
    /// ```
    #[must_use]
    pub fn section(mut self, title: impl Into<String>, generator: impl Into<added::Generator>) -> Self {
        self.sections.push(generator.into().titled(title.into()));
        self
    }

    /// Adds a group to the Configuration section, as `#[gmr::config]` does for a function. The
    /// arguments are the same as for [`section`](Self::section).
    ///
    /// ```
    /// use gmr_runtime::{Builder, Generator};
    ///
    /// let builder = Builder::new()
    ///     .config("Database", || std::collections::BTreeMap::from([("host", "db1")]))
    ///     .config("Limits", Generator::fallible(|| std::fs::read_to_string("/proc/self/limits")));
    /// ```
    #[must_use]
    pub fn config(mut self, title: impl Into<String>, generator: impl Into<added::Generator>) -> Self {
        self.groups.push(generator.into().titled(title.into()));
        self
    }

    /// Installs the signal handler and starts the reporter.
    ///
    /// # Errors
    /// gmr is already installed, the signal is unknown or cannot be handled, [a
    /// list](Self::sections) names a section that does not exist, or the operating system refused a
    /// thread, a descriptor or a handler. The signal then keeps its previous action, which by
    /// default terminates the process; only if the reporter's thread could not be started is the
    /// signal ignored.
    ///
    /// ```
    /// use gmr_runtime::{Builder, ErrorKind};
    ///
    /// let guard = Builder::new().install()?;
    /// let error = Builder::new().install().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::AlreadyInstalled);
    /// # drop(guard);
    /// # Ok::<(), gmr_runtime::Error>(())
    /// ```
    pub fn install(self) -> Result<Guard, Error> {
        let programs = self.signal.as_deref().unwrap_or(DEFAULT_SIGNAL);
        let wanted = signal::signal(programs)?;
        let mut selection = Selection::default();
        selection.apply(self.selection.as_deref().unwrap_or_default())?;
        // Before the lock: a panic hook that is running may capture a report, which takes the lock.
        panics::install_hook();
        let mut installed = lock()?;
        if here(installed.as_ref()).is_some() {
            let message =
                "gmr is already installed in this process; keep one `#[gmr::main]` or one `Builder`";
            return Err(Error::new(ErrorKind::AlreadyInstalled, message));
        }
        let detail = env::detail().unwrap_or_else(|problem| {
            warn(&problem);
            Detail::default()
        });
        let format = operators(env::format()).unwrap_or(self.format);
        task::poll_tasks(operators(env::poll_tasks()).unwrap_or(!self.skip_polls));
        if let Err(names) = gmr_mask::set_names([&*self.mask, &*env::mask()]) {
            warn(&format!("GMR_MASK, or the option `mask`: {names} is no name; expected `code, -color`"));
        }
        let second_look = operators(env::second_look()).or(self.second_look);
        let second_look = second_look.unwrap_or(reporter::SECOND_LOOK);
        let panics_reported = operators(env::on_panic());
        let slow_start = operators(env::slow_start()).or(self.slow_start);
        let slow_shutdown = operators(env::slow_shutdown()).or(self.slow_shutdown);
        if let Err(error) = selection.apply(&env::sections()) {
            warn(&format!("GMR_SECTIONS: {error}"));
        }
        // The runtime of an `async fn main`.
        #[cfg(feature = "tokio")]
        task::runtimes::notice();
        let target = self.logs.target(self.identity.product.as_deref(), format);
        let min_interval = operators(env::min_interval()).or(self.min_interval);
        let min_interval = min_interval.unwrap_or(reporter::MIN_INTERVAL);
        let max_per_hour = operators(env::max_per_hour()).or(self.max_per_hour);
        let max_bytes = operators(env::max_bytes()).or(self.max_bytes).and_then(reporter::max_bytes);
        let style = Style { format, detail, min_interval, max_per_hour, max_bytes };
        let (signal, outbox, inbox) = open(wanted, programs, installed.as_ref().map(Installed::as_parents))?;
        let trigger_file = env::trigger_file(self.trigger_file);
        let identity = self.identity.clone();
        let plan = Plan::new(self.identity, &selection, self.sections, self.groups, second_look);
        let conditions = self.conditions.or_operators();
        let settings = Arc::new(Settings { signal, style, identity, plan, target, trigger_file, conditions });
        let outbox = settings.start(outbox, inbox)?;
        conditions.report_fatal(format, &settings.target);
        let (guards, pid) = (Arc::clone(&outbox), std::process::id());
        let mark = mark::mark(settings.signal.as_ref(), &settings.identity);
        *installed = Some(Installed { pid, outbox: Arc::clone(&outbox), guards, settings, mark });
        automatic::connect(Installation { send, is_here, prepare_thread });
        conditions.watch();
        on_panic::set(panics_reported.unwrap_or(self.on_panic));
        // Another signal than expected was noted: a library has set `GMR_SIGNAL` before `main`.
        if early::installed() > 0 {
            warn("a report was requested with another signal before gmr was installed; it is not made");
        }
        drop(installed);
        if let Some(limit) = slow_start.filter(|limit| !limit.is_zero()) {
            scopes::expect_ready(limit);
        }
        if let Some(limit) = slow_shutdown.filter(|limit| !limit.is_zero()) {
            scopes::expect_end(limit);
        }
        Ok(Guard { outbox: Some(outbox) })
    }
}

impl Settings {
    /// Starts gmr's threads.
    fn start(self: &Arc<Self>, outbox: Outbox, inbox: Inbox) -> Result<Arc<Outbox>, Error> {
        let number = self.signal.as_ref().map(|signal| signal.number);
        let outbox = Arc::new(outbox);
        sys::remember_mask();
        let stderr = Stderr::new();
        let (settings, reporters_outbox) = (Arc::clone(self), Arc::clone(&outbox));
        let (ready, are_ready) = channel::channel::<()>();
        let reporter_is_ready = ready.clone();
        own_threads::spawn(own_threads::REPORTER, move || {
            capture::shield_thread(number);
            drop(reporter_is_ready);
            let Settings { signal, style, plan, target, .. } = &*settings;
            let target = (stderr, target.clone());
            let name = signal.as_ref().map_or("", |signal| &signal.name);
            reporter::serve(inbox, &reporters_outbox, plan, target, name, *style);
        })
        .map_err(|error| Error::system("could not start the reporter's thread", error))?;
        if let Some(number) = number {
            self.watch(number, &outbox, &ready);
        }
        if let Some(file) = &self.trigger_file {
            watch_file(file, &outbox, &ready);
        }
        drop(ready);
        // A thread allocates while it starts. The program may limit its memory next. Nothing is sent:
        // the wait ends once all senders are gone.
        let _ = are_ready.recv_timeout(STARTED_WITHIN);
        Ok(outbox)
    }

    /// Starts the threads that see to it that a signal is answered. Each drops its `ready` once it
    /// is.
    fn watch(self: &Arc<Self>, number: i32, outbox: &Arc<Outbox>, ready: &Sender<()>) {
        let emergency_is_ready = ready.clone();
        let emergency_is_ready = move || drop(emergency_is_ready);
        let settings = Arc::clone(self);
        let lines = move || settings.identity.lines();
        // Without it, a process in which nothing can be allocated gets no report.
        if let Err(error) = emergency::start(outbox, lines, reporter::next_number, emergency_is_ready) {
            warn(&format!("could not start the thread for emergency reports: {error}"));
        }
        let (watched, is_ready) = (Arc::clone(outbox), ready.clone());
        let watch = move || {
            capture::shield_thread(None);
            watched.watch_pending(number, move || drop(is_ready));
        };
        // Without it, a process whose main thread is stuck in the kernel may get no report.
        if let Err(error) = own_threads::spawn("gmr signal", watch) {
            warn(&format!("could not start the thread that notices pending signals: {error}"));
        }
    }
}

/// Starts gmr again in a forked child, as it was installed in the parent.
///
/// `fork` copies only the thread that calls it. So a child that does not become another program
/// handles the report signal as its parent does, but has no thread that makes reports. Call this
/// function in such a child, for example in a daemon, as soon as the child may have more than one
/// thread. gmr does not start threads there on its own: a second thread would get in the way of a
/// child that is about to enter another namespace or to give up privileges.
///
/// The call does nothing in a process in which gmr is running or was never installed.
///
/// ```
/// # fn daemonize() {}
/// # fn main() -> Result<(), gmr_runtime::Error> {
/// # gmr_runtime::Builder::new().install()?.keep();
/// daemonize(); // forks, and continues in the child
/// gmr_runtime::after_fork()?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Like [`Builder::install`].
pub fn after_fork() -> Result<(), Error> {
    panics::install_hook();
    let mut installed = lock()?;
    let Some(parents) = installed.as_mut().filter(|parents| parents.pid != std::process::id()) else {
        return Ok(());
    };
    let (outbox, inbox) = handle(parents.settings.signal.as_ref(), Some(parents.as_parents()))?;
    parents.settings.plan.forget_runs();
    parents.outbox = parents.settings.start(outbox, inbox)?;
    parents.pid = std::process::id();
    parents.mark = mark::mark(parents.settings.signal.as_ref(), &parents.settings.identity);
    parents.settings.conditions.watch();
    Ok(())
}

fn lock() -> Result<MutexGuard<'static, Option<Installed>>, Error> {
    lock_within(&INSTALLED, UNLOCKED_WITHIN).ok_or_else(|| {
        let error = io::Error::from(io::ErrorKind::WouldBlock);
        Error::system("the process was forked while gmr was being installed", error)
    })
}

/// The process in which gmr was installed, if this one was forked from it and has no reporter.
pub(crate) fn parent_with_reporter() -> Option<u32> {
    let installed = lock_within(&INSTALLED, UNLOCKED_WITHIN)?;
    installed.as_ref().map(|installed| installed.pid).filter(|pid| *pid != std::process::id())
}

/// Uninstalls gmr when it is dropped.
///
/// From then on, the report signal is ignored, since its default action would terminate the
/// process.
///
/// ```
/// # fn main() -> Result<(), gmr_runtime::Error> {
/// let guard = gmr_runtime::Builder::new().install()?;
/// drop(guard);
/// gmr_runtime::Builder::new().install()?.keep(); // it can be installed again
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping the guard uninstalls gmr; bind it to a variable, or call `keep`"]
pub struct Guard {
    outbox: Option<Arc<Outbox>>,
}

impl Guard {
    /// Keeps gmr installed until the process ends.
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
            let is_this = |installed: &mut Installed| Arc::ptr_eq(&installed.guards, &outbox);
            let installed =
                lock().ok().and_then(|mut one| one.take_if(is_this)).inspect(|_| fatal::uninstall());
            installed.map_or(outbox, |installed| installed.outbox).send(Request::Stop);
        }
    }
}
