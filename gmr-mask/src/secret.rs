//! Values that the user declares to be secret: a wrapper for their own types, and a function for
//! fields of other crates' types. Neither classifies or reads the value it hides.

use std::fmt::{self, Debug};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::MASK;

/// Hides a value: formatted with `{:?}` or serialized, in a report or anywhere else, it is `***`.
///
/// It deserializes like `T`, so a configuration can use `Secret<String>` in place of `String`:
///
/// ```
/// use gmr_mask::Secret;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Serialize, Deserialize)]
/// struct Database {
///     host: String,
///     key: Secret<String>,
/// }
///
/// let database: Database = serde_json::from_str(r#"{"host": "db1", "key": "hunter2"}"#)?;
/// assert_eq!(database.key.expose(), "hunter2");
/// assert_eq!(serde_json::to_string(&database)?, r#"{"host":"db1","key":"***"}"#);
/// assert_eq!(format!("{database:?}"), r#"Database { host: "db1", key: *** }"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # What it does not do
///
/// - **It is not zeroized.** Dropping it frees the memory without overwriting it, like any
///   `String`. If you need that, use the [`secrecy`] crate, alone or inside a `Secret` (see below).
/// - **It does not survive serialization.** Every format writes `***`, so a value that is written
///   and read back has lost its secret. Use another type for values that you store.
/// - **It has no `Display`, no `==`, no ordering, no `Hash` and no `Copy`.** Formatting a secret
///   with `{}` is usually a mistake, and here a compile error. How long `==` on strings takes
///   reveals how much of them matches; compare what [`expose`](Self::expose) returns, in constant
///   time if an attacker chooses the other operand.
/// - **It does not mask errors of `T`.** An error from deserializing a `Secret<u16>` can quote the
///   value that was not a number.
///
/// # Together with `secrecy`
///
/// `secrecy::SecretString` zeroizes its memory and implements `Deserialize`, but not `Serialize`,
/// so a struct with such a field cannot derive `Serialize`. There are two solutions, and a report
/// masks both: [`masked`] keeps the field's type; a `Secret` around it needs no attribute.
///
/// ```
/// use gmr_mask::Secret;
/// use secrecy::{ExposeSecret, SecretString};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Serialize, Deserialize)]
/// struct Database {
///     #[serde(serialize_with = "gmr_mask::masked")]
///     password: SecretString,
///     token: Secret<SecretString>,
/// }
///
/// let json = r#"{"password": "hunter2", "token": "swordfish"}"#;
/// let database: Database = serde_json::from_str(json)?;
/// assert_eq!(database.password.expose_secret(), "hunter2");
/// assert_eq!(database.token.expose().expose_secret(), "swordfish");
/// assert_eq!(serde_json::to_string(&database)?, r#"{"password":"***","token":"***"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// A `SecretBox<T>` whose `T` implements `secrecy::SerializableSecret` serializes exactly like `T`.
/// A report then masks it only if the name of the field, the name of `T` or the value itself gives
/// it away, so put [`masked`] on such a field too.
///
/// [`secrecy`]: https://docs.rs/secrecy
#[derive(Clone, Default)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides a value.
    ///
    /// ```
    /// let pin = gmr_mask::Secret::new(1234);
    /// assert_eq!(format!("{pin:?}"), "***");
    /// ```
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns a reference to the value, for code that needs it.
    ///
    /// ```
    /// let pin = gmr_mask::Secret::new(1234);
    /// assert_eq!(*pin.expose(), 1234);
    /// ```
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Unwraps the value, which is no longer hidden.
    ///
    /// ```
    /// let password = gmr_mask::Secret::new(String::from("hunter2"));
    /// let password: String = password.into_inner();
    /// assert_eq!(password, "hunter2");
    /// ```
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Lets argument parsers convert: clap's derive accepts a `Secret<String>` because it is
/// `From<String>`.
///
/// ```
/// let password: gmr_mask::Secret<String> = String::from("hunter2").into();
/// assert_eq!(password.expose(), "hunter2");
/// ```
impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        masked(self, serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

/// Serializes any value as `***`: for fields of another crate's type. The type need not implement
/// `Serialize`.
///
/// ```
/// use secrecy::SecretString;
///
/// #[derive(serde::Serialize)]
/// struct Database {
///     host: &'static str,
///     #[serde(serialize_with = "gmr_mask::masked")]
///     key: SecretString,
/// }
///
/// let database = Database { host: "db1", key: SecretString::from("hunter2") };
/// assert_eq!(serde_json::to_string(&database)?, r#"{"host":"db1","key":"***"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
/// Only those of the serializer, if it refuses a string.
pub fn masked<T: ?Sized, S: Serializer>(_: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(MASK)
}

#[cfg(test)]
mod tests {
    use secrecy::{ExposeSecret, SecretBox, SecretString, SerializableSecret};

    use super::*;
    use crate::Value;
    use crate::to_value;

    /// Implements nothing.
    struct Opaque;

    #[test]
    fn the_hidden_type_needs_no_traits() {
        let secret = Secret::new(Opaque);
        assert_eq!(format!("{secret:?} {secret:#?}"), "*** ***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#""***""#);
        assert_eq!(serde_json::to_string(&Some(Secret::new(7))).unwrap(), r#""***""#);
    }

    #[test]
    fn values_go_in_and_come_out_unchanged() {
        assert_eq!(*Secret::<u8>::default().expose(), 0);
        assert_eq!(Secret::from(vec![1]).clone().into_inner(), [1]);
        assert_eq!(serde_json::from_str::<Secret<Vec<u8>>>("[1,2]").unwrap().expose(), &[1, 2]);
        assert!(serde_json::from_str::<Secret<u8>>("\"x\"").is_err());
    }

    /// What a probe of the next test finds: whether `Secret<u8>` implements a trait that `u8` has.
    macro_rules! implements {
        ($bound:path) => {{
            struct Probe<T>(std::marker::PhantomData<T>);
            #[allow(dead_code, reason = "used where the trait is missing")]
            trait Fallback {
                const FOUND: bool = false;
            }
            impl<T> Fallback for Probe<T> {}
            #[allow(dead_code, reason = "used where the trait is implemented")]
            impl<T: $bound> Probe<T> {
                const FOUND: bool = true;
            }
            (Probe::<u8>::FOUND, Probe::<Secret<u8>>::FOUND)
        }};
    }

    #[test]
    fn traits_that_would_give_a_secret_away_are_missing() {
        assert_eq!(implements!(Debug), (true, true));
        assert_eq!(implements!(fmt::Display), (true, false));
        assert_eq!(implements!(PartialEq), (true, false));
        assert_eq!(implements!(PartialOrd), (true, false));
        assert_eq!(implements!(std::hash::Hash), (true, false));
        assert_eq!(implements!(Copy), (true, false));
    }

    /// Serializes as its content does: the box leaves no trace.
    #[derive(Clone, Serialize)]
    struct Blob(String);
    impl secrecy::zeroize::Zeroize for Blob {
        fn zeroize(&mut self) {
            self.0.zeroize();
        }
    }
    impl SerializableSecret for Blob {}

    /// Field names that say nothing, so that only the types decide.
    #[derive(Serialize, Deserialize)]
    struct WithSecrecy {
        #[serde(serialize_with = "masked")]
        a: SecretString,
        b: Secret<SecretString>,
        c: Option<Secret<SecretString>>,
    }

    #[test]
    fn fields_of_secrecys_types_are_masked() {
        let json = r#"{"a": "hunter2", "b": "swordfish", "c": "xyzzy"}"#;
        let config: WithSecrecy = serde_json::from_str(json).unwrap();
        assert_eq!(config.a.expose_secret(), "hunter2");
        assert_eq!(config.b.expose().expose_secret(), "swordfish");
        let masked = |key: &str| (key.to_owned(), Value::Text(MASK.to_owned()));
        assert_eq!(to_value(&config).unwrap(), Value::Map(vec![masked("a"), masked("b"), masked("c")]));
    }

    #[test]
    fn a_serializable_secret_needs_masked() {
        #[derive(Serialize)]
        struct Config {
            open: SecretBox<Blob>,
            #[serde(serialize_with = "masked")]
            hidden: SecretBox<Blob>,
        }
        let blob = || SecretBox::new(Box::new(Blob("hunter2".to_owned())));
        let shown =
            serde_json::to_value(to_value(&Config { open: blob(), hidden: blob() }).unwrap()).unwrap();
        assert_eq!(shown, serde_json::json!({ "open": "hunter2", "hidden": "***" }));
    }
}
