//! Above an attribute of another runtime, which keeps the function in a nested one.

#[gmr::main]
#[gmr_test_runtime::nesting]
async fn main() {
    armed();
    std::future::ready(()).await;
}

/// Fails unless gmr is installed: a second installation is an error.
fn armed() {
    assert_eq!(gmr::Builder::new().install().unwrap_err().kind(), gmr::ErrorKind::AlreadyInstalled);
}
