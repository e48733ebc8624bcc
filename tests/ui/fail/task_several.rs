//! Every mistake at once: an option that does not exist, a name that is no text, a function that is not async.

#[gmr::task(7, nmae = "checkout")]
fn checkout() {}

fn main() {
    checkout();
}
