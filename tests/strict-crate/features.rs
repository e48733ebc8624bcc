//! Checks the option `format` without any feature of gmr: the formats but text are errors that name
//! the feature. That text compiles is checked where the packages' features are, by `cargo xtask
//! test`: its program is in `features/pass`.
//!
//! Not in `tests/ui`, because that package enables every feature.

#[test]
fn formats_require_their_features() {
    trybuild::TestCases::new().compile_fail("features/fail/*.rs");
}
