//! A crate that only contributes a section and a configuration group.
//!
//! No program calls anything in it, so it is linked only by
//! `#[gmr::main(link(my_sections))]`.

use serde::Serialize;

#[derive(Serialize)]
struct Pool {
    open: u32,
    idle: u32,
}

#[gmr::section(title = "Linked Section")]
fn pool() -> Pool {
    Pool { open: 5, idle: 3 }
}

#[derive(Serialize)]
struct Limits {
    connections: u32,
    password: &'static str,
}

#[gmr::config("linked")]
fn limits() -> Limits {
    Limits { connections: 16, password: "correct horse" }
}
