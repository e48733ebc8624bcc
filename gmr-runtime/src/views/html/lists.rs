//! What is not a stack: processes, lists, configuration groups and values.

use maud::{Markup, html};

use crate::model::{Processes, Value};
use crate::views::escape::{clean, clean_lines};
use crate::views::words::{self, Field, Listing};

pub(super) fn processes(section: &Processes) -> Markup {
    html! {
        (notes(&section.notes))
        @for (depth, process) in words::processes(section) {
            div.process style={ "margin-left:" (depth * 2) "em" } { (fields(&process)) }
        }
    }
}

/// A longer list is folded when the page is opened.
const OPEN_LINES: usize = 20;

pub(super) fn listing(listing: &Listing) -> Markup {
    html! {
        @if !listing.fields.is_empty() { (fields(&listing.fields)) }
        @for (title, lines) in &listing.lists {
            details.group open[lines.len() <= OPEN_LINES] {
                summary { span.title { (title) } }
                (pre(&lines.join("\n"), None))
            }
        }
    }
}

/// A value: maps as tables, lists as lists, nested.
pub(super) fn value(value: &Value) -> Markup {
    match value {
        Value::Map(entries) if !entries.is_empty() => html! {
            table { @for (key, value) in entries { tr { th scope="row" { (clean(key)) } td { (self::value(value)) } } } }
        },
        Value::List(items) if !items.is_empty() => html! {
            ul.list { @for item in items { li { (self::value(item)) } } }
        },
        scalar => html! { (words::scalar(scalar)) },
    }
}

/// Preformatted text.
pub(super) fn pre(text: &str, class: Option<&str>) -> Markup {
    // An HTML parser drops a line feed right after the start tag.
    html! { pre class=[class] { "\n" (clean_lines(text)) } }
}

pub(super) fn fields(fields: &[Field]) -> Markup {
    html! { dl { @for (key, value) in fields { div { dt { (key) } dd { (value) } } } } }
}

pub(super) fn notes(notes: &[String]) -> Markup {
    html! { @for note in notes { p.note { (clean(note)) } } }
}
