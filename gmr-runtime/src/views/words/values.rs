//! Values of sections and of the configuration.

use std::borrow::Cow;

use crate::model::Value;
use crate::views::escape::clean;

/// A value that holds no others.
pub(in crate::views) fn scalar(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => "none".into(),
        Value::Bool(value) => value.to_string().into(),
        Value::Signed(value) => value.to_string().into(),
        Value::Unsigned(value) => value.to_string().into(),
        Value::Float(value) => format!("{value:?}").into(),
        // Empty text would look like something nested that is missing.
        Value::Text(value) if value.is_empty() => "''".into(),
        Value::Text(value) => clean(value),
        Value::List(_) => "[]".into(),
        Value::Map(_) => "{}".into(),
    }
}
