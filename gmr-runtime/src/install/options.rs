//! The settings of what is in reports, where these go, and what requests them. They only keep what
//! they are given.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use super::Builder;
#[cfg(feature = "tracing")]
use crate::reporter::LogTracing;
use crate::section::panics::on_panic::OnPanic;
use crate::trigger::conditions::OnThreads;

impl Builder {
    /// Whether reports poll async tasks. The default is `true`; `GMR_POLL_TASKS` overrides both.
    ///
    /// For a report, every waiting task is woken and polled once more than it asked for, to see
    /// where it waits. With `false`, reports show each task and what is known about it, but no
    /// stack. [`Tracked::poll_for_reports`](crate::task::Tracked::poll_for_reports) is the same for
    /// one task.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().poll_tasks(false);
    /// ```
    #[must_use]
    pub fn poll_tasks(mut self, poll: bool) -> Self {
        self.skip_polls = !poll;
        self
    }

    /// Names whose values are masked, besides those that gmr knows: of fields, keys, flags and
    /// variables. All spellings of a name count (`internal_code`, `InternalCode`), also at the end
    /// of a longer one (`SHOP_INTERNAL_CODE`). Names in `GMR_MASK` are added, and override these.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().mask_keys(["internal_code"]);
    /// ```
    #[must_use]
    pub fn mask_keys<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().for_each(|name| self.mask.extend([name, ","]));
        self
    }

    /// Names whose values are shown, although gmr would mask them by their names. Secrets in their
    /// content are masked as in any other value.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().mask_show(["session_color"]);
    /// ```
    #[must_use]
    pub fn mask_show<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().for_each(|name| self.mask.extend(["-", name, ","]));
        self
    }

    /// How long after it has listed the threads a report looks again at those that seem to be stuck. If
    /// threads run, the time begins later, when the sections are known. The default is 50
    /// milliseconds, the most is one second, and zero switches it off. `GMR_SECOND_LOOK` overrides
    /// both.
    ///
    /// Reports without such threads take no second look. It sends no signal: it compares the CPU
    /// clocks and the system calls of these threads with what they were. Without it, no deadlock
    /// and no thread that uses a whole core is reported.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = gmr_runtime::Builder::new().second_look(Duration::from_millis(200));
    /// ```
    #[must_use]
    pub fn second_look(mut self, after: Duration) -> Self {
        self.second_look = Some(after);
        self
    }

    /// Whether a panic makes a report, while the thread is still where it panicked. The default is
    /// [`OnPanic::Off`]; `GMR_ON_PANIC` overrides both.
    ///
    /// The report begins with the stack of the thread, and is written before the program's panic
    /// hook runs. The thread waits for it up to ten seconds. Panics of sections are shown in place
    /// of their content, and make no report.
    ///
    /// ```
    /// use gmr_runtime::{Builder, OnPanic};
    ///
    /// let builder = Builder::new().on_panic(OnPanic::Ending);
    /// ```
    #[must_use]
    pub fn on_panic(mut self, which: OnPanic) -> Self {
        self.on_panic = which;
        self
    }

    /// Whether a fatal signal (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS) is reported on
    /// standard error, and in the directory of reports if there is one. The default is `false`;
    /// `GMR_ON_FATAL` overrides both. Linux on `x86_64` and `aarch64` only.
    ///
    /// The report is a short one: the signal, the address, the registers, and the stacks of all
    /// threads as addresses in their modules. After it, the action from before takes place, so that
    /// the exit status, a core dump, std's message about a stack overflow, and crash reporters are
    /// as without gmr. There is one in a process. Install gmr before a library that handles such a
    /// signal to go on after it, as runtimes of WebAssembly do; otherwise the first such signal is
    /// reported.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().on_fatal(true);
    /// ```
    #[must_use]
    pub fn on_fatal(mut self, reported: bool) -> Self {
        self.conditions.on_fatal = Some(reported);
        self
    }

    /// Makes a report if the program has not called [`ready`](crate::ready) in this time after gmr
    /// was installed. By default, and with zero, there is none. `GMR_SLOW_START` overrides both.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = gmr_runtime::Builder::new().slow_start(Duration::from_secs(30));
    /// ```
    #[must_use]
    pub fn slow_start(mut self, limit: Duration) -> Self {
        self.slow_start = Some(limit);
        self
    }

    /// Makes a report if the process has not ended in this time after SIGTERM: the last words
    /// before a supervisor kills it. Choose a few seconds less than what the supervisor waits for.
    /// By default, and with zero, there is none. `GMR_SLOW_SHUTDOWN` overrides both.
    ///
    /// gmr notices SIGTERM where signal-hook or tokio handles it, and sets no handler of its own,
    /// which would keep SIGTERM from ending a process that has none. A program with another handler
    /// calls [`shutting_down`](crate::shutting_down).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = gmr_runtime::Builder::new().slow_shutdown(Duration::from_secs(25));
    /// ```
    #[must_use]
    pub fn slow_shutdown(mut self, limit: Duration) -> Self {
        self.slow_shutdown = Some(limit);
        self
    }

    /// Makes a report if a runtime of tokio has polled no new task in this time: all its workers
    /// are blocked, or compute. Needs the feature `tokio`. By default, and with zero, there is
    /// none. `GMR_WATCHDOG` overrides both.
    ///
    /// gmr watches the runtimes that tracked tasks run on, and those that the program adds with
    /// `watch_runtime`. On each, it spawns a task that does nothing, at most once a second, and
    /// only after the last one has been polled. A runtime of one thread is watched while it runs
    /// `main`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = gmr_runtime::Builder::new().watchdog(Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn watchdog(mut self, limit: Duration) -> Self {
        self.conditions.watchdog = Some(limit);
        self
    }

    /// Makes a report if a cgroup of the process, such as its container, uses more than so many
    /// percent of its limit of memory. What the kernel can take back, such as files that were read,
    /// does not count. By default, and with zero, there is none. `GMR_ON_MEMORY` overrides both.
    ///
    /// gmr looks once a second. While the use stays above this share, or above nine tenths of it,
    /// there are more reports, one, two, four minutes later and so on, and at most six in an hour.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().on_memory(90);
    /// ```
    #[must_use]
    pub fn on_memory(mut self, percent: u8) -> Self {
        self.conditions.on_memory = Some(percent);
        self
    }

    /// Makes a report if so many percent of the descriptors that the process may have open
    /// (`RLIMIT_NOFILE`) are open. By default, and with zero, there is none. `GMR_ON_DESCRIPTORS`
    /// overrides both. How often, is as for [`on_memory`](Self::on_memory).
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().on_descriptors(90);
    /// ```
    #[must_use]
    pub fn on_descriptors(mut self, percent: u8) -> Self {
        self.conditions.on_descriptors = Some(percent);
        self
    }

    /// Makes a report if the process has many threads: so many, or so many percent of what its
    /// cgroup may have. By default there is none. `GMR_ON_THREADS` overrides both. How often, is as
    /// for [`on_memory`](Self::on_memory).
    ///
    /// ```
    /// use gmr_runtime::{Builder, OnThreads};
    ///
    /// let builder = Builder::new().on_threads(OnThreads::Count(500));
    /// let builder = Builder::new().on_threads(OnThreads::Percent(90));
    /// ```
    #[must_use]
    pub fn on_threads(mut self, limit: OnThreads) -> Self {
        self.conditions.on_threads = Some(limit);
        self
    }

    /// Makes a report if a tracked task takes longer than this, and others of its kind do not: at
    /// least one of the same name, spawned at the same place, has completed in this time. So tasks
    /// that are to last as long as the program make none. By default, and with zero, there is none.
    /// `GMR_SLOW_TASK` overrides both.
    ///
    /// The report begins its tasks with the slow one. While there are such tasks, there are more
    /// reports, one, two, four minutes later and so on, and at most six in an hour. If the process
    /// was stopped or got no processor, the limit is extended by as much.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = gmr_runtime::Builder::new().slow_task(Duration::from_secs(60));
    /// ```
    #[must_use]
    pub fn slow_task(mut self, limit: Duration) -> Self {
        self.conditions.slow_task = Some(limit);
        self
    }

    /// Which of the built-in sections reports have: names separated by commas, each with `-` for a
    /// section to leave out, or with `+` for one to add. `GMR_SECTIONS` has the same form, and is
    /// applied after this list.
    ///
    /// The names are `package`, `resources`, `threads`, `green-threads`, `processes`,
    /// `descriptors`, `modules`, `environment`, `configuration`, `spans-in-flight` and
    /// `recent-events`; `all` stands for all of them. By default, reports have all but
    /// `environment`, which can contain secrets that masking does not recognize. If there is no
    /// section of a given name, [`install`](Self::install) returns an error.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().sections("-modules, +environment");
    /// ```
    #[must_use]
    pub fn sections(mut self, list: impl Into<Cow<'static, str>>) -> Self {
        self.selection = Some(list.into());
        self
    }

    /// A directory for reports: each becomes a file there, instead of going to standard error,
    /// which gets one line that says where the file is. `GMR_LOG_DIR` overrides it; `off` switches
    /// it off.
    ///
    /// The names are `SERVICE_gurumeditation_YYYYMMDDThhmmssZ_PID_NUMBER.EXTENSION`, where
    /// `SERVICE` is the [product](Self::product), and only the user of the process can read the
    /// files. A file gets its name when it is whole, and replaces no other one. The last 100 of a
    /// service are kept, and all of the last ten minutes, together at most 100 MiB
    /// ([`log_max_files`](Self::log_max_files), [`log_max_bytes`](Self::log_max_bytes)). The
    /// directory must exist. No part of its path may be a symbolic link. If a file cannot be
    /// written, the report goes to standard error, after the reason.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().product("shop").log_dir("/var/log/shop");
    /// ```
    #[must_use]
    pub fn log_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.logs.dir = Some(directory.into());
        self
    }

    /// How many files of the service are kept in [the directory](Self::log_dir): the last ones,
    /// also if they are young. Zero is any number. By default, the last 100 are kept, and all of
    /// the last ten minutes. `GMR_LOG_MAX_FILES` overrides both.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().log_dir("/var/log/shop").log_max_files(20);
    /// ```
    #[must_use]
    pub fn log_max_files(mut self, files: u32) -> Self {
        self.logs.max_files = Some(files);
        self
    }

    /// How many bytes the files of the service may have together in [the directory](Self::log_dir):
    /// the oldest ones are removed. The last one stays, whatever its size. Zero is any number; the
    /// default is 100 MiB. `GMR_LOG_MAX_BYTES` overrides both.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().log_dir("/var/log/shop").log_max_bytes(20 << 20);
    /// ```
    #[must_use]
    pub fn log_max_bytes(mut self, bytes: u64) -> Self {
        self.logs.max_bytes = Some(bytes);
        self
    }

    /// Whether the files of reports in [the directory](Self::log_dir) are compressed: their names
    /// end in `.gz`, and `zcat` reads them. The default is `false`; `GMR_LOG_GZIP` overrides both.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().log_dir("/var/log/shop").log_gzip(true);
    /// ```
    #[cfg(feature = "gzip")]
    #[must_use]
    pub fn log_gzip(mut self, compressed: bool) -> Self {
        self.logs.gzip = compressed;
        self
    }

    /// Whether reports go to systemd's journal, each as one entry, instead of standard error, which
    /// gets a line that says so. The default is `false`; `GMR_LOG_JOURNAL` overrides both.
    ///
    /// The message of the entry is the report, after a line with its findings; its priority is that
    /// of the most severe finding. If the format is not text, the field `GMR_DOCUMENT` has the
    /// report. A report that the journal does not take goes to standard error.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().log_journal(true);
    /// ```
    #[must_use]
    pub fn log_journal(mut self, journal: bool) -> Self {
        self.logs.journal = journal;
        self
    }

    /// Whether each report is also an event of `tracing`, for the program's subscriber: one with the
    /// heading and the findings, or with all of the report. The default is [`LogTracing::Off`];
    /// `GMR_LOG_TRACING` overrides both.
    ///
    /// The event has the target `gmr` and the level of the most severe finding: error, warn, or
    /// else info. Its fields are `message`, `report` (the number), `findings` and, if it is
    /// [`LogTracing::Full`], `document`. It is emitted on a thread of gmr's, within ten seconds.
    ///
    /// ```
    /// use gmr_runtime::{Builder, LogTracing};
    ///
    /// let builder = Builder::new().log_tracing(LogTracing::Summary);
    /// ```
    #[cfg(feature = "tracing")]
    #[must_use]
    pub fn log_tracing(mut self, what: LogTracing) -> Self {
        self.logs.tracing = what;
        self
    }

    /// How many reports an hour has at most for each option that requests them by itself, such as
    /// [`watchdog`](Self::watchdog) or [`on_panic`](Self::on_panic), and for all deadlines and all
    /// heartbeats: six by default, and with zero any number. What has no report is counted in the
    /// next heading. `GMR_MAX_PER_HOUR` overrides both.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().max_per_hour(20);
    /// ```
    #[must_use]
    pub fn max_per_hour(mut self, reports: u32) -> Self {
        self.max_per_hour = Some(reports);
        self
    }

    /// How many bytes a report may have that is written to standard error or to [a
    /// file](Self::log_dir): if it is larger, what tells least is left out, and its heading says
    /// what. Left out are, one after the other until it fits: stacks of idle threads, the rarest
    /// first; source lines; stacks of other blocked threads; the ends of long lists; whole
    /// sections, the largest first. Threads and tasks that a finding is about stay, as do the
    /// findings.
    ///
    /// By default, and with zero, a report may have any size. At least 16 KiB are used.
    /// `GMR_MAX_BYTES` overrides both.
    ///
    /// With a limit, nothing of a report is written before it is complete, or before it has taken a
    /// second.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().max_bytes(1 << 20);
    /// ```
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// The least time from the beginning of a report for signals, or for [a
    /// file](Self::trigger_file), to that of the next one: one second by default. Signals that
    /// arrive earlier share one report at the end of this time, whose heading counts them. With
    /// [`Duration::ZERO`] they wait only until the report before has been written.
    /// `GMR_MIN_INTERVAL` overrides both; `off` is zero.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = gmr_runtime::Builder::new().min_interval(Duration::from_secs(1));
    /// ```
    #[must_use]
    pub fn min_interval(mut self, interval: Duration) -> Self {
        self.min_interval = Some(interval);
        self
    }

    /// A file that requests a report when it is touched, made, or replaced, for operators who can
    /// write to a volume and cannot send a signal. The signal requests reports as well.
    /// `GMR_TRIGGER_FILE` overrides it; `off` switches it off.
    ///
    /// The file need not exist, nor its directory; gmr does not open it. The path may lead through
    /// symbolic links. Where the kernel does not announce changes, as on network file systems, the
    /// file is looked at once a second.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().trigger_file("/run/shop/report");
    /// ```
    #[must_use]
    pub fn trigger_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.trigger_file = Some(file.into());
        self
    }

    /// Whether reports also go to standard error, if they go to [a directory](Self::log_dir), to
    /// [the journal](Self::log_journal), or to the subscriber of `tracing`. The default is `false`;
    /// `GMR_LOG_TO_STDERR` overrides both.
    ///
    /// ```
    /// let builder = gmr_runtime::Builder::new().log_dir("/var/log/shop").log_to_stderr(true);
    /// ```
    #[must_use]
    pub fn log_to_stderr(mut self, also: bool) -> Self {
        self.logs.to_stderr = also;
        self
    }
}
