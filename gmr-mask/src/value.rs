//! A tree of values: what a section or a configuration group shows, after masking.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A dynamically typed value: what a section or a configuration group shows.
///
/// Maps keep the order in which their keys were serialized: for a struct, the order of its fields.
///
/// This type is exhaustive: it has the types of JSON, and a new one would be a new major version of
/// the schema.
///
/// ```
/// use gmr_mask::Value;
///
/// let value = Value::Map(vec![("hits".into(), Value::Unsigned(17))]);
/// assert_eq!(value.get("hits"), Some(&Value::Unsigned(17)));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `()` or `None`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A negative integer.
    Signed(i64),
    /// A non-negative integer.
    Unsigned(u64),
    /// A finite floating-point number.
    Float(f64),
    /// Text. A masked secret is the text `***`. Integers of more than 64 bits, `NaN` and the
    /// infinities are text as well, since not every JSON parser accepts them as numbers.
    Text(String),
    /// A sequence.
    List(Vec<Value>),
    /// Keys and values, in serialization order.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// The value of `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, value)| value),
            _ => None,
        }
    }
}

impl From<i128> for Value {
    fn from(value: i128) -> Self {
        match (u64::try_from(value), i64::try_from(value)) {
            (Ok(value), _) => Value::Unsigned(value),
            (_, Ok(value)) => Value::Signed(value),
            _ => Value::Text(value.to_string()),
        }
    }
}

impl From<u128> for Value {
    fn from(value: u128) -> Self {
        u64::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Unsigned)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        if value.is_finite() { Value::Float(value) } else { Value::Text(value.to_string()) }
    }
}

/// The newtype name that a value serializes under. The XML view recognizes by it the elements that
/// need a `type`.
#[doc(hidden)]
pub const NEWTYPE: &str = "gmr::Value";

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(NEWTYPE, &Bare(self))
    }
}

/// A value without the newtype around it.
struct Bare<'a>(&'a Value);

impl Serialize for Bare<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Signed(value) => serializer.serialize_i64(*value),
            Value::Unsigned(value) => serializer.serialize_u64(*value),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::Text(value) => serializer.serialize_str(value),
            Value::List(items) => serializer.collect_seq(items),
            Value::Map(entries) => serializer.collect_map(entries.iter().map(|(key, value)| (key, value))),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

/// A list or a map of so many values is a few kilobytes. From here on, it grows by a quarter at a
/// time: a document can have few bytes for each value, and what doubles takes up to twice its size.
const LONG: usize = 1 << 10;

/// Makes room for one more.
fn grow<T>(items: &mut Vec<T>) {
    if items.len() == items.capacity() && items.len() >= LONG {
        items.reserve_exact(items.len() / 4);
    }
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(i128::from(value).into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            grow(&mut items);
            items.push(item);
        }
        // The first item makes room for four.
        items.shrink_to_fit();
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            grow(&mut entries);
            entries.push(entry);
        }
        entries.shrink_to_fit();
        Ok(Value::Map(entries))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Value {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "description": "Any JSON value: what a section or a configuration group shows." })
    }
}
