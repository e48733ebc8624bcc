//! Under the attribute of tokio.

use gmr_tests::async_main::{main_waits_at, task_of_main};

#[tokio::main]
#[gmr::main(version = "1")]
async fn main() -> Result<(), String> {
    let place = task_of_main().spawned_at;
    assert!(place.ends_with(":7:10"), "the line of `async fn main`: {place}");
    tokio::task::spawn_blocking(|| main_waits_at("// here")).await.expect("it does not panic"); // here
    // The error's type is known from the return type alone.
    Err("no error").or_else(|_| "1".parse::<u8>().map(|_| ()).map_err(|_| "no number"))?;
    Ok(())
}
