#[gmr::main(signal = 11)]
fn main() {}
