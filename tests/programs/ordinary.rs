//! An ordinary program that uses gmr; its argument selects how it ends.

use std::process::ExitCode;

#[gmr::main(product = "ordinary", vendor = "ACME", version = concat!("1", ".2"), signal = "SIGUSR1")]
fn main() -> Result<ExitCode, String> {
    match std::env::args().nth(1).as_deref() {
        Some("fail") => Err("as asked".into()),
        Some("seven") => return Ok(ExitCode::from(7)),
        _ => {
            gmr_tests::converse(str::to_owned);
            Ok(ExitCode::SUCCESS)
        }
    }
}
