//! From a report to rows of the tables. Nothing of the report is lost: what has no column of its
//! own is in `rest`, as JSON, also what this release does not know.

mod frames;
mod take;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::RecordBatch;
use gmr_runtime::__cli::{self, Found, Line, Lines};
use gmr_runtime::Report;
use gmr_runtime::model::{Content, Package, Role, Task, Thread};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use self::frames::{Frames, place};
pub(crate) use self::take::format_time;
use self::take::{i64, list, object, rest, string, take_time, text, time, u32, u64, u64s};
use crate::tables::cells::{Cell, Rows};
use crate::tables::{Name, TABLES};

type Object = Map<String, Value>;

/// Identifies a report, by its JSON without the white space between values.
pub(crate) fn id_of(json: &str) -> String {
    let mut hash = Sha256::new();
    let (mut is_in_string, mut is_escaped, mut start) = (false, false, 0);
    for (index, byte) in json.bytes().enumerate() {
        if !is_in_string && byte.is_ascii_whitespace() {
            hash.update(&json[start..index]);
            start = index + 1;
        }
        is_in_string ^= byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
    }
    hash.update(&json[start..]);
    digits(hash)
}

/// The first half of a hash, in hexadecimal.
fn digits(hash: Sha256) -> String {
    hash.finalize()[..16].iter().fold(String::with_capacity(32), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// What a report belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Partition {
    /// The program, as a part of a path.
    pub(crate) service: String,
    /// The date on which the report was made.
    pub(crate) date: String,
}

impl Partition {
    pub(crate) fn of(report: &Report) -> Self {
        let program = package(report).and_then(__cli::program).unwrap_or("?");
        let date = time(&report.heading.made_at)
            .map_or_else(|| "unknown".to_owned(), |time| format_time(time, true)[..10].to_owned());
        Self { service: part_of_path(program), date }
    }

    /// Its folder, below the tables.
    pub(crate) fn path(&self) -> String {
        format!("service={}/date={}", self.service, self.date)
    }
}

/// A name as a part of a path. It can't lead to another folder, and two names do not get the same
/// part.
fn part_of_path(name: &str) -> String {
    const MAX: usize = 64;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_same = name.bytes().all(|byte| is_plain(byte) || byte == b'.')
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.len() <= MAX;
    if is_same {
        return name.to_owned();
    }
    let kept: String =
        name.chars().take(MAX / 2).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let hash = digits(Sha256::new_with_prefix(name));
    format!("{kept}~{}", &hash[..12])
}

/// The first section Package of a report.
pub(crate) fn package(report: &Report) -> Option<&Package> {
    report.sections.iter().find_map(|section| match &section.content {
        Content::Package(package) => Some(&**package),
        _ => None,
    })
}

/// Rows of reports that are written together.
pub(crate) struct Batch {
    rows: [Rows; TABLES.len()],
    stacks: HashSet<String>,
    places: HashSet<String>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        let rows = Name::ALL.map(|name| Rows::new(name.table()));
        Self { rows, stacks: HashSet::new(), places: HashSet::new() }
    }

    fn table(&mut self, name: Name) -> &mut Rows {
        &mut self.rows[name as usize]
    }

    /// About as many bytes as the rows take.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.iter().map(Rows::bytes).sum()
    }

    /// The rows of all tables, in their order.
    pub(crate) fn finish(self) -> Vec<RecordBatch> {
        self.rows.into_iter().map(Rows::finish).collect()
    }

    /// Adds a report.
    pub(crate) fn add(&mut self, id: &str, found: &Found) {
        let Ok(Value::Object(mut document)) = serde_json::from_str(&found.json) else {
            unreachable!("it was read as a report")
        };
        let report = &found.report;
        let frames = list(&mut document, "frames");
        let mut split = Split { batch: self, id, frames: Frames::of(&frames), places: HashMap::new() };
        split.findings(list(&mut document, "findings"));
        split.sections(report, list(&mut document, "sections"));
        split.frames.keep_others();
        split.report(report, document, &frames);
    }
}

/// The id of a place, and whether it is one where threads of a pool wait for work.
type PlaceOfThread = (Option<String>, bool);

/// A report that is being split.
struct Split<'a> {
    batch: &'a mut Batch,
    id: &'a str,
    frames: Frames,
    /// The places of threads that were looked at: thousands can have the same stack.
    places: HashMap<(Arc<[u32]>, bool), PlaceOfThread>,
}

impl Split<'_> {
    fn report(&mut self, report: &Report, mut document: Object, frames: &[Value]) {
        let mut heading = object(&mut document, "heading");
        let mut summary = object(&mut document, "summary");
        let package = package(report);
        let stated = |name: &str| {
            let stated = package?.kubernetes.iter().find(|stated| stated.name == name)?;
            Some(stated.value.clone())
        };
        let of = |value: fn(&Package) -> Option<&String>| package.and_then(value).cloned();
        let trigger = heading.remove("trigger").unwrap_or_default();
        let start = of(|package| package.started_at.as_ref());
        let row = [
            self.id.into(),
            text(&mut document, "schema_version"),
            u64(&mut heading, "number"),
            take_time(&mut heading, "made_at", false),
            u32(&mut heading, "pid"),
            trigger.get("kind").and_then(Value::as_str).into(),
            trigger.to_string().into(),
            package.and_then(__cli::program).unwrap_or("?").into(),
            of(|package| package.version.as_ref()).into(),
            of(|package| package.revision.as_ref()).into(),
            of(|package| package.build_id.as_ref()).into(),
            package.and_then(__cli::host).into(),
            stated("namespace").into(),
            stated("node").into(),
            of(|package| package.container_id.as_ref()).into(),
            start.as_deref().and_then(time).map_or(Cell::Null, Cell::Time),
            package.and_then(|package| package.uptime_ms).into(),
            u64(&mut summary, "threads"),
            u64(&mut summary, "failed"),
            u64(&mut summary, "took_us"),
            {
                let kept: Object = self
                    .frames
                    .kept
                    .iter()
                    .map(|(index, frame)| (index.to_string(), frame.clone()))
                    .collect();
                let frames = json!({ "count": frames.len(), "kept": kept, "bases": self.frames.bases });
                let rest =
                    json!({ "heading": heading, "summary": summary, "frames": frames, "document": document });
                rest.to_string().into()
            },
        ];
        self.batch.table(Name::Reports).push(row);
    }

    fn findings(&mut self, findings: Vec<Value>) {
        for (finding, position) in findings.into_iter().zip(0_u32..) {
            self.frames.keep(&finding);
            let Value::Object(mut finding) = finding else { continue };
            let message = string(&mut finding, "message");
            let row = [
                self.id.into(),
                position.into(),
                text(&mut finding, "code"),
                text(&mut finding, "severity"),
                text(&mut finding, "certainty"),
                message.clone().into(),
                message.as_deref().map(__cli::said).into(),
                u64s(&mut finding, "threads"),
                u64s(&mut finding, "tasks"),
                text(&mut finding, "section"),
                text(&mut finding, "next"),
                rest(finding),
            ];
            self.batch.table(Name::Findings).push(row);
        }
    }

    fn sections(&mut self, report: &Report, sections: Vec<Value>) {
        let lines = Lines::of(report);
        for ((section, position), of) in sections.into_iter().zip(0_u32..).zip(&report.sections) {
            let Value::Object(mut section) = section else { continue };
            let mut content = object(&mut section, "content");
            let mut data = content.remove("data");
            match (&of.content, data.as_mut().and_then(Value::as_object_mut)) {
                (Content::Threads(threads), Some(data)) => {
                    let rows = list(data, "threads");
                    for ((thread, row), of) in rows.into_iter().zip(0_u32..).zip(&threads.threads) {
                        self.thread(&lines, of, thread, [position, row]);
                    }
                }
                (Content::GreenThreads(tasks), Some(data)) => {
                    let rows = list(data, "tasks");
                    for ((task, row), of) in rows.into_iter().zip(0_u32..).zip(&tasks.tasks) {
                        self.task(&lines, of, task, [position, row]);
                    }
                }
                (Content::Spans(_), Some(data)) => {
                    let rows = list(data, "spans");
                    rows.into_iter().zip(0_u32..).for_each(|(span, row)| self.span(span, [position, row]));
                }
                (Content::Resources(_), Some(data)) => self.resources(position, data),
                _ => {}
            }
            let is_of_program = matches!(of.content, Content::Fields(_) | Content::Text(_));
            if let Some(data) = data.as_ref().filter(|_| !is_of_program) {
                self.frames.keep(data);
            }
            let kind = text(&mut content, "kind");
            if !content.is_empty() {
                section.insert("content".to_owned(), content.into());
            }
            let row = [
                self.id.into(),
                position.into(),
                text(&mut section, "title"),
                kind,
                u64(&mut section, "took_us"),
                data.map(|data| data.to_string()).into(),
                rest(section),
            ];
            self.batch.table(Name::Sections).push(row);
        }
    }

    fn thread(&mut self, lines: &Lines<'_>, of: &Thread, thread: Value, [section, position]: [u32; 2]) {
        let Value::Object(mut thread) = thread else { return };
        let mut stack = object(&mut thread, "stack");
        stack.remove("frames");
        let incomplete = text(&mut stack, "incomplete");
        let taken = text(&mut stack, "taken");
        if !stack.is_empty() {
            thread.insert("stack".to_owned(), stack.into());
        }
        let mut waiting = object(&mut thread, "waiting");
        let (place, is_idle) = self.place_of_thread(lines, of);
        let row = [
            self.id.into(),
            section.into(),
            position.into(),
            u32(&mut thread, "tid"),
            text(&mut thread, "name"),
            text(&mut thread, "role"),
            text(&mut thread, "state"),
            u64(&mut thread, "cpu_user_ms"),
            u64(&mut thread, "cpu_system_ms"),
            take_time(&mut thread, "started_at", true),
            text(&mut thread, "policy"),
            u32(&mut thread, "last_cpu"),
            u64(&mut thread, "at_rest_ms"),
            text(&mut waiting, "call"),
            i64(&mut waiting, "descriptor"),
            text(&mut waiting, "target"),
            u64(&mut waiting, "futex"),
            rest(waiting),
            self.stack(&of.stack.frames).into(),
            incomplete,
            taken,
            place.into(),
            is_idle.into(),
            rest(thread),
        ];
        self.batch.table(Name::Threads).push(row);
    }

    /// As `gmr merge` counts threads: only those of the program that have a stack.
    fn place_of_thread(&mut self, lines: &Lines<'_>, thread: &Thread) -> PlaceOfThread {
        let is_counted = matches!(thread.role, Role::Main | Role::Program) && !thread.stack.frames.is_empty();
        if !is_counted {
            return (None, false);
        }
        // Of a pool's thread, other frames are shown while it waits.
        let key = (Arc::clone(&thread.stack.frames), thread.waiting.is_some());
        if let Some(known) = self.places.get(&key) {
            return known.clone();
        }
        let place = (Some(self.place("thread", &lines.of_thread(thread))), lines.is_idle(thread));
        self.places.insert(key, place.clone());
        place
    }

    fn place(&mut self, kind: &'static str, lines: &[Line]) -> String {
        let functions = lines.iter().map(|line| line.function.as_ref().unwrap_or(&line.place).clone());
        let functions: Vec<String> = functions.collect();
        let mut hash = Sha256::new_with_prefix(kind);
        for function in &functions {
            // No function has this in its name.
            hash.update(b"\0");
            hash.update(function);
        }
        let id = digits(hash);
        if self.batch.places.insert(id.clone()) {
            let shown = lines.iter().map(|line| match &line.function {
                Some(function) => format!("{function}, {}", line.place),
                None => line.place.clone(),
            });
            let row = [id.as_str().into(), kind.into(), functions.into(), Cell::Texts(shown.collect())];
            self.batch.table(Name::Places).push(row);
        }
        id
    }

    /// Its id, or `None` if it has no frames.
    fn stack(&mut self, frames: &Arc<[u32]>) -> Option<String> {
        if frames.is_empty() {
            return None;
        }
        let (id, is_new) = self.frames.stack(frames);
        if is_new && self.batch.stacks.insert(id.clone()) {
            let frames = frames.iter().map(|index| Arc::clone(&self.frames.rows[place(*index)]));
            let row = [id.as_str().into(), Cell::Frames(Arc::new(frames.collect()))];
            self.batch.table(Name::Stacks).push(row);
        }
        Some(id)
    }

    fn task(&mut self, lines: &Lines<'_>, of: &Task, task: Value, [section, position]: [u32; 2]) {
        let Value::Object(mut task) = task else { return };
        let mut stacks = list(&mut task, "stacks");
        // What a stack has besides its frames: mostly nothing.
        let mut others = false;
        for stack in stacks.iter_mut().filter_map(Value::as_object_mut) {
            stack.remove("frames");
            stack.retain(|_, value| !value.is_null());
            others |= !stack.is_empty();
        }
        if others {
            task.insert("stacks".to_owned(), stacks.into());
        }
        let ids = of.stacks.iter().map(|stack| self.stack(&stack.frames).unwrap_or_default()).collect();
        let shown = lines.of_task(of);
        let place_id = (!shown.is_empty()).then(|| self.place("task", &shown));
        let mut state = object(&mut task, "state");
        let kind = text(&mut state, "kind");
        let ms = match &kind {
            Cell::Text(kind) if kind == "polling" => u64(&mut state, "polling_ms"),
            Cell::Text(kind) if kind == "woken" => u64(&mut state, "woken_ms"),
            _ => u64(&mut state, "waiting_ms"),
        };
        let tid = u32(&mut state, "tid");
        state.retain(|_, value| !value.is_null());
        if !state.is_empty() {
            task.insert("state".to_owned(), state.into());
        }
        let row = [
            self.id.into(),
            section.into(),
            position.into(),
            u64(&mut task, "id"),
            text(&mut task, "name"),
            text(&mut task, "spawned_at"),
            u64(&mut task, "age_ms"),
            u64(&mut task, "polls"),
            kind,
            ms,
            tid,
            task.remove("blocking").and_then(|value| value.as_bool()).into(),
            task.remove("labels").map(|labels| labels.to_string()).into(),
            Cell::Texts(ids),
            place_id.into(),
            rest(task),
        ];
        self.batch.table(Name::Tasks).push(row);
    }

    fn span(&mut self, span: Value, [section, position]: [u32; 2]) {
        let Value::Object(mut span) = span else { return };
        let mut callsite = object(&mut span, "callsite");
        let row = [
            self.id.into(),
            section.into(),
            position.into(),
            u64(&mut span, "id"),
            u64(&mut span, "parent"),
            u64(&mut span, "depth"),
            text(&mut callsite, "name"),
            text(&mut callsite, "target"),
            text(&mut callsite, "level"),
            text(&mut callsite, "file"),
            u32(&mut callsite, "line"),
            span.remove("fields").map(|fields| fields.to_string()).into(),
            text(&mut span, "trace_id"),
            u64(&mut span, "age_ms"),
            u64(&mut span, "busy_ms"),
            u64(&mut span, "idle_ms"),
            {
                callsite.retain(|_, value| !value.is_null());
                if !callsite.is_empty() {
                    span.insert("callsite".to_owned(), callsite.into());
                }
                rest(span)
            },
        ];
        self.batch.table(Name::Spans).push(row);
    }

    fn resources(&mut self, section: u32, data: &Object) {
        let at = |path: &str| {
            let mut value = data.get(path.split('/').next()?)?;
            for name in path.split('/').skip(1) {
                value = value.get(name)?;
            }
            Some(value)
        };
        let number = |path: &str| Cell::from(at(path).and_then(Value::as_u64));
        let limits = data.get("limits").and_then(Value::as_array);
        let files = limits.into_iter().flatten().find(|limit| limit["name"] == "open files");
        let cgroup = data.get("cgroups").and_then(|cgroups| cgroups.get(0));
        let of_cgroup = |name: &str| Cell::from(cgroup.and_then(|cgroup| cgroup.get(name)?.as_u64()));
        let row = [
            self.id.into(),
            section.into(),
            number("memory/resident_bytes"),
            number("memory/anonymous_bytes"),
            number("memory/file_bytes"),
            number("memory/peak_resident_bytes"),
            number("memory/swapped_bytes"),
            number("memory/virtual_bytes"),
            number("usage/cpu_user_ms"),
            number("usage/cpu_system_ms"),
            number("usage/major_faults"),
            number("usage/voluntary_switches"),
            number("usage/involuntary_switches"),
            number("threads"),
            number("open_descriptors"),
            files.and_then(|limit| limit["soft"].as_u64()).into(),
            of_cgroup("memory_bytes"),
            of_cgroup("memory_max_bytes"),
            of_cgroup("throttled_us"),
            number("system/processors"),
            at("system/load_1min").and_then(Value::as_f64).into(),
        ];
        self.batch.table(Name::Resources).push(row);
    }
}

#[cfg(test)]
mod tests;
