#[gmr::section]
static CACHE: u8 = 1;

fn main() {
    let _ = CACHE;
}
