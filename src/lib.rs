//! Guru Meditation Reports: a running process, asked by a signal, prints a complete report about itself and carries on.
// The facade: documentation, re-exports by name, and `__private`, the one hidden door that generated code may use. No logic.

pub use gmr_macros::{config, main, section};
pub use gmr_runtime::model;
pub use gmr_runtime::{Builder, Error, ErrorKind, Guard, Report, Secret, masked};

#[doc(hidden)]
pub mod __private {
    //! What the attributes' output names. Not part of the public interface: it changes without notice.
    pub use gmr_runtime::__private::*;
}
