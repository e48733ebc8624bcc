//! The serializer that builds a [`Value`] and masks secrets on the way. It classifies the key and
//! the type of each value, and masks text by its content. Enums are externally tagged, as in serde.
//! It decides what is shown; `tree` decides how much of it is kept.

use std::fmt::{self, Display, Write};

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::error::MaskError;
use super::keys::{self, Sensitivity};
use super::tree::{Container, Tree, bytes_note, key_to_text};
use super::{MASK, boundary};
use crate::Value;

/// Converts anything that serializes, with its secrets masked. A value that is too large or nested
/// too deep is cut off, with a note at the cut.
///
/// # Errors
/// If the value's own `Serialize` returns an error. Secrets in its message are masked.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, MaskError> {
    let mut tree = Tree::new();
    let result = nested(&mut tree, value, Sensitivity::Plain);
    if !tree.is_cut() {
        result?;
    }
    Ok(tree.finish())
}

/// The same without masking, to be compared with what is masked.
pub(super) fn to_raw_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, MaskError> {
    let mut tree = Tree::new().into_raw();
    let result = nested(&mut tree, value, Sensitivity::Plain);
    if !tree.is_cut() {
        result?;
    }
    Ok(tree.finish())
}

/// A text, masked as the field of this name would be.
pub fn field(name: &str, value: &str) -> String {
    struct Field<'a>(&'a str, &'a str);
    impl Serialize for Field<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([(self.0, self.1)])
        }
    }
    match to_value(&Field(name, value)).as_ref().map(|fields| fields.get(name)) {
        Ok(Some(Value::Text(text))) => text.clone(),
        _ => MASK.to_owned(),
    }
}

/// Serializes a nested value. Containers that it left open, because it failed, are closed.
fn nested<T: Serialize + ?Sized>(
    tree: &mut Tree,
    value: &T,
    sensitivity: Sensitivity,
) -> Result<(), MaskError> {
    let Some(level) = tree.enter() else { return tree.put_depth_note() };
    let sensitivity = if tree.is_raw() { Sensitivity::Plain } else { sensitivity };
    let result = value.serialize(MaskingSerializer::new(tree, sensitivity));
    tree.leave(level);
    result
}

/// Serializes the key of a map to text.
fn key_text<T: Serialize + ?Sized>(mut tree: Tree, key: &T) -> Result<String, MaskError> {
    let result = nested(&mut tree, key, Sensitivity::Plain);
    if !tree.is_cut() {
        result?;
    }
    Ok(key_to_text(tree.finish()))
}

/// Serializes one value, given the sensitivity of its place.
#[derive(Debug)]
struct MaskingSerializer<'a> {
    tree: &'a mut Tree,
    sensitivity: Sensitivity,
}

impl<'a> MaskingSerializer<'a> {
    fn new(tree: &'a mut Tree, sensitivity: Sensitivity) -> Self {
        Self { tree, sensitivity }
    }

    fn number(self, value: Value) -> Result<(), MaskError> {
        if self.shows_numbers() { self.tree.put(value) } else { self.mask() }
    }

    fn byte(self, value: Value) -> Result<(), MaskError> {
        if self.shows_numbers() { self.tree.put_byte(value) } else { self.mask() }
    }

    fn shows_numbers(&self) -> bool {
        self.sensitivity.allows_numbers()
    }

    fn mask(self) -> Result<(), MaskError> {
        self.tree.put(Value::Text(MASK.into()))
    }

    /// Opens a container of the named type. A secret one is masked as a whole; so is a map used as
    /// a key, which has no form as text.
    fn open(mut self, name: &str, container: Container) -> Result<Compound<'a>, MaskError> {
        self.sensitivity =
            if self.tree.is_raw() { Sensitivity::Plain } else { of_type(self.sensitivity, name) };
        let is_map_as_key = self.tree.is_key() && matches!(container, Container::Map { .. });
        let is_map = matches!(container, Container::Map { .. });
        let hidden = self.sensitivity == Sensitivity::Secret
            || is_map_as_key
            || (self.sensitivity.is_group() && !is_map);
        if hidden {
            self.tree.put(Value::Text(MASK.into()))?;
        } else {
            let container = if self.sensitivity.is_group() { container.into_group() } else { container };
            self.tree.open(container)?;
        }
        let levels = usize::from(!hidden);
        Ok(Compound {
            tree: self.tree,
            sensitivity: self.sensitivity,
            key_sensitivity: Sensitivity::Plain,
            hidden,
            levels,
        })
    }

    /// Opens the map that represents a variant: its name is the only key, its content the value.
    fn variant(self, name: &str, variant: &str) -> Result<Compound<'a>, MaskError> {
        let mut compound = self.open(name, Container::map())?;
        if !compound.hidden {
            compound.tree.key(variant.to_owned())?;
            compound.sensitivity = of_type(compound.sensitivity.of_part(variant), variant);
        }
        Ok(compound)
    }

    /// Opens a variant whose content is a container.
    fn compound_variant(
        self,
        name: &str,
        variant: &str,
        container: Container,
    ) -> Result<Compound<'a>, MaskError> {
        let outer = self.variant(name, variant)?;
        if outer.hidden {
            return Ok(outer);
        }
        let levels = outer.levels;
        // `Basic("joe", "password")`
        let is_login = matches!(container, Container::List { .. })
            && ["basic", "login"].iter().any(|name| variant.eq_ignore_ascii_case(name));
        let sensitivity = if is_login { Sensitivity::Secret } else { outer.sensitivity };
        let inner = MaskingSerializer::new(outer.tree, sensitivity).open(variant, container)?;
        Ok(Compound { levels: inner.levels + levels, ..inner })
    }
}

fn of_type(sensitivity: Sensitivity, name: &str) -> Sensitivity {
    if keys::is_secret_type(name) { Sensitivity::Secret } else { sensitivity }
}

impl<'a> Serializer for MaskingSerializer<'a> {
    type Ok = ();
    type Error = MaskError;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

    /// Shown under any key: one bit is no secret, and whether something is enabled helps.
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

    /// Widens by way of the shortest decimal form, so that 0.1 stays 0.1.
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
        self.tree.put_text(value, self.sensitivity)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), MaskError> {
        if matches!(self.sensitivity, Sensitivity::Secret) || self.sensitivity.is_group() {
            self.mask()
        } else {
            self.tree.put(Value::Text(bytes_note(value.len())))
        }
    }

    /// Shown under any key: that something is not set helps.
    fn serialize_none(self) -> Result<(), MaskError> {
        self.tree.put(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), MaskError> {
        nested(self.tree, value, self.sensitivity)
    }

    fn serialize_unit(self) -> Result<(), MaskError> {
        self.tree.put(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), MaskError> {
        self.tree.put(Value::Null)
    }

    /// Shown under any key: a variant's name is part of the source code.
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), MaskError> {
        self.tree.put_text(variant, Sensitivity::Plain)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), MaskError> {
        nested(self.tree, value, of_type(self.sensitivity, name))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), MaskError> {
        let compound = self.variant(name, variant)?;
        if !compound.hidden {
            nested(compound.tree, value, compound.sensitivity)?;
        }
        compound.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'a>, MaskError> {
        self.open("", Container::list(false))
    }

    fn serialize_tuple(self, _: usize) -> Result<Compound<'a>, MaskError> {
        self.open("", Container::list(true))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Compound<'a>, MaskError> {
        self.open(name, Container::list(true))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, MaskError> {
        self.compound_variant(name, variant, Container::list(true))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'a>, MaskError> {
        self.open("", Container::map())
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Compound<'a>, MaskError> {
        self.open(name, Container::map())
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, MaskError> {
        self.compound_variant(name, variant, Container::map())
    }

    /// Writes no more than can be kept, so that an endless `Display` ends.
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), MaskError> {
        let mut text = BoundedText { text: String::new(), limit: self.tree.text_left() };
        let written = write!(text, "{value}");
        if written.is_err() && text.text.len() <= text.limit {
            return Err(ser::Error::custom("its `Display` returned an error"));
        }
        self.serialize_str(&text.text)
    }
}

/// Text up to a limit, and one character more: exceeding the limit shows that the text was longer.
struct BoundedText {
    text: String,
    limit: usize,
}

impl Write for BoundedText {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        /// The most bytes that one character takes in UTF-8.
        const LONGEST_CHAR: usize = 4;
        let space = (self.limit + LONGEST_CHAR).saturating_sub(self.text.len());
        self.text.push_str(&part[..boundary::floor(part, space)]);
        if self.text.len() > self.limit { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Serializes the parts of a list, a map, a struct or a variant with content.
#[derive(Debug)]
struct Compound<'a> {
    tree: &'a mut Tree,
    sensitivity: Sensitivity,
    /// The sensitivity of the next value, by its key.
    key_sensitivity: Sensitivity,
    /// Whether the container is masked as a whole and its parts are skipped.
    hidden: bool,
    /// How many containers to close.
    levels: usize,
}

impl Compound<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), MaskError> {
        if self.hidden { self.tree.skip() } else { nested(self.tree, item, self.sensitivity) }
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), MaskError> {
        if self.hidden {
            return self.tree.skip();
        }
        self.tree.key(name.to_owned())?;
        nested(self.tree, value, self.sensitivity.of_part(name))
    }

    #[expect(clippy::unnecessary_wraps, reason = "the return type of `end` in all traits")]
    fn close(self) -> Result<(), MaskError> {
        self.tree.close(self.levels);
        Ok(())
    }
}

impl SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = MaskError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), MaskError> {
        if self.hidden {
            return self.tree.skip();
        }
        let name = key_text(self.tree.for_key(), key)?;
        self.key_sensitivity = if name.contains(MASK) {
            // What is masked of a key can say what its value is.
            self.sensitivity.of_part(&key_text(self.tree.for_key().into_raw(), key)?)
        } else {
            self.sensitivity.of_part(&name)
        };
        self.tree.key(name)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), MaskError> {
        if self.hidden { self.tree.skip() } else { nested(self.tree, value, self.key_sensitivity) }
    }

    fn end(self) -> Result<(), MaskError> {
        self.close()
    }
}

/// Implements the traits whose parts have no names.
macro_rules! items {
    ($($trait:ident :: $item:ident),*) => {$(
        impl $trait for Compound<'_> {
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

/// Implements the traits whose parts are fields.
macro_rules! fields {
    ($($trait:ident),*) => {$(
        impl $trait for Compound<'_> {
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
