//! Checks the option `format` without any feature of gmr: text compiles, and the other formats are
//! errors that name the feature.
//!
//! Not in `tests/ui.rs`, because that crate enables every feature.

#[test]
fn formats_require_their_features() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("features/fail/*.rs");
    cases.pass("features/pass/*.rs");
}
