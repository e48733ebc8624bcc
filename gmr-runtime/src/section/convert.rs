//! Converts what a section's function returns to [`Content`], without a wrapper type that its
//! author would have to name. Nothing here runs the function.
//!
//! The attributes generate three method calls on a [`Probe`]:
//!
//! 1. `result_kind`: is it a `Result`? ([`ResultKind`], else [`NoResultKind`])
//! 2. `option_kind`: is it an `Option`? ([`OptionKind`], else [`NoOptionKind`])
//! 3. `leaf_kind`: does it implement `Serialize`? ([`Serializable`], else [`Displayable`])
//!
//! Each method belongs to two traits, which are implemented at different depths of reference.
//! Method resolution picks the first depth that fits the concrete type. This is David Tolnay's
//! *autoref specialization*
//! (<https://github.com/dtolnay/case-studies/blob/master/autoref-specialization/README.md>).

use std::fmt::Display;
use std::marker::PhantomData;

use serde::Serialize;

use crate::model::{Content, Value};

/// Carries the type of a value, not the value, into method resolution.
#[derive(Debug)]
pub struct Probe<T>(PhantomData<T>);

impl<T> Probe<T> {
    /// The probe of this value's type.
    pub fn of(_: &T) -> Self {
        Self(PhantomData)
    }
}

/// First call: a `Result` whose error can be shown.
pub trait ResultKind {
    /// The kind of the value.
    fn result_kind(&self) -> IsResult {
        IsResult
    }
}
impl<T, E: Display> ResultKind for &Probe<Result<T, E>> {}

/// First call: any other type.
pub trait NoResultKind {
    /// The kind of the value.
    fn result_kind(&self) -> IsPlain {
        IsPlain
    }
}
impl<T> NoResultKind for Probe<T> {}

/// Second call: an `Option`.
pub trait OptionKind {
    /// The kind of the value.
    fn option_kind(&self) -> IsOption {
        IsOption
    }
}
impl<T> OptionKind for &Probe<Option<T>> {}

/// Second call: any other type.
pub trait NoOptionKind {
    /// The kind of the value.
    fn option_kind(&self) -> IsPlain {
        IsPlain
    }
}
impl<T> NoOptionKind for Probe<T> {}

/// Third call: a type that implements `Serialize`.
pub trait Serializable {
    /// The kind of the value.
    fn leaf_kind(&self) -> IsSerialize {
        IsSerialize
    }
}
impl<T: Serialize> Serializable for &Probe<T> {}

/// Third call: any other type. If it does not implement `Display` either, the compiler reports the
/// message of [`Shown`].
pub trait Displayable {
    /// The kind of the value.
    fn leaf_kind(&self) -> IsDisplay {
        IsDisplay
    }
}
impl<T> Displayable for Probe<T> {}

/// Implemented by every type that implements `Display`; carries the compiler's message for types
/// that can't be shown.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be shown in a report",
    label = "implements neither `serde::Serialize` nor `std::fmt::Display`",
    note = "derive `serde::Serialize` for the type, or implement `std::fmt::Display`",
    note = "an `Option` or a `Result` of such a type can be shown too; the error of a `Result` must implement `std::fmt::Display`"
)]
pub trait Shown {
    /// The value as text.
    fn text(&self) -> String;
}
impl<T: Display> Shown for T {
    fn text(&self) -> String {
        self.to_string()
    }
}

/// The value is a `Result` whose error can be shown.
#[derive(Debug, Clone, Copy)]
pub struct IsResult;
/// The value is an `Option`.
#[derive(Debug, Clone, Copy)]
pub struct IsOption;
/// The value is not of the kind that the call asks for.
#[derive(Debug, Clone, Copy)]
pub struct IsPlain;
/// The value is shown with `Serialize`.
#[derive(Debug, Clone, Copy)]
pub struct IsSerialize;
/// The value is shown with `Display`.
#[derive(Debug, Clone, Copy)]
pub struct IsDisplay;

impl IsResult {
    /// Unwraps the value.
    ///
    /// # Errors
    /// The content to show instead: the error, with secrets masked.
    pub fn open<T, E: Display>(self, value: Result<T, E>) -> Result<T, Content> {
        value.map_err(|error| Content::Error(gmr_mask::text(&error.to_string()).into_owned()))
    }
}

impl IsOption {
    /// Unwraps the value.
    ///
    /// # Errors
    /// The content to show instead: nothing.
    pub fn open<T>(self, value: Option<T>) -> Result<T, Content> {
        value.ok_or(Content::Nothing)
    }
}

impl IsPlain {
    /// Returns the value as it is.
    ///
    /// # Errors
    /// Never.
    pub fn open<T>(self, value: T) -> Result<T, Content> {
        Ok(value)
    }
}

impl IsSerialize {
    /// The value as content, with secrets masked.
    pub fn content<T: Serialize>(self, value: &T) -> Content {
        from_serialize(value)
    }
}

impl IsDisplay {
    /// The value as content, with secrets masked.
    pub fn content<T: Shown>(self, value: &T) -> Content {
        Content::Text(gmr_mask::text(&value.text()).into_owned())
    }
}

/// A serializable value as content: a string as text, `None` and `()` as nothing to show, any other
/// value as fields.
pub(crate) fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Content {
    match gmr_mask::to_value(value) {
        Ok(Value::Text(text)) => Content::Text(text),
        Ok(Value::Null) => Content::Nothing,
        Ok(fields) => Content::Fields(fields),
        Err(error) => Content::Error(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The calls that the attributes generate.
    macro_rules! content {
        ($value:expr) => {{
            let value = $value;
            match (&&Probe::of(&value)).result_kind().open(value) {
                Err(content) => content,
                Ok(value) => match (&&Probe::of(&value)).option_kind().open(value) {
                    Err(content) => content,
                    Ok(value) => (&&Probe::of(&value)).leaf_kind().content(&value),
                },
            }
        }};
    }

    /// Implements `Display`, but not `Serialize`.
    struct Shouted(&'static str);
    impl Display for Shouted {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&self.0.to_uppercase())
        }
    }

    #[derive(Serialize)]
    struct Cache {
        hits: u32,
        password: &'static str,
    }
    const CACHE: Cache = Cache { hits: 3, password: "hunter2" };

    fn fields() -> Content {
        Content::Fields(Value::Map(vec![
            ("hits".into(), Value::Unsigned(3)),
            ("password".into(), Value::Text("***".into())),
        ]))
    }

    #[test]
    fn every_kind_of_value_is_converted() {
        assert_eq!(content!(CACHE), fields());
        assert_eq!(content!(Some(CACHE)), fields());
        assert_eq!(content!(Ok::<_, String>(CACHE)), fields());
        assert_eq!(content!(Ok::<_, String>(Some(CACHE))), fields());
        assert_eq!(content!("as it is"), Content::Text("as it is".into()));
        assert_eq!(content!(String::from("owned")), Content::Text("owned".into()));
        assert_eq!(content!(Shouted("loud")), Content::Text("LOUD".into()));
        assert_eq!(content!(Some(Shouted("loud"))), Content::Text("LOUD".into()));
        assert_eq!(content!(Ok::<_, Shouted>(Some(Shouted("loud")))), Content::Text("LOUD".into()));
        assert_eq!(content!(Err::<Cache, _>(Shouted("broken"))), Content::Error("BROKEN".into()));
        assert_eq!(content!(None::<Cache>), Content::Nothing);
        assert_eq!(content!(()), Content::Nothing);
        assert_eq!(content!(7_u8), Content::Fields(Value::Unsigned(7)));
    }

    #[test]
    fn secrets_in_an_error_are_masked() {
        let content = content!(Err::<Cache, _>("cannot reach postgres://shop:hunter2@db/orders"));
        let Content::Error(message) = content else { panic!("not an error: {content:?}") };
        assert!(!message.contains("hunter2"), "{message}");
        assert!(message.contains("db/orders"), "{message}");
    }
}
