//! From rows of the tables back to a report, as `gmr view` shows it. It reads nothing but the
//! tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::AsArray as _;
use serde_json::{Map, Value, json};

use crate::args::One;
use crate::output;
use crate::split::format_time;
use crate::store::{self, Location, Place, Storage};
use crate::tables::cells::{Cell, cell};
use crate::tables::{FRAME, Name, files};

type Object = Map<String, Value>;

/// The cells of a row, by the names of their columns.
type Row = HashMap<&'static str, Cell>;

/// Prints a report.
pub(crate) fn run(args: &One) -> Result<(), String> {
    let document = document(&args.tables, &args.report)?;
    output::write(format!("{document}\n").as_bytes())
}

/// The report with this id, as JSON.
///
/// # Errors
/// It is not there, or can't be read.
fn document(tables: &Location, report: &str) -> Result<Value, String> {
    let mut found = None;
    documents(tables, &BTreeSet::from([report.to_owned()]), |_, document| {
        found = Some(document);
        Ok(())
    })?;
    found.ok_or_else(|| format!("there is no report {report} in {tables}"))
}

/// Gives those of these reports that are there to `each`, with their ids.
///
/// # Errors
/// One of them can't be read.
pub(crate) fn documents(
    tables: &Location,
    wanted: &BTreeSet<String>,
    mut each: impl FnMut(&str, Value) -> Result<(), String>,
) -> Result<(), String> {
    let storage = store::open(tables)?;
    let places = storage.batches("")?;
    let paths: Vec<String> = places.iter().map(|place| place.file(Name::Reports.table())).collect();
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    storage.read(&paths, &mut |path, bytes| {
        Ok(files::read(&storage.name_of(path), bytes, Some(&["report_id"]), |rows| {
            let ids = rows.column(0).as_string::<i32>().iter().flatten();
            for id in ids.filter(|id| wanted.contains(*id)) {
                found.entry(path.to_owned()).or_default().push(id.to_owned());
            }
        })?)
    })?;
    for (place, path) in places.iter().zip(&paths) {
        for id in found.get(path).into_iter().flatten() {
            each(id, joined(&*storage, place, id)?)?;
        }
    }
    Ok(())
}

/// The rows of a table in which the column with this id is among these.
fn rows(
    storage: &dyn Storage,
    place: &Place,
    name: Name,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Row>, String> {
    let table = name.table();
    let mut rows = Vec::new();
    store::read(storage, &place.file(table), None, |batch| {
        let ids = batch.column(0).as_string::<i32>();
        for row in (0..batch.num_rows()).filter(|row| is_wanted(ids.value(*row))) {
            let columns = table.columns.iter().filter_map(|column| {
                // A file of another version can lack it.
                Some((column.name, cell(batch.column_by_name(column.name)?, column.kind, row)))
            });
            rows.push(columns.collect());
        }
    })?;
    Ok(rows)
}

fn joined(storage: &dyn Storage, place: &Place, report: &str) -> Result<Value, String> {
    let of_report = |name| rows(storage, place, name, |id| id == report);
    let mut row = of_report(Name::Reports)?.pop().ok_or("it is not there any more")?;
    let Value::Object(mut rest) = parsed(&mut row, "rest") else {
        return Err("its row has no `rest`".to_owned());
    };
    let mut heading = object(&mut rest, "heading");
    heading.insert("number".to_owned(), value(&mut row, "number"));
    put_time(&mut heading, &mut row, "made_at", false);
    heading.insert("pid".to_owned(), value(&mut row, "pid"));
    heading.insert("trigger".to_owned(), parsed(&mut row, "trigger"));
    let mut summary = object(&mut rest, "summary");
    for (name, column) in [("threads", "threads"), ("failed", "failed_sections"), ("took_us", "took_us")] {
        summary.insert(name.to_owned(), value(&mut row, column));
    }
    let mut sections: Vec<Row> = of_report(Name::Sections)?;
    sort(&mut sections);
    let mut lists: HashMap<(u32, &str), Vec<Value>> = HashMap::new();
    let (mut threads, mut tasks) = (of_report(Name::Threads)?, of_report(Name::Tasks)?);
    let mut spans = of_report(Name::Spans)?;
    let mut wanted: Vec<String> = Vec::new();
    for row in threads.iter().chain(&tasks) {
        match (row.get("stack_id"), row.get("stack_ids")) {
            (Some(Cell::Text(id)), _) => wanted.push(id.clone()),
            (_, Some(Cell::Texts(ids))) => wanted.extend(ids.iter().cloned()),
            _ => {}
        }
    }
    wanted.sort_unstable();
    let is_wanted = |id: &str| wanted.binary_search_by(|other| other.as_str().cmp(id)).is_ok();
    let mut frames = Frames::new(object(&mut rest, "frames"), rows(storage, place, Name::Stacks, is_wanted)?);
    sort(&mut threads);
    for mut row in threads {
        let section = number(&row, "section");
        lists.entry((section, "threads")).or_default().push(thread(&mut row, &mut frames)?);
    }
    sort(&mut tasks);
    for mut row in tasks {
        let section = number(&row, "section");
        lists.entry((section, "tasks")).or_default().push(task(&mut row, &mut frames)?);
    }
    sort(&mut spans);
    for mut row in spans {
        let section = number(&row, "section");
        lists.entry((section, "spans")).or_default().push(span(&mut row));
    }
    let mut findings = of_report(Name::Findings)?;
    sort(&mut findings);
    let findings: Vec<Value> = findings.iter_mut().map(finding).collect();
    let mut all = Vec::new();
    for mut row in sections {
        let position = number(&row, "position");
        let mut list = |name| (name, lists.remove(&(position, name)).unwrap_or_default());
        let Cell::Text(kind) = row.get("kind").cloned().unwrap_or(Cell::Null) else { continue };
        let list = match &*kind {
            "threads" => Some(list("threads")),
            "green_threads" => Some(list("tasks")),
            "spans" => Some(list("spans")),
            _ => None,
        };
        all.push(section(&mut row, kind, list));
    }
    let mut document = object(&mut rest, "document");
    document.insert("schema_version".to_owned(), value(&mut row, "schema_version"));
    document.insert("heading".to_owned(), heading.into());
    document.insert("findings".to_owned(), findings.into());
    document.insert("sections".to_owned(), all.into());
    document.insert("frames".to_owned(), frames.finish().into());
    document.insert("summary".to_owned(), summary.into());
    Ok(document.into())
}

fn section(row: &mut Row, kind: String, list: Option<(&str, Vec<Value>)>) -> Value {
    let mut section = rest(row, "rest");
    let mut content = object(&mut section, "content");
    content.insert("kind".to_owned(), kind.into());
    if let Some(Cell::Text(_)) = row.get("data") {
        let mut data = parsed(row, "data");
        if let (Some((name, list)), Some(data)) = (list, data.as_object_mut()) {
            data.insert(name.to_owned(), list.into());
        }
        content.insert("data".to_owned(), data);
    }
    put(&mut section, row, &["title", "took_us"]);
    section.insert("content".to_owned(), content.into());
    section.into()
}

fn thread(row: &mut Row, frames: &mut Frames) -> Result<Value, String> {
    let mut thread = rest(row, "rest");
    put(&mut thread, row, &["tid", "name", "role", "state", "cpu_user_ms", "cpu_system_ms"]);
    put_time(&mut thread, row, "started_at", true);
    put(&mut thread, row, &["policy", "last_cpu", "at_rest_ms"]);
    let mut waiting = rest(row, "waiting_rest");
    if let Some(Cell::Text(_)) = row.get("waiting_call") {
        for name in ["call", "descriptor", "target", "futex"] {
            waiting.insert(name.to_owned(), value(row, &format!("waiting_{name}")));
        }
        thread.insert("waiting".to_owned(), waiting.into());
    } else {
        thread.insert("waiting".to_owned(), Value::Null);
    }
    let mut stack = object(&mut thread, "stack");
    let id = value(row, "stack_id");
    stack.insert("frames".to_owned(), frames.stack(id.as_str().unwrap_or_default())?);
    put(&mut stack, row, &["incomplete", "taken"]);
    thread.insert("stack".to_owned(), stack.into());
    Ok(thread.into())
}

fn task(row: &mut Row, frames: &mut Frames) -> Result<Value, String> {
    let mut task = rest(row, "rest");
    put(&mut task, row, &["id", "name", "spawned_at", "age_ms", "polls", "blocking"]);
    task.insert("labels".to_owned(), parsed(row, "labels"));
    let mut state = object(&mut task, "state");
    let (kind, ms, tid) = (value(row, "state"), value(row, "state_ms"), value(row, "state_tid"));
    let name = match kind.as_str() {
        Some("polling") => "polling_ms",
        Some("woken") => "woken_ms",
        _ => "waiting_ms",
    };
    state.insert("kind".to_owned(), kind);
    for (name, value) in [(name, ms), ("tid", tid)] {
        if !value.is_null() {
            state.insert(name.to_owned(), value);
        }
    }
    task.insert("state".to_owned(), state.into());
    let ids = match row.remove("stack_ids") {
        Some(Cell::Texts(ids)) => ids,
        _ => Vec::new(),
    };
    let mut stacks = match task.remove("stacks") {
        Some(Value::Array(stacks)) => stacks,
        _ => vec![json!({}); ids.len()],
    };
    for (stack, id) in stacks.iter_mut().zip(&ids) {
        stack["frames"] = frames.stack(id)?;
    }
    task.insert("stacks".to_owned(), stacks.into());
    Ok(task.into())
}

fn span(row: &mut Row) -> Value {
    let mut span = rest(row, "rest");
    put(&mut span, row, &["id", "parent", "depth", "trace_id", "age_ms", "busy_ms", "idle_ms"]);
    span.insert("fields".to_owned(), parsed(row, "fields"));
    let mut callsite = object(&mut span, "callsite");
    put(&mut callsite, row, &["name", "target", "level", "file", "line"]);
    span.insert("callsite".to_owned(), callsite.into());
    span.into()
}

fn finding(row: &mut Row) -> Value {
    let mut finding = rest(row, "rest");
    put(&mut finding, row, &["code", "severity", "message", "threads", "tasks", "next"]);
    // Reports before version 1.3 have none.
    let certainty = value(row, "certainty");
    if !certainty.is_null() {
        finding.insert("certainty".to_owned(), certainty);
    }
    finding.insert("section".to_owned(), value(row, "section_title"));
    finding.into()
}

/// The frames of a report, which are put together again.
struct Frames {
    bases: Object,
    /// By the ids of stacks.
    stacks: HashMap<String, Cell>,
    /// Those that are in their places.
    placed: BTreeMap<u64, Value>,
    /// Where each is, by its JSON.
    known: HashMap<String, u64>,
    next: u64,
    count: u64,
}

impl Frames {
    fn new(mut rest: Object, stacks: Vec<Row>) -> Self {
        let kept = object(&mut rest, "kept");
        let placed: BTreeMap<u64, Value> =
            kept.into_iter().filter_map(|(index, frame)| Some((index.parse().ok()?, frame))).collect();
        let known = placed.iter().map(|(index, frame)| (text_of(frame), *index)).collect();
        let stacks = stacks.into_iter().filter_map(|mut row| match row.remove("stack_id") {
            Some(Cell::Text(id)) => Some((id, row.remove("frames")?)),
            _ => None,
        });
        let count = rest.get("count").and_then(Value::as_u64).unwrap_or_default();
        Self { bases: object(&mut rest, "bases"), stacks: stacks.collect(), placed, known, next: 0, count }
    }

    /// The indices of a stack's frames.
    fn stack(&mut self, id: &str) -> Result<Value, String> {
        if id.is_empty() {
            return Ok(json!([]));
        }
        let Some(Cell::Frames(frames)) = self.stacks.get(id).cloned() else {
            return Err(format!("the stack {id} is missing"));
        };
        Ok(frames.iter().map(|cells| Value::from(self.index(cells))).collect())
    }

    fn index(&mut self, cells: &[Cell]) -> u64 {
        let frame = self.frame(cells);
        let text = text_of(&frame);
        if let Some(index) = self.known.get(&text) {
            return *index;
        }
        while self.placed.contains_key(&self.next) {
            self.next += 1;
        }
        self.known.insert(text, self.next);
        self.placed.insert(self.next, frame);
        self.next
    }

    fn frame(&self, cells: &[Cell]) -> Value {
        let mut row: Row = FRAME.iter().map(|column| column.name).zip(cells.iter().cloned()).collect();
        let mut frame = rest(&mut row, "rest");
        let (past, address) = (value(&mut row, "past"), value(&mut row, "address"));
        put(
            &mut frame,
            &mut row,
            &["function", "file", "line", "source", "inlined", "module", "module_offset", "build_id"],
        );
        let computed = || {
            let base = self.bases.get(frame.get("module")?.as_str()?)?.as_u64()?;
            base.checked_add(frame.get("module_offset")?.as_u64()?)?.checked_add(past.as_u64()?)
        };
        let address = address.as_u64().or_else(computed);
        frame.insert("address".to_owned(), address.into());
        frame.into()
    }

    /// The frames in their order. Of a document that has a frame twice, nothing refers to the
    /// second.
    fn finish(self) -> Vec<Value> {
        let end = self.placed.keys().next_back().map_or(0, |last| last + 1).max(self.count.min(1 << 24));
        let any = self.placed.values().next().cloned();
        let frame = |index| self.placed.get(&index).cloned().or_else(|| any.clone());
        (0..end).filter_map(frame).collect()
    }
}

/// The JSON of a frame, the same however it came.
fn text_of(frame: &Value) -> String {
    let mut frame = frame.as_object().cloned().unwrap_or_default();
    frame.retain(|_, value| !value.is_null());
    Value::Object(frame).to_string()
}

fn sort(rows: &mut [Row]) {
    rows.sort_by_key(|row| (number(row, "section"), number(row, "position")));
}

fn number(row: &Row, column: &str) -> u32 {
    match row.get(column) {
        Some(Cell::U32(number)) => *number,
        _ => 0,
    }
}

fn value(row: &mut Row, column: &str) -> Value {
    match row.remove(column) {
        Some(Cell::Text(text)) => text.into(),
        Some(Cell::Bool(value)) => value.into(),
        Some(Cell::U32(number)) => number.into(),
        Some(Cell::U64(number)) => number.into(),
        Some(Cell::I64(number)) => number.into(),
        Some(Cell::F64(number)) => number.into(),
        Some(Cell::U64s(numbers)) => numbers.into(),
        Some(Cell::Texts(texts)) => texts.into(),
        Some(Cell::Time(_) | Cell::Frames(_) | Cell::Null) | None => Value::Null,
    }
}

/// A column with JSON. What is no JSON, which nobody has written, is `null`.
fn parsed(row: &mut Row, column: &str) -> Value {
    match row.remove(column) {
        Some(Cell::Text(json)) => serde_json::from_str(&json).unwrap_or_default(),
        _ => Value::Null,
    }
}

fn rest(row: &mut Row, column: &str) -> Object {
    match parsed(row, column) {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}

fn object(of: &mut Object, name: &str) -> Object {
    match of.remove(name) {
        Some(Value::Object(object)) => object,
        _ => Object::new(),
    }
}

fn put(object: &mut Object, row: &mut Row, columns: &[&str]) {
    for name in columns {
        object.insert((*name).to_owned(), value(row, name));
    }
}

/// The text of a time, unless the object has it as it was.
fn put_time(object: &mut Object, row: &mut Row, name: &str, in_seconds: bool) {
    let time = match row.remove(name) {
        Some(Cell::Time(time)) => format_time(time, in_seconds).into(),
        _ => Value::Null,
    };
    object.entry(name).or_insert(time);
}
