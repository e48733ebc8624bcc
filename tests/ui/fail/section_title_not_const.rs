fn title() -> &'static str {
    "Cache"
}

#[gmr::section(title = title())]
fn cache() -> u8 {
    1
}

fn main() {
    cache();
}
