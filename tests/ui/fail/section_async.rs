#[gmr::section]
async fn cache() -> u8 {
    1
}

fn main() {
    let _ = cache();
}
