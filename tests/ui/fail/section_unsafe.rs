#[gmr::section]
unsafe fn cache() -> u8 {
    1
}

fn main() {
    // SAFETY: the function has no preconditions.
    unsafe { cache() };
}
