//! The Package section: which program this is.

use serde::{Deserialize, Serialize};

/// The program, and how it was built.
///
/// A field that could not be determined is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Package {
    /// The product's name. By default, the name of the program's package.
    pub product: Option<String>,
    /// The product's vendor.
    pub vendor: Option<String>,
    /// The product's version.
    pub version: Option<String>,
    /// The path of the executable. Linux appends ` (deleted)` if the file has been replaced or
    /// removed since the process started.
    pub executable: Option<String>,
    /// The GNU build-id of the executable, in hexadecimal.
    pub build_id: Option<String>,
    /// The version of the compiler that the executable records, as in `1.91.0 (abc 2025-10-28)`.
    pub rustc: Option<String>,
    /// Architecture, operating system and environment: `x86_64-linux-gnu`.
    pub target: Option<String>,
    /// `debug` if debug assertions are enabled, else `release`.
    pub profile: Option<String>,
    /// When the process started: RFC 3339, UTC.
    pub started_at: Option<String>,
    /// Time since the process started, in milliseconds.
    pub uptime_ms: Option<u64>,
    /// What keeps reports from being complete, or from being made: for example that the program has
    /// taken the report signal away from gmr.
    #[serde(default)]
    pub notes: Vec<String>,
}
