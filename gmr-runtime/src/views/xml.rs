//! The XML view: the same document as in JSON, element by element.
//!
//! - A field is an element of the same name. A field that is `null` in JSON is absent.
//! - The items of a list are elements named `item`.
//! - Where any value can occur, as in a section's content, an element has a `type`: `null`,
//!   `boolean`, `integer`, `float`, `text`, `list` or `map`. A map has elements named `entry`, each
//!   with a `key` and a `value`.
//! - Text that XML cannot represent, or that a parser would change (control characters, carriage
//!   returns), is written as a JSON string, in an element with `encoding="json"`.

use std::fmt::Display;
use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use serde::ser::{self, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use super::escape::pieces;
use crate::model::{NEWTYPE, Report};

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = Writer::new_with_indent(out, b' ', 1);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    report.serialize(Element { writer: &mut writer, name: "report", typed: false })?;
    writer.into_inner().write_all(b"\n")
}

type Out<'o> = Writer<&'o mut dyn Write>;

/// An element that is about to be written.
struct Element<'w, 'o> {
    writer: &'w mut Out<'o>,
    name: &'static str,
    /// Whether any value can occur here, so that the element needs a `type`.
    typed: bool,
}

impl<'w, 'o> Element<'w, 'o> {
    fn start(&self, kind: &'static str, encoding: Option<&'static str>) -> BytesStart<'static> {
        let mut start = BytesStart::new(self.name);
        if self.typed {
            start.push_attribute(("type", kind));
        }
        if let Some(encoding) = encoding {
            start.push_attribute(("encoding", encoding));
        }
        start
    }

    fn empty(self, kind: &'static str) -> Result<(), WriteError> {
        let start = self.start(kind, None);
        Ok(self.writer.write_event(Event::Empty(start))?)
    }

    fn text(self, kind: &'static str, text: &str) -> Result<(), WriteError> {
        if text.chars().all(survives_parsing) {
            return self.plain(kind, None, text);
        }
        let mut json = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut json, XmlSafe);
        text.serialize(&mut serializer).map_err(io::Error::from)?;
        self.plain(kind, Some("json"), &String::from_utf8_lossy(&json))
    }

    fn plain(self, kind: &'static str, encoding: Option<&'static str>, text: &str) -> Result<(), WriteError> {
        let start = self.start(kind, encoding);
        self.writer.write_event(Event::Start(start))?;
        // Without any, the end tag would be on a line of its own.
        self.writer.write_event(Event::Text(BytesText::new("")))?;
        for piece in pieces(text) {
            self.writer.write_event(Event::Text(BytesText::new(piece)))?;
        }
        Ok(self.writer.write_event(Event::End(BytesEnd::new(self.name)))?)
    }

    fn open(self, kind: &'static str) -> Result<OpenElement<'w, 'o>, WriteError> {
        let start = self.start(kind, None);
        self.writer.write_event(Event::Start(start))?;
        Ok(OpenElement { writer: self.writer, name: self.name, typed: self.typed })
    }
}

/// Whether an XML 1.0 parser returns the character unchanged.
fn survives_parsing(c: char) -> bool {
    matches!(c, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Writes JSON strings, and also escapes the characters that XML cannot represent.
struct XmlSafe;

impl serde_json::ser::Formatter for XmlSafe {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for c in fragment.chars() {
            if survives_parsing(c) {
                writer.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?;
            } else {
                // All of them are in the Basic Multilingual Plane: one escape is enough.
                write!(writer, "\\u{:04x}", u32::from(c))?;
            }
        }
        Ok(())
    }
}

/// An element with child elements, between its start and end tag.
struct OpenElement<'w, 'o> {
    writer: &'w mut Out<'o>,
    name: &'static str,
    typed: bool,
}

impl<'o> OpenElement<'_, 'o> {
    fn child(&mut self, name: &'static str) -> Element<'_, 'o> {
        Element { writer: &mut *self.writer, name, typed: self.typed }
    }

    fn close(self) -> Result<(), WriteError> {
        Ok(self.writer.write_event(Event::End(BytesEnd::new(self.name)))?)
    }
}

/// An I/O error, in the form that serde requires.
#[derive(Debug)]
struct WriteError(io::Error);

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

impl From<WriteError> for io::Error {
    fn from(WriteError(error): WriteError) -> Self {
        error
    }
}

impl Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for WriteError {}

impl ser::Error for WriteError {
    fn custom<T: Display>(message: T) -> Self {
        Self(io::Error::other(message.to_string()))
    }
}

/// The model has no values of this kind.
fn unsupported<T>(what: &str) -> Result<T, WriteError> {
    Err(ser::Error::custom(format_args!("{what} in a report")))
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<(), WriteError> {
            self.plain("integer", None, &value.to_string())
        })*
    };
}

impl<'w, 'o> Serializer for Element<'w, 'o> {
    type Ok = ();
    type Error = WriteError;
    type SerializeSeq = OpenElement<'w, 'o>;
    type SerializeTuple = Impossible<(), WriteError>;
    type SerializeTupleStruct = Impossible<(), WriteError>;
    type SerializeTupleVariant = Impossible<(), WriteError>;
    type SerializeMap = OpenElement<'w, 'o>;
    type SerializeStruct = OpenElement<'w, 'o>;
    type SerializeStructVariant = Impossible<(), WriteError>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    }

    fn serialize_bool(self, value: bool) -> Result<(), WriteError> {
        self.plain("boolean", None, if value { "true" } else { "false" })
    }

    fn serialize_f32(self, value: f32) -> Result<(), WriteError> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), WriteError> {
        // The shortest form that reads back as the same number.
        self.plain("float", None, &format!("{value:?}"))
    }

    fn serialize_char(self, value: char) -> Result<(), WriteError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), WriteError> {
        self.text("text", value)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), WriteError> {
        unsupported("bytes")
    }

    fn serialize_none(self) -> Result<(), WriteError> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), WriteError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), WriteError> {
        self.empty("null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), WriteError> {
        self.empty("null")
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), WriteError> {
        self.text("text", variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        let typed = self.typed || name == NEWTYPE;
        value.serialize(Element { typed, ..self })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), WriteError> {
        unsupported("a variant that is not named in a field")
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<OpenElement<'w, 'o>, WriteError> {
        self.open("list")
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, WriteError> {
        unsupported("a tuple")
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, WriteError> {
        unsupported("a tuple")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, WriteError> {
        unsupported("a tuple")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<OpenElement<'w, 'o>, WriteError> {
        self.open("map")
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<OpenElement<'w, 'o>, WriteError> {
        self.open("map")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, WriteError> {
        unsupported("a variant that is not named in a field")
    }
}

impl SerializeSeq for OpenElement<'_, '_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        value.serialize(self.child("item"))
    }

    fn end(self) -> Result<(), WriteError> {
        self.close()
    }
}

impl SerializeStruct for OpenElement<'_, '_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        value.serialize(self.child(key))
    }

    fn end(self) -> Result<(), WriteError> {
        self.close()
    }
}

impl SerializeMap for OpenElement<'_, '_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), WriteError> {
        self.writer.write_event(Event::Start(BytesStart::new("entry")))?;
        // Keys are always text.
        key.serialize(Element { typed: false, ..self.child("key") })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        value.serialize(self.child("value"))?;
        Ok(self.writer.write_event(Event::End(BytesEnd::new("entry")))?)
    }

    fn end(self) -> Result<(), WriteError> {
        self.close()
    }
}
