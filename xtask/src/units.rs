//! The unit tests of gmr-runtime for musl. What is not run is listed here, with the reason.

use crate::cargo::with_cfg;
use crate::targets::Target;

const SAME_EVERYWHERE: &str = "the same on every target";

/// Tests that the C library makes no difference to, by a part of their paths. Those that need crates
/// of their own are not compiled either: `gmr_units` leaves them out.
const ON_HOST_ONLY: [(&str, &str); 7] = [
    ("damaged_", SAME_EVERYWHERE),
    ("findings::", SAME_EVERYWHERE),
    ("mask::", SAME_EVERYWHERE),
    ("model::", SAME_EVERYWHERE),
    ("symbols::linux::dwarf::", SAME_EVERYWHERE),
    ("symbols::linux::tests::", SAME_EVERYWHERE),
    ("views::", SAME_EVERYWHERE),
];

pub(crate) fn test() -> Result<(), String> {
    let mut arguments = vec!["test", "--package", "gmr-runtime", "--lib", "--", "--quiet"];
    println!("\nnot run for {}:", Target::Musl.triple());
    for (test, reason) in ON_HOST_ONLY {
        println!("  {test} ({reason})");
        arguments.extend(["--skip", test]);
    }
    let (name, wrapper) = with_cfg("gmr_units")?;
    Target::Musl.cargo(&arguments, &[(name, &wrapper)])
}
