#[gmr::main(on_panic = "all")]
fn main() {}
