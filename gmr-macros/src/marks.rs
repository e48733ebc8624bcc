//! Which functions of the crate have had an attribute before: each registry entry names some of
//! them, so that a report can tell that an entry was lost when the program was linked.
//!
//! The compiler expands the attributes of a crate in one process, in the order of the source. A tool
//! that keeps the process, such as rust-analyzer, expands other crates in it, too: they are kept
//! apart by their names.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use proc_macro2::Span;

/// How many an entry names. The object file of a module is lost as a whole; a loss is noticed if an
/// entry is left among the next ones of the crate.
const NAMED: usize = 32;

static EXPANDED: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());

/// The name of a function with its place, and those of the functions before it in its crate.
pub(crate) fn of(function: &str, span: Span) -> (String, Vec<String>) {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let krate = format!("{} {}", variable("CARGO_MANIFEST_DIR"), variable("CARGO_CRATE_NAME"));
    let mark = mark(function, span);
    let mut expanded = EXPANDED.lock().unwrap_or_else(PoisonError::into_inner);
    let last = expanded.entry(krate).or_default();
    last.retain(|other| *other != mark);
    let earlier = last.clone();
    if last.len() == NAMED {
        last.remove(0);
    }
    last.push(mark.clone());
    (mark, earlier)
}

fn mark(function: &str, span: Span) -> String {
    // Outside of the compiler, a span has no place.
    if !proc_macro::is_available() {
        return function.to_owned();
    }
    let span = span.unwrap();
    format!("{function} ({}:{})", span.file(), span.line())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_names_those_before_it() {
        let marks = ["one", "two", "two", "three"].map(|name| of(name, Span::call_site()));
        let earlier: Vec<_> = marks.iter().map(|(_, earlier)| earlier.join(" ")).collect();
        assert_eq!(earlier, ["", "one", "one", "one two"]);
        let many: Vec<_> = (0..2 * NAMED).map(|number| of(&number.to_string(), Span::call_site())).collect();
        let (mark, earlier) = &many[2 * NAMED - 1];
        assert_eq!((mark.as_str(), earlier.len()), ("63", NAMED));
        assert_eq!(earlier.last().map(String::as_str), Some("62"));
    }
}
