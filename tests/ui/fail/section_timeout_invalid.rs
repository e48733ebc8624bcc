#[gmr::section(timeout = "two seconds")]
fn cache() -> u8 {
    1
}

fn main() {
    cache();
}
