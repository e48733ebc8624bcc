//! Sections and groups that panic, return errors, or nothing. It is built a second time with panics
//! that abort.

use std::collections::BTreeMap;
use std::fmt;

struct Unreachable;

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cache does not answer at redis://cache:hunter2@10.0.0.7/0")
    }
}

#[gmr::section]
fn broken() -> u64 {
    panic!("no {} left", "orders")
}

#[gmr::section]
fn cache() -> Result<u64, Unreachable> {
    Err(Unreachable)
}

#[gmr::section]
fn empty() -> Option<u64> {
    None
}

#[gmr::config]
fn broken_group() -> u64 {
    panic!("no configuration")
}

#[gmr::config("sound")]
fn sound_group() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([("host", "db1"), ("mode", "rw")])
}

#[gmr::section(order = 9)]
fn last() -> &'static str {
    "whole"
}

#[gmr::main(version = "7.1")]
fn main() {
    gmr_tests::converse(str::to_owned);
}
