//! The flame graph: the stacks of all threads and tasks, drawn by inferno as an icicle graph, the
//! outermost functions on top.

use std::collections::BTreeMap;

use inferno::flamegraph::{self, Direction, Options, Palette, color::MultiPalette};

use crate::model::{Content, Report};
use crate::views::folding::Part;
use crate::views::{Context, Detail, grouping, words};

/// Narrower frames are omitted, in percent of the whole width. Otherwise, a thousand distinct
/// stacks would make a page of many megabytes, with frames too narrow to see.
const MIN_WIDTH: f64 = 0.25;

/// The drawing as an `svg` element. `None` if there is no stack.
pub(super) fn graph(report: &Report, cx: Context<'_>) -> Option<String> {
    let stacks = stacks(report, cx);
    if stacks.is_empty() {
        return None;
    }
    let lines: Vec<String> = stacks.iter().map(|(stack, count)| format!("{stack} {count}")).collect();
    let mut options = Options::default();
    options.colors = Palette::Multi(MultiPalette::Rust);
    options.direction = Direction::Inverted;
    options.deterministic = true;
    options.count_name = String::from("stacks");
    options.min_width = MIN_WIDTH;
    options.title = String::new();
    options.font_type = String::from("monospace");
    let mut drawing = Vec::new();
    flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut drawing).ok()?;
    let drawing = String::from_utf8(drawing).ok()?;
    // Without the XML declaration: the element is part of a page.
    drawing.find("<svg").map(|start| drawing[start..].to_owned())
}

/// Each stack in inferno's format, the outermost function first, and the number of threads or tasks
/// that have it.
fn stacks(report: &Report, cx: Context<'_>) -> BTreeMap<String, usize> {
    let mut stacks: BTreeMap<String, usize> = BTreeMap::new();
    let mut add = |root: &str, parts: &[&Part<'_>], times: usize| {
        let functions = parts.iter().rev().filter_map(|part| name(part, cx.detail));
        let line: Vec<String> = std::iter::once(root.to_owned()).chain(functions).collect();
        *stacks.entry(line.join(";")).or_default() += times;
    };
    for section in &report.sections {
        match &section.content {
            Content::Threads(threads) => {
                let programs = threads.threads.iter().filter(|thread| thread.role.is_program());
                for group in grouping::of_threads(programs, cx.frames) {
                    let in_pool = grouping::pool_thread(group[0], cx.frames);
                    let shown = match in_pool.filter(|_| cx.detail == Detail::Short) {
                        Some(thread) => vec![Part::Frame(thread.frame)],
                        None => grouping::shown(&group[0].stack, cx),
                    };
                    add("threads", &shown.iter().collect::<Vec<_>>(), group.len());
                }
            }
            Content::GreenThreads(section) => {
                for group in grouping::of_tasks(&section.tasks, cx.frames) {
                    let points = grouping::wait_points(group[0], cx);
                    for branch in &points.branches {
                        let whole: Vec<&Part<'_>> = branch.iter().chain(&points.common).collect();
                        add("tasks", &whole, group.len());
                    }
                }
            }
            _ => {}
        }
    }
    stacks
}

/// A function's name, without the characters that end a name in inferno's format. None of what is
/// omitted.
fn name(part: &Part<'_>, detail: Detail) -> Option<String> {
    let name = match part {
        Part::Frame(frame) if frame.function.is_none() => {
            frame.module.clone().unwrap_or_else(|| "?".to_owned())
        }
        Part::Frame(frame) => words::function(frame, detail),
        Part::OwnBody(frame) => words::own_function(frame),
        Part::Omitted(_) => return None,
    };
    Some(name.chars().map(|letter| if letter == ';' || letter.is_control() { ',' } else { letter }).collect())
}
