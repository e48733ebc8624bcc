const VERSION: u32 = 3;

#[gmr::main(version = VERSION)]
fn main() {}
