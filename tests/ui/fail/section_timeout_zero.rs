#[gmr::section(timeout = "0s")]
fn cache() -> u8 {
    1
}

fn main() {
    cache();
}
