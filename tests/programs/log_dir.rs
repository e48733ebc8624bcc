//! A program whose reports go to a directory that does not exist, unless the operator names another
//! one. It can have the kernel act as if a quota of the disk were used up.

#![allow(unsafe_code, reason = "a filter for system calls is what safe Rust does not offer")]

mod filter;

#[gmr::main(product = "shop", log_dir = "/proc/self/no-such-directory")]
fn main() {
    gmr_tests::converse(|what| {
        if what == "use up the quota" {
            // The kernel may keep what was written, and find out when it gets to the disk.
            filter::refuse(&[libc::SYS_fsync], libc::EDQUOT);
        }
        "alive".to_owned()
    });
}
