//! Under an attribute of another runtime, which takes the body of the function out.

use gmr_tests::async_main::task_of_main;

#[gmr_test_runtime::unwrapping]
#[gmr::main]
async fn main() {
    task_of_main();
    std::future::ready(()).await;
}
