#[gmr::main(log_tracing = "summary")]
fn main() {}
