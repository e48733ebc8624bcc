//! The Environment section: the variables that the process was started with.

use serde::{Deserialize, Serialize};

/// The environment variables, as they were when the program was started. What the program has
/// changed since is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Environment {
    /// The variables, by name.
    pub variables: Vec<Variable>,
    /// Remarks on the section as a whole, for example that variables are missing.
    pub notes: Vec<String>,
}

/// One variable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Variable {
    /// The name.
    pub name: String,
    /// The value, secrets masked.
    pub value: String,
}
