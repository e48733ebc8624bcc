#[gmr::config(3, "limits", titel = "Limits")]
fn limits(size: u8) -> u8 {
    size
}

fn main() {
    limits(1);
}
