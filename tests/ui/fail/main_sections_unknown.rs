#[gmr::main(sections = "-modles, +environment, -files")]
fn main() {}
