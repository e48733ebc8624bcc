//! Spans in Flight and Recent Events: what the program reports through `tracing`. Nothing here
//! records a span or an event.

use std::ptr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crate::model::{
    Callsite, Content, EventSpan, Events, Level, LogEvent, Span, SpanGroup, SpanThread, Spans, Value,
};
use crate::sys::hash::HashMap;
use crate::sys::sort;
use crate::tracing::{self, Fields, OpenSpan, RecentEvent};

/// How many spans of one callsite and one parent are listed. The others are counted.
const ALIKE: usize = 8;

/// How many spans are listed below one that has no parent.
const MOST_IN_TREE: usize = 64;

/// How many spans are listed.
const MOST_LISTED: usize = 256;

/// How many lines count spans that are not listed.
const MOST_GROUPS: usize = 256;

/// For a program that uses `tracing` without the layer.
const NO_LAYER: &str = "not recorded: add gmr::tracing::layer() to the program's tracing subscriber";

type Metadata = tracing_core::Metadata<'static>;

/// If the layers can't be found.
const LOCKED: &str = "the list of layers stays locked: a thread was changing it when this process was forked, or is \
                      stopped";

/// The open spans. Nothing in a program that does not use `tracing`.
pub(super) fn spans() -> Content {
    let seen = match tracing::spans() {
        Ok(Some(seen)) => seen,
        Ok(None) if tracing::is_in_use() => return Content::Text(NO_LAYER.to_owned()),
        Ok(None) => return Content::Nothing,
        Err(tracing::Locked) => return Content::Error(LOCKED.to_owned()),
    };
    let notes = notes_on_spans(&seen);
    Content::Spans(describe(seen.open, notes))
}

fn notes_on_spans(seen: &tracing::Spans) -> Vec<String> {
    let mut notes = Vec::new();
    match seen.lost {
        0 => {}
        1 => notes.push("1 span since the start is not shown: there was no room for it".to_owned()),
        lost => notes.push(format!("{lost} spans since the start are not shown: there was no room for them")),
    }
    match seen.unread {
        0 => {}
        1 => notes.push("1 span is missing: a thread was changing it".to_owned()),
        unread => notes.push(format!("{unread} spans are missing: threads were changing them")),
    }
    if seen.unrecorded > 0 {
        let calls = if seen.unrecorded == 1 { "call" } else { "calls" };
        notes.push(format!(
            "the fields of {} {calls} of Span::record are missing: another thread was recording some of the \
             same span",
            seen.unrecorded
        ));
    }
    let parents = seen.open.iter().filter(|span| span.is_parents).count();
    if parents > 0 {
        let were = if parents == 1 { "was" } else { "were" };
        notes.push(format!(
            "{parents} of the spans {were} opened in the process that this one was forked from"
        ));
    }
    notes
}

fn describe(mut open: Vec<OpenSpan>, mut notes: Vec<String>) -> Spans {
    sort::by_key(&mut open, |span| (std::cmp::Reverse(span.age), span.id));
    let mut listing = Listing::new(&open);
    listing.list();
    let Listing { listed, more, left_out, .. } = listing;
    if left_out > 0 {
        let are = if left_out == 1 { "is" } else { "are" };
        notes.push(format!("{left_out} of the spans {are} neither listed nor counted below"));
    }
    Spans {
        open: count(open.len()),
        entered: count(open.iter().filter(|span| span.is_entered()).count()),
        spans: listed,
        more,
        notes,
    }
}

/// The last events. Nothing without the layer.
pub(super) fn events() -> Content {
    let seen = match tracing::events() {
        Ok(Some(seen)) => seen,
        Ok(None) => return Content::Nothing,
        Err(tracing::Locked) => return Content::Error(LOCKED.to_owned()),
    };
    let notes = notes_on_events(&seen);
    let mut callsites = Callsites::default();
    Content::Events(Events {
        events: seen.recent.into_iter().map(|event| describe_event(event, &mut callsites)).collect(),
        warnings: seen.warnings,
        others: seen.others,
        notes,
    })
}

fn notes_on_events(seen: &tracing::Events) -> Vec<String> {
    let mut notes = Vec::new();
    match seen.lost {
        0 => {}
        1 => notes.push(
            "1 event since the start could not be recorded: a thread was recording another one".to_owned(),
        ),
        lost => notes.push(format!(
            "{lost} events since the start could not be recorded: threads were recording others"
        )),
    }
    match seen.unread {
        0 => {}
        1 => notes.push("1 event could not be read: a thread was writing it".to_owned()),
        unread => notes.push(format!("{unread} events could not be read: threads were writing them")),
    }
    let parents = seen.recent.iter().filter(|event| event.is_parents).count();
    if parents > 0 {
        let are = if parents == 1 { "event is" } else { "events are" };
        notes.push(format!("{parents} {are} from the process that this one was forked from"));
    }
    notes
}

fn describe_event(event: RecentEvent, callsites: &mut Callsites) -> LogEvent {
    let RecentEvent { time, metadata, tid, task, mut fields, span, .. } = event;
    let callsite =
        metadata.map(|metadata| of_log(metadata, &mut fields).unwrap_or_else(|| callsites.get(metadata)));
    let trace_id = trace_id(&fields).or_else(|| trace_id(&span.as_ref()?.2));
    let message = fields.take_text("message").map(|message| gmr_mask::text(&message).into_owned());
    LogEvent {
        time: humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_micros(time)).to_string(),
        callsite,
        message,
        fields: masked(&fields),
        trace_id,
        span: span.map(|(id, metadata, fields)| EventSpan {
            id,
            callsite: callsites.get(metadata),
            fields: masked(&fields),
        }),
        tid,
        task,
    }
}

/// A record of the crate `log`, whose place is in fields: removes these.
fn of_log(metadata: &Metadata, fields: &mut Fields) -> Option<Arc<Callsite>> {
    let target = fields.take_text("log.target")?;
    fields.take_text("log.module_path");
    let line = fields.take_number("log.line").and_then(|line| u32::try_from(line).ok());
    let file = fields.take_text("log.file");
    let (name, level) = (metadata.name().to_owned(), level(metadata));
    Some(Arc::new(Callsite { name, target, level, file, line }))
}

fn masked(fields: &Fields) -> Value {
    gmr_mask::to_value(fields).unwrap_or_else(|error| Value::Text(error.to_string()))
}

/// The trace id in a field, as OpenTelemetry and W3C write it: 32 hexadecimal digits, not all zero.
fn trace_id(fields: &Fields) -> Option<String> {
    let is_id = |id: &&str| {
        id.len() == 32
            && id.bytes().all(|byte| byte.is_ascii_hexdigit())
            && id.bytes().any(|byte| byte != b'0')
    };
    let text = |name: &str| fields.text(name).map(|text| text.trim_matches('"'));
    let of_parent = || text("traceparent").and_then(|parent| parent.split('-').nth(1));
    let found = text("trace_id").filter(is_id).or_else(|| text("otel.trace_id").filter(is_id));
    found.or_else(|| of_parent().filter(is_id)).map(str::to_owned)
}

fn level(metadata: &Metadata) -> Level {
    match *metadata.level() {
        tracing_core::Level::ERROR => Level::Error,
        tracing_core::Level::WARN => Level::Warn,
        tracing_core::Level::INFO => Level::Info,
        tracing_core::Level::DEBUG => Level::Debug,
        tracing_core::Level::TRACE => Level::Trace,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn count(count: usize) -> u64 {
    count.try_into().unwrap_or(u64::MAX)
}

/// Callsites, each once.
#[derive(Default)]
struct Callsites(HashMap<*const Metadata, Arc<Callsite>>);

impl Callsites {
    fn get(&mut self, metadata: &'static Metadata) -> Arc<Callsite> {
        let describe = || {
            Arc::new(Callsite {
                name: metadata.name().to_owned(),
                target: metadata.target().to_owned(),
                level: level(metadata),
                file: metadata.file().map(str::to_owned),
                line: metadata.line(),
            })
        };
        Arc::clone(self.0.entry(ptr::from_ref(metadata)).or_insert_with(describe))
    }
}

/// Chooses which spans are listed: the oldest ones of each callsite, each with those inside of it.
struct Listing<'a> {
    /// All spans, oldest first.
    open: &'a [OpenSpan],
    /// The place of each span in that list.
    places: HashMap<u64, usize>,
    /// The places of the spans whose parent has this id; of those without an open parent, `None`.
    children: HashMap<Option<u64>, Vec<usize>>,
    callsites: Callsites,
    listed: Vec<Span>,
    more: Vec<SpanGroup>,
    /// Spans that are neither listed nor counted.
    left_out: usize,
}

impl<'a> Listing<'a> {
    fn new(open: &'a [OpenSpan]) -> Self {
        let places: HashMap<u64, usize> =
            open.iter().enumerate().map(|(place, span)| (span.id, place)).collect();
        let mut children: HashMap<Option<u64>, Vec<usize>> = HashMap::default();
        for (place, span) in open.iter().enumerate() {
            let parent = span.parent.filter(|parent| places.contains_key(parent));
            children.entry(parent).or_default().push(place);
        }
        Self {
            open,
            places,
            children,
            callsites: Callsites::default(),
            listed: Vec::new(),
            more: Vec::new(),
            left_out: 0,
        }
    }

    fn list(&mut self) {
        let mut left = MOST_LISTED;
        let outermost = self.choose(None, 0, &mut left);
        for place in outermost {
            // Without recursion: spans can be nested deeper than this thread's stack.
            let mut left_in_tree = left.min(MOST_IN_TREE);
            left -= left_in_tree;
            let mut next = vec![(place, None, 0)];
            while let Some((place, parent, depth)) = next.pop() {
                let span = &self.open[place];
                let described = self.describe(span, parent, depth);
                self.listed.push(described);
                let children = self.choose(Some(span.id), depth + 1, &mut left_in_tree);
                next.extend(children.into_iter().rev().map(|child| (child, Some(span.id), depth + 1)));
            }
            left += left_in_tree;
        }
    }

    /// The children to list, at most `left`, which is reduced by their number. Counts the others.
    fn choose(&mut self, parent: Option<u64>, depth: usize, left: &mut usize) -> Vec<usize> {
        let children = self.children.remove(&parent).unwrap_or_default();
        let alike = self.by_callsite(&children);
        let (mut chosen, mut others) = (Vec::new(), Vec::new());
        for group in alike {
            // A line for one more would be as long as listing it.
            let most = if group.len() <= ALIKE + 1 { group.len() } else { ALIKE }.min(*left);
            *left -= most;
            let (listed, rest) = group.split_at(most);
            chosen.extend_from_slice(listed);
            others.extend_from_slice(rest);
        }
        sort::all(&mut chosen);
        self.count(parent, &others, depth);
        chosen
    }

    /// These spans by callsite, in the order of the oldest of each.
    fn by_callsite(&self, places: &[usize]) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut indices: HashMap<*const Metadata, usize> = HashMap::default();
        for place in places {
            let index = indices.entry(ptr::from_ref(self.open[*place].metadata)).or_insert(groups.len());
            match groups.get_mut(*index) {
                Some(group) => group.push(*place),
                None => groups.push(vec![*place]),
            }
        }
        groups
    }

    /// Counts spans that are not listed, and those inside of them, by callsite.
    fn count(&mut self, within: Option<u64>, places: &[usize], depth: usize) {
        let mut next: Vec<(Vec<usize>, usize)> =
            self.by_callsite(places).into_iter().rev().map(|group| (group, depth)).collect();
        while let Some((group, depth)) = next.pop() {
            let spans = || group.iter().map(|place| &self.open[*place]);
            if self.more.len() < MOST_GROUPS {
                let ages = || spans().map(|span| millis(span.age));
                self.more.push(SpanGroup {
                    within,
                    depth,
                    callsite: self.callsites.get(self.open[group[0]].metadata),
                    count: count(group.len()),
                    entered: count(spans().filter(|span| span.is_entered()).count()),
                    oldest_ms: ages().max().unwrap_or_default(),
                    youngest_ms: ages().min().unwrap_or_default(),
                });
            } else {
                self.left_out += group.len();
            }
            let ids: Vec<u64> = spans().map(|span| span.id).collect();
            let mut children: Vec<usize> =
                ids.iter().filter_map(|id| self.children.remove(&Some(*id))).flatten().collect();
            sort::all(&mut children);
            let groups = self.by_callsite(&children).into_iter().rev();
            next.extend(groups.map(|group| (group, depth + 1)));
        }
    }

    fn describe(&mut self, span: &OpenSpan, parent: Option<u64>, depth: usize) -> Span {
        Span {
            id: span.id,
            parent,
            depth,
            callsite: self.callsites.get(span.metadata),
            fields: masked(&span.fields),
            trace_id: self.trace_id(span),
            age_ms: millis(span.age),
            busy_ms: millis(span.busy),
            idle_ms: millis(span.age.saturating_sub(span.busy)),
            threads: span
                .threads
                .iter()
                .map(|thread| SpanThread {
                    tid: thread.tid,
                    inside_ms: millis(thread.since),
                    task: thread.task,
                })
                .collect(),
            other_threads: span.other_threads,
            left_ms: span.left.map(|(since, _)| millis(since)),
            left_by: span.left.and_then(|(_, task)| task),
            follows: span.follows.map(|metadata| self.callsites.get(metadata)),
        }
    }

    /// The trace id of a span, or of the nearest one around it that has one.
    fn trace_id(&self, span: &OpenSpan) -> Option<String> {
        /// Further out, none is looked for.
        const MOST_AROUND: usize = 64;
        let outer = |span: &&OpenSpan| self.open.get(*self.places.get(&span.parent?)?);
        std::iter::successors(Some(span), outer).take(MOST_AROUND).find_map(|span| trace_id(&span.fields))
    }
}

#[cfg(all(test, not(gmr_loom)))]
mod tests {
    use ::tracing::{Span as Handle, info_span};

    use super::*;
    use crate::tracing::tests::Recording;

    fn described(recording: &Recording) -> Spans {
        describe(recording.spans().open, Vec::new())
    }

    /// Names and depths in the order of the list.
    fn tree(spans: &Spans) -> Vec<(&str, usize)> {
        spans.spans.iter().map(|span| (span.callsite.name.as_str(), span.depth)).collect()
    }

    #[test]
    fn spans_are_a_tree() {
        let recording = Recording::new();
        let section = recording.run(|| {
            let request = info_span!("request", user = "ann", password = "hunter2");
            let load = info_span!(parent: &request, "load");
            let query = info_span!(parent: &load, "query", sql = "select 1");
            let other = info_span!("other");
            let section = describe(recording.spans().open, Vec::new());
            drop((request, load, query, other));
            section
        });
        // Those of one tick of the clock are in the order of their slots.
        let mut expected = [("request", 0), ("load", 1), ("query", 2), ("other", 0)];
        if section.spans[0].callsite.name == "other" {
            expected.rotate_right(1);
        }
        assert_eq!(tree(&section), expected);
        assert_eq!((section.open, section.entered, section.more.len()), (4, 0, 0));
        let request = section.spans.iter().find(|span| span.callsite.name == "request").unwrap();
        let expected = [("user", "ann"), ("password", "***")]
            .map(|(key, value)| (key.to_owned(), Value::Text(value.to_owned())));
        assert_eq!(request.fields, Value::Map(expected.into()));
        let load = section.spans.iter().find(|span| span.callsite.name == "load").unwrap();
        assert_eq!((load.parent, request.parent), (Some(request.id), None));
        assert_eq!((&*load.callsite.target, load.callsite.level), (module_path!(), Level::Info));
    }

    #[test]
    fn of_many_alike_the_oldest_are_listed_and_the_others_counted() {
        let recording = Recording::new();
        let section = recording.run(|| {
            let request = |number: usize| {
                let request = info_span!("request", number);
                let query = info_span!(parent: &request, "query");
                (request, query)
            };
            let requests: Vec<_> = (0..10_000).map(request).collect();
            let alone = info_span!("alone");
            let section = described(&recording);
            drop((requests, alone));
            section
        });
        assert_eq!(section.open, 20_001);
        assert_eq!(section.spans.len(), 2 * ALIKE + 1);
        let groups: Vec<_> = section
            .more
            .iter()
            .map(|group| (group.callsite.name.as_str(), group.within, group.depth, group.count))
            .collect();
        let rest = 10_000 - ALIKE as u64;
        assert_eq!(groups, [("request", None, 0, rest), ("query", None, 1, rest)]);
        let youngest = section.spans.iter().map(|span| span.age_ms).min().unwrap();
        assert!(section.more[0].oldest_ms <= youngest.max(section.spans[0].age_ms));
    }

    #[test]
    fn what_is_listed_and_counted_is_limited() {
        let recording = Recording::new();
        let section = recording.run(|| {
            let mut chain: Vec<Handle> = vec![Handle::none()];
            for _ in 0..2_000 {
                let inner = info_span!(parent: chain.last().unwrap(), "recursion");
                chain.push(inner);
            }
            let section = described(&recording);
            // From the inside out: the registry recurses otherwise.
            while chain.pop().is_some() {}
            section
        });
        // The outermost one, and those below it.
        assert_eq!(section.spans.len(), MOST_IN_TREE + 1);
        assert_eq!(section.more.len(), MOST_GROUPS);
        let left_out = 2_000 - MOST_IN_TREE - 1 - MOST_GROUPS;
        assert_eq!(section.notes, [format!("{left_out} of the spans are neither listed nor counted below")]);
    }

    #[test]
    fn notes_are_right_for_one_and_for_several() {
        let notes = |count: u64| {
            let recording = Recording::new();
            let spans: Vec<_> = (0..count).map(|_| recording.run(|| info_span!("any"))).collect();
            let mut seen = recording.spans();
            seen.open.iter_mut().for_each(|span| span.is_parents = true);
            (seen.lost, seen.unread, seen.unrecorded) = (count, count, count);
            drop(spans);
            recording.run(|| (0..count).for_each(|_| ::tracing::info!("any")));
            let mut events = recording.events();
            events.recent.iter_mut().for_each(|event| event.is_parents = true);
            (events.lost, events.unread) = (count, count);
            [notes_on_spans(&seen), notes_on_events(&events)].concat()
        };
        assert_eq!(notes(0), Vec::<String>::new());
        assert_eq!(
            notes(1),
            [
                "1 span since the start is not shown: there was no room for it",
                "1 span is missing: a thread was changing it",
                "the fields of 1 call of Span::record are missing: another thread was recording some of the \
                 same span",
                "1 of the spans was opened in the process that this one was forked from",
                "1 event since the start could not be recorded: a thread was recording another one",
                "1 event could not be read: a thread was writing it",
                "1 event is from the process that this one was forked from",
            ]
        );
        assert_eq!(
            notes(2),
            [
                "2 spans since the start are not shown: there was no room for them",
                "2 spans are missing: threads were changing them",
                "the fields of 2 calls of Span::record are missing: another thread was recording some of the \
                 same span",
                "2 of the spans were opened in the process that this one was forked from",
                "2 events since the start could not be recorded: threads were recording others",
                "2 events could not be read: threads were writing them",
                "2 events are from the process that this one was forked from",
            ]
        );
    }

    #[test]
    fn trace_ids_are_recognized_and_inherited() {
        const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        let recording = Recording::new();
        let section = recording.run(|| {
            let parent = format!("00-{ID}-00f067aa0ba902b7-01");
            let outer = info_span!("outer", traceparent = parent);
            let spans = [
                info_span!(parent: &outer, "inner"),
                info_span!("direct", trace_id = ID),
                info_span!("debug", "otel.trace_id" = ?ID),
                info_span!("no_id", trace_id = "4711"),
                info_span!("zero", trace_id = "0".repeat(32)),
            ];
            let section = described(&recording);
            drop((outer, spans));
            section
        });
        for span in &section.spans {
            let has_one = ["outer", "inner", "direct", "debug"].contains(&span.callsite.name.as_str());
            assert_eq!(span.trace_id.as_deref(), has_one.then_some(ID), "{span:?}");
        }
    }

    #[test]
    fn events_are_described() {
        let recording = Recording::new();
        recording.run(|| {
            let span = info_span!("request", token = "abcdef0123456789");
            let _entered = span.enter();
            ::tracing::warn!(
                sku = 17,
                password = "hunter2",
                "cannot reach postgres://shop:hunter2@db/orders"
            );
            ::tracing::info!(
                message = "from log",
                log.target = "hyper",
                log.module_path = "hyper::proto",
                log.file = "src/proto.rs",
                log.line = 7_u32
            );
        });
        let mut callsites = Callsites::default();
        let events = recording.events().recent.into_iter();
        let events: Vec<_> = events.map(|event| describe_event(event, &mut callsites)).collect();
        let [warning, of_log] = &events[..] else { panic!("{events:?}") };
        assert_eq!(warning.message.as_deref(), Some("cannot reach postgres://shop:***@db/orders"));
        let expected = [("sku", Value::Unsigned(17)), ("password", Value::Text("***".to_owned()))];
        assert_eq!(warning.fields, Value::Map(expected.map(|(key, value)| (key.to_owned(), value)).into()));
        let span = warning.span.as_ref().unwrap();
        assert_eq!(span.fields.get("token"), Some(&Value::Text("***".to_owned())));
        assert!(warning.time.starts_with("20") && warning.time.ends_with('Z'), "{}", warning.time);
        let callsite = of_log.callsite.as_ref().unwrap();
        assert_eq!(
            (&*callsite.target, callsite.file.as_deref(), callsite.line),
            ("hyper", Some("src/proto.rs"), Some(7))
        );
        assert_eq!(of_log.fields, Value::Map(Vec::new()));
    }
}
