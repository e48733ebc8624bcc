#[gmr::test]
async fn works() {}

#[gmr::test(timeout = 30)]
fn in_seconds() {}

#[gmr::test("30s")]
fn unnamed() {}

#[gmr::test(tiemout = "30s")]
fn misspelled() {}

fn main() {}
