//! `cargo xtask miri`: the tests of unsafe code under the interpreter that finds undefined
//! behaviour. It needs a nightly toolchain, so `cargo xtask test` does not run it.

use std::env;

use crate::cargo::cargo;

/// The modules with unsafe code whose tests Miri can run. The other tests check what the kernel
/// does, and Miri has no kernel.
const MODULES: [&str; 6] = [
    "task::",
    "capture::linux::arch::",
    "capture::linux::handler::",
    "sys::attach::",
    "sys::linux::mapping::",
    "capture::linux::unwind::",
];

pub(crate) fn run() -> Result<(), String> {
    cargo(&["miri", "--version"], &[]).map_err(|failure| {
        format!(
            "{failure}\nMiri comes with nightly toolchains: install one with `rustup toolchain install \
             nightly --component miri,rust-src`, then run `cargo +nightly xtask miri`"
        )
    })?;
    // Tasks read the kernel's clock, which Miri shows to tests that are not isolated.
    let set = env::var("MIRIFLAGS").unwrap_or_default();
    let flags = format!("-Zmiri-disable-isolation {set}");
    let tests = ["miri", "test", "--package", "gmr-runtime", "--lib", "--"];
    cargo(&[&tests[..], &MODULES].concat(), &[("MIRIFLAGS", &flags)])
}
