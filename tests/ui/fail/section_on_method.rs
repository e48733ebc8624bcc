struct Cache;

impl Cache {
    #[gmr::section]
    fn stats(&self) -> u8 {
        1
    }
}

fn main() {
    Cache.stats();
}
