#[gmr::section(time_out = "2s")]
fn cache() -> u8 {
    1
}

fn main() {
    cache();
}
