//! The parts of a report or a look, and how they are made: by generators, each under a deadline. What
//! they say together is not known here.

use std::sync::Arc;
use std::time::Duration;

use super::gate;
use crate::generators::{self, Identity, Selection};
use crate::model::{Content, Frame, Group, Section};
use crate::section::generator::Generator;
use crate::section::registry::{self, Kind};
use crate::section::run::{self, Outcome, Update};
use crate::sys::sort;
use crate::views::Piece;

/// How long all generators of a report may take together.
const TOTAL: Duration = Duration::from_secs(10);

/// In order.
#[derive(Debug)]
pub(super) struct Parts(Vec<Part>);

/// What has come of them. The sections' stacks refer to the frames.
pub(super) struct Made {
    pub(super) sections: Vec<Section>,
    pub(super) frames: Vec<Frame>,
}

#[derive(Debug, Clone)]
enum Part {
    /// A separate section.
    Section(Arc<Generator>),
    /// A separate section, unless it has nothing to show.
    Optional(Arc<Generator>),
    /// The Configuration section, each of whose groups is made like a section.
    Configuration(Vec<Arc<Generator>>),
}

impl Parts {
    pub(super) fn of_report(
        identity: Identity,
        selection: &Selection,
        sections: Vec<Generator>,
        groups: Vec<Generator>,
    ) -> Self {
        let mut parts: Vec<Part> =
            generators::before_configuration(identity, selection).into_iter().map(section).collect();
        if selection.has("configuration") {
            let groups = in_order(Kind::Config, groups);
            parts.push(Part::Configuration(groups.into_iter().map(Arc::new).collect()));
        }
        let optional = |generator| Part::Optional(Arc::new(generator));
        parts.extend(generators::after_configuration(selection).into_iter().map(optional));
        parts.extend(in_order(Kind::Section, sections).into_iter().map(section));
        Self(parts)
    }

    pub(super) fn of_look(selection: &Selection) -> Self {
        Self(generators::of_look(selection).into_iter().map(section).collect())
    }

    /// None.
    #[cfg(test)]
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    pub(super) fn without_tasks(&self) -> Self {
        let polls = |part: &Part| matches!(part, Part::Section(generator) if generator.title == generators::GREEN_THREADS);
        Self(self.0.iter().filter(|part| !polls(part)).cloned().collect())
    }

    pub(super) fn forget_runs(&self) {
        self.generators().for_each(|generator| generator.forget_run());
    }

    fn generators(&self) -> impl Iterator<Item = &Arc<Generator>> {
        self.0.iter().flat_map(Part::generators)
    }

    /// Runs them. Each frame is passed to `trim` before anything else is done with it.
    pub(super) fn make(&self, trim: impl Fn(&mut Frame), emit: &mut impl FnMut(Piece<'_>)) -> Made {
        let mut sections = Vec::with_capacity(self.0.len());
        let mut frames = Vec::new();
        let mut outcomes = Vec::new();
        let mut parts = self.0.iter().peekable();
        // Finishes each part whose outcomes are complete. A part without generators is finished
        // together with the part before it.
        let mut finish_parts = |outcomes: &mut Vec<Outcome>, emit: &mut dyn FnMut(Piece<'_>)| {
            while let Some(part) = parts.next_if(|part| part.generators().len() == outcomes.len()) {
                let known = frames.len();
                if let Some(mut section) = part.section(std::mem::take(outcomes), &mut frames) {
                    frames[known..].iter_mut().for_each(&trim);
                    generators::complete(&mut section, &sections, &frames);
                    gate::section(&mut section);
                    gate::frames(&mut frames[known..]);
                    emit(Piece::Section(&section, &frames));
                    sections.push(section);
                }
            }
        };
        // A part without generators can be the first one, if the others are not selected.
        finish_parts(&mut outcomes, emit);
        let generators: Vec<Arc<Generator>> = self.generators().cloned().collect();
        run::run_all(&generators, TOTAL, |update| match update {
            Update::Outcome(outcome) => {
                outcomes.push(outcome);
                finish_parts(&mut outcomes, emit);
            }
            Update::Slow => emit(Piece::Slow),
        });
        Made { sections, frames }
    }
}

fn section(generator: Generator) -> Part {
    Part::Section(Arc::new(generator))
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

pub(super) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
