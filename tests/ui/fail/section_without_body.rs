trait Cache {
    #[gmr::section]
    fn stats() -> u8;
}

fn main() {}
