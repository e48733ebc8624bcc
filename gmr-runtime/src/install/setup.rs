//! Installing gmr for `#[gmr::main]`: what its code passes on, as the settings of a [`Builder`].

use std::borrow::Cow;
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use super::target::Logs;
use super::warning::warn;
use super::watched::Conditions;
use super::{Builder, DEFAULT_SIGNAL, Guard, early};
use crate::env;
use crate::error::{self, ErrorKind};
use crate::generators::Identity;
use crate::reporter::LogTracing;
use crate::section::panics::on_panic::OnPanic;
use crate::trigger;
use crate::trigger::conditions::OnThreads;
use crate::views::Format;

/// What `#[gmr::main]` passes on about the program: its options, and values that only the user's
/// crate has.
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
    /// The option `poll_tasks`.
    pub poll_tasks: Option<bool>,
    /// The option `second_look`.
    pub second_look: Option<Duration>,
    /// The option `on_panic`.
    pub on_panic: OnPanic,
    /// The option `on_fatal`.
    pub on_fatal: Option<bool>,
    /// The option `slow_start`.
    pub slow_start: Option<Duration>,
    /// The option `slow_shutdown`.
    pub slow_shutdown: Option<Duration>,
    /// The option `watchdog`.
    pub watchdog: Option<Duration>,
    /// The option `slow_task`.
    pub slow_task: Option<Duration>,
    /// The option `on_memory`.
    pub on_memory: Option<u8>,
    /// The option `on_descriptors`.
    pub on_descriptors: Option<u8>,
    /// The option `on_threads`.
    pub on_threads: Option<OnThreads>,
    /// The option `sections`.
    pub sections: Option<&'static str>,
    /// The option `log_dir`.
    pub log_dir: Option<&'static str>,
    /// The option `log_to_stderr`.
    pub log_to_stderr: Option<bool>,
    /// The option `log_max_files`.
    pub log_max_files: Option<u32>,
    /// The option `log_max_bytes`.
    pub log_max_bytes: Option<u64>,
    /// The option `log_gzip`.
    pub log_gzip: Option<bool>,
    /// The option `log_journal`.
    pub log_journal: Option<bool>,
    /// The option `log_tracing`.
    pub log_tracing: LogTracing,
    /// The option `max_per_hour`.
    pub max_per_hour: Option<u32>,
    /// The option `max_bytes`.
    pub max_bytes: Option<u64>,
    /// The option `min_interval`.
    pub min_interval: Option<Duration>,
    /// The option `trigger_file`.
    pub trigger_file: Option<&'static str>,
    /// The option `mask`, as `GMR_MASK` has it.
    pub mask: Option<&'static str>,
    /// The option `revision`.
    pub revision: Option<Cow<'static, str>>,
    /// `VERGEN_GIT_SHA` and `VERGEN_GIT_DIRTY`, which a build script of the user's crate can set by
    /// means of the crate `vergen`.
    pub vergen: [Option<&'static str>; 2],
}

/// A value of the options `product`, `version`, `vendor` and `revision`.
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

/// `PackageText::into_text` as a function, which is all that generated code has to name.
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
                revision: self.revision.or(of_vergen(self.vergen)),
                debug_assertions: Some(self.debug_assertions),
            },
            signal: self.signal.map(Cow::Borrowed),
            format: self.format.unwrap_or_default(),
            skip_polls: !self.poll_tasks.unwrap_or(true),
            second_look: self.second_look,
            on_panic: self.on_panic,
            slow_start: self.slow_start,
            slow_shutdown: self.slow_shutdown,
            conditions: Conditions {
                watchdog: self.watchdog,
                slow_task: self.slow_task,
                on_memory: self.on_memory,
                on_descriptors: self.on_descriptors,
                on_threads: self.on_threads,
                on_fatal: self.on_fatal,
            },
            selection: self.sections.map(Cow::Borrowed),
            logs: Logs {
                dir: self.log_dir.map(Into::into),
                to_stderr: self.log_to_stderr.unwrap_or_default(),
                max_files: self.log_max_files,
                max_bytes: self.log_max_bytes,
                gzip: self.log_gzip.unwrap_or_default(),
                journal: self.log_journal.unwrap_or_default(),
                tracing: self.log_tracing,
            },
            max_per_hour: self.max_per_hour,
            max_bytes: self.max_bytes,
            min_interval: self.min_interval,
            trigger_file: self.trigger_file.map(Into::into),
            mask: self.mask.unwrap_or_default().to_owned(),
            ..Builder::default()
        }
    }
}

/// The revision that vergen's variables state. Where there is no repository, vergen sets them to a
/// constant.
fn of_vergen([sha, dirty]: [Option<&'static str>; 2]) -> Option<Cow<'static, str>> {
    let sha = sha.filter(|sha| !sha.is_empty() && *sha != "VERGEN_IDEMPOTENT_OUTPUT")?;
    Some(if dirty == Some("true") { format!("{sha}, with changes").into() } else { sha.into() })
}

/// The statement that `#[gmr::main]` inserts at the top of `main`: installs gmr. If that fails, it
/// prints a warning to stderr, and `main` still runs.
pub fn arm(setup: Setup) {
    let chosen = env::signal().map_or(setup.signal.map(Cow::Borrowed), |chosen| Some(chosen.into()));
    let chosen = chosen.unwrap_or(Cow::Borrowed(DEFAULT_SIGNAL));
    let install = || setup.into_builder().install().map(Guard::keep);
    let installed = panic::catch_unwind(AssertUnwindSafe(install));
    let (problem, is_installed) = match installed {
        Ok(Ok(())) => return,
        Ok(Err(error)) => (error::chain(&error), error.kind() == ErrorKind::AlreadyInstalled),
        Err(_) => ("it panicked".to_owned(), false),
    };
    // A signal that was noted before does not end the process now.
    let signals = early::disarm();
    let consequence = if is_installed { String::new() } else { effect(&chosen) };
    warn(&format!("could not install gmr: {problem}{consequence}"));
    if signals > 0 {
        warn("a report was requested before; it is not made");
    }
}

/// What the report signal does where gmr is not installed.
fn effect(chosen: &str) -> String {
    let Some(effect) = trigger::signal_effect(chosen) else { return String::new() };
    format!("; {effect}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vergens_variables_state_a_revision() {
        let revision = |sha, dirty| of_vergen([sha, dirty]);
        assert_eq!(revision(Some("4f2c1e9"), Some("false")).as_deref(), Some("4f2c1e9"));
        assert_eq!(revision(Some("4f2c1e9"), Some("true")).as_deref(), Some("4f2c1e9, with changes"));
        let nothing = [None, Some(""), Some("VERGEN_IDEMPOTENT_OUTPUT")];
        assert_eq!(nothing.map(|sha| revision(sha, None)), [None, None, None]);
    }
}
