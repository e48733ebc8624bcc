#[gmr::section(title = 7)]
fn cache() -> u8 {
    1
}

fn main() {
    cache();
}
