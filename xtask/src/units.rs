//! The unit tests of gmr-runtime for musl. What is not run is listed here, with the reason.

use crate::targets::Target;

const SAME_EVERYWHERE: &str = "the same on every target";

/// Tests that the C library makes no difference to, by a part of their paths.
const ON_HOST_ONLY: [(&str, &str); 6] = [
    ("damaged_", SAME_EVERYWHERE),
    ("findings::", SAME_EVERYWHERE),
    ("mask::", SAME_EVERYWHERE),
    ("model::", SAME_EVERYWHERE),
    ("symbols::linux::tests::", SAME_EVERYWHERE),
    ("views::", SAME_EVERYWHERE),
];

/// The tests that a static program fails.
const NOT_WITH_MUSL: [(&str, &str); 2] = [
    ("sys::linux::variables::", "other memory may follow the program's variables without a gap"),
    ("task::", "one that completes in a poll for a report waits without end; why is not known yet"),
];

pub(crate) fn test() -> Result<(), String> {
    let mut arguments = vec!["test", "--package", "gmr-runtime", "--lib", "--", "--quiet"];
    println!("\nnot run for {}:", Target::Musl.triple());
    for (test, reason) in ON_HOST_ONLY.iter().chain(&NOT_WITH_MUSL) {
        println!("  {test} ({reason})");
        arguments.extend(["--skip", test]);
    }
    Target::Musl.cargo(&arguments, &[])
}
