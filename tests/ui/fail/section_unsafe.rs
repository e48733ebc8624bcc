#[gmr::section]
unsafe fn cache() -> u8 {
    1
}

fn main() {
    // SAFETY: it asks nothing of its caller.
    unsafe { cache() };
}
