//! Platforms on which instructions are not followed: it is not known which locks threads hold.

use super::{Held, LockUse, PurposeOf, Trace, Wanted};
use crate::sys::Modules;
use crate::threads::ThreadInfo;

/// Always none.
pub(crate) fn held_locks(
    _threads: &[ThreadInfo],
    _traces: &[Trace],
    _uses: &[Option<LockUse>],
    _locks: &[Wanted],
    _modules: &Modules,
    _purpose_of: &mut PurposeOf<'_>,
) -> Vec<Held> {
    Vec::new()
}
