#[gmr::main(signal = 0)]
fn main() {}
