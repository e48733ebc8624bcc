//! Values as nested `key = value` lines, indented by two blanks per level, as in `oslo.reports`.

use std::fmt::Write as _;
use std::iter;
use std::mem;

use super::layout::Flush;
use crate::model::Value;
use crate::views::escape::clean;
use crate::views::room::{Room, not_shown};
use crate::views::words;

/// Writes a value without a key: the entries of a map, the items of a list, or one line.
pub(super) fn write(text: &mut String, value: &Value, depth: usize, room: &Room, flush: &mut Flush<'_>) {
    lines(text, value, &mut Margin { depth, dashes: 0 }, room, flush);
}

/// What a line is indented by. In the first line of a list's item, a dash takes the place of the
/// last level, also if the item is a list itself.
struct Margin {
    depth: usize,
    /// The number of dashes on the next line.
    dashes: usize,
}

impl Margin {
    fn begin(&mut self, text: &mut String) {
        let dashes = mem::take(&mut self.dashes);
        indent(text, self.depth - dashes);
        text.extend(iter::repeat_n("- ", dashes));
    }

    /// Writes what is a level further in, beginning on the next line.
    fn nested(&mut self, dashes: usize, write: impl FnOnce(&mut Self)) {
        write(&mut Self { depth: self.depth + 1, dashes: mem::take(&mut self.dashes) + dashes });
    }
}

fn lines(text: &mut String, value: &Value, margin: &mut Margin, room: &Room, flush: &mut Flush<'_>) {
    let end = |text: &mut String, margin: &mut Margin, left: usize, noun: &str| {
        margin.begin(text);
        let _ = writeln!(text, "{}", not_shown(left, noun));
    };
    match value {
        Value::Map(entries) if !entries.is_empty() => {
            for (index, (key, value)) in entries.iter().enumerate() {
                if !room.take_row() {
                    return end(text, margin, entries.len() - index, "value");
                }
                entry(text, key, value, margin, room, flush);
                flush(text);
            }
        }
        Value::List(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if !room.take_row() {
                    return end(text, margin, items.len() - index, "item");
                }
                list_item(text, item, margin, room, flush);
                flush(text);
            }
        }
        scalar => {
            margin.begin(text);
            push_scalar(text, scalar, room);
            text.push('\n');
        }
    }
}

/// `key = value`, or `key =` with nested values on the lines below.
fn entry(
    text: &mut String,
    key: &str,
    value: &Value,
    margin: &mut Margin,
    room: &Room,
    flush: &mut Flush<'_>,
) {
    margin.begin(text);
    let key = clean(key);
    room.spend(2 * margin.depth + key.len());
    text.push_str(&key);
    if let Some(short) = short_list(value) {
        let _ = writeln!(text, " = {short}");
    } else if is_nested(value) {
        text.push_str(" =\n");
        margin.nested(0, |margin| lines(text, value, margin, room, flush));
    } else {
        text.push_str(" = ");
        push_scalar(text, value, room);
        text.push('\n');
    }
}

fn list_item(text: &mut String, item: &Value, margin: &mut Margin, room: &Room, flush: &mut Flush<'_>) {
    room.spend(2 * margin.depth + 2);
    margin.nested(1, |margin| match short_list(item) {
        Some(short) => {
            margin.begin(text);
            let _ = writeln!(text, "{short}");
        }
        None => lines(text, item, margin, room, flush),
    });
}

/// A short list of scalars, on one line.
fn short_list(value: &Value) -> Option<String> {
    const MAX_LENGTH: usize = 60;
    let Value::List(items) = value else { return None };
    if items.is_empty() || items.iter().any(is_nested) {
        return None;
    }
    let mut line = String::from("[");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            line.push_str(", ");
        }
        line.push_str(&words::scalar(item));
        if line.len() > MAX_LENGTH {
            return None;
        }
    }
    line.push(']');
    Some(line)
}

fn is_nested(value: &Value) -> bool {
    match value {
        Value::Map(entries) => !entries.is_empty(),
        Value::List(items) => !items.is_empty(),
        _ => false,
    }
}

fn push_scalar(text: &mut String, value: &Value, room: &Room) {
    let shown = words::scalar(value);
    room.spend(shown.len());
    text.push_str(&shown);
}

pub(super) fn indent(text: &mut String, depth: usize) {
    text.extend(iter::repeat_n("  ", depth));
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;
    use crate::views::room::MAX_TEXT;

    fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
        Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    fn room() -> Room {
        Room::new(MAX_TEXT)
    }

    fn text(value: &str) -> Value {
        Value::Text(value.into())
    }

    #[test]
    fn nested_values_are_indented() {
        let value = map([
            ("host", text("db1")),
            ("port", Value::Unsigned(5432)),
            ("pool", map([("max", Value::Signed(8)), ("idle", Value::Null)])),
            ("ratio", Value::Float(0.5)),
            ("empty", text("")),
            ("tags", Value::List(vec![text("a"), text("b")])),
            ("none", Value::List(vec![])),
            (
                "pairs",
                Value::List(vec![
                    Value::List(vec![text("a"), Value::Unsigned(1)]),
                    Value::List(vec![text("b"), Value::Unsigned(2)]),
                ]),
            ),
            (
                "nodes",
                Value::List(vec![
                    map([("id", Value::Unsigned(1)), ("up", Value::Bool(true))]),
                    map([("id", Value::Unsigned(2)), ("up", Value::Bool(false))]),
                ]),
            ),
        ]);
        let mut written = String::new();
        write(&mut written, &value, 1, &room(), &mut |_| ());
        let expected = "  host = db1\n  port = 5432\n  pool =\n    max = 8\n    idle = none\n  ratio = 0.5\n  empty = ''\n  \
                        tags = [a, b]\n  none = []\n  pairs =\n    - [a, 1]\n    - [b, 2]\n  nodes =\n    - id = 1\n      up = true\n    - id = 2\n      up = false\n";
        assert_eq!(written, expected);
    }

    #[test]
    fn a_long_list_is_below_its_key() {
        let mut written = String::new();
        entry(
            &mut written,
            "paths",
            &Value::List(vec![text(&"x".repeat(40)), text(&"y".repeat(40))]),
            &mut Margin { depth: 0, dashes: 0 },
            &room(),
            &mut |_| (),
        );
        assert_eq!(written, format!("paths =\n  - {}\n  - {}\n", "x".repeat(40), "y".repeat(40)));
    }

    #[test]
    fn data_stays_on_its_line() {
        let mut written = String::new();
        let margin = &mut Margin { depth: 0, dashes: 0 };
        entry(&mut written, "a\nb", &text("c\n====\u{1b}"), margin, &room(), &mut |_| ());
        assert_eq!(written, "a\\nb = c\\n====\\u{1b}\n");
    }
}
