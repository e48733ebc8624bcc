//! A program that handles SIGUSR2 itself, and has a report written when it receives it. gmr handles
//! no signal, unless the operator chooses one.

use signal_hook::consts::SIGUSR2;
use signal_hook::iterator::Signals;

#[gmr::main(signal = "none")]
fn main() {
    let mut signals = Signals::new([SIGUSR2]).expect("a handler");
    gmr_tests::start_named("signals", move || {
        for _ in &mut signals {
            let report = gmr::Report::capture();
            eprintln!("{}", serde_json::to_string(&report).expect("a report is JSON"));
        }
    });
    gmr_tests::converse(str::to_owned);
}
