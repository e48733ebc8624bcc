#[gmr::main(signal = "SIGUSR3")]
fn main() {}
