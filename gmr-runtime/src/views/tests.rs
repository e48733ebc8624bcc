//! All views show the same data, for generated reports with hostile strings. Their output is read
//! back by third-party parsers.

pub(crate) mod generated;
mod hostile;
mod recorded;

use proptest::prelude::*;
use roxmltree::Node;
use scraper::{ElementRef, Html, Selector};
use serde_json::Value as Json;

use self::generated::report;
use super::escape::{clean, clean_lines};
use super::folding::Part;
use super::room::{MAX_TEXT, Room};
use super::{Context, Detail, Format, Known, grouping, words};
use crate::model::{Content, GreenThreads, Report, Role, Thread, Threads, Value};

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_reads_back_as_it_was(report in report()) {
        let json = report.to_json();
        prop_assert_eq!(json.trim_end_matches('\n').lines().count(), 1);
        prop_assert_eq!(&Report::from_json(&json).unwrap(), &report);
    }

    #[test]
    fn lines_are_short_and_make_the_report_again(report in report(), padding in 0..60_000_usize) {
        let mut report = report;
        report.sections[1].title.push_str(&"\"x\\ü".repeat(padding / 5));
        let lines = report.to_json_lines();
        prop_assert!(lines.lines().all(|line| line.len() < 48 << 10));
        prop_assert_eq!(&Report::from_json_lines(&lines).unwrap(), &report);
    }

    #[test]
    fn xml_holds_what_json_holds(report in report()) {
        let xml = report.to_xml();
        let options = roxmltree::ParsingOptions { nodes_limit: u32::MAX, ..Default::default() };
        let parsed = roxmltree::Document::parse_with_options(&xml, options).unwrap();
        let json = serde_json::to_value(&report).unwrap();
        prop_assert_eq!(parsed.root_element().tag_name().name(), "report");
        if let Err(difference) = same(&json, parsed.root_element()) {
            prop_assert!(false, "{}\n{}", difference, xml);
        }
    }

    #[test]
    fn the_page_shows_what_the_report_holds_and_nothing_else_runs(report in report()) {
        let page = Html::parse_document(&report.to_html());
        prop_assert_eq!(select(&page, "script:not([type])").len(), 1);
        prop_assert_eq!(select(&page, "style").len(), 1);
        let whole_report = whole(select(&page, "script#report")[0]);
        prop_assert_eq!(&Report::from_json(&whole_report).unwrap(), &report);
        prop_assert!(select(&page, "[onclick], [onerror], iframe, object, img, base, form, link").is_empty());
        let titles: Vec<_> = select(&page, "main section > h2").iter().map(|title| whole(*title)).collect();
        let expected: Vec<_> = report.sections.iter().map(|section| clean(&section.title).into_owned()).collect();
        let of_page = |title: &String| ["All stacks", "Findings"].contains(&&**title);
        prop_assert_eq!(titles.into_iter().filter(|title| !of_page(title)).collect::<Vec<_>>(), expected);
        for link in select(&page, "a") {
            let href = link.value().attr("href").unwrap();
            prop_assert!(!select(&page, href).is_empty(), "{} leads nowhere", href);
        }
        let failed = report.sections.iter().filter(|section| !section.content.is_ok()).count();
        prop_assert_eq!(select(&page, "#contents .failure").len(), failed);
        let known = Known::all(&report.frames);
        let room = Room::new(MAX_TEXT);
        let cx = Context { frames: &known, detail: Detail::Short, room: &room };
        let findings = select(&page, "#findings li").iter().map(|finding| whole(*finding)).collect::<Vec<_>>();
        let expected = report.findings.iter().map(|finding| {
            let sentence = format!("{} {}", words::severity(finding.severity), words::finding(finding));
            [sentence].into_iter().chain(words::finding_details(finding, &report.frames)).collect::<String>()
        });
        prop_assert_eq!(findings, expected.collect::<Vec<_>>());
        for section in &report.sections {
            match &section.content {
                Content::Threads(threads) => all_threads(&page, threads, cx),
                Content::GreenThreads(section) => all_tasks(&page, section, cx),
                _ => {}
            }
        }
        let values: Vec<String> = report.sections.iter().flat_map(|section| scalars(&section.content)).collect();
        let shown: Vec<String> = select(&page, "td, .list > li, section > pre, .config > pre, th")
            .iter()
            .filter(|place| place.children().all(|child| child.value().is_text()))
            .map(|place| whole(*place))
            .collect();
        for value in values {
            prop_assert!(shown.contains(&value), "{:?} is not among {:?}", value, shown);
        }
    }

    #[test]
    fn the_text_obeys_no_data(report in report()) {
        let text = report.to_text();
        prop_assert!(!text.contains(|letter: char| letter.is_control() && letter != '\n'));
        let titles = text.lines().filter(|line| *line == "=".repeat(72)).count();
        prop_assert_eq!(titles, 2 * (report.sections.len() + 2));
        prop_assert_eq!(text.lines().last().map(|line| line.starts_with("====")), Some(true));
    }
}

/// Compares JSON with XML by the rules of `docs/report-schema.md`.
fn same(json: &Json, node: Node<'_, '_>) -> Result<(), String> {
    let differ = || Err(format!("{json} is not {node:?}: {:?}", content_of(node)));
    let elements: Vec<_> = node.children().filter(Node::is_element).collect();
    if let Some(kind) = node.attribute("type") {
        let expected = match json {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(number) if number.is_f64() => "float",
            Json::Number(_) => "integer",
            Json::String(_) => "text",
            Json::Array(_) => "list",
            Json::Object(_) => "map",
        };
        if kind != expected {
            return differ();
        }
    }
    match json {
        Json::Null if elements.is_empty() && content_of(node).is_empty() => Ok(()),
        Json::Bool(value) if content_of(node) == value.to_string() => Ok(()),
        Json::String(text) if content_of(node) == *text => Ok(()),
        Json::Number(number) => {
            let text = content_of(node);
            let equal = match number.as_f64() {
                Some(float) if number.is_f64() => text.parse() == Ok(float),
                _ => text == number.to_string(),
            };
            if equal { Ok(()) } else { differ() }
        }
        Json::Array(items) if items.len() == elements.len() => {
            items.iter().zip(elements).try_for_each(|(item, element)| same(item, element))
        }
        Json::Object(fields) if node.attribute("type").is_some() => {
            // Of entries with the same key, JSON keeps the last, XML all.
            let mut entries = serde_json::Map::new();
            for entry in elements {
                let child =
                    |name| entry.children().find(|child: &Node<'_, '_>| child.has_tag_name(name)).unwrap();
                entries.insert(content_of(child("key")), Json::from(child("value").id().get()));
            }
            if fields.len() != entries.len() {
                return differ();
            }
            fields.iter().try_for_each(|(key, value)| {
                let id = entries.get(key).and_then(Json::as_u64).ok_or(format!("{key:?} is missing"))?;
                let id = roxmltree::NodeId::new(u32::try_from(id).unwrap());
                same(value, node.document().get_node(id).unwrap())
            })
        }
        Json::Object(fields) => {
            let is_there = |key: &str| elements.iter().any(|element| element.has_tag_name(key));
            let known = fields.iter().filter(|(key, value)| !value.is_null() || is_there(key));
            if known.clone().count() != elements.len() {
                return differ();
            }
            known.clone().try_for_each(|(key, value)| {
                let element = elements.iter().find(|element| element.has_tag_name(key.as_str()));
                same(value, *element.ok_or(format!("{key} is missing"))?)
            })
        }
        _ => differ(),
    }
}

fn content_of(node: Node<'_, '_>) -> String {
    let text = node.text().unwrap_or_default();
    match node.attribute("encoding") {
        Some("json") => serde_json::from_str(text).unwrap(),
        _ => text.to_owned(),
    }
}

fn select<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

fn within<'a>(place: ElementRef<'a>, selector: &str) -> Vec<ElementRef<'a>> {
    place.select(&Selector::parse(selector).unwrap()).collect()
}

fn whole(place: ElementRef<'_>) -> String {
    place.text().collect()
}

/// Checks that each group of threads is shown with its title, members and frames, in order.
fn all_threads(page: &Html, threads: &Threads, cx: Context<'_>) {
    let (making, others): (Vec<&Thread>, Vec<&Thread>) =
        threads.threads.iter().partition(|thread| thread.role == Role::Reporter);
    for thread in making.iter().chain(&others) {
        assert_eq!(select(page, &format!("#thread-{}", thread.tid)).len(), 1, "{thread:?}");
    }
    for group in grouping::of_threads(others, cx.frames) {
        let place = group_of(page, &format!("#thread-{}", group[0].tid));
        assert_eq!(whole(within(place, ".title")[0]), words::threads_summary(&group));
        let shown = match grouping::pool_thread(group[0], cx.frames) {
            Some(thread) => vec![Part::Frame(thread.frame)],
            None => grouping::shown(&group[0].stack, cx).parts().to_vec(),
        };
        assert_eq!(shown_frames(place), frames_of(&shown));
    }
}

fn all_tasks(page: &Html, section: &GreenThreads, cx: Context<'_>) {
    for group in grouping::of_tasks(&section.tasks, cx.frames) {
        let place = group_of(page, &format!("#task-{}", group[0].id));
        assert_eq!(whole(within(place, ".title")[0]), words::tasks_title(&group, cx));
        let points = grouping::wait_points(group[0], cx);
        let shown = points.branches().chain([points.common()]);
        let all: Vec<Part<'_>> = shown.flat_map(|shown| shown.parts().to_vec()).collect();
        assert_eq!(shown_frames(place), frames_of(&all));
    }
}

fn group_of<'a>(page: &'a Html, anchor: &str) -> ElementRef<'a> {
    let anchor = select(page, anchor)[0];
    let mut places = std::iter::once(anchor).chain(anchor.ancestors().filter_map(ElementRef::wrap));
    places.find(|place| place.value().classes().any(|class| class == "group")).unwrap()
}

/// Function and source of each frame.
fn shown_frames(place: ElementRef<'_>) -> Vec<(String, Option<String>)> {
    within(place, ".stack > li:not(.note)")
        .iter()
        .map(|frame| (whole(within(*frame, "b")[0]), within(*frame, "code").first().map(|code| whole(*code))))
        .collect()
}

fn frames_of(parts: &[Part<'_>]) -> Vec<(String, Option<String>)> {
    let shown = |part: &Part<'_>| {
        let frame = part.frame()?;
        let name = match part {
            Part::OwnBody(_) => words::own_function(frame),
            _ => words::function(frame, Detail::Short),
        };
        Some((name, frame.source.as_deref().map(|source| clean(source).into_owned())))
    };
    parts.iter().filter_map(shown).collect()
}

/// Every value that a section shows in a place of its own.
fn scalars(content: &Content) -> Vec<String> {
    fn of_value(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Map(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    found.push(clean(key).into_owned());
                    of_value(value, found);
                }
            }
            Value::List(items) if !items.is_empty() => items.iter().for_each(|item| of_value(item, found)),
            // At the root, it is in no cell.
            scalar => found.push(words::scalar(scalar).into_owned()),
        }
    }
    match content {
        Content::Fields(value @ (Value::Map(_) | Value::List(_))) => {
            let mut found = Vec::new();
            of_value(value, &mut found);
            // An empty one is in no cell either.
            if matches!(value, Value::Map(entries) if entries.is_empty()) || *value == Value::List(vec![]) {
                found.clear();
            }
            found
        }
        Content::Text(text) if !text.trim().is_empty() => vec![clean_lines(text).into_owned()],
        Content::Configuration(groups) => groups.iter().flat_map(|group| scalars(&group.content)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_format_ends_its_last_line() {
    let report = Report::capture();
    for format in [Format::Text, Format::Json, Format::JsonLines, Format::Xml, Format::Html] {
        let mut bytes = Vec::new();
        report.write_to(&mut bytes, format).unwrap();
        assert!(bytes.ends_with(b"\n") && !bytes.ends_with(b"\n\n"), "{format}");
    }
}
