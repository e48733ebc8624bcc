//! The flame graph: the stacks of all threads and tasks, drawn by inferno as an icicle graph, the
//! outermost functions on top.

use std::collections::BTreeMap;

use inferno::flamegraph::{self, Direction, Options, Palette, color::MultiPalette};

use crate::model::{Content, Frame, Report, is_unqualified};
use crate::units::counted;
use crate::views::escape::clean;
use crate::views::folding::Part;
use crate::views::{Context, Detail, grouping, words};

/// Narrower frames are omitted, in percent of the whole width. Otherwise, a thousand distinct
/// stacks would make a page of many megabytes, with frames too narrow to see.
const MIN_WIDTH: f64 = 0.25;

/// The most levels of a stack: what is in between is omitted. A deeper drawing would take many
/// screens, most of them empty.
const MAX_LEVELS: usize = 100;

/// The most bytes of all stacks in inferno's format, with those of the drawing itself. A document
/// can refer to a frame any number of times.
const MAX_STACKS: usize = 8 << 20;
const MAX_DRAWING: usize = 1 << 20;

/// The most characters of a name.
const MAX_NAME: usize = 200;

/// The drawing of all stacks.
pub(super) struct Drawing {
    /// An `svg` element.
    pub(super) svg: String,
    /// What zooms and searches in it.
    pub(super) script: String,
}

/// The drawing. `None` if there is no stack.
pub(super) fn graph(report: &Report, cx: Context<'_>) -> Option<Drawing> {
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
    options.title = String::new();
    options.font_type = String::from("monospace");
    // Wider frames are fewer.
    for min_width in [MIN_WIDTH, 4.0 * MIN_WIDTH, 16.0 * MIN_WIDTH] {
        options.min_width = min_width;
        let mut drawing = Vec::new();
        flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut drawing).ok()?;
        if drawing.len() <= MAX_DRAWING {
            return parts(&String::from_utf8(drawing).ok()?);
        }
    }
    None
}

/// Takes the script out of the drawing: in a page, its hash can be given, which a content security
/// policy needs. For the same reason, it starts itself and not by an attribute.
fn parts(drawing: &str) -> Option<Drawing> {
    const SCRIPT: &str = r#"<script type="text/ecmascript">"#;
    // Without the XML declaration: the element is part of a page.
    let svg = &drawing[drawing.find("<svg")?..];
    let (before, rest) = svg.split_once(SCRIPT)?;
    let (script, after) = rest.split_once("</script>")?;
    let script = script.replace("<![CDATA[", "").replace("]]>", "");
    let svg = format!("{before}{after}").replacen(r#" onload="init(evt)""#, "", 1);
    Some(Drawing { svg, script: format!("{script}\nrequestAnimationFrame(init);\n") })
}

/// Each stack in inferno's format, the outermost function first, and the number of threads or tasks
/// that have it.
fn stacks(report: &Report, cx: Context<'_>) -> BTreeMap<String, usize> {
    let mut stacks: BTreeMap<String, usize> = BTreeMap::new();
    let mut left = MAX_STACKS;
    let mut add = |root: &str, parts: &[&Part<'_>], times: usize| {
        let mut line = root.to_owned();
        let outer = parts.len().saturating_sub(MAX_LEVELS / 2);
        for (index, part) in parts.iter().enumerate().rev() {
            let name = if left == 0 {
                Some("(not drawn: too many stacks)".to_owned())
            } else if (MAX_LEVELS / 2..outer).contains(&index) {
                let omitted = outer - MAX_LEVELS / 2;
                (index + 1 == outer).then(|| format!("({})", counted(omitted, "more frame")))
            } else {
                name(part, cx.detail)
            };
            if let Some(name) = name {
                line.push(';');
                line.push_str(&name);
            }
            if left == 0 {
                break;
            }
        }
        left = left.saturating_sub(line.len());
        *stacks.entry(line).or_default() += times;
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

/// A function's name, in a form that inferno takes for nothing else. None of what is omitted.
fn name(part: &Part<'_>, detail: Detail) -> Option<String> {
    let name = match part {
        Part::Frame(frame) if frame.function.is_none() => frame.module.as_deref().unwrap_or("?").to_owned(),
        Part::Frame(frame) => placed(frame, words::function(frame, detail)),
        Part::Repeated(frame, times) => {
            format!("{} (×{times})", placed(frame, words::function(frame, detail)))
        }
        Part::OwnBody(frame) => words::own_function(frame),
        Part::Omitted(_) => return None,
    };
    Some(of_inferno(&clean(&name)))
}

/// Without its path, as that of an inlined function can be, a name is the same for many functions. Its
/// file and line tell them apart.
fn placed(frame: &Frame, name: String) -> String {
    let function = frame.function.as_deref().unwrap_or_default();
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) if is_unqualified(function) => {
            format!("{name} ({}:{line})", file.rsplit('/').next().unwrap_or(file))
        }
        _ => name,
    }
}

/// A semicolon ends a name in inferno's format, and a number at the end of the last one is a count.
fn of_inferno(name: &str) -> String {
    const NO_BREAK: char = '\u{a0}';
    let mut name: String = name.trim().chars().take(MAX_NAME).collect::<String>().replace(';', ",");
    if let Some(blank) = name.rfind(' ')
        && name[blank + 1..].starts_with(|first: char| first.is_ascii_digit())
    {
        name.replace_range(blank..=blank, NO_BREAK.encode_utf8(&mut [0; 4]));
    }
    name
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;
    use crate::model::Stack;
    use crate::views::Known;
    use crate::views::room::{MAX_PAGE, Room};

    /// The names of all rectangles, with how many stacks each stands for.
    fn drawn(report: &Report) -> Vec<String> {
        let frames = Known::all(&report.frames);
        let room = Room::new(MAX_PAGE);
        let cx = Context { frames: &frames, detail: Detail::Short, room: &room };
        let Drawing { svg: drawing, script } = graph(report, cx).expect("there are stacks");
        assert!(
            !drawing.contains("script") && !drawing.contains("onload") && script.contains("function init(")
        );
        let titles = drawing.split("<title>").skip(1);
        titles.map(|rest| rest.split("</title>").next().unwrap_or_default().to_owned()).collect()
    }

    fn report(frames: Vec<Frame>, stacks: &[&[u32]]) -> Report {
        let mut report = Report::capture();
        let threads = report.sections.iter_mut().find_map(|section| match &mut section.content {
            Content::Threads(threads) => Some(threads),
            _ => None,
        });
        let threads = threads.expect("it is a default section");
        let thread = threads.threads[0].clone();
        let stack = |frames: &&[u32]| Stack { frames: frames.to_vec().into(), ..Stack::default() };
        let thread = |(stack, tid)| crate::model::Thread { tid, stack, ..thread.clone() };
        threads.threads = stacks.iter().map(stack).zip(1..).map(thread).collect();
        Report {
            frames,
            sections: report.sections.into_iter().filter(|section| section.title == "Threads").collect(),
            ..report
        }
    }

    fn frame(function: &str, line: u32) -> Frame {
        let file = Some("/srv/shop/src/main.rs".to_owned());
        Frame {
            address: line.into(),
            function: Some(function.to_owned()),
            file,
            line: Some(line),
            ..Frame::default()
        }
    }

    #[test]
    fn a_name_that_ends_in_a_number_is_no_count() {
        let frames = vec![frame("shop::main", 1), frame("shop:: 17", 2), frame("shop::a;b 3 5.2", 3)];
        let drawn = drawn(&report(frames, &[&[1, 0], &[1, 0], &[2, 0]]));
        for expected in [
            "shop::main (3 stacks, 100.00%)",
            "shop::\u{a0}17 (2 stacks, 66.67%)",
            "shop::a,b 3\u{a0}5.2 (1 stacks, 33.33%)",
        ] {
            assert!(drawn.iter().any(|name| name == expected), "{drawn:?}");
        }
    }

    #[test]
    fn inlined_functions_without_a_path_are_told_apart() {
        let frames = vec![frame("shop::main", 1), frame("{async_fn#0}", 2), frame("{async_fn#0}", 3)];
        let drawn = drawn(&report(frames, &[&[1, 0], &[2, 0]]));
        assert!(drawn.iter().any(|name| name.starts_with("{async fn} (main.rs:2) (1 stacks")), "{drawn:?}");
        assert!(drawn.iter().any(|name| name.starts_with("{async fn} (main.rs:3) (1 stacks")), "{drawn:?}");
    }

    #[test]
    fn a_recursion_takes_few_levels() {
        let frames: Vec<Frame> = (0..1000).map(|line| frame(&format!("shop::f{line}"), line)).collect();
        let all: Vec<u32> = (0..1000).collect();
        let repeated = [vec![1], vec![2; 184], vec![3]].concat();
        let drawn = drawn(&report(frames, &[&all, &repeated]));
        assert!(drawn.iter().any(|name| name.starts_with("shop::f2 (×184) (1 stacks")), "{drawn:?}");
        assert!(drawn.iter().any(|name| name.starts_with("(900 more frames) (1 stacks")), "{drawn:?}");
        assert!(drawn.len() < 110, "{}", drawn.len());
    }

    #[test]
    fn what_a_terminal_would_interpret_is_escaped() {
        let mut hostile = frame("shop::\u{202e}main\u{1b}", 1);
        hostile.function = None;
        hostile.module = Some("a\u{202e}b\u{7f}".into());
        let frames = vec![frame("shop::\u{202e}main\u{1b}", 1), hostile];
        let drawn = drawn(&report(frames, &[&[1, 0]])).concat();
        assert!(
            drawn.contains("a\\u{202e}b\\u{7f}") && drawn.contains("shop::\\u{202e}main\\u{1b}"),
            "{drawn}"
        );
    }
}
