#[gmr::section(timeout = 2)]
fn cache() -> u8 {
    1
}

fn main() {
    cache();
}
