//! How often reports are made that nobody has asked for: few enough that their reader is not
//! flooded, and that a service in trouble is not busy with reports on itself.
//!
//! What has no report is counted for the next heading, and so never lost without a word.

use std::time::{Duration, Instant};

use crate::model::Trigger;
use crate::units::counted;

/// How many reports an option may request by itself in an hour, by default. Six are one every ten
/// minutes: what is going on does not change faster than that, and the first ones tell most.
const PER_HOUR: usize = 6;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// What each option has requested.
#[derive(Debug)]
pub(super) struct Rates {
    /// 0 if there is no limit.
    per_hour: usize,
    options: Vec<Requests>,
    /// The same for events of any kind that have had no report because too little memory was left.
    /// To count them takes none.
    without_memory: u64,
    without_memory_shown: u64,
}

/// The requests of one option.
#[derive(Debug)]
struct Requests {
    name: String,
    /// When the reports of the last hour began.
    begun: Vec<Instant>,
    /// How many events have had no report, and are in no heading.
    suppressed: u64,
    /// How many of them are in the heading of a report that is being written.
    shown: u64,
}

impl Default for Rates {
    fn default() -> Self {
        Self { per_hour: PER_HOUR, options: Vec::new(), without_memory: 0, without_memory_shown: 0 }
    }
}

impl Rates {
    /// With so many reports in an hour, if that is not the default. 0 stands for no limit.
    pub(super) fn new(per_hour: Option<u32>) -> Self {
        let chosen = per_hour.map(|per_hour| usize::try_from(per_hour).unwrap_or(usize::MAX));
        Self { per_hour: chosen.unwrap_or(PER_HOUR), ..Self::default() }
    }

    /// Whether a report may begin `now` for this trigger. If not, its events are counted.
    pub(super) fn admit(&mut self, trigger: &Trigger, now: Instant) -> bool {
        let limit = self.per_hour;
        if limit == 0 {
            return true;
        }
        let Some(requests) = self.requests(trigger) else { return true };
        requests.begun.retain(|begun| now.saturating_duration_since(*begun) < HOUR);
        if requests.begun.len() < limit {
            requests.begun.push(now);
            return true;
        }
        if let Trigger::Automatic { coalesced, .. } = trigger {
            requests.suppressed += 1 + coalesced;
        }
        false
    }

    /// Counts an event that has no report because too little memory is left.
    pub(super) fn suppress_without_memory(&mut self) {
        self.without_memory += 1;
    }

    /// Those of the trigger's option; `None` if its requests are not limited.
    fn requests(&mut self, trigger: &Trigger) -> Option<&mut Requests> {
        let Trigger::Automatic { name, .. } = trigger else { return None };
        let known = self.options.iter().position(|requests| requests.name == *name);
        let index = known.unwrap_or_else(|| {
            self.options.push(Requests { name: name.clone(), begun: Vec::new(), suppressed: 0, shown: 0 });
            self.options.len() - 1
        });
        self.options.get_mut(index)
    }

    /// For the heading of a report.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        let suppressed = self.options.iter().filter(|requests| requests.suppressed > 0);
        let suppressed = suppressed.map(|Requests { name, suppressed, .. }| {
            let (events, have) = if *suppressed == 1 { ("event", "has") } else { ("events", "have") };
            format!(
                "{suppressed} {events} of {name} {have} had no report: it requests at most {} in an hour",
                self.per_hour
            )
        });
        let without_memory = (self.without_memory > 0).then(|| {
            let counted = counted(usize::try_from(self.without_memory).unwrap_or(usize::MAX), "event");
            format!(
                "{counted} without a report, as too little memory was left: touched files or automatic ones"
            )
        });
        suppressed.chain(without_memory)
    }

    /// A report with these notes is being written.
    pub(super) fn show(&mut self) {
        for requests in &mut self.options {
            requests.shown = requests.suppressed;
        }
        self.without_memory_shown = self.without_memory;
    }

    /// No report is being written. If the last one was written whole, what it has shown is told.
    pub(super) fn settle(&mut self, was_written: bool) {
        for requests in &mut self.options {
            let shown = std::mem::take(&mut requests.shown);
            requests.suppressed -= if was_written { shown } else { 0 };
        }
        let shown = std::mem::take(&mut self.without_memory_shown);
        self.without_memory -= if was_written { shown } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn automatic(name: &str, coalesced: u64) -> Trigger {
        Trigger::Automatic { name: name.to_owned(), cause: String::new(), coalesced }
    }

    #[test]
    fn each_option_has_a_few_reports_in_an_hour_and_the_others_are_counted() {
        let mut rates = Rates::default();
        let start = Instant::now();
        let minutes = |minutes: u64| start + Duration::from_mins(minutes);
        for minute in 0..6 {
            assert!(rates.admit(&automatic("on_memory", 0), minutes(minute)));
        }
        assert_eq!(rates.notes().count(), 0);
        assert!(!rates.admit(&automatic("on_memory", 3), minutes(59)));
        assert!(rates.admit(&automatic("on_panic", 0), minutes(59)), "another option");
        let notes: Vec<_> = rates.notes().collect();
        assert!(notes.len() == 1 && notes[0].starts_with("4 events of on_memory"), "{notes:?}");
        assert!(rates.admit(&automatic("on_memory", 0), minutes(60)), "the first was an hour ago");
        assert!(!rates.admit(&automatic("on_memory", 0), minutes(60)));
        assert!(rates.notes().next().unwrap().starts_with("5 events of on_memory"));
        rates.show();
        rates.settle(false);
        assert_eq!(rates.notes().count(), 1, "the report that said it was lost");
        rates.suppress_without_memory();
        assert!(rates.notes().nth(1).unwrap().starts_with("1 event without a report"));
        rates.show();
        rates.suppress_without_memory();
        rates.settle(true);
        let notes: Vec<_> = rates.notes().collect();
        assert!(notes.len() == 1 && notes[0].starts_with("1 event without"), "only the last one: {notes:?}");
    }

    #[test]
    fn how_many_they_are_can_be_chosen() {
        let now = Instant::now();
        let admitted = |per_hour| {
            let mut rates = Rates::new(per_hour);
            (0..100).filter(|_| rates.admit(&automatic("watchdog", 0), now)).count()
        };
        assert_eq!([None, Some(1), Some(20), Some(0)].map(admitted), [6, 1, 20, 100]);
        let mut rates = Rates::new(Some(1));
        assert!(rates.admit(&automatic("watchdog", 0), now) && !rates.admit(&automatic("watchdog", 0), now));
        assert!(rates.notes().next().unwrap().ends_with("at most 1 in an hour"));
    }

    #[test]
    fn what_someone_asks_for_is_not_limited() {
        let mut rates = Rates::default();
        let file = Trigger::File { path: "/run/report".to_owned(), coalesced: 0 };
        assert!((0..100).all(|_| rates.admit(&file, Instant::now())));
    }
}
