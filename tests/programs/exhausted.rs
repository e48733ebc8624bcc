//! A program that has leaked descriptors until there were none left.

use std::fs::File;

#[inline(never)]
fn leak_descriptors() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[gmr::main]
fn main() {
    let leaked = leak_descriptors();
    // All of them are still open, and the last one is where it was.
    gmr_tests::converse(|_| {
        let open = leaked.iter().filter(|file| file.metadata().is_ok()).count();
        format!("{open} of {}", leaked.len())
    });
}
