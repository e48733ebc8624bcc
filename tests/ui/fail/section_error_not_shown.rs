struct Opaque;

#[gmr::section]
fn cache() -> Result<u8, Opaque> {
    Err(Opaque)
}

fn main() {
    let _ = cache();
}
