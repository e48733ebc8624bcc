//! A program whose reports go to a directory that does not exist, unless the operator names another
//! one.

#[gmr::main(product = "shop", log_dir = "/proc/self/no-such-directory")]
fn main() {
    gmr_tests::converse(|_| "alive".to_owned());
}
