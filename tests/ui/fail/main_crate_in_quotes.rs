#[gmr::main(crate = "gmr")]
fn main() {}
