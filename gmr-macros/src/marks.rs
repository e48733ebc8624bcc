//! Remembers which functions of the crate have been expanded so far. Each registry entry names some
//! of them, so that a report can tell that the linker has dropped an entry.
//!
//! The compiler expands the attributes of a crate in one process, in source order. A tool that
//! keeps its process running, such as rust-analyzer, expands several crates in it. Their
//! directories and names distinguish them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use proc_macro2::Span;

/// How many functions an entry names. The linker drops the object file of a module as a whole, and
/// the loss is noticed if one of the crate's next entries is still there.
const NAMED: usize = 32;

static EXPANDED: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());

/// A function's name with its place, and those of the functions before it in its crate.
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
    // Only the compiler knows the place of a span.
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
