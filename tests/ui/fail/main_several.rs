#[gmr::main(signal = "SIGSTOP", color = "red", version = 'v', link())]
async fn main() {}
