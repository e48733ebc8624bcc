//! Every return type of a section.

use std::convert::Infallible;
use std::fmt::{Display, Formatter};

use serde::Serialize;

type Outcome<T> = Result<T, Broken>;

/// Serializes.
#[derive(Debug, Serialize)]
#[must_use]
pub struct Plain {
    hits: u32,
}

/// Displays.
#[derive(Debug)]
pub struct Broken;

impl Display for Broken {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken")
    }
}

/// A public section.
#[gmr::section]
pub const fn returns_serialize() -> Plain {
    Plain { hits: 1 }
}

#[gmr::section]
fn returns_impl_serialize() -> impl Serialize {
    [1_u8, 2]
}

#[gmr::section]
fn returns_impl_display() -> impl Display {
    Broken
}

#[gmr::section]
const fn returns_str() -> &'static str {
    "text"
}

#[gmr::section]
fn returns_string() -> String {
    String::from("text")
}

#[gmr::section]
fn returns_option() -> Option<Plain> {
    Some(returns_serialize())
}

#[gmr::section]
const fn returns_alias() -> Outcome<Option<Plain>> {
    Err(Broken)
}

#[gmr::section]
fn returns_dyn_error() -> Result<String, Box<dyn std::error::Error>> {
    Err("broken".into())
}

#[gmr::section]
const fn returns_infallible() -> Result<u8, Infallible> {
    Ok(7)
}

#[gmr::section]
const fn returns_nothing() {}

#[gmr::section]
fn returns_never() -> ! {
    panic!("never")
}

#[gmr::section]
fn returns_qualified() -> std::collections::BTreeMap<u8, Vec<(u8, &'static str)>> {
    [(1, vec![(2, "three")])].into()
}
