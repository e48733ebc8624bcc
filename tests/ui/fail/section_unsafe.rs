#[gmr::section]
unsafe fn cache() -> u8 {
    1
}

fn main() {
    unsafe { cache() };
}
