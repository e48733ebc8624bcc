#[gmr::main(link = "gmr_test_sections")]
fn main() {}
