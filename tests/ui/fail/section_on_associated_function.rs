struct Cache;

impl Cache {
    #[gmr::section]
    fn stats() -> u8 {
        1
    }
}

fn main() {
    Cache::stats();
}
