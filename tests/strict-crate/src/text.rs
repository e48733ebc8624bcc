#[gmr::main(format = "text")]
fn main() {}
