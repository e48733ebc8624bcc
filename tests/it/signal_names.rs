//! The signals and the sections that the attribute accepts are those that the runtime knows.
//!
//! A crate of macros exports nothing but macros, so its table is included here. And a test in that
//! crate that used gmr would compile gmr and its dependencies once more, for the compiler's side.

use std::collections::BTreeSet;

use gmr::__private::{SECTION_NAMES, find_signal};
use gmr::ErrorKind;

#[path = "../../gmr-macros/src/sections.rs"]
mod sections;
#[path = "../../gmr-macros/src/signals.rs"]
mod signals;
#[path = "../../gmr-macros/src/suggest.rs"]
mod suggest;

/// The two tables differ in what they hold: the attribute's has the names of every platform and the
/// reasons for its refusals, the runtime's has the numbers of the platform it runs on.
#[test]
fn the_runtime_agrees() {
    let mut not_here = BTreeSet::new();
    for name in signals::NAMES {
        match find_signal(name).map_err(|error| error.kind()) {
            Ok(signal) => {
                assert_eq!(signal.name, name);
                assert_eq!(signals::by_name(name).as_deref(), Ok(name));
            }
            Err(ErrorKind::ForbiddenSignal) => assert!(signals::by_name(name).is_err(), "{name}"),
            Err(_) => {
                not_here.insert(name);
            }
        }
    }
    if cfg!(target_os = "linux") {
        assert_eq!(not_here, BTreeSet::from(["SIGINFO"]));
    }
}

#[test]
fn the_runtime_knows_no_other_names_and_refuses_no_other_signals() {
    let mut refused = 0;
    for number in 1..=signals::HIGHEST {
        match find_signal(&number.to_string()).map_err(|error| error.kind()) {
            Ok(signal) => {
                let named = signal.name.starts_with("SIG");
                assert!(!named || signals::NAMES.contains(&signal.name.as_str()), "{signal:?}");
                assert!(signals::by_number(number).is_ok(), "{signal:?}");
            }
            Err(ErrorKind::ForbiddenSignal) => refused += 1,
            Err(_) => {}
        }
    }
    for number in signals::REFUSED.iter().filter_map(|(_, number, _)| *number) {
        let error = find_signal(&number.to_string()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ForbiddenSignal, "{number}");
    }
    assert_eq!(refused, signals::REFUSED.len());
}

#[test]
fn the_sections_are_those_of_the_runtime() {
    let runtimes: BTreeSet<&str> = SECTION_NAMES.into_iter().chain(["all"]).collect();
    assert_eq!(sections::NAMES.into_iter().collect::<BTreeSet<_>>(), runtimes);
    assert_eq!(sections::check(&SECTION_NAMES.join(",")), Vec::<String>::new());
    let error = gmr::Builder::new().sections("-modles").install().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownSection);
}
