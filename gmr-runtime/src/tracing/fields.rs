//! Fields of spans and events as bytes: numbers as they are, everything else as the text that its
//! `Debug` or `Display` writes, truncated to the space that is left. The program's threads write
//! them, and reports read them. Nothing here masks a value.
//!
//! The encoding of a field: its index, its kind, the length of its value in two bytes, and the
//! value.

use std::fmt::{self, Debug, Write as _};
use std::ops::Range;

use serde::ser::{Serialize, SerializeMap, Serializer};
use tracing_core::Field;
use tracing_core::field::{FieldSet, Visit};

use crate::sys::sort;

/// Bytes before each value.
const HEAD: usize = 4;

const UNSIGNED: u8 = 0;
const SIGNED: u8 = 1;
const FLOAT: u8 = 2;
const BOOL: u8 = 3;
const TEXT: u8 = 4;
/// Text whose end had no room.
const CUT_TEXT: u8 = 5;

/// In place of a field's index: the fields after it had no room.
const MORE: u8 = u8::MAX;

/// Bytes that the fields of most spans and events fit in. To initialise more takes a tenth of the
/// time that recording an event takes.
const FEW: usize = 128;

/// Writes fields as bytes, at most `N`.
#[derive(Debug)]
pub(super) struct Encoder<const N: usize> {
    few: [u8; FEW],
    /// In place of these, once they are too few.
    many: Option<[u8; N]>,
    length: usize,
    is_full: bool,
}

impl<const N: usize> Encoder<N> {
    #[inline]
    pub(super) fn new() -> Self {
        Self { few: [0; FEW], many: None, length: 0, is_full: false }
    }

    /// The fields that were recorded.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        let bytes = self.many.as_ref().map_or(&self.few[..], |many| many);
        &bytes[..self.length]
    }

    /// These bytes. There are `N`.
    #[inline]
    fn at(&mut self, range: Range<usize>) -> &mut [u8] {
        let bytes = match &mut self.many {
            None if range.end <= FEW => &mut self.few[..],
            many => &mut many.get_or_insert_with(|| more(&self.few))[..],
        };
        &mut bytes[range]
    }

    /// Adds the earlier fields that these do not replace.
    pub(super) fn keep(&mut self, earlier: &[u8]) {
        for entry in entries(earlier) {
            let is_replaced = |field: &Entry<'_>| field.index == entry.index;
            if !entries(self.bytes()).any(|field| is_replaced(&field)) {
                self.add(entry.index, entry.kind, entry.value);
            }
        }
    }

    #[inline]
    fn add(&mut self, index: u8, kind: u8, value: &[u8]) {
        let end = self.length + HEAD + value.len();
        if end > N - HEAD || self.is_full {
            self.add_more();
            return;
        }
        self.head(index, kind, value.len());
        self.at(self.length + HEAD..end).copy_from_slice(value);
        self.length = end;
    }

    /// Writes what precedes a value.
    #[inline]
    fn head(&mut self, index: u8, kind: u8, length: usize) {
        let [low, high] = u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
        self.at(self.length..self.length + HEAD).copy_from_slice(&[index, kind, low, high]);
    }

    /// Notes that there are more fields. There is always room for that.
    fn add_more(&mut self) {
        if !self.is_full {
            self.is_full = true;
            self.head(MORE, BOOL, 0);
            self.length += HEAD;
        }
    }

    #[inline]
    fn number(&mut self, field: &Field, kind: u8, value: [u8; 8]) {
        self.add(index(field), kind, &value);
    }

    #[inline]
    fn text(&mut self, field: &Field, write: impl FnOnce(&mut Text<'_, N>)) {
        /// Less than this says nothing.
        const LEAST: usize = 8;
        let start = self.length + HEAD;
        if start + LEAST > N - HEAD || self.is_full {
            self.add_more();
            return;
        }
        let mut text = Text { encoder: self, end: start, is_cut: false };
        write(&mut text);
        let Text { end, is_cut, .. } = text;
        self.head(index(field), if is_cut { CUT_TEXT } else { TEXT }, end - start);
        self.length = end;
    }
}

/// The few bytes, and room for more.
#[cold]
fn more<const N: usize>(few: &[u8; FEW]) -> [u8; N] {
    let mut bytes = [0; N];
    let (first, _) = bytes.split_at_mut(FEW.min(N));
    first.copy_from_slice(&few[..first.len()]);
    bytes
}

#[inline]
fn index(field: &Field) -> u8 {
    // A callsite has at most 32 fields.
    u8::try_from(field.index()).unwrap_or(MORE)
}

impl<const N: usize> Visit for Encoder<N> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, FLOAT, value.to_le_bytes());
    }

    #[inline]
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, SIGNED, value.to_le_bytes());
    }

    #[inline]
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, UNSIGNED, value.to_le_bytes());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(index(field), BOOL, &[value.into()]);
    }

    #[inline]
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, |text| text.push(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        /// A chain that is longer may have no end.
        const MOST_SOURCES: usize = 8;
        self.text(field, |text| {
            let errors = std::iter::successors(Some(value), |error| error.source());
            for (index, error) in errors.take(MOST_SOURCES).enumerate() {
                let _ = write!(text, "{}{error}", if index > 0 { ": " } else { "" });
            }
        });
    }

    #[inline]
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // A field whose formatting fails is shown as far as it came.
        self.text(field, |text| {
            let _ = write!(text, "{value:?}");
        });
    }
}

/// Text that ends where there is no more room. Writing never fails: some implementations of `Debug`
/// panic if it does.
struct Text<'a, const N: usize> {
    encoder: &'a mut Encoder<N>,
    /// Where the next part is written.
    end: usize,
    is_cut: bool,
}

impl<const N: usize> Text<'_, N> {
    #[inline]
    fn push(&mut self, part: &str) {
        if self.is_cut {
            return;
        }
        let room = N - HEAD - self.end;
        self.is_cut = part.len() > room;
        let fitting = if self.is_cut { floor_char_boundary(part, room) } else { part.len() };
        let end = self.end + fitting;
        self.encoder.at(self.end..end).copy_from_slice(&part.as_bytes()[..fitting]);
        self.end = end;
    }
}

impl<const N: usize> fmt::Write for Text<'_, N> {
    #[inline]
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.push(part);
        Ok(())
    }
}

/// The last boundary of a character at or before `index`.
fn floor_char_boundary(text: &str, index: usize) -> usize {
    (0..=index).rev().find(|&index| text.is_char_boundary(index)).unwrap_or(0)
}

/// One encoded field.
struct Entry<'a> {
    index: u8,
    kind: u8,
    value: &'a [u8],
}

/// The fields that are whole.
fn entries(mut bytes: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    std::iter::from_fn(move || {
        let ([index, kind, low, high], rest) = bytes.split_first_chunk::<HEAD>()?;
        let (value, rest) = rest.split_at_checked(u16::from_le_bytes([*low, *high]).into())?;
        bytes = rest;
        Some(Entry { index: *index, kind: *kind, value })
    })
}

/// Fields as they were recorded, not masked.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Fields {
    pub(crate) fields: Vec<(&'static str, FieldValue)>,
    /// Whether there were more, which had no room.
    pub(crate) more: bool,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FieldValue {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text {
        text: String,
        /// Whether its end had no room.
        is_cut: bool,
    },
}

impl Fields {
    /// Decodes the fields of a callsite. `length` is the number of bytes that there were: fewer are
    /// left if they had no room.
    pub(super) fn decode(bytes: &[u8], length: usize, names: &FieldSet) -> Self {
        let mut decoded = Self { fields: Vec::new(), more: bytes.len() < length };
        for Entry { index, kind, value } in entries(bytes) {
            let name = names.iter().nth(index.into()).map(|field| field.name());
            match (name, FieldValue::decode(kind, value)) {
                (Some(name), Some(value)) => decoded.fields.push((name, value)),
                _ => decoded.more = true,
            }
        }
        // Earlier fields are kept behind those that were recorded later.
        let place = |name: &str| names.iter().position(|field| field.name() == name);
        sort::by_key(&mut decoded.fields, |(name, _)| place(name));
        decoded
    }

    /// The text of a field that is complete.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.fields.iter().find_map(|(other, value)| match value {
            FieldValue::Text { text, is_cut: false } if *other == name => Some(text.as_str()),
            _ => None,
        })
    }

    /// Removes a field, and returns its text.
    pub(crate) fn take_text(&mut self, name: &str) -> Option<String> {
        let index = self.fields.iter().position(|(other, _)| *other == name)?;
        match self.fields.remove(index).1 {
            FieldValue::Text { text, is_cut } => Some(shown(&text, is_cut)),
            _ => None,
        }
    }

    /// Removes a field, and returns its number.
    pub(crate) fn take_number(&mut self, name: &str) -> Option<u64> {
        let index = self.fields.iter().position(|(other, _)| *other == name)?;
        match self.fields.remove(index).1 {
            FieldValue::Unsigned(value) => Some(value),
            _ => None,
        }
    }
}

impl FieldValue {
    fn decode(kind: u8, value: &[u8]) -> Option<Self> {
        let number = || value.try_into().ok();
        Some(match kind {
            UNSIGNED => Self::Unsigned(u64::from_le_bytes(number()?)),
            SIGNED => Self::Signed(i64::from_le_bytes(number()?)),
            FLOAT => Self::Float(f64::from_le_bytes(number()?)),
            BOOL => Self::Bool(*value.first()? != 0),
            TEXT | CUT_TEXT => {
                let text = String::from_utf8_lossy(value).into_owned();
                Self::Text { text, is_cut: kind == CUT_TEXT }
            }
            _ => return None,
        })
    }
}

/// The text. One that was cut ends between two words: half a secret would not be recognized.
fn shown(text: &str, is_cut: bool) -> String {
    if !is_cut {
        return text.to_owned();
    }
    let end = text.rfind(char::is_whitespace).unwrap_or(0);
    format!("{} … (cut)", &text[..end]).trim_start().to_owned()
}

/// A map from names to values.
impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        if self.more {
            map.serialize_entry("…", "(further fields were cut)")?;
        }
        map.end()
    }
}

impl Serialize for FieldValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Signed(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Text { text, is_cut } => serializer.serialize_str(&shown(text, *is_cut)),
        }
    }
}
