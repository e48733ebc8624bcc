//! Several mistakes: an unknown option, a name that is not a string, a switch that is not a
//! literal, a function that is not async.

#[gmr::task(7, nmae = "checkout", poll = "no")]
fn checkout() {}

fn main() {
    checkout();
}
