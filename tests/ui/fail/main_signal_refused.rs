#[gmr::main(signal = "SIGKILL")]
fn main() {}
