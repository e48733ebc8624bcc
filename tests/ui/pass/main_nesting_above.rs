#[gmr_test_runtime::nesting]
#[gmr::main]
async fn main() {
    armed();
    std::future::ready(()).await;
}

/// gmr can be installed once in a process.
fn armed() {
    assert_eq!(gmr::Builder::new().install().unwrap_err().kind(), gmr::ErrorKind::AlreadyInstalled);
}
