//! What findings and locks say about the threads or tasks of a group, on its card: whoever looks at
//! a thread that waits for a lock sees which one holds it, and the other way round.

use std::cell::Cell;

use maud::{Markup, html};

use super::anchors::{self, Links, MAX_OF_LOCK};
use super::breaks::breakable;
use crate::model::{Certainty, Content, Finding, Holder, Lock, Report, Task, Thread};
use crate::sys::sort;
use crate::views::words;

/// The most findings of a group, and the most of the locks that its threads wait for, and of those
/// that they hold.
const MAX_SHOWN: usize = 3;

/// The most other threads of a lock that a card names: for each of its holders, a card has them.
const MAX_MORE: usize = 200;

/// The most characters of a finding's sentence on a card. The finding has all of it.
const MAX_SENTENCE: usize = 240;

/// By thread or task: sorted pairs of its id and of an index.
struct Places(Vec<(u64, u32)>);

impl Places {
    /// A document can name a thread any number of times, and takes fewer bytes for it than a pair.
    fn of(pairs: impl Iterator<Item = (u64, usize)>) -> Self {
        let mut places = Self(Vec::new());
        for (id, index) in pairs {
            if places.0.len() == places.0.capacity() {
                places.tidy();
                places.0.reserve_exact((places.0.len() / 4).max(16));
            }
            places.0.push((id, u32::try_from(index).unwrap_or(u32::MAX)));
        }
        places.tidy();
        places
    }

    fn tidy(&mut self) {
        sort::all(&mut self.0);
        self.0.dedup();
    }

    fn of_id(&self, id: u64) -> impl Iterator<Item = usize> {
        let first = self.0.partition_point(|(other, _)| *other < id);
        let of_id = self.0[first..].iter().take_while(move |(other, _)| *other == id);
        of_id.map(|(_, index)| *index as usize)
    }

    /// The distinct indexes of all of these, in order.
    fn of_ids(&self, ids: impl Iterator<Item = u64>) -> Vec<usize> {
        let mut all: Vec<usize> = ids.flat_map(|id| self.of_id(id)).collect();
        sort::all(&mut all);
        all.dedup();
        all
    }
}

/// What the report says of threads and tasks outside of their own section.
pub(super) struct Related<'a> {
    findings: &'a [Finding],
    /// How many of them the page shows.
    shown: Cell<usize>,
    locks: Vec<&'a Lock>,
    threads: Vec<&'a Thread>,
    /// Findings by thread and by task.
    of_threads: Places,
    of_tasks: Places,
    /// Locks by the threads that wait for them.
    waits: Places,
    /// Which lock is held, and by whom; and these by thread.
    holders: Vec<(usize, &'a Holder)>,
    holds: Places,
}

impl<'a> Related<'a> {
    pub(super) fn of(report: &'a Report) -> Self {
        let findings = report.findings.iter().enumerate();
        let of_threads = findings.clone().flat_map(|(index, finding)| {
            let evidence = finding.evidence.iter().filter_map(|evidence| evidence.thread);
            finding.threads.iter().copied().chain(evidence).map(move |tid| (tid.into(), index))
        });
        let of_tasks = findings.flat_map(|(index, finding)| {
            let evidence = finding.evidence.iter().filter_map(|evidence| evidence.task);
            finding.tasks.iter().copied().chain(evidence).map(move |id| (id, index))
        });
        let sections = report.sections.iter().filter_map(|section| match &section.content {
            Content::Threads(threads) => Some(threads),
            _ => None,
        });
        let locks: Vec<&Lock> = sections.clone().flat_map(|section| &section.locks).collect();
        let mut threads: Vec<&Thread> = sections.flat_map(|section| &section.threads).collect();
        sort::by_key(&mut threads, |thread| thread.tid);
        let all = || locks.iter().enumerate();
        let waits =
            all().flat_map(|(index, lock)| lock.waiters.iter().map(move |one| (one.tid.into(), index)));
        let waits = Places::of(waits);
        let holders: Vec<(usize, &Holder)> =
            all().flat_map(|(index, lock)| lock.holders.iter().map(move |one| (index, one))).collect();
        let holds = holders.iter().enumerate().map(|(place, (_, holder))| (holder.tid.into(), place));
        let holds = Places::of(holds);
        Self {
            findings: &report.findings,
            shown: Cell::default(),
            locks,
            threads,
            of_threads: Places::of(of_threads),
            of_tasks: Places::of(of_tasks),
            waits,
            holders,
            holds,
        }
    }

    /// The page shows the finding with this number, and so has its anchor.
    pub(super) fn shows(&self, index: usize) {
        self.shown.set(self.shown.get().max(index + 1));
    }

    pub(super) fn to_threads(&self, group: &[&Thread], links: &Links) -> Markup {
        let ids = || group.iter().map(|thread| u64::from(thread.tid));
        let (waits, holds) = (self.waits.of_ids(ids()), self.holds.of_ids(ids()));
        let awaited: Vec<(usize, &Lock)> =
            waits.iter().take(MAX_SHOWN).filter_map(|&lock| Some((lock, *self.locks.get(lock)?))).collect();
        // Findings about the holder say why these wait.
        let holders = awaited.iter().flat_map(|(_, lock)| lock.holders.iter().take(MAX_OF_LOCK));
        let findings = self.of_threads.of_ids(ids().chain(holders.map(|holder| holder.tid.into())));
        let waiting =
            |lock: usize| ids().filter(|id| self.waits.of_id(*id).any(|other| other == lock)).count();
        // By lock: how many of these hold it, and how sure that is.
        let mut held: Vec<(usize, usize, Certainty)> = Vec::new();
        for (lock, holder) in holds.iter().filter_map(|&place| self.holders.get(place)) {
            if let Some((_, holding, sure)) = held.last_mut().filter(|(last, ..)| last == lock) {
                (*holding, *sure) = (*holding + 1, (*sure).max(holder.certainty));
            } else if held.len() < MAX_SHOWN {
                held.push((*lock, 1, holder.certainty));
            }
        }
        html! {
            (self.findings(&findings))
            @for (index, lock) in awaited { div.about { (self.waits_for(lock, waiting(index), group.len(), links)) } }
            @for (index, holding, certainty) in held {
                div.about { (self.holds(self.locks[index], holding, certainty, group.len(), links)) }
            }
        }
    }

    pub(super) fn to_tasks(&self, group: &[&Task]) -> Markup {
        self.findings(&self.of_tasks.of_ids(group.iter().map(|task| task.id)))
    }

    fn findings(&self, all: &[usize]) -> Markup {
        let shown: Vec<(usize, &Finding)> = all
            .iter()
            .filter(|index| **index < self.shown.get())
            .filter_map(|&index| Some((index, self.findings.get(index)?)))
            .collect();
        let more = shown.len().saturating_sub(MAX_SHOWN);
        html! {
            @for (index, finding) in shown.into_iter().take(MAX_SHOWN) {
                p class={ "about " (words::severity(finding.severity)) } {
                    (words::severity(finding.severity)) ": "
                    a href={ "#" (anchors::finding(index)) } { (breakable(&sentence(finding))) }
                }
            }
            @if more > 0 { p.about { "and " (more) " more of the " a href="#findings" { "findings" } } }
        }
    }

    /// `waits for the Mutex 0x7f01, which #7 (auditor) holds`
    fn waits_for(&self, lock: &Lock, waiting: usize, of: usize, links: &Links) -> Markup {
        html! {
            @match of {
                1 => "waits",
                _ if waiting == of => "all wait",
                _ => { (waiting) " wait" }
            }
            " for " (words::lock(lock)) ", "
            @match &lock.holders[..] {
                [] => "and who holds it is not known",
                [holder] => { "which " (self.thread(holder.tid, links)) " " (words::holds(lock.kind, holder.certainty, 1)) }
                several => {
                    "which " (several.len()) " threads hold: "
                    (self.some_threads(several.iter().map(|holder| holder.tid), links))
                }
            }
        }
    }

    /// `holds the Mutex 0x7f01, for which 13 threads wait: #9 (cashier), ..`
    fn holds(&self, lock: &Lock, holding: usize, certainty: Certainty, of: usize, links: &Links) -> Markup {
        let verb = words::holds(lock.kind, certainty, holding);
        html! {
            @if of > 1 { (holding) " " }
            (verb) " " (words::lock(lock)) ", for which "
            @match &lock.waiters[..] {
                [waiter] => { (self.thread(waiter.tid, links)) " waits" }
                waiters => {
                    (waiters.len()) " threads wait: "
                    (self.some_threads(waiters.iter().map(|waiter| waiter.tid), links))
                }
            }
        }
    }

    fn some_threads(&self, tids: impl ExactSizeIterator<Item = u32> + Clone, links: &Links) -> Markup {
        let more = tids.len().saturating_sub(MAX_OF_LOCK);
        html! {
            @for (index, tid) in tids.clone().take(MAX_OF_LOCK).enumerate() { @if index > 0 { ", " } (self.thread(tid, links)) }
            @if more > 0 { (self.more(more, tids.skip(MAX_OF_LOCK))) }
        }
    }

    /// So many others, folded: on paper, they are named.
    fn more(&self, all: usize, tids: impl Iterator<Item = u32>) -> Markup {
        html! {
            details.members {
                summary { "and " (all) " more" }
                p {
                    @for (index, tid) in tids.take(MAX_MORE).enumerate() { @if index > 0 { ", " } (self.label(tid)) }
                    @if all > MAX_MORE { ", and " (all - MAX_MORE) " more" }
                }
            }
        }
    }

    fn label(&self, tid: u32) -> String {
        let found = self.threads.binary_search_by_key(&tid, |thread| thread.tid).ok();
        found.map_or_else(|| format!("#{tid}"), |index| words::label(self.threads[index]))
    }

    /// A thread's label, as a link if the page has it.
    fn thread(&self, tid: u32, links: &Links) -> Markup {
        let label = self.label(tid);
        html! { @match links.thread(tid) { Some(anchor) => { a href={ "#" (anchor) } { (label) } }, None => { (label) } } }
    }
}

fn sentence(finding: &Finding) -> String {
    let whole = words::finding(finding);
    match whole.char_indices().nth(MAX_SENTENCE) {
        Some((end, _)) => format!("{}...", &whole[..end]),
        None => whole,
    }
}
