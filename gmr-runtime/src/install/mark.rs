//! What the mark of this process says, by which the command `gmr` finds it.

use crate::generators::Identity;
use crate::model::SCHEMA_VERSION;
use crate::sys::mark::Mark;
use crate::sys::{self, Marking, attach};
use crate::trigger::signals_by_name::Signal;

/// Marks this process until the value is dropped. It is called once the process answers. A service
/// without a name is named after its executable.
pub(super) fn mark(signal: Option<&Signal>, identity: &Identity) -> Option<Marking> {
    let Identity { product, version, .. } = identity;
    let executable = || Some(std::env::current_exe().ok()?.file_name()?.to_str()?.to_owned());
    sys::mark(&Mark {
        signal: signal.map(|signal| signal.number),
        gmr: env!("CARGO_PKG_VERSION").to_owned(),
        schema: SCHEMA_VERSION.to_owned(),
        attach: signal.map(|_| attach::LAYOUT),
        version: version.as_deref().map(str::to_owned),
        service: product.as_deref().map(str::to_owned).or_else(executable),
    })
}
