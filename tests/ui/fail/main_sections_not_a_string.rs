#[gmr::main(sections = threads)]
fn main() {}
