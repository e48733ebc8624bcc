#[gmr::main(version = 1, format = "xml")]
async fn main() {}
