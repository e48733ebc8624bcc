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
    /// The revision of the source code that the program was built from, as the program states it.
    /// Added in version 1.3.
    pub revision: Option<String>,
    /// The command line, secrets masked. Empty if it could not be read. Added in version 1.3.
    #[serde(default)]
    pub command: Vec<String>,
    /// The working directory, secrets masked. Added in version 1.3.
    pub working_directory: Option<String>,
    /// The name of the host. In a container, that of the container. Added in version 1.3.
    pub host: Option<String>,
    /// The id of the container, if the kernel or the container's mounts show it. Added in version
    /// 1.3.
    pub container_id: Option<String>,
    /// What is known of the Kubernetes pod that the process runs in. Added in version 1.3.
    #[serde(default)]
    pub kubernetes: Vec<Stated>,
    /// The release of the kernel: `6.1.0-18-amd64`. Added in version 1.3.
    pub kernel: Option<String>,
    /// The C library, and its version if that is known: `glibc 2.36`, `musl`. Added in version 1.3.
    pub libc: Option<String>,
    /// The version of gmr. Added in version 1.3.
    pub gmr_version: Option<String>,
    /// The features that gmr was built with. Added in version 1.3.
    #[serde(default)]
    pub gmr_features: Vec<String>,
}

/// A fact, and who states it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Stated {
    /// What it is: `pod`, `namespace`, `node`, `container`.
    pub name: String,
    /// The value, secrets masked.
    pub value: String,
    /// Where it comes from: the name of an environment variable, or the path of a file.
    pub source: String,
}
