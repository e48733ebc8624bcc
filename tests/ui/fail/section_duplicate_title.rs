#[gmr::section("Cache", title = "The Cache")]
fn cache() -> u8 {
    1
}

fn main() {
    cache();
}
