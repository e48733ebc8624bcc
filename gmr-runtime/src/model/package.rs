//! The Package section: what program this is.

use serde::{Deserialize, Serialize};

/// What program this is, and what could be learnt about it without the adopter's help.
///
/// A field is `None` where it could not be learnt; it is never guessed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Package {
    /// The product's name; by default the adopter's package name.
    pub product: Option<String>,
    /// Who makes the product.
    pub vendor: Option<String>,
    /// The product's version.
    pub version: Option<String>,
    /// The path of the executable. Linux appends ` (deleted)` when the file was replaced.
    pub executable: Option<String>,
    /// The GNU build-id of the executable, in hexadecimal.
    pub build_id: Option<String>,
    /// The compiler, as it wrote itself into the executable.
    pub rustc: Option<String>,
    /// Architecture, operating system and environment: `x86_64-linux-gnu`.
    pub target: Option<String>,
    /// `debug` (with debug assertions) or `release`.
    pub profile: Option<String>,
    /// When the process started.
    pub started_at: Option<String>,
    /// For how long the process has run, in milliseconds.
    pub uptime_ms: Option<u64>,
}
