#[gmr::main(format = 7)]
fn main() {}
