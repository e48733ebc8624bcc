//! What became of each module, on standard error.

use gmr_runtime::__cli::{Symbolized, printable};

use crate::output::{self, as_u64, counted};

/// Says what became of each module.
///
/// # Errors
/// Functions are missing, and no file has any.
pub(super) fn tell(modules: &[Symbolized]) -> Result<(), String> {
    for module in modules {
        output::warn(&outcome(module));
    }
    let is_resolved = modules.iter().any(|module| module.resolved > 0);
    let is_nameless = modules.iter().any(|module| module.nameless > 0);
    if is_resolved || !is_nameless {
        return Ok(());
    }
    Err("no file has the build-id of a module whose functions are missing".to_owned())
}

/// `shop: 87 of 90 addresses resolved with /build/shop`
fn outcome(module: &Symbolized) -> String {
    let Symbolized { module: path, build_id, file, addresses, resolved, missing, .. } = module;
    let path = printable(path);
    let all = counted(as_u64(*addresses), "address");
    let missing = missing.as_ref().map(|missing| format!(": {missing}")).unwrap_or_default();
    let id = build_id.as_ref().map(|id| format!(" (build-id {id})")).unwrap_or_default();
    match file {
        Some(file) => format!("{path}: {resolved} of {all} resolved with {}{missing}", file.display()),
        None => format!("{path}{id}: {all} left as they are{missing}"),
    }
}
