#[gmr::section("Cache", order = 1.5, timeout = "2", colour = "red", order = 3)]
async unsafe fn cache<T>(size: T) -> u8 {
    let _ = size;
    1
}

fn main() {
    let _ = cache::<u8>;
}
