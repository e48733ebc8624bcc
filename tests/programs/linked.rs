//! Mentions a crate that contributes a section in `link(..)`, and nowhere else.

#[gmr::main(link(my_sections))]
fn main() {
    gmr_tests::converse(str::to_owned);
}
