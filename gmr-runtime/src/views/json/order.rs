//! Puts the kind of each content in front of its data, where a document has them the other way
//! round, as JSON with sorted keys does. Data whose kind is not known yet would be kept in a form
//! that takes many times the memory of its text.

use std::borrow::Cow;
use std::fmt;
use std::mem;

use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::limits::Key;

type Written = serde_json::Result<()>;

/// The document with kinds first. As it is, if they are, or if it is no report.
///
/// It must not be nested deeper than is read.
pub(super) fn kinds_first(json: &str) -> Cow<'_, str> {
    if are_first(json) {
        return json.into();
    }
    let mut ordered = String::with_capacity(json.len());
    match object(json, "sections", list, &mut ordered) {
        Ok(()) => ordered.into(),
        Err(_) => json.into(),
    }
}

/// Whether they certainly are.
fn are_first(json: &str) -> bool {
    const CONTENT: &str = "\"content\"";
    let is_first = |at: usize| {
        let mut rest = &json[at + CONTENT.len()..];
        [":", "{", "\"kind\""].into_iter().all(|token| match rest.trim_ascii_start().strip_prefix(token) {
            Some(after) => {
                rest = after;
                true
            }
            None => false,
        })
    };
    // A letter can be escaped.
    !json.contains("\\u") && json.match_indices(CONTENT).all(|(at, _)| is_first(at))
}

/// Writes an object. The member of this name is, or has, contents.
fn object(json: &str, name: &str, of_member: fn(&str, &mut String) -> Written, out: &mut String) -> Written {
    let mut before = '{';
    each_member(json, |key, value| {
        begin(&mut before, key, out);
        if key == name {
            return of_member(value, out);
        }
        out.push_str(value);
        Ok(())
    })?;
    end(before, '{', '}', out);
    Ok(())
}

/// Writes a list of sections, or of configuration groups.
fn list(json: &str, out: &mut String) -> Written {
    let mut before = '[';
    each_item(json, |item| {
        out.push(mem::replace(&mut before, ','));
        object(item, "content", content, out)
    })?;
    end(before, '[', ']', out);
    Ok(())
}

fn content(json: &str, out: &mut String) -> Written {
    let (mut before, mut kind) = ('{', None);
    each_member(json, |key, value| {
        if key == "kind" && kind.is_none() {
            begin(&mut before, key, out);
            out.push_str(value);
            kind = Some(value);
        }
        Ok(())
    })?;
    let mut is_written = kind.is_some();
    each_member(json, |key, value| {
        // A second kind is an error, which stays one.
        if key == "kind" && mem::take(&mut is_written) {
            return Ok(());
        }
        begin(&mut before, key, out);
        if key == "data" && kind == Some("\"configuration\"") {
            return list(value, out);
        }
        out.push_str(value);
        Ok(())
    })?;
    end(before, '{', '}', out);
    Ok(())
}

/// Writes what comes before a member's value.
fn begin(before: &mut char, key: &str, out: &mut String) {
    out.push(mem::replace(before, ','));
    out.push_str(&serde_json::Value::from(key).to_string());
    out.push(':');
}

/// Writes the end of a list or an object, and its beginning if it is empty.
fn end(before: char, open: char, close: char, out: &mut String) {
    if before == open {
        out.push(open);
    }
    out.push(close);
}

/// Calls `act` with the key and the text of each member of an object.
fn each_member<'a>(json: &'a str, act: impl FnMut(&str, &'a str) -> Written) -> Written {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.deserialize_map(Members(act))?;
    deserializer.end()
}

/// Calls `act` with the text of each item of a list.
fn each_item<'a>(json: &'a str, act: impl FnMut(&'a str) -> Written) -> Written {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.deserialize_seq(Items(act))?;
    deserializer.end()
}

struct Members<F>(F);

impl<'de, F: FnMut(&str, &'de str) -> Written> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            (self.0)(&key, value.get()).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

struct Items<F>(F);

impl<'de, F: FnMut(&'de str) -> Written> Visitor<'de> for Items<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(item) = list.next_element::<&'de RawValue>()? {
            (self.0)(item.get()).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_first_and_nothing_else_moves() {
        for (json, expected) in [
            (
                r#"{"sections": [{"content": {"data": {"kind": 1, "data": 2, "a": "\n"}, "kind": "fields"}, "title": "é"}], "b": []}"#,
                r#"{"sections":[{"content":{"kind":"fields","data":{"kind": 1, "data": 2, "a": "\n"}},"title":"é"}],"b":[]}"#,
            ),
            (
                r#"{"sections":[{"c\u006fntent":{"data":[{"content":{"data":"a","x":{},"kind":"text"}}],"kind":"configuration"}}]}"#,
                r#"{"sections":[{"content":{"kind":"configuration","data":[{"content":{"kind":"text","data":"a","x":{}}}]}}]}"#,
            ),
            (
                r#"{"sections":[{"content":{"data":1,"kind":2,"kind":3}}]}"#,
                r#"{"sections":[{"content":{"kind":2,"data":1,"kind":3}}]}"#,
            ),
            (r#"{"sections":[{"content":{}}]}"#, r#"{"sections":[{"content":{}}]}"#),
        ] {
            assert_eq!(kinds_first(json), expected, "{json}");
            assert_eq!(kinds_first(expected), expected);
        }
        for json in [
            "",
            "{",
            r#"{"content":1,"sections":[7]}"#,
            r#"{"sections":[{"content":{"data":"#,
            r#"{"content":{}} {}"#,
        ] {
            assert_eq!(kinds_first(json), json);
        }
    }

    #[test]
    fn a_document_whose_kinds_are_first_is_not_copied() {
        for json in
            [r#"{"sections":[{"content":{"kind":"text","data":"a"}}]}"#, "{\"content\" :\n{ \"kind\":1}}"]
        {
            assert!(are_first(json), "{json}");
        }
        assert!(!are_first(r#"{"content":{"data":[]}}"#) && !are_first(r#"{"\u0063ontent":{}}"#));
    }
}
