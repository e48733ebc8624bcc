#[gmr::main(version = "1", product = "Shop", version = "2")]
fn main() {}
