//! The serializer that builds a [`Value`] and masks on the way: it knows the key under which, and the type
//! within which, each value stands, and hands text on to be judged by itself. Enums are externally tagged, as
//! is serde's way. It decides what is shown; how much of it is kept is `tree`'s business.

use std::fmt::{self, Display, Write};

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::error::MaskError;
use super::keys::{self, Verdict};
use super::tree::{Container, Tree, bytes_note, rendition};
use super::{MASK, boundary};
use crate::model::Value;

/// Any value that serializes, its secrets masked. One that is too large or nested too deep is cut, with a
/// note where.
pub(crate) fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, MaskError> {
    let mut tree = Tree::new();
    let result = part(&mut tree, value, Verdict::Plain);
    if !tree.is_cut() {
        result?;
    }
    Ok(tree.finish())
}

/// Serializes a part. What it left open, having failed, is closed.
fn part<T: Serialize + ?Sized>(tree: &mut Tree, part: &T, verdict: Verdict) -> Result<(), MaskError> {
    let Some(level) = tree.descend() else { return tree.put_depth_note() };
    let result = part.serialize(Gate::new(tree, verdict));
    tree.ascend(level);
    result
}

/// The key of a map as text.
fn key_text<T: Serialize + ?Sized>(tree: &Tree, key: &T) -> Result<String, MaskError> {
    let mut tree = tree.for_key();
    let result = part(&mut tree, key, Verdict::Plain);
    if !tree.is_cut() {
        result?;
    }
    Ok(rendition(tree.finish()))
}

/// Where one value passes, judged by what is known of its place.
#[derive(Debug)]
pub(super) struct Gate<'a> {
    tree: &'a mut Tree,
    verdict: Verdict,
}

impl<'a> Gate<'a> {
    pub(super) fn new(tree: &'a mut Tree, verdict: Verdict) -> Self {
        Self { tree, verdict }
    }

    fn number(self, value: Value) -> Result<(), MaskError> {
        if self.shows_numbers() { self.tree.put(value) } else { self.mask() }
    }

    fn byte(self, value: Value) -> Result<(), MaskError> {
        if self.shows_numbers() { self.tree.put_byte(value) } else { self.mask() }
    }

    fn shows_numbers(&self) -> bool {
        matches!(self.verdict, Verdict::Plain | Verdict::Measure)
    }

    fn mask(self) -> Result<(), MaskError> {
        self.tree.put(Value::Text(MASK.into()))
    }

    /// Opens a container of a type of this name. A secret one is masked as a whole; so is a key that is a
    /// map, which no text can show as it is.
    fn open(mut self, name: &str, container: Container) -> Result<Parts<'a>, MaskError> {
        self.verdict = of_type(self.verdict, name);
        let unfit = self.tree.is_key() && matches!(container, Container::Map { .. });
        let hidden = self.verdict == Verdict::Secret || unfit;
        if hidden {
            self.tree.put(Value::Text(MASK.into()))?;
        } else {
            self.tree.open(container)?;
        }
        let levels = usize::from(!hidden);
        Ok(Parts { tree: self.tree, verdict: self.verdict, key_verdict: Verdict::Plain, hidden, levels })
    }

    /// Opens the map with the one entry that is a variant with its content.
    fn variant(self, name: &str, variant: &str) -> Result<Parts<'a>, MaskError> {
        let mut parts = self.open(name, Container::map())?;
        if !parts.hidden {
            parts.tree.key(variant.to_owned())?;
            parts.verdict = of_type(parts.verdict.within(keys::judge(variant)), variant);
        }
        Ok(parts)
    }

    /// The same, its content being a container of its own.
    fn variant_of(self, name: &str, variant: &str, container: Container) -> Result<Parts<'a>, MaskError> {
        let outer = self.variant(name, variant)?;
        if outer.hidden {
            return Ok(outer);
        }
        let levels = outer.levels;
        let inner = Gate::new(outer.tree, outer.verdict).open(variant, container)?;
        Ok(Parts { levels: inner.levels + levels, ..inner })
    }
}

fn of_type(verdict: Verdict, name: &str) -> Verdict {
    if keys::is_secret_type(name) { Verdict::Secret } else { verdict }
}

impl<'a> Serializer for Gate<'a> {
    type Ok = ();
    type Error = MaskError;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    /// Shown under any key: one bit is no secret, and whether something is switched on is worth knowing.
    fn serialize_bool(self, value: bool) -> Result<(), MaskError> {
        self.tree.put(Value::Bool(value))
    }

    fn serialize_i8(self, value: i8) -> Result<(), MaskError> {
        self.byte(i128::from(value).into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), MaskError> {
        self.number(i128::from(value).into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), MaskError> {
        self.number(i128::from(value).into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), MaskError> {
        self.number(i128::from(value).into())
    }

    fn serialize_i128(self, value: i128) -> Result<(), MaskError> {
        self.number(value.into())
    }

    fn serialize_u8(self, value: u8) -> Result<(), MaskError> {
        self.byte(u128::from(value).into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), MaskError> {
        self.number(u128::from(value).into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), MaskError> {
        self.number(u128::from(value).into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), MaskError> {
        self.number(u128::from(value).into())
    }

    fn serialize_u128(self, value: u128) -> Result<(), MaskError> {
        self.number(value.into())
    }

    /// By way of its shortest decimal form, so that 0.1 stays 0.1 when it becomes wider.
    fn serialize_f32(self, value: f32) -> Result<(), MaskError> {
        let wide: f64 = value.to_string().parse().unwrap_or_else(|_| value.into());
        self.number(wide.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), MaskError> {
        self.number(value.into())
    }

    fn serialize_char(self, value: char) -> Result<(), MaskError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), MaskError> {
        self.tree.put_text(value, self.verdict)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), MaskError> {
        if self.verdict == Verdict::Secret {
            self.mask()
        } else {
            self.tree.put(Value::Text(bytes_note(value.len())))
        }
    }

    /// Shown under any key: that something is not set is worth knowing.
    fn serialize_none(self) -> Result<(), MaskError> {
        self.tree.put(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), MaskError> {
        part(self.tree, value, self.verdict)
    }

    fn serialize_unit(self) -> Result<(), MaskError> {
        self.tree.put(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), MaskError> {
        self.tree.put(Value::Null)
    }

    /// Shown under any key: its name stands in the source.
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), MaskError> {
        self.tree.put_text(variant, Verdict::Plain)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), MaskError> {
        part(self.tree, value, of_type(self.verdict, name))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), MaskError> {
        let parts = self.variant(name, variant)?;
        if !parts.hidden {
            part(parts.tree, value, parts.verdict)?;
        }
        parts.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, MaskError> {
        self.open("", Container::list(false))
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, MaskError> {
        self.open("", Container::list(true))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Parts<'a>, MaskError> {
        self.open(name, Container::list(true))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, MaskError> {
        self.variant_of(name, variant, Container::list(true))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, MaskError> {
        self.open("", Container::map())
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Parts<'a>, MaskError> {
        self.open(name, Container::map())
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, MaskError> {
        self.variant_of(name, variant, Container::map())
    }

    /// Writes no more than can be kept, so that a `Display` without an end has one.
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), MaskError> {
        let mut text = Bounded { text: String::new(), room: self.tree.text_left() };
        let written = write!(text, "{value}");
        if written.is_err() && text.text.len() <= text.room {
            return Err(ser::Error::custom("its Display returned an error"));
        }
        self.serialize_str(&text.text)
    }
}

/// A text that takes as much as there is room for, and a little more, by which it can be told that there was
/// more.
struct Bounded {
    text: String,
    room: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        /// The longest character in UTF-8.
        const MORE: usize = 4;
        let room = self.room + MORE - self.text.len().min(self.room + MORE);
        self.text.push_str(&part[..boundary::floor(part, room)]);
        if self.text.len() > self.room { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The parts of a container.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    tree: &'a mut Tree,
    verdict: Verdict,
    /// The verdict on the key that comes before the next value.
    key_verdict: Verdict,
    /// Whether the container has been masked as a whole and its parts are passed.
    hidden: bool,
    /// How many containers are to be closed.
    levels: usize,
}

impl Parts<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), MaskError> {
        if self.hidden { self.tree.pass() } else { part(self.tree, item, self.verdict) }
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), MaskError> {
        if self.hidden {
            return self.tree.pass();
        }
        self.tree.key(name.to_owned())?;
        part(self.tree, value, self.verdict.within(keys::judge(name)))
    }

    #[expect(clippy::unnecessary_wraps, reason = "what all the traits' `end` return")]
    fn close(self) -> Result<(), MaskError> {
        self.tree.close(self.levels);
        Ok(())
    }
}

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = MaskError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), MaskError> {
        if self.hidden {
            return self.tree.pass();
        }
        let name = key_text(self.tree, key)?;
        self.key_verdict = self.verdict.within(keys::judge(&name));
        self.tree.key(name)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), MaskError> {
        if self.hidden { self.tree.pass() } else { part(self.tree, value, self.key_verdict) }
    }

    fn end(self) -> Result<(), MaskError> {
        self.close()
    }
}

/// The traits of what has items without names.
macro_rules! items {
    ($($trait:ident :: $item:ident),*) => {$(
        impl $trait for Parts<'_> {
            type Ok = ();
            type Error = MaskError;

            fn $item<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), MaskError> {
                self.item(item)
            }

            fn end(self) -> Result<(), MaskError> {
                self.close()
            }
        }
    )*};
}
items!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

/// The traits of what has fields.
macro_rules! fields {
    ($($trait:ident),*) => {$(
        impl $trait for Parts<'_> {
            type Ok = ();
            type Error = MaskError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), MaskError> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), MaskError> {
                self.close()
            }
        }
    )*};
}
fields!(SerializeStruct, SerializeStructVariant);

#[cfg(test)]
mod tests;
