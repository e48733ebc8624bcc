#[gmr::main(format = "jsn")]
fn main() {}
