//! Where the threads and tasks of a report are, and whose report it is: what reports of several
//! processes or times are compared by. It reads reports and prints nothing.

use std::collections::HashMap;
use std::fmt;

use gmr_runtime::__cli::{Line, Lines, host, program, seconds};
use gmr_runtime::Report;
use gmr_runtime::model::{Content, GreenThreads, Role, Task, Thread, Threads};
use serde::Serialize;

use crate::output::{Page, as_u64, counted};

/// The process that a report is of.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Identity {
    #[serde(flatten)]
    pub(crate) names: Names,
    /// In whole seconds, and not exact: the report computes it from the time since then.
    pub(crate) started_at: Option<String>,
}

/// What reports of the same process have in common for certain. Others can have the same: ids are
/// used again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub(crate) struct Names {
    pub(crate) program: String,
    pub(crate) version: Option<String>,
    /// The pod, or the host.
    pub(crate) host: Option<String>,
    pub(crate) container: Option<String>,
    pub(crate) pid: u32,
}

impl Identity {
    pub(crate) fn of(report: &Report) -> Self {
        let package = report.sections.iter().find_map(|section| match &section.content {
            Content::Package(package) => Some(&**package),
            _ => None,
        });
        let names = Names {
            program: package.and_then(program).unwrap_or("?").to_owned(),
            version: package.and_then(|package| package.version.clone()),
            host: package.and_then(host).map(str::to_owned),
            container: package.and_then(|package| package.container_id.clone()),
            pid: report.heading.pid,
        };
        Self { names, started_at: package.and_then(|package| package.started_at.clone()) }
    }

    /// When the process was started, in seconds since 1970.
    pub(crate) fn started(&self) -> Option<u64> {
        seconds(self.started_at.as_deref()?)
    }

    /// Whether two reports are of the same process for certain. The later one has the greater
    /// number: a process that was restarted at once, as process 1 of the same container, begins
    /// with 1.
    pub(crate) fn is_same(older: &Report, newer: &Report) -> bool {
        let (process, other) = (Self::of(older), Self::of(newer));
        process.names == other.names
            && is_same_start(process.started_at.as_deref(), other.started_at.as_deref())
            && older.heading.made_at.cmp(&newer.heading.made_at)
                == older.heading.number.cmp(&newer.heading.number)
    }
}

/// Whether two reports state the same start of a process or a thread. Each report computes it anew,
/// and the second before can be the same one.
pub(crate) fn is_same_start(one: Option<&str>, other: Option<&str>) -> bool {
    let seconds = one.and_then(seconds).zip(other.and_then(seconds));
    seconds.is_some_and(|(one, other)| one.abs_diff(other) <= SAME_START)
}

/// How many seconds two starts of the same process can be apart.
pub(crate) const SAME_START: u64 = 1;

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Names { program, version, host, pid, .. } = &self.names;
        f.write_str(program)?;
        version.iter().try_for_each(|version| write!(f, " {version}"))?;
        write!(f, ", process {pid}")?;
        host.iter().try_for_each(|host| write!(f, " on {host}"))
    }
}

pub(crate) fn threads(report: &Report) -> Option<&Threads> {
    report.sections.iter().find_map(|section| match &section.content {
        Content::Threads(threads) => Some(threads),
        _ => None,
    })
}

pub(crate) fn tasks(report: &Report) -> Option<&GreenThreads> {
    report.sections.iter().find_map(|section| match &section.content {
        Content::GreenThreads(section) => Some(section),
        _ => None,
    })
}

/// Whether it is one of the program's threads, not the kernel's or gmr's.
pub(crate) fn is_programs(thread: &Thread) -> bool {
    matches!(thread.role, Role::Main | Role::Program)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Thread,
    Task,
}

impl Kind {
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Thread => "thread",
            Self::Task => "task",
        }
    }
}

/// A stack by the functions that a report shows of it, innermost first. The same in all builds of a
/// program in which these functions have the same names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    /// Where a function has no name, its module and offset.
    pub(crate) functions: Vec<String>,
}

/// The threads or tasks of a report with the same key.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) lines: Vec<Line>,
    pub(crate) count: u64,
    /// Whether all are threads of a pool that wait for work.
    pub(crate) is_idle: bool,
}

/// The stacks of a report, each looked at once: thousands of threads can have the same.
pub(crate) struct Places<'a> {
    report: &'a Report,
    lines: Lines<'a>,
}

impl<'a> Places<'a> {
    pub(crate) fn of(report: &'a Report) -> Self {
        Self { report, lines: Lines::of(report) }
    }

    /// All places of the program's threads and of its tasks. Those without a stack are left out.
    pub(crate) fn all(&self) -> HashMap<Key, Place> {
        let mut known = HashMap::new();
        let programs = threads(self.report).into_iter().flat_map(|section| &section.threads);
        for thread in programs.filter(|thread| is_programs(thread) && !thread.stack.frames.is_empty()) {
            // Of a pool's thread, other frames are shown while it waits.
            let key = (&*thread.stack.frames, thread.waiting.is_some());
            let look = || (self.lines.of_thread(thread), self.lines.is_idle(thread), 0_u64);
            known.entry(key).or_insert_with(look).2 += 1;
        }
        let mut places = HashMap::new();
        for (lines, is_idle, count) in known.into_values() {
            add(&mut places, Kind::Thread, lines, is_idle, count);
        }
        for task in tasks(self.report).into_iter().flat_map(|section| &section.tasks) {
            let lines = self.of_task(task);
            if !lines.is_empty() {
                add(&mut places, Kind::Task, lines, false, 1);
            }
        }
        places
    }

    /// How many of the program's threads, or of its tasks, have no stack.
    pub(crate) fn without_stack(&self, kind: Kind) -> u64 {
        let count = match kind {
            Kind::Thread => {
                let all = threads(self.report).into_iter().flat_map(|section| &section.threads);
                all.filter(|thread| is_programs(thread) && thread.stack.frames.is_empty()).count()
            }
            Kind::Task => {
                let all = tasks(self.report).into_iter().flat_map(|section| &section.tasks);
                all.filter(|task| self.of_task(task).is_empty()).count()
            }
        };
        as_u64(count)
    }

    pub(crate) fn of_thread(&self, thread: &Thread) -> Vec<Line> {
        self.lines.of_thread(thread)
    }

    pub(crate) fn of_task(&self, task: &Task) -> Vec<Line> {
        self.lines.of_task(task)
    }

    pub(crate) fn is_idle(&self, thread: &Thread) -> bool {
        self.lines.is_idle(thread)
    }
}

fn add(places: &mut HashMap<Key, Place>, kind: Kind, lines: Vec<Line>, is_idle: bool, count: u64) {
    let place = places.entry(key(kind, &lines)).or_insert_with(|| Place { lines, count: 0, is_idle: true });
    place.count += count;
    place.is_idle &= is_idle;
}

pub(crate) fn key(kind: Kind, lines: &[Line]) -> Key {
    let functions = lines.iter().map(|line| line.function.as_ref().unwrap_or(&line.place).clone());
    Key { kind, functions: functions.collect() }
}

/// `shop::pay, src/pay.rs:88`
pub(crate) fn line(line: &Line) -> String {
    match &line.function {
        Some(function) => format!("{function}, {}", line.place),
        None => line.place.clone(),
    }
}

/// Adds the innermost frames of a stack to the page.
pub(crate) fn stack(page: &mut Page, stack: &[String]) {
    /// Enough to recognize it; `gmr view` and JSON have all of it.
    const MAX_SHOWN: usize = 6;
    for line in stack.iter().take(MAX_SHOWN) {
        page.line(6, line);
    }
    if let Some(more) = stack.len().checked_sub(MAX_SHOWN).filter(|more| *more > 0) {
        page.line(6, &format!("... {}", counted(as_u64(more), "more frame")));
    }
}
