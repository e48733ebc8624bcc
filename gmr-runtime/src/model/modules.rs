//! The Modules section: the executable and the libraries in memory.

use serde::{Deserialize, Serialize};

/// The images whose code is mapped to be run, in the order of their addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Modules {
    /// The modules.
    pub modules: Vec<Module>,
    /// What could not be read.
    pub notes: Vec<String>,
}

/// The executable, a library, or the vDSO, which the kernel maps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Module {
    /// The path as the kernel shows it. Linux appends ` (deleted)` if the file was removed or
    /// replaced since it was loaded.
    pub path: String,
    /// The GNU build-id, in hexadecimal.
    pub build_id: Option<String>,
    /// Where the image begins in memory.
    pub start: u64,
    /// The first address after the image.
    pub end: u64,
    /// What to add to an address in the file to get the address in memory.
    pub bias: u64,
    /// Whether the image is still the file of its path.
    pub state: ModuleState,
}

/// What has become of the file of a module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModuleState {
    /// The file is where it was when it was loaded.
    #[default]
    InPlace,
    /// The file was removed.
    Deleted,
    /// Another file has its path now: a new version was installed while the process runs.
    Replaced,
}
