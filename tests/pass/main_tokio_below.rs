//! Above the attribute of tokio.
#![allow(clippy::large_futures, clippy::large_stack_arrays)]

use gmr_tests::async_main::{main_waits_at, task_of_main};

#[gmr::main(version = "1")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), String> {
    let place = task_of_main().spawned_at;
    assert!(place.ends_with(":8:10"), "the line of `async fn main`: {place}");
    // A debug build has four copies of it on the stack without gmr; eight do not fit.
    let large = [1_u8; 1 << 20];
    tokio::task::spawn_blocking(|| main_waits_at("// here")).await.expect("it does not panic"); // here
    assert_eq!(large.last(), Some(&1));
    // The error's type is known from the return type alone.
    Err("no error").or_else(|_| "1".parse::<u8>().map(|_| ()).map_err(|_| "no number"))?;
    Ok(())
}
