//! The XML view: the same document as in JSON, element by element.
//!
//! - A field is an element of its name; one that is not known is absent, as `null` is in JSON.
//! - The items of a list are elements named `item`.
//! - Where anything may stand, as in what a section shows, an element says of which `type` it is: `null`, `boolean`, `integer`, `float`, `text`, `list`, `map`. A map has elements named `entry`, each with
//!   a `key` and a `value`.
//! - Text that XML cannot hold, or a parser would change (control characters, carriage returns), is written as a JSON string, and its element says so: `encoding="json"`.

use std::fmt::Display;
use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use serde::ser::{self, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

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
    /// Whether anything may stand here, so that it has to say what it is.
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

    fn empty(self, kind: &'static str) -> Result<(), Failed> {
        let start = self.start(kind, None);
        Ok(self.writer.write_event(Event::Empty(start))?)
    }

    fn text(self, kind: &'static str, text: &str) -> Result<(), Failed> {
        if text.chars().all(is_kept) {
            return self.plain(kind, None, text);
        }
        let mut json = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut json, InXml);
        text.serialize(&mut serializer).map_err(io::Error::from)?;
        self.plain(kind, Some("json"), &String::from_utf8_lossy(&json))
    }

    fn plain(self, kind: &'static str, encoding: Option<&'static str>, text: &str) -> Result<(), Failed> {
        let start = self.start(kind, encoding);
        self.writer.write_event(Event::Start(start))?;
        self.writer.write_event(Event::Text(BytesText::new(text)))?;
        Ok(self.writer.write_event(Event::End(BytesEnd::new(self.name)))?)
    }

    fn open(self, kind: &'static str) -> Result<Open<'w, 'o>, Failed> {
        let start = self.start(kind, None);
        self.writer.write_event(Event::Start(start))?;
        Ok(Open { writer: self.writer, name: self.name, typed: self.typed })
    }
}

/// Whether it comes out of a parser of XML 1.0 as it went in.
fn is_kept(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// JSON strings leave some characters as they are that XML cannot hold.
struct InXml;

impl serde_json::ser::Formatter for InXml {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for letter in fragment.chars() {
            if is_kept(letter) {
                writer.write_all(letter.encode_utf8(&mut [0; 4]).as_bytes())?;
            } else {
                // None of them lies beyond the first plane.
                write!(writer, "\\u{:04x}", u32::from(letter))?;
            }
        }
        Ok(())
    }
}

/// An element that has others in it.
struct Open<'w, 'o> {
    writer: &'w mut Out<'o>,
    name: &'static str,
    typed: bool,
}

impl<'o> Open<'_, 'o> {
    fn child(&mut self, name: &'static str) -> Element<'_, 'o> {
        Element { writer: &mut *self.writer, name, typed: self.typed }
    }

    fn close(self) -> Result<(), Failed> {
        Ok(self.writer.write_event(Event::End(BytesEnd::new(self.name)))?)
    }
}

/// Why it could not be written.
#[derive(Debug)]
struct Failed(io::Error);

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

impl From<Failed> for io::Error {
    fn from(Failed(error): Failed) -> Self {
        error
    }
}

impl Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failed {}

impl ser::Error for Failed {
    fn custom<T: Display>(message: T) -> Self {
        Self(io::Error::other(message.to_string()))
    }
}

/// The model has no such thing.
fn not_in_the_model<T>(what: &str) -> Result<T, Failed> {
    Err(ser::Error::custom(format_args!("{what} in a report")))
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<(), Failed> {
            self.plain("integer", None, &value.to_string())
        })*
    };
}

impl<'w, 'o> Serializer for Element<'w, 'o> {
    type Ok = ();
    type Error = Failed;
    type SerializeSeq = Open<'w, 'o>;
    type SerializeTuple = Impossible<(), Failed>;
    type SerializeTupleStruct = Impossible<(), Failed>;
    type SerializeTupleVariant = Impossible<(), Failed>;
    type SerializeMap = Open<'w, 'o>;
    type SerializeStruct = Open<'w, 'o>;
    type SerializeStructVariant = Impossible<(), Failed>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    }

    fn serialize_bool(self, value: bool) -> Result<(), Failed> {
        self.plain("boolean", None, if value { "true" } else { "false" })
    }

    fn serialize_f32(self, value: f32) -> Result<(), Failed> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Failed> {
        // The shortest form that reads back as the same number.
        self.plain("float", None, &format!("{value:?}"))
    }

    fn serialize_char(self, value: char) -> Result<(), Failed> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Failed> {
        self.text("text", value)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Failed> {
        not_in_the_model("bytes")
    }

    fn serialize_none(self) -> Result<(), Failed> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Failed> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Failed> {
        self.empty("null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Failed> {
        self.empty("null")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Failed> {
        self.text("text", variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Failed> {
        let typed = self.typed || name == NEWTYPE;
        value.serialize(Element { typed, ..self })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Failed> {
        not_in_the_model("a variant that is not named in a field")
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Open<'w, 'o>, Failed> {
        self.open("list")
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Failed> {
        not_in_the_model("a tuple")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Failed> {
        not_in_the_model("a tuple")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Failed> {
        not_in_the_model("a tuple")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Open<'w, 'o>, Failed> {
        self.open("map")
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Open<'w, 'o>, Failed> {
        self.open("map")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Failed> {
        not_in_the_model("a variant that is not named in a field")
    }
}

impl SerializeSeq for Open<'_, '_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
        value.serialize(self.child("item"))
    }

    fn end(self) -> Result<(), Failed> {
        self.close()
    }
}

impl SerializeStruct for Open<'_, '_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Failed> {
        value.serialize(self.child(key))
    }

    fn end(self) -> Result<(), Failed> {
        self.close()
    }
}

impl SerializeMap for Open<'_, '_> {
    type Ok = ();
    type Error = Failed;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Failed> {
        self.writer.write_event(Event::Start(BytesStart::new("entry")))?;
        // Of a key there is but one type.
        key.serialize(Element { typed: false, ..self.child("key") })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
        value.serialize(self.child("value"))?;
        Ok(self.writer.write_event(Event::End(BytesEnd::new("entry")))?)
    }

    fn end(self) -> Result<(), Failed> {
        self.close()
    }
}
