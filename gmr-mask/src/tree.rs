//! The value while the serializer builds it: the open containers, how much they may still take, and
//! the masking that needs a complete container. It does not depend on serde. Because it outlives
//! the serializer, what has been collected is kept when a value turns out to be too large or
//! endless.

use super::error::MaskError;
use super::keys::{self, Sensitivity};
use super::{MASK, arguments, boundary, shapes, values};
use crate::Value;

/// More values than anyone reads. They take about ten megabytes.
const MAX_VALUES: usize = 100_000;

/// More text than anyone reads, in bytes.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// How many values are skipped without being kept (bytes, the parts of a secret), so that endless
/// ones end. Skipping them takes less than a second.
const MAX_SKIPPED: usize = 16 << 20;

/// Deeper nesting is unreadable, overflows the stack of a small thread, and is refused by parsers
/// of JSON (`serde_json`: 128 levels) and XML (libxml2: 256, two for each map). Counted in calls of
/// `serialize`: an `Option` or a newtype is a level too, because it can contain itself.
const MAX_DEPTH: usize = 100;

/// A list of more bytes than this could be a key. The longest one that people read as numbers is a
/// MAC address.
const MAX_BYTE_ITEMS: usize = 6;

/// A value under construction.
#[derive(Debug)]
pub(super) struct Tree {
    open: Vec<Container>,
    root: Option<Value>,
    depth: usize,
    values_left: usize,
    text_left: usize,
    skips_left: usize,
    /// Whether the value was too large and ends with a note.
    cut: bool,
    /// Whether this is the key of a map, which becomes text.
    is_key: bool,
    /// Whether nothing is masked.
    is_raw: bool,
}

/// A list or a map under construction. `bytes` counts the bytes at the end of the list so far,
/// including those that are not kept.
#[derive(Debug)]
pub(super) enum Container {
    List { items: Vec<Value>, is_tuple: bool, bytes: usize },
    Map { entries: Vec<(String, Value)>, key: Option<String>, is_group: bool },
}

impl Container {
    pub(super) fn list(is_tuple: bool) -> Self {
        Self::List { items: Vec::new(), is_tuple, bytes: 0 }
    }

    pub(super) fn map() -> Self {
        Self::Map { entries: Vec::new(), key: None, is_group: false }
    }

    /// A map under the name of secrets, whose fields have been judged one by one. If none of them
    /// is shown, it is masked as a whole.
    pub(super) fn into_group(self) -> Self {
        match self {
            Self::Map { entries, key, .. } => Self::Map { entries, key, is_group: true },
            list @ Self::List { .. } => list,
        }
    }

    fn put(&mut self, value: Value) {
        match self {
            Self::List { items, bytes, .. } => {
                end_of_bytes(items, bytes);
                items.push(value);
            }
            Self::Map { entries, key, .. } => entries.push((key.take().unwrap_or_else(|| "…".into()), value)),
        }
    }

    fn into_value(self, is_raw: bool) -> Value {
        match self {
            Self::List { mut items, is_tuple, mut bytes } => {
                end_of_bytes(&mut items, &mut bytes);
                list_value(items, is_tuple, is_raw)
            }
            Self::Map { mut entries, is_group, .. } => {
                if !is_raw {
                    shapes::mask_entries(&mut entries);
                }
                if is_group { shapes::group(entries) } else { Value::Map(entries) }
            }
        }
    }
}

/// Ends a run of bytes in a list. If it is too long to be shown, a note replaces it.
fn end_of_bytes(items: &mut Vec<Value>, bytes: &mut usize) {
    if *bytes > MAX_BYTE_ITEMS {
        items.truncate(items.len() - MAX_BYTE_ITEMS);
        items.push(Value::Text(bytes_note(*bytes)));
    }
    *bytes = 0;
}

/// What is shown of bytes: they cannot be classified, but their number helps.
pub(super) fn bytes_note(count: usize) -> String {
    format!("<{count} bytes>")
}

fn list_value(mut items: Vec<Value>, is_tuple: bool, is_raw: bool) -> Value {
    match items.as_mut_slice() {
        [Value::Text(note)] if !is_tuple && note.starts_with('<') && note.ends_with(" bytes>") => {
            return Value::Text(std::mem::take(note));
        }
        _ if is_raw => (),
        // A header: `("authorization", "..")`.
        [Value::Text(name), value] if is_tuple => shapes::mask_by(keys::classify(name), value),
        _ if !is_tuple => {
            shapes::mask_items(&mut items);
            mask_arguments(&mut items);
        }
        _ => (),
    }
    Value::List(items)
}

/// Masks a list of strings as a command line if any of them begins with a dash.
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

impl Tree {
    pub(super) fn new() -> Self {
        Self {
            open: Vec::new(),
            root: None,
            depth: 0,
            values_left: MAX_VALUES,
            text_left: MAX_TEXT_BYTES,
            skips_left: MAX_SKIPPED,
            cut: false,
            is_key: false,
            is_raw: false,
        }
    }

    /// The same tree, which masks nothing.
    pub(super) fn into_raw(self) -> Self {
        Self { is_raw: true, ..self }
    }

    pub(super) fn is_raw(&self) -> bool {
        self.is_raw
    }

    /// A tree for a map's key inside of this tree.
    pub(super) fn for_key(&self) -> Self {
        const MAX_KEY_VALUES: usize = 100;
        Self {
            depth: self.depth,
            values_left: MAX_KEY_VALUES,
            text_left: self.text_left,
            is_key: true,
            is_raw: self.is_raw,
            ..Self::new()
        }
    }

    pub(super) fn is_key(&self) -> bool {
        self.is_key
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Closes every container and returns the value.
    pub(super) fn finish(mut self) -> Value {
        self.close_to(0);
        self.root.unwrap_or(Value::Null)
    }

    /// Enters a nested value. Returns the level to pass to `leave`, or `None` if it is nested too
    /// deep.
    pub(super) fn enter(&mut self) -> Option<usize> {
        if self.depth == MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        Some(self.open.len())
    }

    /// Leaves a nested value and closes what it left open, as one that failed does.
    pub(super) fn leave(&mut self, level: usize) {
        self.depth -= 1;
        self.close_to(level);
    }

    /// Adds a note in place of a value that is nested too deep.
    pub(super) fn put_depth_note(&mut self) -> Result<(), MaskError> {
        self.put(Value::Text(format!("… (cut below {MAX_DEPTH} levels)")))
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

    /// Closes the innermost containers.
    pub(super) fn close(&mut self, count: usize) {
        self.close_to(self.open.len().saturating_sub(count));
    }

    fn close_to(&mut self, level: usize) {
        while self.open.len() > level
            && let Some(container) = self.open.pop()
        {
            let is_raw = self.is_raw;
            self.attach(container.into_value(is_raw));
        }
    }

    /// Adds a value to the innermost open container.
    pub(super) fn put(&mut self, value: Value) -> Result<(), MaskError> {
        self.charge_value()?;
        self.attach(value);
        Ok(())
    }

    /// Adds a number that may be part of a list of bytes.
    pub(super) fn put_byte(&mut self, value: Value) -> Result<(), MaskError> {
        let Some(Container::List { items, bytes, .. }) = self.open.last_mut() else { return self.put(value) };
        *bytes += 1;
        if *bytes > MAX_BYTE_ITEMS {
            return self.skip();
        }
        items.push(value);
        self.charge_value()
    }

    /// Adds text, masked. Text that does not fit is cut between two words before it is masked: a
    /// secret cut in half would no longer be recognized.
    pub(super) fn put_text(&mut self, text: &str, sensitivity: Sensitivity) -> Result<(), MaskError> {
        let (fitting, note) = match cut(text, self.text_left) {
            Some(fitting) => (fitting, " … (cut here)"),
            None => (text, ""),
        };
        let judged = if self.is_raw {
            fitting.into()
        } else if sensitivity.allows(fitting) {
            values::text(fitting)
        } else {
            MASK.into()
        };
        // Cut text uses up the limit, so that the notes cannot exceed it.
        self.text_left = if note.is_empty() { self.text_left - fitting.len() } else { 0 };
        self.put(Value::Text(judged.into_owned() + note))
    }

    /// How many bytes of text still fit.
    pub(super) fn text_left(&self) -> usize {
        self.text_left
    }

    /// Skips a value that is not kept.
    pub(super) fn skip(&mut self) -> Result<(), MaskError> {
        self.skips_left = self.skips_left.saturating_sub(1);
        if self.skips_left == 0 { self.cut(MAX_SKIPPED, "values") } else { Ok(()) }
    }

    fn attach(&mut self, value: Value) {
        match self.open.last_mut() {
            Some(container) => container.put(value),
            None => self.root = Some(value),
        }
    }

    fn charge_value(&mut self) -> Result<(), MaskError> {
        if self.values_left == 0 {
            return self.cut(MAX_VALUES, "values");
        }
        self.values_left -= 1;
        Ok(())
    }

    fn charge_text(&mut self, length: usize) -> Result<(), MaskError> {
        match self.text_left.checked_sub(length) {
            Some(left) => self.text_left = left,
            None => return self.cut(MAX_TEXT_BYTES, "bytes of text"),
        }
        Ok(())
    }

    /// Ends the serialization with a note where the value was cut. Only an error ends an endless
    /// one.
    fn cut(&mut self, most: usize, what: &str) -> Result<(), MaskError> {
        if !self.cut {
            self.cut = true;
            self.attach(Value::Text(format!("… (cut after {most} {what})")));
        }
        Err(MaskError::too_large())
    }
}

/// The part of a text that fits, ending between two words. `None` if all of it fits.
fn cut(text: &str, limit: usize) -> Option<&str> {
    if text.len() <= limit {
        return None;
    }
    let fitting = &text[..boundary::floor(text, limit)];
    Some(&fitting[..fitting.rfind(char::is_whitespace).unwrap_or(0)])
}

/// A map's key as text: lists in parentheses, as tuples are written.
pub(super) fn key_to_text(value: Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Signed(value) => value.to_string(),
        Value::Unsigned(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) => text,
        Value::List(items) => {
            format!("({})", items.into_iter().map(key_to_text).collect::<Vec<_>>().join(", "))
        }
        Value::Map(_) => MASK.into(),
    }
}
