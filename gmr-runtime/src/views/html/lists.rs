//! What is not a stack: processes, lists, configuration groups and values.

use maud::html;

use super::out::{Out, PLACEHOLDER, Written};
use crate::model::{Processes, Value};
use crate::views::escape::{clean, clean_lines};
use crate::views::room::not_shown;
use crate::views::words::{self, Field, Listing};

pub(super) fn processes(section: &Processes, out: &mut Out<'_>) -> Written {
    notes(&section.notes, out)?;
    out.rows(words::processes(section), "process", |out, (depth, process)| {
        let around = html! { div.process style={ "margin-left:" (depth * 2) "em" } { (PLACEHOLDER) } };
        out.around(&around, |out| fields(&process, out))
    })
}

/// A longer list is folded when the page is opened.
const OPEN_LINES: usize = 20;

pub(super) fn listing(listing: &Listing, out: &mut Out<'_>) -> Written {
    if !listing.fields.is_empty() {
        fields(&listing.fields, out)?;
    }
    for (title, lines) in &listing.lists {
        let around = html! {
            details.group open[lines.len() <= OPEN_LINES] {
                summary { span.title { (title) } }
                pre { "\n" (PLACEHOLDER) }
            }
        };
        out.around(&around, |out| {
            let line = |out: &mut Out<'_>, line: &String| {
                out.text(&clean(line))?;
                out.text("\n")
            };
            out.entries(lines.iter(), line, |left| html! { (not_shown(left, "line")) })
        })?;
    }
    Ok(())
}

/// Preformatted text, as long as there is room.
pub(super) fn pre(text: &str, class: Option<&str>, out: &mut Out<'_>) -> Written {
    // An HTML parser drops a line feed right after the start tag.
    out.around(&html! { pre class=[class] { "\n" (PLACEHOLDER) } }, |out| {
        let line = |out: &mut Out<'_>, line| out.text(&clean_lines(line));
        out.entries(text.split_inclusive('\n'), line, |left| html! { (not_shown(left, "line")) })
    })
}

/// A value: maps as tables, lists as lists, nested.
pub(super) fn value(value: &Value, out: &mut Out<'_>) -> Written {
    match value {
        Value::Map(pairs) if !pairs.is_empty() => {
            let row = |out: &mut Out<'_>, (key, value): &(String, Value)| {
                out.around(&html! { tr { (PLACEHOLDER) } }, |out| {
                    out.text_in(&html! { th scope="row" { (PLACEHOLDER) } }, &clean(key))?;
                    out.around(&html! { td { (PLACEHOLDER) } }, |out| self::value(value, out))
                })
            };
            let more = |left| html! { tr { th.note { (not_shown(left, "value")) } } };
            out.around(&html! { table { (PLACEHOLDER) } }, |out| out.entries(pairs.iter(), row, more))
        }
        Value::List(items) if !items.is_empty() => {
            let item = |out: &mut Out<'_>, item| {
                out.around(&html! { li { (PLACEHOLDER) } }, |out| self::value(item, out))
            };
            let more = |left| html! { li.note { (not_shown(left, "item")) } };
            out.around(&html! { ul.list { (PLACEHOLDER) } }, |out| out.entries(items.iter(), item, more))
        }
        scalar => out.text(&words::scalar(scalar)),
    }
}

pub(super) fn fields(fields: &[Field], out: &mut Out<'_>) -> Written {
    out.around(&html! { dl { (PLACEHOLDER) } }, |out| {
        for (key, value) in fields {
            out.text_in(&html! { div { dt { (key) } dd { (PLACEHOLDER) } } }, &clean(value))?;
        }
        Ok(())
    })
}

pub(super) fn notes(notes: &[String], out: &mut Out<'_>) -> Written {
    words::notes(notes).try_for_each(|note| out.add(&html! { p.note { (note) } }))
}
