//! The wording of values.

use std::borrow::Cow;

use crate::model::Value;
use crate::views::escape::clean;

/// A value that contains no others.
pub(in crate::views) fn scalar(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => "none".into(),
        Value::Bool(value) => value.to_string().into(),
        Value::Signed(value) => value.to_string().into(),
        Value::Unsigned(value) => value.to_string().into(),
        Value::Float(value) => format!("{value:?}").into(),
        // Without quotes, empty text would look like a missing value.
        Value::Text(value) if value.is_empty() => "''".into(),
        Value::Text(value) => clean(value),
        Value::List(_) => "[]".into(),
        Value::Map(_) => "{}".into(),
    }
}
