#[gmr::main(link(gmr_test_sections::pool))]
fn main() {}
