const SIGNAL: &str = "SIGUSR1";

#[gmr::main(signal = SIGNAL)]
fn main() {}
