//! A program that forks and goes on in the child, as daemons do: the child has no reporter until it installs one.
//!
//! `fork` is unsafe; a test program that forks while it has one thread of its own, and gmr's, is what is wanted here.

#![allow(unsafe_code)]

fn main() {
    let parents = gmr::Builder::new().product("parent").install().expect("nothing is installed yet");
    // SAFETY: the child calls what may allocate: no other thread of this program holds the allocator's locks, and gmr's sleeps.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed");
    if child > 0 {
        parents.keep();
        let mut status = 0;
        // SAFETY: waits for the child made above.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        std::process::exit(status);
    }
    std::mem::forget(parents);
    let before = gmr::Report::capture();
    let guard =
        gmr::Builder::new().product("child").install().expect("the parent's installation is not the child's");
    let after = gmr::Report::capture();
    gmr_tests::converse(|_| {
        let product = |report: &gmr::Report| match report.section("Package").map(|section| &section.content) {
            Some(gmr::model::Content::Package(package)) => package.product.clone().unwrap_or_default(),
            other => format!("{other:?}"),
        };
        let stands_in_main = before.to_string().contains("in forked::main");
        format!("{} '{}' '{}' {stands_in_main}", std::process::id(), product(&before), product(&after))
    });
    drop(guard);
}
