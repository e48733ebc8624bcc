//! What is not a stack: processes, lists, configuration groups and values.

use std::borrow::Cow;

use maud::{Markup, PreEscaped, html};

use crate::model::{Processes, Value};
use crate::views::escape::{clean, clean_lines};
use crate::views::room::{Room, not_shown};
use crate::views::words::{self, Field, Listing};

pub(super) fn processes(section: &Processes, room: &Room) -> Markup {
    html! {
        (notes(&section.notes))
        (rows(words::processes(section), "process", room, |(depth, process)| spent(html! {
            div.process style={ "margin-left:" (depth * 2) "em" } { (fields(&process)) }
        }, room)))
    }
}

/// A longer list is folded when the page is opened.
const OPEN_LINES: usize = 20;

pub(super) fn listing(listing: &Listing, room: &Room) -> Markup {
    html! {
        @if !listing.fields.is_empty() { (fields(&listing.fields)) }
        @for (title, lines) in &listing.lists {
            details.group open[lines.len() <= OPEN_LINES] {
                summary { span.title { (title) } }
                (pre(&shown(lines, room), None))
            }
        }
    }
}

/// These lines, as long as there is room, then how many are not shown.
fn shown(lines: &[String], room: &Room) -> String {
    let mut shown = String::new();
    for (index, line) in lines.iter().enumerate() {
        if !room.take(escaped_length(line)) {
            shown.push_str(&not_shown(lines.len() - index, "line"));
            break;
        }
        shown.push_str(line);
        shown.push('\n');
    }
    shown
}

/// Text of a section, as long as there is room.
pub(super) fn shortened<'a>(text: &'a str, room: &Room) -> Cow<'a, str> {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        if !room.take(escaped_length(line)) {
            let left = text[end..].lines().count();
            return format!("{}{}", &text[..end], not_shown(left, "line")).into();
        }
        end += line.len();
    }
    text.into()
}

/// How long a text is on the page.
fn escaped_length(text: &str) -> usize {
    let bytes = text.bytes().map(|byte| match byte {
        b'"' => "&quot;".len(),
        b'&' => "&amp;".len(),
        b'<' | b'>' => "&lt;".len(),
        _ => 1,
    });
    bytes.sum()
}

/// A value: maps as tables, lists as lists, nested.
pub(super) fn value(value: &Value, room: &Room) -> Markup {
    match value {
        Value::Map(pairs) if !pairs.is_empty() => html! {
            table { (entries(pairs.iter(), room, |(key, value)| html! { tr { th scope="row" { (clean(key)) } td { (self::value(value, room)) } } }, |left| html! { tr { th.note { (not_shown(left, "value")) } } })) }
        },
        Value::List(items) if !items.is_empty() => html! {
            ul.list { (entries(items.iter(), room, |item| html! { li { (self::value(item, room)) } }, |left| html! { li.note { (not_shown(left, "item")) } })) }
        },
        scalar => {
            let shown = words::scalar(scalar);
            room.spend(shown.len());
            html! { (shown) }
        }
    }
}

/// Preformatted text.
pub(super) fn pre(text: &str, class: Option<&str>) -> Markup {
    // An HTML parser drops a line feed right after the start tag.
    html! { pre class=[class] { "\n" (clean_lines(text)) } }
}

pub(super) fn fields(fields: &[Field]) -> Markup {
    html! { dl { @for (key, value) in fields { div { dt { (key) } dd { (clean(value)) } } } } }
}

pub(super) fn notes(notes: &[String]) -> Markup {
    html! { @for note in words::notes(notes) { p.note { (note) } } }
}

/// The bytes of markup around a row.
const MARKUP: usize = 64;

/// One for each item, as long as there is room, then how many are not shown. What a row contains
/// spends room of its own.
pub(super) fn rows<T>(
    items: impl Iterator<Item = T>,
    noun: &str,
    room: &Room,
    show: impl Fn(T) -> Markup,
) -> Markup {
    entries(items, room, show, |left| html! { p.note { (not_shown(left, noun)) } })
}

/// The same with other markup for what is not shown.
pub(super) fn entries<T>(
    mut items: impl Iterator<Item = T>,
    room: &Room,
    show: impl Fn(T) -> Markup,
    more: impl Fn(usize) -> Markup,
) -> Markup {
    let mut all = String::new();
    while let Some(item) = items.next() {
        if !room.take(MARKUP) {
            all.push_str(&more(1 + items.count()).0);
            break;
        }
        all.push_str(&show(item).0);
    }
    PreEscaped(all)
}

/// Markup that contains no other rows.
pub(super) fn spent(markup: Markup, room: &Room) -> Markup {
    room.spend(markup.0.len());
    markup
}
