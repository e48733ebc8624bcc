#[gmr::main(log_dir = "/var/log/shop", log_gzip = true)]
fn main() {}
