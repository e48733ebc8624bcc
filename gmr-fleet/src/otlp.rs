//! What `gmr ship --otlp` sends: the findings and headings of reports, once the reports are stored. A
//! record is sent until the receiver has answered, and the store remembers of which reports that
//! is so. A run that is killed between the two leaves records that the next one sends again, with the
//! same ids.
//!
//! It keeps what waits to be sent, and knows when to try again. It never waits by itself: reports are
//! stored whether the receiver answers or not.

mod messages;
mod receiver;
mod records;
mod settings;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use gmr_runtime::Report;
use prost::Message as _;

use self::messages::{ExportLogsServiceRequest, ResourceLogs, ScopeLogs};
use self::receiver::{Answer, Receiver};
use self::settings::Settings;
use crate::origin::{Looked, Origin, Reports};
use crate::output::{self, counted};
use crate::split::{Partition, id_of};
use crate::store::{Failed, Location, Store};

/// Of records, in a request. Receivers take twenty times as much by default.
const MAX_REQUEST: usize = 1 << 20;

/// Of records that wait, before no more reports are taken: those of ten thousands of reports.
const MAX_WAITING: usize = 64 << 20;

/// Waits between tries, which grow from the first to the last.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_mins(5);

/// Records of a report: all of them, or a part that fits into a request.
struct Letter {
    partition: Partition,
    report: String,
    origin: Origin,
    /// Whether the report has been sent once this has.
    is_last: bool,
    bytes: usize,
    records: ResourceLogs,
}

pub(crate) struct Outbox {
    receiver: Receiver,
    tables: Location,
    /// What the store has of each receiver, below the tables.
    marks: String,
    /// The reports that the store remembers as sent, and those that are kept here.
    known: HashMap<Partition, Known>,
    /// Of reports that are not stored yet.
    held: BTreeMap<Partition, Vec<Letter>>,
    /// Of reports that are stored.
    waiting: VecDeque<Letter>,
    bytes: usize,
    /// The time before which the receiver is left alone, and the wait after that.
    not_before: Option<Instant>,
    backoff: Duration,
    /// Why the receiver takes nothing from here.
    denied: Option<String>,
    /// Since it was last told.
    sent: usize,
    random: RandomState,
}

#[derive(Default)]
struct Known {
    looked: Looked,
    reports: HashSet<String>,
}

/// Reports that have been sent, by partition.
pub(crate) type Sent = BTreeMap<Partition, Reports>;

impl Outbox {
    /// For the receiver at this URL, of reports that are stored in these tables.
    pub(crate) fn new(url: &str, tables: &Location) -> Result<Self, String> {
        let receiver = Receiver::new(&Settings::of(url)?)?;
        let marks = format!(".otlp/{}", &id_of(&receiver.name())[..16]);
        Ok(Self {
            receiver,
            tables: tables.clone(),
            marks,
            known: HashMap::new(),
            held: BTreeMap::new(),
            waiting: VecDeque::new(),
            bytes: 0,
            not_before: None,
            backoff: FIRST_WAIT,
            denied: None,
            sent: 0,
            random: RandomState::new(),
        })
    }

    /// Whether a report has been sent, or is kept here to be sent.
    pub(crate) fn has(
        &mut self,
        store: &Store,
        partition: &Partition,
        origin: &Origin,
        report: &str,
    ) -> Result<bool, Failed> {
        let folder = self.folder(partition);
        let known = self.known.entry(partition.clone()).or_default();
        if !known.looked.has(origin) {
            let origins = BTreeSet::from([origin.clone()]);
            known.reports.extend(store.marked(&known.looked.beginnings(&folder, &origins))?);
            known.looked.add(origins);
        }
        Ok(known.reports.contains(report))
    }

    /// Keeps what is to be sent of a report, until it can be sent if the report is not stored yet.
    pub(crate) fn hold(&mut self, partition: &Partition, id: &str, report: &Report, is_stored: bool) {
        let records = records::records(report, id, &self.tables);
        let letters = letters(partition, id, &Origin::of(report), records);
        self.known.entry(partition.clone()).or_default().reports.insert(id.to_owned());
        if is_stored {
            self.wait(letters);
        } else {
            self.held.entry(partition.clone()).or_default().extend(letters);
        }
    }

    /// The reports of this partition that it holds are stored.
    pub(crate) fn release(&mut self, partition: &Partition) {
        let letters = self.held.remove(partition).unwrap_or_default();
        self.wait(letters);
    }

    fn wait(&mut self, letters: Vec<Letter>) {
        self.bytes += letters.iter().map(|letter| letter.bytes).sum::<usize>();
        self.waiting.extend(letters);
    }

    /// How many reports have been sent since it was last asked, and to whom. `None` if there are none.
    pub(crate) fn told(&mut self) -> Option<(usize, String)> {
        let sent = std::mem::take(&mut self.sent);
        (sent > 0).then(|| (sent, self.receiver.name()))
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes > MAX_WAITING && self.denied.is_none()
    }

    /// How many reports wait to be sent.
    pub(crate) fn count(&self) -> usize {
        self.waiting.iter().filter(|letter| letter.is_last).count()
    }

    /// # Errors
    /// The receiver takes nothing from here. That stays so.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.denied.clone().map_or(Ok(()), Err)
    }

    /// The time until the next try. `None` if there is none.
    pub(crate) fn next(&self) -> Option<Duration> {
        let left =
            self.not_before.map_or(Duration::ZERO, |time| time.saturating_duration_since(Instant::now()));
        (!self.waiting.is_empty() && self.denied.is_none()).then_some(left)
    }

    /// Makes one request, unless there is nothing to send, or it is not time yet. Returns the reports that
    /// need not be sent any more, or `None` if nothing can be sent now.
    pub(crate) fn step(&mut self) -> Option<Sent> {
        if self.next().is_none_or(|left| !left.is_zero()) {
            return None;
        }
        let mut bytes = 0;
        let count = self.waiting.iter().take_while(|letter| {
            let is_first = bytes == 0;
            bytes += letter.bytes;
            is_first || bytes <= MAX_REQUEST
        });
        let count = count.count();
        let resource_logs = self.waiting.iter().take(count).map(|letter| letter.records.clone()).collect();
        let answer = self.receiver.send(&ExportLogsServiceRequest { resource_logs });
        let name = self.receiver.name();
        match answer {
            Answer::Later { reason, after } => {
                let wait = after.unwrap_or_else(|| self.jittered(self.backoff));
                self.backoff = LAST_WAIT.min(self.backoff * 2);
                self.not_before = Some(Instant::now() + wait);
                let wait = humantime::format_duration(Duration::from_millis(
                    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                ));
                output::warn(&format!("could not send to {name}: {reason}; trying again in {wait}"));
                return None;
            }
            Answer::Denied(reason) => {
                self.denied = Some(format!("could not send to {name}: {reason}; what is stored stays"));
                return None;
            }
            Answer::Refused(reason) => {
                let records = counted(self.records_of(count), "record");
                output::warn(&format!("{name} refuses {records}, and does not get them again: {reason}"));
            }
            Answer::Taken { refused: 0, remark } if remark.is_empty() => {}
            Answer::Taken { refused: 0, remark } => output::warn(&format!("{name} says: {remark}")),
            Answer::Taken { refused, remark } => {
                let refused = output::number(usize::try_from(refused).unwrap_or(usize::MAX));
                let records = counted(self.records_of(count), "record");
                output::warn(&format!(
                    "{name} refuses {refused} of {records}, and does not get them again: {remark}"
                ));
            }
        }
        (self.backoff, self.not_before) = (FIRST_WAIT, None);
        let mut sent = Sent::new();
        for letter in self.waiting.drain(..count) {
            self.bytes -= letter.bytes;
            if letter.is_last {
                self.sent += 1;
                sent.entry(letter.partition).or_default().insert(letter.report, letter.origin);
            }
        }
        Some(sent)
    }

    /// Has the store remember that these reports have been sent.
    pub(crate) fn mark(&self, store: &Store, sent: &Sent) -> Result<(), Failed> {
        sent.iter().try_for_each(|(partition, reports)| store.mark(&self.folder(partition), reports))
    }

    fn folder(&self, partition: &Partition) -> String {
        format!("{}/{}", self.marks, partition.path())
    }

    /// How many records the first letters have.
    fn records_of(&self, letters: usize) -> usize {
        let scopes = self.waiting.iter().take(letters).flat_map(|letter| &letter.records.scope_logs);
        scopes.map(|scope| scope.log_records.len()).sum()
    }

    /// From half of it to all of it, so that many runs do not come back at the same moment.
    fn jittered(&self, wait: Duration) -> Duration {
        let half = wait / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_nanos(self.random.hash_one(Instant::now()) % nanos)
    }
}

/// All records of a report, in parts that fit into a request.
fn letters(partition: &Partition, id: &str, origin: &Origin, records: ResourceLogs) -> Vec<Letter> {
    let letter = |records: ResourceLogs| Letter {
        partition: partition.clone(),
        report: id.to_owned(),
        origin: origin.clone(),
        is_last: false,
        bytes: records.encoded_len(),
        records,
    };
    let mut letters = Vec::new();
    if records.encoded_len() <= MAX_REQUEST {
        letters.push(letter(records));
    } else {
        let ResourceLogs { resource, scope_logs } = records;
        for ScopeLogs { scope, log_records } in scope_logs {
            let part = |log_records| {
                let scope_logs = vec![ScopeLogs { scope: scope.clone(), log_records }];
                ResourceLogs { resource: resource.clone(), scope_logs }
            };
            let mut open = Vec::new();
            let mut bytes = 0;
            for record in log_records {
                let more = record.encoded_len();
                // The resource and the scope come on top of that, and are short.
                if bytes + more > MAX_REQUEST / 2 && !open.is_empty() {
                    letters.push(letter(part(std::mem::take(&mut open))));
                    bytes = 0;
                }
                bytes += more;
                open.push(record);
            }
            letters.push(letter(part(open)));
        }
    }
    if let Some(last) = letters.last_mut() {
        last.is_last = true;
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::messages::LogRecord;
    use super::*;

    #[test]
    fn a_report_with_very_many_findings_is_sent_in_parts() {
        let partition = Partition { service: "shop".to_owned(), date: "2026-01-02".to_owned() };
        let parts = |records: usize, bytes: usize| {
            let record = LogRecord { event_name: "x".repeat(bytes), ..LogRecord::default() };
            let scope = ScopeLogs { log_records: vec![record; records], ..ScopeLogs::default() };
            let records = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
            letters(&partition, "id", &Origin::Many, records)
        };
        assert_eq!(parts(10, 1_000).len(), 1);
        let many = parts(100, 100_000);
        assert!(many.len() > 10 && many.iter().all(|letter| letter.bytes <= MAX_REQUEST), "{}", many.len());
        let counts = many.iter().map(|letter| letter.records.scope_logs[0].log_records.len());
        assert_eq!(counts.sum::<usize>(), 100);
        let last: Vec<bool> = many.iter().map(|letter| letter.is_last).collect();
        assert!(last.iter().rposition(|is| *is) == last.iter().position(|is| *is) && last.ends_with(&[true]));
        // One that fits into no request is sent alone.
        assert_eq!(parts(3, 2 << 20).len(), 3);
    }
}
