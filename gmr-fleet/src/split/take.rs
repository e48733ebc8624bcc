//! Takes values out of JSON objects, as cells. What is taken is not in `rest` any more.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::tables::cells::Cell;

type Object = Map<String, Value>;

/// Takes the list of this name out of an object.
pub(super) fn list(object: &mut Object, name: &str) -> Vec<Value> {
    match object.remove(name) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

pub(super) fn object(of: &mut Object, name: &str) -> Object {
    match of.remove(name) {
        Some(Value::Object(object)) => object,
        _ => Object::new(),
    }
}

pub(super) fn string(object: &mut Object, name: &str) -> Option<String> {
    match object.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

pub(super) fn text(object: &mut Object, name: &str) -> Cell {
    string(object, name).into()
}

pub(super) fn u64(object: &mut Object, name: &str) -> Cell {
    object.remove(name).and_then(|value| value.as_u64()).into()
}

pub(super) fn u32(object: &mut Object, name: &str) -> Cell {
    object.remove(name).and_then(|value| value.as_u64()?.try_into().ok()).map_or(Cell::Null, Cell::U32)
}

pub(super) fn i64(object: &mut Object, name: &str) -> Cell {
    object.remove(name).and_then(|value| value.as_i64()).into()
}

pub(super) fn u64s(object: &mut Object, name: &str) -> Cell {
    list(object, name).iter().filter_map(Value::as_u64).collect::<Vec<_>>().into()
}

/// What is left of an object, but for what is null.
pub(super) fn rest(mut object: Object) -> Cell {
    object.retain(|_, value| !value.is_null());
    if object.is_empty() { Cell::Null } else { Value::Object(object).to_string().into() }
}

/// A time. Its text stays in the object unless it is written again as it is.
pub(super) fn take_time(object: &mut Object, name: &str, in_seconds: bool) -> Cell {
    let Some(Value::String(text)) = object.get(name) else { return Cell::Null };
    let Some(time) = time(text) else { return Cell::Null };
    if format_time(time, in_seconds) == *text {
        object.remove(name);
    }
    Cell::Time(time)
}

/// Milliseconds since 1970.
pub(super) fn time(text: &str) -> Option<i64> {
    let time = humantime::parse_rfc3339(text).ok()?;
    time.duration_since(UNIX_EPOCH).ok()?.as_millis().try_into().ok()
}

pub(crate) fn format_time(ms: i64, in_seconds: bool) -> String {
    /// The end of the year 9999, after which there is no format.
    const END: u64 = 253_402_300_799_999;
    let ms = u64::try_from(ms).unwrap_or(0).min(END);
    let time = UNIX_EPOCH + Duration::from_millis(ms);
    if in_seconds {
        humantime::format_rfc3339_seconds(time).to_string()
    } else {
        humantime::format_rfc3339_millis(time).to_string()
    }
}
