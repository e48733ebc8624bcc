//! Templates that are written in pieces, so that long content is not kept in memory.

use maud::{Markup, PreEscaped};

/// Marks the place in a template where long content is written piece by piece, rather than kept in
/// memory. Data cannot contain it: angle brackets are escaped.
pub(super) const PLACEHOLDER: PreEscaped<&str> = PreEscaped("<placeholder>");

/// What a template has before its placeholder, and after it.
pub(super) fn split_at_placeholder(template: Markup) -> (String, String) {
    let mut before = template.into_string();
    let place = before.find(PLACEHOLDER.0).unwrap_or(before.len());
    let after = before.split_off(place).split_off(PLACEHOLDER.0.len());
    (before, after)
}
