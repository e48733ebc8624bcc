//! From what a section's function returns to [`Content`], without a wrapper type that its author would have to name.
//!
//! The attributes generate three calls: [`Probe::result_kind`](ResultKind), [`Probe::option_kind`](OptionKind),
//! [`Probe::leaf_kind`](Serializable). Each is a method of several traits that are implemented at different depths of
//! reference; method resolution takes the first depth that fits the concrete type, so `Result` and `Option` are taken apart first, then `Serialize` wins
//! over `Display`. This is David Tolnay's *autoref specialization*
//! (<https://github.com/dtolnay/case-studies/blob/master/autoref-specialization/README.md>).

use std::fmt::Display;
use std::marker::PhantomData;

use serde::Serialize;

use crate::mask;
use crate::model::{Content, Value};

/// Carries the type of a value into method resolution, and nothing of the value.
#[derive(Debug)]
pub struct Probe<T>(PhantomData<T>);

impl<T> Probe<T> {
    /// The probe for this value's type.
    pub fn of(_: &T) -> Self {
        Self(PhantomData)
    }
}

/// First question, first answer: a `Result` whose error can be shown.
pub trait ResultKind {
    /// The answer.
    fn result_kind(&self) -> IsResult {
        IsResult
    }
}
impl<T, E: Display> ResultKind for &Probe<Result<T, E>> {}

/// First question, other answer: anything else.
pub trait NoResultKind {
    /// The answer.
    fn result_kind(&self) -> IsPlain {
        IsPlain
    }
}
impl<T> NoResultKind for Probe<T> {}

/// Second question, first answer: an `Option`.
pub trait OptionKind {
    /// The answer.
    fn option_kind(&self) -> IsOption {
        IsOption
    }
}
impl<T> OptionKind for &Probe<Option<T>> {}

/// Second question, other answer: anything else.
pub trait NoOptionKind {
    /// The answer.
    fn option_kind(&self) -> IsPlain {
        IsPlain
    }
}
impl<T> NoOptionKind for Probe<T> {}

/// Third question, first answer: it serializes.
pub trait Serializable {
    /// The answer.
    fn leaf_kind(&self) -> IsSerialize {
        IsSerialize
    }
}
impl<T: Serialize> Serializable for &Probe<T> {}

/// Third question, other answer: it has to display, or the compiler says what is missing.
pub trait Displayable {
    /// The answer.
    fn leaf_kind(&self) -> IsDisplay {
        IsDisplay
    }
}
impl<T> Displayable for Probe<T> {}

/// What a section can show when it is neither `Serialize`, nor an `Option` or `Result` of what can be shown.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be shown in a report",
    label = "neither `serde::Serialize` nor `std::fmt::Display`",
    note = "derive `serde::Serialize` for it, or implement `std::fmt::Display`; an `Option` of such a type will do as well, and a `Result` whose error implements `std::fmt::Display`"
)]
pub trait Shown {
    /// As text.
    fn text(&self) -> String;
}
impl<T: Display> Shown for T {
    fn text(&self) -> String {
        self.to_string()
    }
}

/// A `Result` whose error can be shown.
#[derive(Debug, Clone, Copy)]
pub struct IsResult;
/// An `Option`.
#[derive(Debug, Clone, Copy)]
pub struct IsOption;
/// Neither.
#[derive(Debug, Clone, Copy)]
pub struct IsPlain;
/// To be shown through `Serialize`.
#[derive(Debug, Clone, Copy)]
pub struct IsSerialize;
/// To be shown through `Display`.
#[derive(Debug, Clone, Copy)]
pub struct IsDisplay;

impl IsResult {
    /// The value, or the error as the section's content.
    ///
    /// # Errors
    /// The content to show in place of the value.
    pub fn open<T, E: Display>(self, value: Result<T, E>) -> Result<T, Content> {
        value.map_err(|error| Content::Error(mask::text(&error.to_string()).into_owned()))
    }
}

impl IsOption {
    /// The value, or the absence of one as the section's content.
    ///
    /// # Errors
    /// The content to show in place of the value.
    pub fn open<T>(self, value: Option<T>) -> Result<T, Content> {
        value.ok_or(Content::Nothing)
    }
}

impl IsPlain {
    /// The value itself.
    ///
    /// # Errors
    /// None.
    pub fn open<T>(self, value: T) -> Result<T, Content> {
        Ok(value)
    }
}

impl IsSerialize {
    /// The value as content, secrets masked.
    pub fn content<T: Serialize>(self, value: &T) -> Content {
        from_serialize(value)
    }
}

impl IsDisplay {
    /// The value as content, secrets masked.
    pub fn content<T: Shown>(self, value: &T) -> Content {
        Content::Text(mask::text(&value.text()).into_owned())
    }
}

/// Whatever serializes, as content: text where it is a string, nothing where it is nothing, else its fields.
pub(crate) fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Content {
    match mask::to_value(value) {
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

    /// Displays and does not serialize.
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
    fn every_shape_finds_its_way() {
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
    fn an_error_is_masked_like_any_other_text() {
        let content = content!(Err::<Cache, _>("cannot reach postgres://shop:hunter2@db/orders"));
        let Content::Error(message) = content else { panic!("not an error: {content:?}") };
        assert!(!message.contains("hunter2"), "{message}");
        assert!(message.contains("db/orders"), "{message}");
    }
}
