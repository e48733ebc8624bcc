//! Above an attribute of another runtime, which takes the body of the function out.

use gmr_tests::async_main::task_of_main;

#[gmr::main]
#[gmr_test_runtime::unwrapping]
async fn main() {
    task_of_main();
    std::future::ready(()).await;
    let _: fn() = exported::main;
}

mod exported {
    gmr_tests::entry! {
        #[gmr_test_runtime::unwrapping]
        pub async fn main() {}
    }
}
