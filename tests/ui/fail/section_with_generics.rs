#[gmr::section]
fn cache<T: Default + serde::Serialize>() -> T {
    T::default()
}

fn main() {
    cache::<u8>();
}
