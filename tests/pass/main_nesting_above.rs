//! Under an attribute of another runtime, which keeps the function in a nested one.

use gmr_tests::async_main::task_of_main;

#[gmr_test_runtime::nesting]
#[gmr::main]
async fn main() {
    task_of_main();
    std::future::ready(()).await;
}
