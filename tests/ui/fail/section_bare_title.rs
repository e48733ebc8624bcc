const TITLE: &str = "Cache";

#[gmr::section(TITLE)]
fn cache() -> u8 {
    1
}

fn main() {
    cache();
}
