//! The value while it is being built: the containers that are open, what may still be put into them, and what
//! can only be judged once a container is whole. Because it is kept apart from the serializer, whatever has
//! been put into it is still there when the value turns out to be too large to go on, or to have no end.

use super::error::MaskError;
use super::keys::{self, Verdict};
use super::{MASK, arguments, boundary, values};
use crate::model::Value;

/// More values than this nobody reads; it takes some ten megabytes to hold them.
const MOST_VALUES: usize = 100_000;

/// The same for text, in bytes.
const MOST_TEXT: usize = 4 << 20;

/// The most values that are passed without being kept (bytes, the parts of a secret), so that those without
/// an end have one: less than a second's work.
const MOST_PASSED: usize = 16 << 20;

/// A value nested deeper than people read, than the stack of a small thread bears, and than parsers of JSON
/// (`serde_json`: 128 levels) and XML (libxml2: 256, two for each map) take. Counted in calls of
/// `serialize`: an `Option` or a newtype is a level as well, since it could hold itself.
const DEEPEST: usize = 100;

/// A list of more bytes than this could be a key. The longest that people read as numbers is the address of a
/// network card.
const MOST_BYTES: usize = 6;

/// The longest map in which one entry is looked at as the name of another.
const MOST_ENTRIES_OF_A_PAIR: usize = 16;

/// A value that is being built.
#[derive(Debug)]
pub(super) struct Tree {
    open: Vec<Container>,
    root: Option<Value>,
    depth: usize,
    values_left: usize,
    text_left: usize,
    passes_left: usize,
    /// Whether the value was too large and ends here.
    cut: bool,
    /// Whether this is the key of a map, which is to become text.
    is_key: bool,
}

/// A list or a map that is being filled.
#[derive(Debug)]
pub(super) enum Container {
    List { items: Vec<Value>, is_tuple: bool, bytes: usize },
    Map { entries: Vec<(String, Value)>, key: Option<String> },
}

impl Container {
    pub(super) fn list(is_tuple: bool) -> Self {
        Self::List { items: Vec::new(), is_tuple, bytes: 0 }
    }

    pub(super) fn map() -> Self {
        Self::Map { entries: Vec::new(), key: None }
    }

    fn put(&mut self, value: Value) {
        match self {
            Self::List { items, bytes, .. } => {
                end_of_bytes(items, bytes);
                items.push(value);
            }
            Self::Map { entries, key } => entries.push((key.take().unwrap_or_else(|| "…".into()), value)),
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::List { mut items, is_tuple, mut bytes } => {
                end_of_bytes(&mut items, &mut bytes);
                list_value(items, is_tuple)
            }
            Self::Map { mut entries, .. } => {
                mask_named_value(&mut entries);
                Value::Map(entries)
            }
        }
    }
}

/// Puts a note in the place of the bytes that a list ends with, if they are too many to be shown.
fn end_of_bytes(items: &mut Vec<Value>, bytes: &mut usize) {
    if *bytes > MOST_BYTES {
        items.truncate(items.len() - MOST_BYTES);
        items.push(Value::Text(bytes_note(*bytes)));
    }
    *bytes = 0;
}

/// What is shown of bytes: they cannot be judged, but how many there are helps.
pub(super) fn bytes_note(count: usize) -> String {
    format!("<{count} bytes>")
}

fn list_value(mut items: Vec<Value>, is_tuple: bool) -> Value {
    match items.as_mut_slice() {
        [Value::Text(note)] if !is_tuple && note.starts_with('<') && note.ends_with(" bytes>") => {
            return Value::Text(std::mem::take(note));
        }
        // A header: ("authorization", "..").
        [Value::Text(name), value] if is_tuple => mask_by(keys::judge(name), value),
        _ if !is_tuple => mask_arguments(&mut items),
        _ => (),
    }
    Value::List(items)
}

/// A list of texts of which one begins with a dash can be a command line.
fn mask_arguments(items: &mut [Value]) {
    let texts = items.iter().map(|item| if let Value::Text(text) = item { Some(text.clone()) } else { None });
    let is_flag = |item: &Value| matches!(item, Value::Text(text) if text.starts_with('-'));
    if items.iter().any(is_flag)
        && let Some(texts) = texts.collect::<Option<Vec<_>>>()
    {
        for (item, text) in items.iter_mut().zip(arguments(&texts)) {
            *item = Value::Text(text);
        }
    }
}

/// `{ name: "PASSWORD", value: "x" }`, as Kubernetes has it: the one entry is the other's key.
fn mask_named_value(entries: &mut [(String, Value)]) {
    const NAMES: &[&str] = &["name", "key", "header", "variable"];
    if entries.len() > MOST_ENTRIES_OF_A_PAIR {
        return;
    }
    let is = |key: &str, names: &[&str]| names.iter().any(|name| key.eq_ignore_ascii_case(name));
    let verdict = entries.iter().find_map(|(key, name)| match name {
        Value::Text(name) if is(key, NAMES) => Some(keys::judge(name)),
        _ => None,
    });
    for (key, value) in entries {
        if is(key, &["value"]) {
            mask_by(verdict.unwrap_or(Verdict::Plain), value);
        }
    }
}

/// Masks a value that is already built and turns out to belong to a name.
fn mask_by(verdict: Verdict, value: &mut Value) {
    let shown = match value {
        Value::Null | Value::Bool(_) => true,
        Value::Text(text) => verdict.shows(text),
        _ => matches!(verdict, Verdict::Plain | Verdict::Measure),
    };
    if !shown {
        *value = Value::Text(MASK.into());
    }
}

impl Tree {
    pub(super) fn new() -> Self {
        Self {
            open: Vec::new(),
            root: None,
            depth: 0,
            values_left: MOST_VALUES,
            text_left: MOST_TEXT,
            passes_left: MOST_PASSED,
            cut: false,
            is_key: false,
        }
    }

    /// A tree for the key of a map in this one.
    pub(super) fn for_key(&self) -> Self {
        const MOST_PARTS: usize = 100;
        Self {
            depth: self.depth,
            values_left: MOST_PARTS,
            text_left: self.text_left,
            is_key: true,
            ..Self::new()
        }
    }

    pub(super) fn is_key(&self) -> bool {
        self.is_key
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// What has been built, every container closed.
    pub(super) fn finish(mut self) -> Value {
        self.close_to(0);
        self.root.unwrap_or(Value::Null)
    }

    /// Goes down to a part of a value. `None` if that would be too deep; otherwise what `ascend` is to be given.
    pub(super) fn descend(&mut self) -> Option<usize> {
        if self.depth == DEEPEST {
            return None;
        }
        self.depth += 1;
        Some(self.open.len())
    }

    /// Comes back from a part, and closes what it left open.
    pub(super) fn ascend(&mut self, level: usize) {
        self.depth -= 1;
        self.close_to(level);
    }

    /// Puts a note in the place of a part that is too deep.
    pub(super) fn put_depth_note(&mut self) -> Result<(), MaskError> {
        self.put(Value::Text(format!("… (cut below {DEEPEST} levels)")))
    }

    /// Sets the key of the next value.
    pub(super) fn key(&mut self, name: String) -> Result<(), MaskError> {
        self.charge_text(name.len())?;
        if let Some(Container::Map { key, .. }) = self.open.last_mut() {
            *key = Some(name);
        }
        Ok(())
    }

    /// Opens a list or a map.
    pub(super) fn open(&mut self, container: Container) -> Result<(), MaskError> {
        self.charge_value()?;
        self.open.push(container);
        Ok(())
    }

    /// Closes the containers that were opened last.
    pub(super) fn close(&mut self, count: usize) {
        self.close_to(self.open.len().saturating_sub(count));
    }

    fn close_to(&mut self, level: usize) {
        while self.open.len() > level
            && let Some(container) = self.open.pop()
        {
            self.attach(container.into_value());
        }
    }

    /// Puts a value into the container that was opened last.
    pub(super) fn put(&mut self, value: Value) -> Result<(), MaskError> {
        self.charge_value()?;
        self.attach(value);
        Ok(())
    }

    /// The same for a number that can be one of a list of bytes.
    pub(super) fn put_byte(&mut self, value: Value) -> Result<(), MaskError> {
        let Some(Container::List { items, bytes, .. }) = self.open.last_mut() else { return self.put(value) };
        *bytes += 1;
        if *bytes > MOST_BYTES {
            return self.pass();
        }
        items.push(value);
        self.charge_value()
    }

    /// Puts a text into it, judged and masked. One that does not fit is cut between two words, before it is
    /// judged: what is left has no secret that can no longer be told for one.
    pub(super) fn put_text(&mut self, text: &str, verdict: Verdict) -> Result<(), MaskError> {
        let (fitting, note) = match cut(text, self.text_left) {
            Some(fitting) => (fitting, " … (cut here)"),
            None => (text, ""),
        };
        let judged = if verdict.shows(fitting) { values::text(fitting) } else { MASK.into() };
        // The room that a text takes is never exceeded: of one that was cut, nothing is left.
        self.text_left = if note.is_empty() { self.text_left - fitting.len() } else { 0 };
        self.put(Value::Text(format!("{judged}{note}")))
    }

    /// How much text can still be taken.
    pub(super) fn text_left(&self) -> usize {
        self.text_left
    }

    /// Passes a value that is not kept.
    pub(super) fn pass(&mut self) -> Result<(), MaskError> {
        self.passes_left = self.passes_left.saturating_sub(1);
        if self.passes_left == 0 { self.cut(MOST_PASSED, "values") } else { Ok(()) }
    }

    fn attach(&mut self, value: Value) {
        match self.open.last_mut() {
            Some(container) => container.put(value),
            None => self.root = Some(value),
        }
    }

    fn charge_value(&mut self) -> Result<(), MaskError> {
        if self.values_left == 0 {
            return self.cut(MOST_VALUES, "values");
        }
        self.values_left -= 1;
        Ok(())
    }

    fn charge_text(&mut self, length: usize) -> Result<(), MaskError> {
        match self.text_left.checked_sub(length) {
            Some(left) => self.text_left = left,
            None => return self.cut(MOST_TEXT, "bytes of text"),
        }
        Ok(())
    }

    /// Leaves a note, the first time, and ends the serialization: an error is the only thing that ends an
    /// endless one.
    fn cut(&mut self, most: usize, what: &str) -> Result<(), MaskError> {
        if !self.cut {
            self.cut = true;
            self.attach(Value::Text(format!("… (cut after {most} {what})")));
        }
        Err(MaskError::too_large())
    }
}

/// What of a text fits, ending between two words; `None` if all of it does.
fn cut(text: &str, room: usize) -> Option<&str> {
    if text.len() <= room {
        return None;
    }
    let fitting = &text[..boundary::floor(text, room)];
    Some(&fitting[..fitting.rfind(char::is_whitespace).unwrap_or(0)])
}

/// A key that was not text, as text: lists in round brackets, as tuples are written.
pub(super) fn rendition(value: Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Signed(value) => value.to_string(),
        Value::Unsigned(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) => text,
        Value::List(items) => {
            format!("({})", items.into_iter().map(rendition).collect::<Vec<_>>().join(", "))
        }
        Value::Map(_) => MASK.into(),
    }
}
