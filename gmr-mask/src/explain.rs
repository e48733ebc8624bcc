//! The dry run: which parts of a value would be masked, and by which rule. It compares the value as
//! a report shows it with the value as it is, and never returns anything of what is masked.

use serde::Serialize;

use super::MASK;
use super::error::MaskError;
use super::keys::{self, Sensitivity};
use super::serializer::{to_raw_value, to_value};
use super::value::Value;

/// The parts of a value that are masked, one line for each: where it is, and why.
///
/// # Errors
/// If the value's own `Serialize` returns an error. Secrets in its message are masked.
pub fn explain<T: Serialize + ?Sized>(value: &T) -> Result<Vec<String>, MaskError> {
    let mut lines = Vec::new();
    compare("", "", &to_raw_value(value)?, &to_value(value)?, &mut lines);
    Ok(lines)
}

fn compare(path: &str, name: &str, raw: &Value, shown: &Value, lines: &mut Vec<String>) {
    match (raw, shown) {
        (Value::Map(raw), Value::Map(shown)) if raw.len() == shown.len() => {
            for ((name, raw), (key, shown)) in raw.iter().zip(shown) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if name != key {
                    lines.push(format!("{path}: the key, by its content"));
                }
                compare(&path, name, raw, shown, lines);
            }
        }
        (Value::List(raw), Value::List(shown)) if raw.len() == shown.len() => {
            for (index, (raw, shown)) in raw.iter().zip(shown).enumerate() {
                compare(&format!("{path}[{index}]"), name, raw, shown, lines);
            }
        }
        (raw, shown) if raw != shown => {
            let path = if path.is_empty() { "the value" } else { path };
            lines.push(format!("{path}: {}", why(name, shown)));
        }
        _ => (),
    }
}

fn why(name: &str, shown: &Value) -> String {
    match (keys::classify(name), shown) {
        (_, Value::Text(text)) if text != MASK => format!("a part of it, by its content: `{text}`"),
        (Sensitivity::Plain, _) => "by its content, its type, or what is around it".to_owned(),
        (Sensitivity::Measure, _) => format!("`{name}` is a measure of a secret, and the value is none"),
        (Sensitivity::Path, _) => format!("`{name}` is the path of a secret, and the value is none"),
        (Sensitivity::Key, _) => format!("`{name}` is a key, and the value looks random"),
        _ => format!("the name `{name}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_masked_part_is_listed_with_the_reason() {
        let value = serde_json::json!({
            "db": { "password": "zebra", "host": "h", "url": "postgres://u:zebra@h/d" },
            "host_key": "Qr82kLm0x",
            "note": "ghp_0123456789abcdef",
            "list": [1, { "token": "a" }],
        });
        let mut lines = explain(&value).unwrap();
        lines.sort();
        let expected = [
            "db.password: the name `password`",
            "db.url: a part of it, by its content: `postgres://u:***@h/d`",
            "host_key: `host_key` is a key, and the value looks random",
            "list[1].token: the name `token`",
            "note: by its content, its type, or what is around it",
        ];
        assert_eq!(lines, expected);
        assert!(explain("x").unwrap().is_empty());
        assert_eq!(explain(&crate::Secret::new(1)).unwrap(), [""; 0], "it serializes as the mask itself");
    }
}
