struct Opaque;

#[gmr::section]
fn cache() -> Option<Opaque> {
    Some(Opaque)
}

fn main() {
    cache();
}
