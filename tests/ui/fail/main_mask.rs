#[gmr::main(mask(keys("internal_code"), hide("b")))]
fn main() {}

mod assigned {
    #[gmr::main(mask = "internal_code")]
    fn main() {}
}

mod no_name {
    #[gmr::main(mask(keys("-", "a,b")))]
    fn main() {}
}
