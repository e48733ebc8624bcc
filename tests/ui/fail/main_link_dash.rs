#[gmr::main(link(gmr-test-sections))]
fn main() {}
