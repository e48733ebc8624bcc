#[gmr::section]
fn cache(size: u8, name: &str) -> u8 {
    let _ = name;
    size
}

fn main() {
    cache(1, "lru");
}
