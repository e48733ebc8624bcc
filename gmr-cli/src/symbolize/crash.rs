//! Crash reports, as `docs/fatal-signals.md` describes their JSON: each place in a module gets its
//! functions.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use gmr_runtime::__cli::{Place, Symbolized, resolve};
use gmr_runtime::Format;
use serde_json::{Map, Value, json};

use super::outcome::tell;
use super::search::Search;
use crate::args::{Symbolize, format_of};
use crate::out::Out;
use crate::output::Page;
use crate::progress::Progress;
use crate::sources;

/// How such a report begins.
const BEGINNING: &str = r#"{"kind":"fatal""#;

/// The latest crash report of a file. `None` if there is none.
///
/// # Errors
/// The file can't be read, or its crash report is not whole.
pub(super) fn read(path: &Path) -> Result<Option<Value>, String> {
    // Standard input can be read once, and is taken for a report.
    if path == Path::new("-") {
        return Ok(None);
    }
    let text = sources::text(path)?;
    let mut lines = text.lines().filter_map(|line| Some(&line[line.find(BEGINNING)?..]));
    let Some(line) = lines.next_back() else { return Ok(None) };
    serde_json::from_str(line)
        .map(Some)
        .map_err(|error| format!("{}: the crash report is not whole: {error}", path.display()))
}

pub(super) fn run(mut crash: Value, search: Search, args: &Symbolize, pager: bool) -> Result<(), String> {
    let progress = Progress::new("reading debug information");
    let modules = add_functions(&mut crash, search, &progress)?;
    drop(progress);
    tell(&modules)?;
    let format = format_of(args.format, args.output.as_deref());
    let mut out = Out::new(args.output.clone(), pager && format == Format::Text)?;
    let text = match format {
        Format::Json | Format::JsonLines => format!("{crash}\n").into_bytes(),
        Format::Text => {
            let empty = if args.output.is_some() { Page::plain() } else { Page::new() };
            page(&crash, empty).into_bytes()
        }
        other => return Err(format!("a crash report can be shown as text or json, not as {other}")),
    };
    let written = out.write(&text);
    out.end(written, false)
}

/// The places of a module, by how they are in the report.
type Places<'a> = BTreeMap<(String, String), Vec<(Place, &'a mut Map<String, Value>)>>;

/// # Errors
/// A file that is named has none of the build-ids.
fn add_functions(
    crash: &mut Value,
    mut search: Search,
    progress: &Progress,
) -> Result<Vec<Symbolized>, String> {
    let mut places = Places::new();
    collect(crash, false, &mut places);
    search.refuse_others(&places.keys().map(|(_, id)| &**id).collect())?;
    let mut modules = Vec::new();
    for ((module, build_id), mut of_module) in places {
        let addresses: Vec<Place> = of_module.iter().map(|(place, _)| *place).collect();
        let mut symbolized = Symbolized {
            module,
            build_id: Some(build_id.clone()),
            file: None,
            addresses: addresses.len(),
            nameless: addresses.len(),
            resolved: 0,
            missing: None,
        };
        let found = search.find(&build_id, progress).and_then(|file| {
            let found = resolve(&file, &build_id, &addresses, search.split());
            symbolized.file = Some(file);
            found
        });
        match found {
            Err(reason) => symbolized.missing = Some(reason),
            Ok((found, missing)) => {
                symbolized.missing = missing;
                for ((_, place), functions) in of_module.iter_mut().zip(found) {
                    symbolized.resolved += usize::from(!functions.is_empty());
                    let functions = functions.into_iter().map(|function| {
                        json!({ "function": function.function, "file": function.file, "line": function.line })
                    });
                    place.insert("functions".to_owned(), functions.collect());
                }
            }
        }
        modules.push(symbolized);
    }
    Ok(modules)
}

/// Finds all places. Those that calls have left on a stack are return addresses.
fn collect<'a>(value: &'a mut Value, are_left: bool, places: &mut Places<'a>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| collect(item, are_left, places)),
        Value::Object(object) => {
            let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
            let offset =
                text("offset").and_then(|text| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok());
            if let (Some(address), Some(id), Some(module)) = (offset, text("build_id"), text("module")) {
                let is_return = are_left || text("kind").as_deref() == Some("return");
                places.entry((module, id)).or_default().push((Place { address, is_return }, object));
                return;
            }
            for (key, value) in object {
                collect(value, key == "possible_return_addresses", places);
            }
        }
        _ => {}
    }
}

fn page(crash: &Value, mut page: Page) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let signal = &crash["signal"];
    let mut line = text(&signal["name"]);
    for (before, key) in [(", ", "code_name"), (" at ", "address"), (": ", "meaning")] {
        if let Some(value) = signal.get(key) {
            let _ = write!(line, "{before}{}", text(value));
        }
    }
    page.line(0, &format!("Crash of process {} at {}", text(&crash["pid"]), text(&crash["made_at"])));
    page.line(0, &line);
    for thread in crash["threads"].as_array().into_iter().flatten() {
        let crashed = if thread["crashed"] == true { ", which crashed" } else { "" };
        page.heading(&format!("Thread #{} ({}){crashed}", text(&thread["tid"]), text(&thread["name"])));
        if let Some(reason) = thread.get("missing") {
            page.line(4, &format!("no registers: {}", text(reason)));
        }
        stack(&mut page, &thread["frames"]);
        if let Some(reason) = thread.get("ends") {
            page.line(4, &format!("the stack ends here: {}", text(reason)));
        }
        if thread["possible_return_addresses"].as_array().is_some_and(|places| !places.is_empty()) {
            page.line(4, "possible return addresses, some of calls that have returned:");
            stack(&mut page, &thread["possible_return_addresses"]);
        }
    }
    for note in crash["notes"].as_array().into_iter().flatten() {
        page.heading(&text(note));
    }
    page.into_text()
}

/// The places of a stack, each with the functions that are inlined there.
fn stack(page: &mut Page, places: &Value) {
    for place in places.as_array().into_iter().flatten() {
        let text = |key: &str| place.get(key).and_then(Value::as_str).unwrap_or("?");
        let functions = place["functions"].as_array().filter(|functions| !functions.is_empty());
        let Some(functions) = functions else {
            let module = place.get("module").map(|_| format!(" {}+{}", text("module"), text("offset")));
            page.line(4, &format!("{}{}", text("address"), module.unwrap_or_default()));
            continue;
        };
        for (index, function) in functions.iter().enumerate() {
            let name = function["function"].as_str().unwrap_or("?");
            let at = match (function["file"].as_str(), function["line"].as_u64()) {
                (Some(file), Some(line)) => format!(" at {file}:{line}"),
                _ => String::new(),
            };
            let inlined = if index + 1 < functions.len() { " (inlined)" } else { "" };
            page.line(4, &format!("{name}{at}{inlined}"));
        }
    }
}
