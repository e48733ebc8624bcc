//! Several mistakes: an unknown option, a name that is not a string, a function that is not async.

#[gmr::task(7, nmae = "checkout")]
fn checkout() {}

fn main() {
    checkout();
}
