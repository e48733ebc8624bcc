//! What the adopter declares to be a secret, so that nothing has to be judged: a wrapper for values of their
//! own, and a function for fields whose type is somebody else's. Neither ever looks at what it hides.

use std::fmt::{self, Debug, Display};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::MASK;

/// A value that nobody gets to see: printed, debugged or serialized, in a report or anywhere else, it is
/// `***`.
///
/// It is read like what it wraps, so that a configuration can hold one in the place of a `String`:
///
/// ```
/// use gmr_runtime::Secret;
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
/// Since it serializes as `***`, whatever is written out and read back has lost it. That is meant: what may
/// be stored with its secrets needs another type.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides a value.
    ///
    /// ```
    /// let pin = gmr_runtime::Secret::new(1234);
    /// assert_eq!(pin.to_string(), "***");
    /// ```
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one place that needs it.
    ///
    /// ```
    /// let pin = gmr_runtime::Secret::from(1234);
    /// assert_eq!(*pin.expose(), 1234);
    /// ```
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself, no longer hidden.
    ///
    /// ```
    /// let password = gmr_runtime::Secret::from("hunter2");
    /// assert_eq!(password.into_inner(), "hunter2");
    /// ```
    pub fn into_inner(self) -> T {
        self.0
    }
}

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

impl<T> Display for Secret<T> {
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

/// Serializes anything as `***`: for fields whose type is somebody else's, such as `secrecy::SecretString`,
/// which need not be `Serialize` at all.
///
/// ```
/// /// Somebody else's type.
/// struct SecretString(String);
///
/// #[derive(serde::Serialize)]
/// struct Database {
///     host: &'static str,
///     #[serde(serialize_with = "gmr_runtime::masked")]
///     key: SecretString,
/// }
///
/// let database = Database { host: "db1", key: SecretString("hunter2".into()) };
/// assert_eq!(serde_json::to_string(&database)?, r#"{"host":"db1","key":"***"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
/// Only those of the serializer, when it refuses text.
pub fn masked<T: ?Sized, S: Serializer>(_: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Implements nothing.
    struct Opaque;

    #[test]
    fn nothing_is_asked_of_what_is_hidden() {
        let secret = Secret::new(Opaque);
        assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "*** *** ***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#""***""#);
        assert_eq!(serde_json::to_string(&Some(Secret::new(7))).unwrap(), r#""***""#);
    }

    #[test]
    fn it_is_otherwise_what_it_wraps() {
        assert_eq!(Secret::<u8>::default(), Secret::from(0));
        assert_eq!(Secret::from(vec![1]).clone().into_inner(), [1]);
        assert_eq!(serde_json::from_str::<Secret<Vec<u8>>>("[1,2]").unwrap().expose(), &[1, 2]);
        assert!(serde_json::from_str::<Secret<u8>>("\"x\"").is_err());
    }
}
