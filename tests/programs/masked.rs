//! A program that says of a name that its values are secret, and of another one that they are not.
//! The answer to any line is whether it has the rights of another user than the one that started
//! it.

use std::collections::BTreeMap;

#[gmr::main(mask(keys("internal_code"), show("session_color")))]
fn main() {
    let is_privileged = rustix::process::getuid() != rustix::process::geteuid();
    gmr_tests::converse(|_| is_privileged.to_string());
}

#[gmr::config]
fn shop() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("internal_code", "plum"),
        ("session_color", "plum"),
        ("shelf_mark", "plum"),
        ("till_pin", "plum"),
        ("town", "plum"),
    ])
}

#[gmr::section]
fn last_order() -> &'static str {
    "shelf_mark=plum till_pin=plum town=plum"
}
