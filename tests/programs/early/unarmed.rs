//! The same without the attribute: gmr does nothing before it is installed.

#![allow(unsafe_code)]

#[path = "initializer.rs"]
mod initializer;

fn main() -> Result<(), gmr::Error> {
    gmr::Builder::new().install()?.keep();
    gmr_tests::converse(str::to_owned);
    Ok(())
}
