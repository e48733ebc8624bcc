#[gmr::section(order = "first")]
fn cache() -> u8 {
    1
}

fn main() {
    cache();
}
