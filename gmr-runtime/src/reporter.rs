//! Making reports: the plan of what they consist of, and the one thread that makes them when asked by a trigger.
//!
//! The reporter takes no lock that application code can hold. Generators run elsewhere, under deadlines; the views and the sink are given one piece at a time, as it
//! becomes known, so that whatever happens later, what is known is out.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::generators::{self, Identity};
use crate::model::{Content, Frame, Group, Heading, Report, Section, Summary, Trigger};
use crate::section::generator::Generator;
use crate::section::registry::{self, Kind};
use crate::section::run::{self, Outcome};
use crate::sinks::Stderr;
use crate::trigger::{Inbox, Request};
use crate::views::{self, Context, Detail, Format, text};

/// How long all generators of a report may take together.
const TOTAL: Duration = Duration::from_secs(10);

/// What a report consists of, in order.
#[derive(Debug)]
pub(crate) struct Plan {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    /// A section of its own.
    Section(Arc<Generator>),
    /// The Configuration section, each of whose groups is made like a section.
    Configuration(Vec<Arc<Generator>>),
}

/// What becomes known while a report is made.
pub(crate) enum Piece<'a> {
    Heading(&'a Heading),
    /// A section, and the frames of all sections so far.
    Section(&'a Section, &'a [Frame]),
    Summary(&'a Summary),
}

impl Plan {
    /// The built-in sections, then those registered at compile time, then those added at run time.
    pub(crate) fn new(identity: Identity, added: Vec<Generator>) -> Self {
        let registered = |kind| registry::entries(kind).into_iter().map(Generator::registered);
        let groups = registered(Kind::Config).map(Arc::new).collect();
        let section = |generator| Part::Section(Arc::new(generator));
        let mut parts: Vec<Part> =
            generators::before_configuration(identity).into_iter().map(section).collect();
        parts.push(Part::Configuration(groups));
        parts.extend(registered(Kind::Section).chain(added).map(section));
        Self { parts }
    }

    fn generators(&self) -> Vec<Arc<Generator>> {
        self.parts.iter().flat_map(Part::generators).cloned().collect()
    }
}

impl Part {
    fn generators(&self) -> &[Arc<Generator>] {
        match self {
            Part::Section(generator) => std::slice::from_ref(generator),
            Part::Configuration(groups) => groups,
        }
    }

    /// The section, from what all of the part's generators came to. Its frames are added to `frames`.
    fn section(&self, outcomes: Vec<Outcome>, frames: &mut Vec<Frame>) -> Section {
        let took: Duration = outcomes.iter().map(|outcome| outcome.took).sum();
        let (title, content) = match self {
            Part::Section(generator) => {
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
        Section { title, took_us: microseconds(took), content }
    }
}

/// Makes a report, on the calling thread, and hands over each piece as soon as it is known.
pub(crate) fn make(
    plan: &Plan,
    trigger: Trigger,
    notes: Vec<String>,
    mut known: impl FnMut(Piece<'_>),
) -> Report {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let begun = Instant::now();
    let heading = Heading {
        number: NUMBER.fetch_add(1, Ordering::Relaxed),
        made_at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        pid: std::process::id(),
        trigger,
        notes,
    };
    known(Piece::Heading(&heading));

    let mut sections = Vec::with_capacity(plan.parts.len());
    let mut frames = Vec::new();
    let mut outcomes = Vec::new();
    // Finishes every part whose outcomes are all there; one that has no generators is finished with the one before it.
    let mut finish_parts = |outcomes: &mut Vec<Outcome>| {
        while let Some(part) = plan.parts.get(sections.len())
            && part.generators().len() == outcomes.len()
        {
            let section = part.section(std::mem::take(outcomes), &mut frames);
            known(Piece::Section(&section, &frames));
            sections.push(section);
        }
    };
    run::run_all(&plan.generators(), TOTAL, |_, outcome| {
        outcomes.push(outcome);
        finish_parts(&mut outcomes);
    });

    let summary = Summary {
        number: heading.number,
        sections: sections.len(),
        failed: sections.iter().filter(|section| !section.content.is_ok()).count(),
        threads: sections.iter().map(threads_in).sum(),
        took_us: microseconds(begun.elapsed()),
    };
    known(Piece::Summary(&summary));
    Report { heading, sections, frames, summary }
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

/// How reports are written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Style {
    pub(crate) format: Format,
    pub(crate) detail: Detail,
}

/// The reporter's loop: it ends when it is told to stop.
pub(crate) fn serve(mut inbox: Inbox, plan: &Plan, signal_name: &str, style: Style) {
    let mut stderr = Stderr::default();
    let mut last = 0;
    loop {
        let asked = Asked::new(inbox.wait());
        if let Some(trigger) = asked.trigger(signal_name) {
            let notes = stderr.take_loss().map(|loss| loss_note(last, &loss));
            let in_pieces = asked.by_signal() && style.format == Format::Text;
            let report = make(plan, trigger, notes.into_iter().collect(), |piece| {
                if in_pieces {
                    stderr.write(piece.to_text(style.detail).as_bytes());
                }
            });
            if asked.by_signal() && !in_pieces {
                stderr.write(&whole(&report, style));
            }
            last = report.heading.number;
            asked.answer(report);
        }
        if asked.stop {
            inbox.close();
            return;
        }
    }
}

/// A report that is written when it is complete. Should a view fail, the report is not lost with it.
fn whole(report: &Report, Style { format, detail }: Style) -> Vec<u8> {
    panic::catch_unwind(AssertUnwindSafe(|| views::written(report, format, detail))).unwrap_or_else(|_| {
        let warning = format!("gmr: warning: the report could not be written as {format}; as text:\n");
        [warning.into_bytes(), views::written(report, Format::Text, detail)].concat()
    })
}

fn loss_note(number: u64, (bytes, reason): &(u64, String)) -> String {
    format!("report {number} lost its last {bytes} bytes on standard error: {reason}")
}

impl Piece<'_> {
    fn to_text(&self, detail: Detail) -> String {
        match self {
            Piece::Heading(heading) => text::heading(heading),
            Piece::Section(section, frames) => text::section(section, Context { frames, detail }),
            Piece::Summary(summary) => text::summary(summary),
        }
    }
}

/// All who asked for the report that is made next.
#[derive(Default)]
struct Asked {
    signals: Vec<Option<crate::model::Sender>>,
    waiting: Vec<std::sync::mpsc::Sender<Arc<Report>>>,
    stop: bool,
}

impl Asked {
    fn new(requests: Vec<Request>) -> Self {
        let mut asked = Self::default();
        for request in requests {
            match request {
                Request::Signal { sender } => asked.signals.push(sender),
                Request::Capture(answer) => asked.waiting.push(answer),
                Request::Stop => asked.stop = true,
            }
        }
        asked
    }

    fn by_signal(&self) -> bool {
        !self.signals.is_empty()
    }

    /// What to write into the heading: the last signal, if there was any. None if nobody wants a report.
    fn trigger(&self, signal_name: &str) -> Option<Trigger> {
        let by_signal = self.signals.last().map(|sender| Trigger::Signal {
            name: signal_name.to_owned(),
            sender: sender.clone(),
            coalesced: self.signals.len() as u64 - 1,
        });
        by_signal.or_else(|| (!self.waiting.is_empty()).then_some(Trigger::Api))
    }

    fn answer(self: &Asked, report: Report) {
        if self.waiting.is_empty() {
            return;
        }
        let report = Arc::new(report);
        for waiting in &self.waiting {
            let _ = waiting.send(Arc::clone(&report));
        }
    }
}
