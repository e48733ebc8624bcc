//! The error of the masking serializer. It masks its own message, because a type's error often
//! quotes the value that caused it.

use std::fmt::{self, Display};

use serde::ser;

use super::values;

/// Why a value could not be serialized: its `Serialize` implementation returned an error. Secrets
/// in the message are masked.
#[derive(Debug)]
pub struct MaskError(String);

impl MaskError {
    /// Ends the serialization of a value that is too large. The message is never shown: the value
    /// carries a note instead.
    pub(super) fn too_large() -> Self {
        Self("the value is too large to be shown".into())
    }
}

impl Display for MaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for MaskError {}

impl ser::Error for MaskError {
    fn custom<T: Display>(message: T) -> Self {
        Self(values::text(&message.to_string()).into_owned())
    }
}
