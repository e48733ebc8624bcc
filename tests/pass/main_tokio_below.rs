//! Above the attribute of tokio.

#[gmr::main(version = "1")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), String> {
    armed();
    tokio::task::yield_now().await;
    Ok(())
}

/// Fails unless gmr is installed: a second installation is an error.
fn armed() {
    assert_eq!(gmr::Builder::new().install().unwrap_err().kind(), gmr::ErrorKind::AlreadyInstalled);
}
