//! Uses a library that adds a section to reports.
//!
//! Run it with `cargo run`. It prints its process id; request a report with `kill -USR2 PID`.

use std::thread;

// `link` is only necessary for crates from which the program uses nothing else.
#[gmr::main(link(shop_pool))]
fn main() {
    let _connections = (shop_pool::connect(), shop_pool::connect());
    println!("ready: kill -USR2 {}", std::process::id());
    loop {
        thread::park();
    }
}
