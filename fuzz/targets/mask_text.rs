//! Masking of any text: it neither panics nor takes long, and a planted secret does not survive it.

#![no_main]

use gmr_runtime::__fuzz::mask_text;
use libfuzzer_sys::fuzz_target;

/// Unlikely to be in the input, and masked wherever a key precedes it.
const SECRET: &str = "pl4nted-s3cr3t-7f2c";

fuzz_target!(|text: &str| {
    let _ = mask_text(text);
    // On a separate line, so that nothing before it belongs to it.
    if !text.contains("pl4nted") {
        let masked = mask_text(&format!("{text}\npassword={SECRET}\n"));
        assert!(!masked.contains(SECRET), "{masked}");
    }
});
