//! The limits of a document that is read, checked on the JSON itself before anything is built from
//! it. An error names the place in the document, as a JSON Pointer (RFC 6901).
//!
//! `docs/report-schema.md` documents the limits. They are far above what a process can have, and
//! bound what a document that somebody else has made can cost.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::ParseReportError;
use crate::model::Value;

/// How deep lists and objects may be in one another. `serde_json` has a limit of 127.
const MAX_NESTING: usize = 120;
/// The most items of a list or an object: more than a process can have threads.
const MAX_ITEMS: usize = 5_000_000;
/// The most bytes of a string, such as the text of a section.
const MAX_STRING: usize = 64 << 20;
/// The most values of a document.
const MAX_VALUES: usize = 50_000_000;

/// The most bytes that the values of registered sections and of configuration groups take for each
/// byte of their text. Together with a copy of the text, which a document can make necessary, this
/// is less than ten.
const MAX_GROWTH: usize = 8;
/// So many bytes they may take whatever their text is: a process writes up to 100,000 values of a
/// section, which can be short numbers.
const ALWAYS: usize = 8 << 20;

/// What an item of a list takes, and the key of an item of an object: a list that grows has up to a
/// quarter more space than it needs.
const ITEM: usize = size_of::<Value>() / 4 * 5;
const KEY: usize = size_of::<(String, Value)>() / 4 * 5 - ITEM;
/// What a string in a list of the model takes, such as a note: these lists are short, and grow by
/// doubling.
const LISTED: usize = 2 * size_of::<String>();

/// What can be counted without reading a document.
#[derive(Debug, PartialEq)]
pub(super) struct Outline {
    length: usize,
    /// How deep lists and objects are in one another.
    deepest: usize,
    /// There are at most so many values and keys.
    values: usize,
    keys: usize,
}

impl Outline {
    /// The outline of a document, if it is JSON.
    pub(super) fn of(json: &str) -> Self {
        let (mut depth, mut deepest, mut values, mut keys) = (0_usize, 0, 1, 0);
        let (mut in_string, mut is_escaped) = (false, false);
        for byte in json.bytes() {
            if in_string {
                in_string = is_escaped || byte != b'"';
                is_escaped = !is_escaped && byte == b'\\';
                continue;
            }
            match byte {
                b'"' => in_string = true,
                b'[' | b'{' => {
                    values += 1;
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                b',' => values += 1,
                b':' => keys += 1,
                _ => {}
            }
        }
        Self { length: json.len(), deepest, values, keys }
    }

    /// Whether lists and objects are nested deeper than is read.
    pub(super) fn is_too_deep(&self) -> bool {
        self.deepest > MAX_NESTING
    }

    /// Whether the document may exceed a limit. Most can't, by their length, nesting and number of
    /// values: to check them takes as long as to read them.
    pub(super) fn may_exceed_a_limit(&self) -> bool {
        let Self { length, values, keys, .. } = *self;
        // An item takes at least two bytes, with what is between it and the next one.
        length / 2 >= MAX_ITEMS
            || self.is_too_deep()
            || values * ITEM.max(LISTED) + keys * KEY + length > ALWAYS + MAX_GROWTH * length
    }
}

/// Checks a document whose contents have their kind first.
///
/// # Errors
/// It is not JSON, or exceeds a limit.
pub(super) fn check(json: &str) -> Result<(), ParseReportError> {
    check_within(json, MAX_NESTING, MAX_ITEMS, MAX_STRING, MAX_VALUES, ALWAYS)
}

fn check_within(
    json: &str,
    nesting: usize,
    items: usize,
    string: usize,
    values: usize,
    memory: usize,
) -> Result<(), ParseReportError> {
    let (left, memory, exceeded) = (Cell::new(values), Cell::new(memory), RefCell::default());
    let limits = Limits { nesting, items, string, values, left, memory, exceeded };
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let checked = Part { limits: &limits, place: None, depth: 0, role: Role::Report }
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    match limits.exceeded.take() {
        Some(message) => Err(ParseReportError::new(message)),
        None => Ok(checked?),
    }
}

struct Limits {
    nesting: usize,
    items: usize,
    string: usize,
    values: usize,
    /// How many more values there may be.
    left: Cell<usize>,
    /// How much more memory than [`MAX_GROWTH`] allows the values so far could take.
    memory: Cell<usize>,
    /// The limit that is exceeded, and where.
    exceeded: RefCell<Option<String>>,
}

/// A place in the document.
struct Place<'a> {
    within: Option<&'a Place<'a>>,
    name: Name<'a>,
}

enum Name<'a> {
    Key(&'a str),
    Index(usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The key of a hostile document can be as long as the document.
        const MAX_KEY: usize = 100;
        if let Some(within) = self.within {
            within.fmt(f)?;
        }
        match self.name {
            Name::Index(index) => write!(f, "/{index}"),
            Name::Key(key) => {
                let key: String = key.chars().take(MAX_KEY).flat_map(char::escape_debug).collect();
                write!(f, "/{}", key.replace('~', "~0").replace('/', "~1"))
            }
        }
    }
}

/// What a part of a document is, as far as it matters for what it takes in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Report,
    /// A list of sections, or of configuration groups.
    Sections,
    Section,
    Content,
    /// What is read as [`Value`].
    Value,
    /// An item of another list. A string can take many times its text.
    Listed,
    /// What has a type, and takes less than [`MAX_GROWTH`] times its text, or nothing.
    Other,
}

impl Role {
    /// What it takes, whatever its text is.
    fn scalar(self) -> usize {
        if self == Self::Value { ITEM } else { 0 }
    }

    fn key(self) -> usize {
        if self == Self::Value { KEY } else { 0 }
    }

    fn string(self) -> usize {
        if self == Self::Listed { LISTED } else { self.scalar() }
    }

    /// The role of an item of a list.
    fn of_item(self) -> Self {
        match self {
            Self::Sections => Self::Section,
            Self::Value => Self::Value,
            _ => Self::Listed,
        }
    }

    /// The role of a member of an object. Of a content, whose kind this is.
    fn of_member(self, key: &str, kind: &str) -> Self {
        match (self, key) {
            (Self::Report, "sections") => Self::Sections,
            (Self::Section, "content") => Self::Content,
            (Self::Content, "data") if kind == "fields" => Self::Value,
            (Self::Content, "data") if kind == "configuration" => Self::Sections,
            (Self::Value, _) => Self::Value,
            _ => Self::Other,
        }
    }
}

/// A value that is to be checked.
#[derive(Clone, Copy)]
struct Part<'a> {
    limits: &'a Limits,
    place: Option<&'a Place<'a>>,
    depth: usize,
    role: Role,
}

impl Part<'_> {
    /// Gives up.
    fn exceeds<E: de::Error>(self, what: &str) -> E {
        let place = self.place.map_or_else(|| "the top".to_owned(), Place::to_string);
        let message = format!("{what} at {place}");
        let error = E::custom(&message);
        self.limits.exceeded.replace(Some(message));
        error
    }

    fn text<E: de::Error>(self, text: &str) -> Result<(), E> {
        let most = self.limits.string;
        if text.len() > most {
            Err(self.exceeds(&format!("a string has more than {most} bytes")))
        } else {
            Ok(())
        }
    }

    fn nested<E: de::Error>(self) -> Result<usize, E> {
        let most = self.limits.nesting;
        if self.depth == most {
            return Err(self.exceeds(&format!("lists and objects are nested more than {most} deep")));
        }
        Ok(self.depth + 1)
    }

    /// Accounts for memory of a value that has so many bytes of text.
    fn takes<E: de::Error>(self, memory: usize, text: usize) -> Result<(), E> {
        if !matches!(self.role, Role::Value | Role::Listed) {
            return Ok(());
        }
        let left = self.limits.memory.get().saturating_add(text * MAX_GROWTH).checked_sub(memory);
        let left = left.ok_or_else(|| {
            self.exceeds(&format!(
                "what is read up to here takes more than {MAX_GROWTH} times their text in memory"
            ))
        })?;
        self.limits.memory.set(left);
        Ok(())
    }

    /// Counts an item of a list or an object, which has so many before it.
    fn item<E: de::Error>(self, before: usize) -> Result<(), E> {
        let most = self.limits.items;
        if before == most {
            return Err(self.exceeds(&format!("there are more than {most} items")));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let left = self.limits.left.get().checked_sub(1);
        let most = self.limits.values;
        let left = left.ok_or_else(|| self.exceeds(&format!("there are more than {most} values")))?;
        self.limits.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.takes(self.role.scalar(), "null,".len())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.takes(self.role.scalar(), "true,".len())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.takes(self.role.scalar(), "-,".len() + digits(value.unsigned_abs()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.takes(self.role.scalar(), digits(value) + ",".len())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.takes(self.role.scalar(), "0.0,".len())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.text(text)?;
        self.takes(self.role.string() + text.len(), text.len() + "\"\",".len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let (depth, role) = (self.nested()?, self.role.of_item());
        self.takes(self.role.scalar(), "[],".len())?;
        for index in 0.. {
            let place = Place { within: self.place, name: Name::Index(index) };
            if list.next_element_seed(Part { place: Some(&place), depth, role, ..self })?.is_none() {
                break;
            }
            self.item(index)?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let depth = self.nested()?;
        self.takes(self.role.scalar(), "{},".len())?;
        let mut kind = Cow::Borrowed("");
        for index in 0.. {
            let Some(Key(key)) = map.next_key()? else { break };
            let place = Place { within: self.place, name: Name::Key(&key) };
            let part = Part { place: Some(&place), depth, role: self.role.of_member(&key, &kind), ..self };
            part.text(&key)?;
            self.takes(self.role.key() + key.len(), key.len() + "\"\":".len())?;
            if self.role == Role::Content && key == "kind" {
                Key(kind) = map.next_value()?;
            } else {
                map.next_value_seed(part)?;
            }
            self.item(index)?;
        }
        Ok(())
    }
}

/// How many digits a number has.
fn digits(number: u64) -> usize {
    1 + number.checked_ilog10().unwrap_or_default() as usize
}

/// A key, borrowed where it has no escapes.
pub(super) struct Key<'de>(pub(super) Cow<'de, str>);

impl<'de> de::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    fn checked(json: &str) -> String {
        check_within(json, 3, 4, 5, 12, 0).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_document_within_the_limits_passes() {
        for json in ["0", r#""abcde""#, "[[[]]]", "[0,0,0,0]", r#"{"a":1,"b":{"c":[null,true,-1,0.5]}}"#] {
            assert_eq!(checked(json), "", "{json}");
        }
    }

    #[test]
    fn what_exceeds_a_limit_is_named_with_its_place() {
        for (json, error) in [
            (r#"{"a":[[{}]]}"#, "lists and objects are nested more than 3 deep at /a/0/0"),
            (r#"{"a":[0,0,0,0,0]}"#, "there are more than 4 items at /a"),
            (r#"{"a/b~":["abcdef"]}"#, "a string has more than 5 bytes at /a~1b~0/0"),
            (r#"{"abcdef":0}"#, "a string has more than 5 bytes at /abcdef"),
            ("[[0,0,0],[0,0,0],[0,0,0]]", "there are more than 12 values at /2/2"),
            (r#""abcdef""#, "a string has more than 5 bytes at the top"),
        ] {
            assert_eq!(checked(json), format!("not a report: {error}"), "{json}");
        }
    }

    #[test]
    fn only_what_is_long_or_deep_may_exceed_a_limit() {
        for (json, deepest, values, keys) in [
            ("0", 0, 1, 0),
            (r#"{"a":[{},[1,[]]],"b":[]}"#, 4, 10, 2),
            (r#"["[[[\"[[","\\",["]]]\\\"]"],[[]]]"#, 3, 8, 0),
            ("]]]][", 1, 2, 0),
        ] {
            assert_eq!(Outline::of(json), Outline { length: json.len(), deepest, values, keys }, "{json}");
        }
        let may_be_exceeded = |json: &str| Outline::of(json).may_exceed_a_limit();
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(!may_be_exceeded(&deep(MAX_NESTING)) && may_be_exceeded(&deep(MAX_NESTING + 1)));
        let long = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
        assert!(!may_be_exceeded(&long(2 * MAX_ITEMS - 1)) && may_be_exceeded(&long(2 * MAX_ITEMS)));
        let dense = |items: usize| format!("[{}]", vec!["0"; items].join(","));
        assert!(!may_be_exceeded(&dense(100_000)) && may_be_exceeded(&dense(1_000_000)));
    }

    #[test]
    fn values_that_take_many_times_their_text_are_refused() {
        let content = |kind: &str, data: &str| {
            format!(r#"{{"sections":[{{"content":{{"kind":"{kind}","data":{data}}}}}]}}"#)
        };
        let checked = |json: &str| {
            check_within(json, 9, 99, 99, 99, 100).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let numbers = "[7,7,7,7,7,7]";
        let place = |json: &str| match checked(json).split_once("times their text in memory at ") {
            Some((_, place)) => place.to_owned(),
            None => panic!("{json}: {}", checked(json)),
        };
        assert_eq!(place(&content("fields", numbers)), "/sections/0/content/data/3");
        let group = format!(r#"[{{"content":{{"kind":"fields","data":{numbers}}}}}]"#);
        assert_eq!(place(&content("configuration", &group)), "/sections/0/content/data/0/content/data/3");
        // The frames of a stack, for example, are no values.
        assert_eq!(checked(&content("threads", numbers)), "");
        let notes = |note: &str| format!(r#"{{"notes":[{}]}}"#, [note; 6].join(","));
        assert_eq!(place(&content("threads", &notes(r#""""#))), "/sections/0/content/data/notes/4");
        assert_eq!(checked(&content("threads", &notes(r#""a note""#))), "");
        assert_eq!(checked(&content("fields", "[700000,700000,700000,700000,700000,700000]")), "");
    }

    #[test]
    fn what_is_not_json_has_a_line_and_a_column() {
        let error = check("{\n  \"a\": nothing").unwrap_err();
        assert_eq!((error.line(), error.column()), (Some(2), Some(9)), "{error}");
        assert!(check("{} {}").unwrap_err().to_string().contains("trailing characters"));
    }

    #[test]
    fn deep_nesting_is_refused_before_the_stack_is_used_up() {
        let deep = |depth: usize| check(&("[".repeat(depth) + &"]".repeat(depth)));
        assert!(deep(MAX_NESTING).is_ok());
        for depth in [MAX_NESTING + 1, 1 << 20] {
            let error = deep(depth).unwrap_err().to_string();
            assert!(error.contains("nested more than 120 deep at /0/0/"), "{error}");
        }
    }
}
