//! A program that is signalled before its `main`.

#![allow(unsafe_code)]

mod initializer;

#[gmr::main]
fn main() {
    gmr_tests::converse(str::to_owned);
}
