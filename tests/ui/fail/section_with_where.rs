#[gmr::section]
fn cache() -> String
where
    String: Clone,
{
    String::new()
}

fn main() {
    cache();
}
