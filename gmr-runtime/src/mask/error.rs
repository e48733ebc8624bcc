//! The error of a serialization.

use std::fmt::{self, Display};

use serde::ser;

use super::values;

/// Why a value could not be serialized: its own `Serialize` said so. Secrets in what it said are masked.
#[derive(Debug)]
pub(crate) struct MaskError(String);

impl MaskError {
    /// Ends a serialization; nobody gets to read it.
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
