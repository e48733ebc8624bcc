#[gmr::section(title = String::new())]
fn cache() -> u8 {
    1
}

fn main() {
    cache();
}
