#[gmr::main(verzion = "1.2.3")]
fn main() {}
