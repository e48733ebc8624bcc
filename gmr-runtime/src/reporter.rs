//! Making reports: the plan of what they consist of, and the one thread that makes them.
//!
//! The reporter takes no lock that application code can hold. Generators run on other threads,
//! under deadlines, unless no thread can be started. Each piece of a report is handed over as soon
//! as it is known, so that later pieces can't delay it.

mod attached;
mod delivery;
mod gate;
mod judging;
mod losses;
mod output;
mod past;
mod pending;
mod rates;
mod serve;

use crate::sys::sort;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::capture;
use crate::findings::{SecondLook, Suspects};
use crate::generators::{self, Identity, Selection};
use crate::model::{Content, Frame, Group, Heading, Report, Section, Summary, Trigger};
use crate::section::generator::Generator;
use crate::section::registry::{self, Kind};
use crate::section::run::{self, Outcome, Update};
use crate::sys::{self, channel, own_threads};
use crate::threads;
use crate::views::Piece;

pub(crate) use delivery::Destination;
pub use delivery::LogTracing;
pub(crate) use output::Target;
pub(crate) use serve::{Style, serve, serve_once};

/// After what time a report takes its second look, by default. CPU clocks count nanoseconds, so
/// this is enough to tell which threads have run.
pub(crate) const SECOND_LOOK: Duration = Duration::from_millis(50);

/// The least time between the beginnings of two reports for signals, by default. A report costs
/// milliseconds of processor time, and who sends signals in a loop must not cost the program more.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// The least limit of a report's size: room for the heading, the findings and the Package section.
const LEAST_MAX_BYTES: u64 = 16 << 10;

/// The limit of a report's size that a user has chosen. `None` for zero, which is none.
pub(crate) fn max_bytes(chosen: u64) -> Option<usize> {
    (chosen > 0).then(|| usize::try_from(chosen.max(LEAST_MAX_BYTES)).unwrap_or(usize::MAX))
}

/// How long all generators of a report may take together.
const TOTAL: Duration = Duration::from_secs(10);

/// What a report consists of, in order.
#[derive(Debug)]
pub(crate) struct Plan {
    parts: Vec<Part>,
    /// Those of a look.
    of_look: Vec<Part>,
    /// After what time a second look is taken if one is needed. Zero if none is taken.
    second_look: Duration,
    /// Whether its reports are looks: without numbers, source text and findings.
    is_look: bool,
}

/// What the heading of a look says.
const LOOK: &str = "a look of the command `gmr`: without findings, locks, source text and what descriptors refer \
                    to; a thread that has not run since the look before counts as blocked where it was, also if it \
                    waits for a processor by now";

#[derive(Debug, Clone)]
enum Part {
    /// A separate section.
    Section(Arc<Generator>),
    /// A separate section, unless it has nothing to show.
    Optional(Arc<Generator>),
    /// The Configuration section, each of whose groups is made like a section.
    Configuration(Vec<Arc<Generator>>),
}

impl Plan {
    /// The selected built-in sections, with the Configuration section's groups, then the others.
    /// `sections` and `groups` are those that [`Builder`](crate::Builder) adds to the registered
    /// ones.
    pub(crate) fn new(
        identity: Identity,
        selection: &Selection,
        sections: Vec<Generator>,
        groups: Vec<Generator>,
        second_look: Duration,
    ) -> Self {
        let section = |generator| Part::Section(Arc::new(generator));
        let mut parts: Vec<Part> =
            generators::before_configuration(identity, selection).into_iter().map(section).collect();
        if selection.has("configuration") {
            let groups = in_order(Kind::Config, groups);
            parts.push(Part::Configuration(groups.into_iter().map(Arc::new).collect()));
        }
        let optional = |generator| Part::Optional(Arc::new(generator));
        parts.extend(generators::after_configuration(selection).into_iter().map(optional));
        parts.extend(in_order(Kind::Section, sections).into_iter().map(section));
        let of_look = generators::of_look(selection).into_iter().map(section).collect();
        Self { parts, of_look, second_look, is_look: false }
    }

    /// The same without the section that polls tasks.
    pub(crate) fn without_tasks(&self) -> Self {
        let polls = |part: &Part| matches!(part, Part::Section(generator) if generator.title == generators::GREEN_THREADS);
        let parts = self.parts.iter().filter(|part| !polls(part)).cloned().collect();
        Self { parts, of_look: Vec::new(), ..*self }
    }

    /// That of looks.
    fn of_look(&self) -> Self {
        let parts = self.of_look.clone();
        Self { parts, of_look: Vec::new(), second_look: Duration::ZERO, is_look: true }
    }

    /// Forgets runs that are in progress. In a forked child, these are runs of the parent.
    pub(crate) fn forget_runs(&self) {
        let all = self.parts.iter().chain(&self.of_look).flat_map(Part::generators);
        all.for_each(|generator| generator.forget_run());
    }

    fn generators(&self) -> Vec<Arc<Generator>> {
        self.parts.iter().flat_map(Part::generators).cloned().collect()
    }
}

/// Sorted by order. Within the same order, registered ones come before added ones, which keep the
/// order in which they were added.
fn in_order(kind: Kind, added: Vec<Generator>) -> Vec<Generator> {
    let registered = registry::entries(kind).into_iter().map(Generator::registered);
    let mut all: Vec<_> = registered.chain(added).collect();
    sort::by_key(&mut all, |generator| generator.order);
    all
}

impl Part {
    fn generators(&self) -> &[Arc<Generator>] {
        match self {
            Part::Section(generator) | Part::Optional(generator) => std::slice::from_ref(generator),
            Part::Configuration(groups) => groups,
        }
    }

    /// The section, from the outcomes of the part's generators. Adds its frames to `frames`. `None`
    /// if the report has no such section.
    fn section(&self, outcomes: Vec<Outcome>, frames: &mut Vec<Frame>) -> Option<Section> {
        let took: Duration = outcomes.iter().map(|outcome| outcome.took).sum();
        let (title, content) = match self {
            Part::Section(generator) | Part::Optional(generator) => {
                let only = outcomes.into_iter().next().expect("a section has one generator");
                (generator.title.clone(), only.output.merge_into(frames))
            }
            Part::Configuration(groups) => {
                let titles = groups.iter().map(|group| group.title.clone());
                let contents = outcomes.into_iter().map(|outcome| outcome.output.merge_into(frames));
                let groups = titles.zip(contents).map(|(title, content)| Group { title, content });
                ("Configuration".to_owned(), Content::Configuration(groups.collect()))
            }
        };
        let is_left_out = matches!((self, &content), (Part::Optional(_), Content::Nothing));
        (!is_left_out).then(|| Section { title, took_us: microseconds(took), content })
    }
}

/// Makes a report, on the calling thread, and hands over each piece as soon as it is known.
pub(crate) fn make(
    plan: &Plan,
    trigger: Trigger,
    notes: Vec<String>,
    mut emit: impl FnMut(Piece<'_>),
) -> Report {
    let started = Instant::now();
    let number = if plan.is_look { 0 } else { next_number() };
    let mut heading = heading(number, trigger, notes);
    gate::heading(&mut heading);
    emit(Piece::Heading(&heading));

    let mut sections = Vec::with_capacity(plan.parts.len());
    let mut frames = Vec::new();
    let mut outcomes = Vec::new();
    let mut parts = plan.parts.iter().peekable();
    // Finishes each part whose outcomes are complete. A part without generators is finished
    // together with the part before it.
    let mut finish_parts = |outcomes: &mut Vec<Outcome>, emit: &mut dyn FnMut(Piece<'_>)| {
        while let Some(part) = parts.next_if(|part| part.generators().len() == outcomes.len()) {
            let known = frames.len();
            if let Some(mut section) = part.section(std::mem::take(outcomes), &mut frames) {
                if plan.is_look {
                    frames[known..].iter_mut().for_each(|frame| frame.source = None);
                }
                generators::complete(&mut section, &sections, &frames);
                gate::section(&mut section);
                gate::frames(&mut frames[known..]);
                emit(Piece::Section(&section, &frames));
                sections.push(section);
            }
        }
    };
    // A part without generators can be the first one, if the others are not selected.
    finish_parts(&mut outcomes, &mut emit);
    run::run_all(&plan.generators(), TOTAL, |update| match update {
        Update::Outcome(outcome) => {
            outcomes.push(outcome);
            finish_parts(&mut outcomes, &mut emit);
        }
        Update::Slow => emit(Piece::Slow),
    });
    let mut findings = Vec::new();
    if !plan.is_look {
        let look = |suspects: &Suspects| second_look(plan.second_look, suspects, started, &mut emit);
        ((sections, frames), findings) = judging::judge((sections, frames), look);
    }
    emit(Piece::Findings(&findings, &frames));

    let summary = summary(heading.number, &sections, started.elapsed());
    emit(Piece::Summary(&summary));
    Report { heading, findings, sections, frames, summary }
}

/// Looks once more at threads, `after` some time. If that makes the report slow, what is known of
/// it is written first.
fn second_look(
    after: Duration,
    suspects: &Suspects,
    started: Instant,
    emit: &mut impl FnMut(Piece<'_>),
) -> SecondLook {
    let Suspects { at_rest, running } = suspects;
    if (at_rest.is_empty() && running.is_empty()) || after.is_zero() {
        return SecondLook::NotTaken;
    }
    let after = after.min(run::SLOW);
    if started.elapsed() + after > run::SLOW {
        emit(Piece::Slow);
    }
    let since = Instant::now();
    let before = threads::processor_times(running);
    sys::sleep(after);
    let now = threads::processor_times(running);
    let between = since.elapsed();
    let used = running.iter().zip(before.into_iter().zip(now));
    let used = used.filter_map(|(tid, (before, now))| Some((*tid, now?.checked_sub(before?)?))).collect();
    SecondLook::Taken { moved: moved(at_rest.iter().copied().collect()), between, used }
}

/// The threads of these that have run. `None` if that is not known.
fn moved(threads: Vec<u32>) -> Option<Vec<u32>> {
    /// How long it may take to look at the threads. It takes microseconds for each.
    const WITHIN: Duration = Duration::from_millis(500);
    /// The most threads that are looked at.
    const MAX_THREADS: usize = 1_024;
    if threads.is_empty() || threads.len() > MAX_THREADS {
        return None;
    }
    let (send, received) = channel::channel();
    let look = move || {
        capture::shield_thread(None);
        sys::separate_files();
        let _ = send.send(threads::moved(&threads));
    };
    let started = own_threads::spawn("gmr look", look);
    started.ok().and_then(|()| received.recv_timeout(WITHIN).ok())
}

/// The number of a report that begins now.
pub(crate) fn next_number() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// The heading of a report that begins now.
fn heading(number: u64, trigger: Trigger, notes: Vec<String>) -> Heading {
    Heading {
        number,
        made_at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        pid: std::process::id(),
        trigger,
        notes,
    }
}

fn summary(number: u64, sections: &[Section], took: Duration) -> Summary {
    Summary {
        number,
        sections: sections.len(),
        failed: sections.iter().filter(|section| !section.content.is_ok()).count(),
        threads: sections.iter().map(threads_in).sum(),
        took_us: microseconds(took),
    }
}

fn threads_in(section: &Section) -> usize {
    match &section.content {
        Content::Threads(threads) => threads.threads.len(),
        _ => 0,
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
