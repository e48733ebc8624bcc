//! Masking that needs a complete list or map: an entry that says what another one is, and lists of
//! pairs. It judges values that are masked by their own names and contents already.

use super::MASK;
use super::keys::{self, Sensitivity};
use super::looks;
use super::value::Value;

/// The longest map in which one entry can name another.
const MAX_ENTRIES: usize = 16;

/// Keys of the entry that names another: `{ name: "PASSWORD", value: "x" }`.
const NAMES: &[&str] = &[
    "argument",
    "attribute",
    "env",
    "field",
    "flag",
    "header",
    "item",
    "k",
    "key",
    "label",
    "name",
    "option",
    "param",
    "parameter",
    "property",
    "setting",
    "variable",
];

/// Keys of the entry that says what kind of thing another is: `{ type: "Password", value: "x" }`,
/// as serde writes enums that are not externally tagged.
const KINDS: &[&str] = &["kind", "mechanism", "method", "scheme", "t", "tag", "type", "variant"];

/// Keys of the entry that is named.
const VALUES: &[&str] = &[
    "c", "content", "current", "data", "default", "inner", "input", "new", "old", "payload", "raw", "string",
    "v", "val", "value",
];

fn is_one_of(key: &str, names: &[&str]) -> bool {
    names.iter().any(|name| key.eq_ignore_ascii_case(name))
}

fn text_of<'a>(entries: &'a [(String, Value)], names: &[&str]) -> Option<&'a str> {
    entries.iter().find_map(|(key, value)| match value {
        Value::Text(text) if is_one_of(key, names) => Some(text.as_str()),
        _ => None,
    })
}

/// Masks the entries of a map that another entry says to be secret.
pub(super) fn mask_entries(entries: &mut [(String, Value)]) {
    if entries.len() > MAX_ENTRIES {
        return;
    }
    let named = text_of(entries, NAMES).map_or(Sensitivity::Plain, keys::classify);
    let is_kind = text_of(entries, KINDS).is_some_and(keys::is_secret_type);
    let is_manifest = text_of(entries, &["kind"]).is_some_and(|kind| kind == "Secret");
    let is_jwk = text_of(entries, &["kty"]).is_some();
    let is_key_pair = text_of(entries, &["ak"]).is_some();
    for (key, value) in entries {
        let sensitivity = if is_one_of(key, VALUES) && !is_kind {
            named
        } else if (is_kind && (is_one_of(key, VALUES) || is_one_of(key, &["key"])))
            // Kubernetes
            || (is_manifest && is_one_of(key, &["data", "stringData"]))
            // JSON Web Keys
            || (is_jwk && is_one_of(key, &["d", "dp", "dq", "k", "p", "q", "qi"]))
            // Access key and secret key, in clouds
            || (is_key_pair && is_one_of(key, &["sk"]))
        {
            Sensitivity::Secret
        } else {
            continue;
        };
        mask_by(sensitivity, value);
    }
}

/// Masks the values of pairs in a list, and the lines of a private key.
pub(super) fn mask_items(items: &mut [Value]) {
    let is_pair =
        |item: &Value| matches!(item, Value::List(pair) if matches!(&pair[..], [Value::Text(_), _]));
    if !items.is_empty() && items.iter().all(is_pair) {
        for item in items.iter_mut() {
            if let Value::List(pair) = item
                && let [Value::Text(name), value] = &mut pair[..]
            {
                mask_by(keys::classify(name), value);
            }
        }
    }
    // The line that begins a private key has been masked by its form.
    let is = |item: &Value, fits: fn(&str) -> bool| matches!(item, Value::Text(line) if fits(line));
    let ends = |line: &str| line.contains("END ") && line.contains("PRIVATE KEY-----");
    if let Some(end) = items.iter().position(|item| is(item, ends))
        && let Some(begin) = items[..end].iter().rposition(|item| is(item, |line| line == MASK))
    {
        items[begin..=end].fill(Value::Text(MASK.into()));
    }
}

/// Masks a complete value by the name it turned out to belong to.
pub(super) fn mask_by(sensitivity: Sensitivity, value: &mut Value) {
    let shown = match value {
        Value::Null | Value::Bool(_) => true,
        Value::Text(text) => sensitivity.allows(text),
        _ => sensitivity.allows_numbers(),
    };
    if !shown {
        *value = Value::Text(MASK.into());
    }
}

/// A map of which each entry has been judged. Keys can be secret there as well.
pub(super) fn group(mut entries: Vec<(String, Value)>) -> Value {
    if !entries.is_empty() && entries.iter().all(|(_, value)| is_masked(value)) {
        return Value::Text(MASK.into());
    }
    for (key, _) in &mut entries {
        if looks::is_opaque(key) {
            MASK.clone_into(key);
        }
    }
    Value::Map(entries)
}

fn is_masked(value: &Value) -> bool {
    match value {
        Value::Text(text) => text == MASK,
        Value::List(items) => items.iter().all(is_masked),
        Value::Map(entries) => entries.iter().all(|(_, value)| is_masked(value)),
        _ => false,
    }
}
