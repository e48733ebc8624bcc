//! A plugin that is linked with gmr statically. The program that loads it then has two copies of
//! gmr, which share no variables.

#![allow(unsafe_code)]

mod failures;
// Before the other section: that one names those that were expanded before it.
mod unreferenced;

/// Nothing calls it. Loading the library must not change what signals do.
#[gmr::main]
pub fn main() {}

#[gmr::section]
fn referenced() -> &'static str {
    "its object file has the functions that are called"
}

/// Installs the plugin's gmr. Returns whether that was possible.
#[unsafe(no_mangle)]
pub extern "C" fn gmr_test_plugin_install() -> bool {
    let builder = gmr::Builder::new().product("plugin").section("Of the plugin", || "plugin ".repeat(10_000));
    builder.install().map(gmr::Guard::keep).is_ok()
}

/// Captures a report, and returns how many parts of it are missing.
#[unsafe(no_mangle)]
pub extern "C" fn gmr_test_plugin_capture() -> usize {
    failures::of(&gmr::Report::capture())
}
