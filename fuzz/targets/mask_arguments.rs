//! Masking of any command line, one argument a line, and of the same line as text: it neither
//! panics nor takes long, and a planted secret does not survive it.

#![no_main]

use gmr_mask::{arguments, text};
use libfuzzer_sys::fuzz_target;

/// Unlikely to be in the input.
const SECRET: &str = "pl4nted-s3cr3t-7f2c";

fuzz_target!(|line: &str| {
    let mut given: Vec<String> = line.lines().map(str::to_owned).collect();
    assert_eq!(arguments(&given).len(), given.len());
    let _ = text(&line.replace('\n', " "));
    if !line.contains("pl4nted") {
        // `run` keeps a flag before it from taking the planted argument as its value.
        given.extend(["run".to_owned(), format!("--password={SECRET}")]);
        // Not joined: two of the input's lines can be the secret's halves.
        assert!(!arguments(&given).iter().any(|shown| shown.contains(SECRET)), "{given:?}");
    }
});
