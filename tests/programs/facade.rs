//! A program with gmr-tokio in place of tokio: `facade above|below|alone`, by where `#[gmr::main]`
//! is.

use gmr_test_facade::program::{above, alone, below};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("above") => above::main(),
        Some("below") => below::main(),
        Some("alone") => alone::main(),
        other => panic!("unknown form of main: {other:?}"),
    }
}
