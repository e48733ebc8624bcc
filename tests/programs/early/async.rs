//! The same with a runtime: gmr is installed once the runtime runs `main`.

#![allow(unsafe_code)]

#[path = "initializer.rs"]
mod initializer;

#[gmr::main]
#[tokio::main(flavor = "current_thread")]
async fn main() {
    gmr_tests::converse(str::to_owned);
}
