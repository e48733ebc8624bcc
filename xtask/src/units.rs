//! The unit tests of gmr-runtime on other targets: for musl on this machine's kernel, and for
//! aarch64 in qemu's user mode. qemu passes system calls on and lacks a few things that a kernel
//! has. What is not run is listed here, with the reason. `cargo xtask test-aarch64` runs what qemu's
//! user mode cannot.

use crate::targets::Target;

const SAME_EVERYWHERE: &str = "the same on every target";

/// Tests that neither the processor nor the C library makes a difference to, by a part of their
/// paths. Some take minutes in qemu.
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

const NO_COPIES: &str = "qemu has no process_vm_readv";
const OTHER_THREADS: &str = "in /proc, threads are where qemu is, not where the program is";
const OTHER_MAP: &str = "the address map that qemu shows has no files that are executable";

/// The tests that qemu's user mode does not run.
const NOT_IN_QEMU: [(&str, &str); 11] = [
    ("capture::linux::arena::", OTHER_MAP),
    ("capture::linux::at_rest::", NO_COPIES),
    ("capture::linux::by_signal::", NO_COPIES),
    ("capture::linux::handler::", NO_COPIES),
    ("capture::linux::kept::", OTHER_THREADS),
    ("capture::linux::session::", NO_COPIES),
    ("symbols::", OTHER_MAP),
    ("sys::linux::mapping::", OTHER_MAP),
    ("sys::linux::memory::", NO_COPIES),
    ("sys::linux::modules::", OTHER_MAP),
    ("threads::", OTHER_THREADS),
];

pub(crate) fn test(target: Target) -> Result<(), String> {
    let of_target = match target {
        Target::Musl => &NOT_WITH_MUSL[..],
        Target::Aarch64 => &NOT_IN_QEMU,
    };
    let mut arguments = vec!["test", "--package", "gmr-runtime", "--lib", "--", "--quiet"];
    println!("\nnot run for {}:", target.triple());
    for (test, reason) in ON_HOST_ONLY.iter().chain(of_target) {
        println!("  {test} ({reason})");
        arguments.extend(["--skip", test]);
    }
    target.cargo(&arguments, &[])
}
