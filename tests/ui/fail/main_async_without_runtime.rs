#[gmr::main]
async fn main() -> Result<(), String> {
    std::future::ready(()).await;
    let checked: u8 = "and its body is still checked";
    Ok(())
}
