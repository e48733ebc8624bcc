//! A program as strict as the library in this package, and without a prelude. It links the library
//! for its sections.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unused_qualifications, rust_2018_idioms)]
#![deny(clippy::all, clippy::pedantic)]
#![no_implicit_prelude]

mod hidden {
    pub(crate) use ::gmr as meditation;
}

#[hidden::meditation::main(
    crate = hidden::meditation,
    link(gmr_test_strict, r#serde),
    product = ::core::concat!("stri", "ct"),
    vendor = ::std::string::String::new(),
)]
fn main() {
    #![allow(dead_code)]
    use ::std::vec::Vec;
    const NUMBERS: Vec<u8> = Vec::new();
    ::core::assert!(NUMBERS.is_empty());
}
