//! A tree of values: what any `Serialize` type becomes once it has passed the masking serializer.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

/// A dynamically typed value: what a section or a configuration group shows.
///
/// Maps keep the order in which their keys were serialized, which is the order in which the author wrote the fields.
///
/// ```
/// use gmr_runtime::model::Value;
///
/// let value = Value::Map(vec![("hits".into(), Value::Unsigned(17))]);
/// assert_eq!(value.get("hits"), Some(&Value::Unsigned(17)));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: `()`, `None`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A negative integer, or any integer of a signed type.
    Signed(i128),
    /// An integer of an unsigned type.
    Unsigned(u128),
    /// A floating-point number.
    Float(f64),
    /// Text; a masked secret is the text `***`.
    Text(String),
    /// A sequence.
    List(Vec<Value>),
    /// Keys and values, in their original order.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// The value under `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, value)| value),
            _ => None,
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            // 128-bit integers are refused by several formats; narrow ones are taken by all.
            Value::Signed(value) => match i64::try_from(*value) {
                Ok(narrow) => serializer.serialize_i64(narrow),
                Err(_) => serializer.serialize_i128(*value),
            },
            Value::Unsigned(value) => match u64::try_from(*value) {
                Ok(narrow) => serializer.serialize_u64(narrow),
                Err(_) => serializer.serialize_u128(*value),
            },
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::Text(value) => serializer.serialize_str(value),
            Value::List(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Value::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}
