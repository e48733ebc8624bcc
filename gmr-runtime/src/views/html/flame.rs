//! The flame graph: the stacks of all threads and tasks as an icicle graph, the outermost functions
//! on top.
//!
//! Each frame is a button. Its place is given in stacks, of which the page's style makes a share of
//! the width. So the graph fits any window and any paper, a name is cut where its frame ends, and
//! to zoom is to set two properties of the whole.

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};

use crate::model::{Content, Frame, Report, is_unqualified};
use crate::units::counted;
use crate::views::escape::clean;
use crate::views::folding::Part;
#[cfg(feature = "__cli")]
use crate::views::owner::{Owner, owner};
use crate::views::{Context, Detail, Known, grouping, words};

/// Narrower frames are omitted, as a part of the whole width. Otherwise, a thousand distinct stacks
/// would make a page of many megabytes, with frames too narrow to see.
const MIN_WIDTH: usize = 400;

/// The most levels of a stack: what is in between is omitted. A deeper drawing would take many
/// screens, most of them empty.
const MAX_LEVELS: usize = 100;

/// The most bytes of all stacks, with those of the drawing itself. A document can refer to a frame
/// any number of times.
const MAX_STACKS: usize = 8 << 20;
const MAX_DRAWING: usize = 1 << 20;

/// The most characters of a name.
const MAX_NAME: usize = 200;

/// Ends a name in a stack. A name has no control characters.
const END: char = '\n';

/// Precedes the name of a function of the program.
const OWN: char = '+';
const LIBRARYS: char = '-';

/// The drawing, below what it means. What needs the script is hidden until the script shows it.
/// `None` if there is no stack.
pub(super) fn graph(report: &Report, cx: Context<'_>) -> Option<Markup> {
    drawing(&stacks(report, cx))
}

fn drawing(stacks: &BTreeMap<String, usize>) -> Option<Markup> {
    let all = stacks.values().fold(0_usize, |sum, count| sum.saturating_add(*count));
    let boxes = boxes(stacks, all / MIN_WIDTH);
    let levels = 1 + boxes.iter().map(|one| one.level).max()?;
    // Wider frames are fewer.
    let wide = |part: usize| {
        let mut drawing = String::new();
        for one in boxes.iter().filter(|one| one.stacks >= all / part) {
            drawing.push_str(&one.draw(all).0);
        }
        drawing
    };
    let parts = [MIN_WIDTH, MIN_WIDTH / 4, MIN_WIDTH / 16];
    let drawing = parts.into_iter().map(wide).find(|drawing| drawing.len() <= MAX_DRAWING)?;
    let all_stacks = counted(all, "stack");
    Some(html! {
        p #width .note {
            "Each column is a stack, the outermost function on top. A function is as wide as the number of threads and tasks that have it at this place of their stacks; it is not about time. The whole width is " (all_stacks) ". The program's functions are in colour."
        }
        p #how .note hidden { "To zoom in, click a function, or press Enter on it; the arrow keys lead from one to the next. To zoom out, click it again, or press Escape." }
        p.zoom hidden {
            button #whole type="button" disabled { "zoom out" }
            output #zoomed { "shown: all " (all_stacks) }
        }
        div.flame style={ "--all:" (all) ";--levels:" (levels) } role="group" aria-label="Flame graph of all stacks" aria-describedby="width" {
            (PreEscaped(drawing))
        }
        p #frame .note aria-live="polite" {}
    })
}

/// Stacks of many reports, for the command `gmr-fleet`: by the names of functions, as
/// [`Line`](crate::views::Line) has them.
#[cfg(feature = "__cli")]
#[derive(Debug, Default)]
pub struct Flame {
    stacks: BTreeMap<String, usize>,
    /// The bytes of their names.
    bytes: usize,
}

#[cfg(feature = "__cli")]
impl Flame {
    /// Adds a stack that so many threads or tasks have, the outermost function first. What is below
    /// the first levels is left out, and all but the root once the drawing has enough.
    pub fn add<'a>(&mut self, root: &str, functions: impl Iterator<Item = &'a str>, count: usize) {
        let mut line = format!("{root}{END}");
        for function in functions.take(MAX_LEVELS) {
            if self.bytes > MAX_STACKS {
                break;
            }
            line.push(if is_own(function) { OWN } else { LIBRARYS });
            line.extend(clean(function.trim()).chars().take(MAX_NAME));
            line.push(END);
        }
        self.bytes += line.len();
        let stack = self.stacks.entry(line).or_default();
        *stack = stack.saturating_add(count);
    }

    /// The markup. `None` if there is no stack.
    pub fn draw(&self) -> Option<String> {
        drawing(&self.stacks).map(Markup::into_string)
    }
}

/// Whether a function is the program's, by its name alone.
#[cfg(feature = "__cli")]
fn is_own(function: &str) -> bool {
    let frame = Frame { function: Some(function.to_owned()), ..Frame::default() };
    !is_unqualified(function) && owner(&frame) == Owner::Program
}

/// A frame of the drawing.
struct Frames<'a> {
    /// The outermost is 0.
    level: usize,
    /// How many stacks are on its left.
    left: usize,
    /// How many stacks have it.
    stacks: usize,
    name: &'a str,
    is_own: bool,
}

impl Frames<'_> {
    fn draw(&self, all: usize) -> Markup {
        let Self { level, left, stacks, name, is_own } = self;
        let permille = stacks.saturating_mul(1000) / all.max(1);
        let title = format!("{name}: {}, {}.{} %", counted(*stacks, "stack"), permille / 10, permille % 10);
        html! {
            // The outermost ones can be reached by the Tab key, and the others from there by
            // arrows.
            button type="button" tabindex=[(*level > 0).then_some("-1")] class=[is_own.then_some("own")]
                style={ "--x:" (left) ";--w:" (stacks) ";--y:" (level) } title=(title) { bdi { (name) } }
        }
    }
}

/// The frames of sorted stacks, each before those that it calls. Those of fewer stacks than `least`
/// are dropped as soon as that is known: a thousand different stacks have ten thousands.
fn boxes(stacks: &BTreeMap<String, usize>, least: usize) -> Vec<Frames<'_>> {
    let mut boxes: Vec<Frames<'_>> = Vec::new();
    // Those of the stack before, by their places in the list.
    let mut open: Vec<usize> = Vec::new();
    let mut left = 0_usize;
    for (stack, count) in stacks {
        let mut same = true;
        for (level, name) in stack.split_terminator(END).enumerate() {
            let is_own = name.starts_with(OWN);
            let name = name.strip_prefix([OWN, LIBRARYS]).unwrap_or(name);
            let before = open.get(level).and_then(|&place| boxes.get_mut(place));
            let before = before.filter(|before| same && before.name == name && before.is_own == is_own);
            if let Some(before) = before {
                before.stacks = before.stacks.saturating_add(*count);
                continue;
            }
            same = false;
            close(&mut boxes, open.drain(level..), least);
            open.push(boxes.len());
            boxes.push(Frames { level, left, stacks: *count, name, is_own });
        }
        left = left.saturating_add(*count);
    }
    close(&mut boxes, open.drain(..), least);
    boxes
}

/// Drops narrow frames, which are the last of the list with all that they call.
fn close(boxes: &mut Vec<Frames<'_>>, closed: std::vec::Drain<'_, usize>, least: usize) {
    for place in closed.rev() {
        if boxes[place].stacks < least {
            boxes.truncate(place);
        }
    }
}

/// Each stack, the outermost function first, and the number of threads or tasks that have it.
fn stacks(report: &Report, cx: Context<'_>) -> BTreeMap<String, usize> {
    let mut stacks: BTreeMap<String, usize> = BTreeMap::new();
    let mut left = MAX_STACKS;
    let mut add = |root: &str, parts: &[&Part<'_>], times: usize| {
        let mut line = format!("{root}{END}");
        let outer = parts.len().saturating_sub(MAX_LEVELS / 2);
        for (index, part) in parts.iter().enumerate().rev() {
            let name = if left == 0 {
                Some("-(not drawn: too many stacks)".to_owned())
            } else if (MAX_LEVELS / 2..outer).contains(&index) {
                let omitted = outer - MAX_LEVELS / 2;
                (index + 1 == outer).then(|| format!("-({})", counted(omitted, "more frame")))
            } else {
                name(part, cx.detail)
            };
            if let Some(name) = name {
                line.push_str(&name);
                line.push(END);
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

/// A function's name, after whose it is. None of what is omitted.
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
    let mark = if part.frame().is_some_and(Known::is_own) { OWN } else { LIBRARYS };
    Some([mark].into_iter().chain(clean(name.trim()).chars().take(MAX_NAME)).collect())
}

/// Without its path, as that of an inlined function can be, a name is the same for many functions.
/// Its file and line tell them apart.
fn placed(frame: &Frame, name: String) -> String {
    let function = frame.function.as_deref().unwrap_or_default();
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) if is_unqualified(function) => {
            format!("{name} ({}:{line})", file.rsplit('/').next().unwrap_or(file))
        }
        _ => name,
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;
    use crate::model::Stack;
    use crate::views::room::{MAX_PAGE, Room};

    /// The names of all rectangles, with how many stacks each stands for.
    fn drawn(report: &Report) -> Vec<String> {
        let frames = Known::all(&report.frames);
        let room = Room::new(MAX_PAGE);
        let cx = Context { frames: &frames, detail: Detail::Short, room: &room };
        let drawing = graph(report, cx).expect("there are stacks").into_string();
        let titles = drawing.split(" title=\"").skip(1);
        titles.map(|rest| rest.split('"').next().unwrap_or_default().to_owned()).collect()
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
            "shop::main: 3 stacks, 100.0 %",
            "shop:: 17: 2 stacks, 66.6 %",
            "shop::a;b 3 5.2: 1 stack, 33.3 %",
        ] {
            assert!(drawn.iter().any(|name| name == expected), "{drawn:?}");
        }
    }

    #[test]
    fn inlined_functions_without_a_path_are_told_apart() {
        let frames = vec![frame("shop::main", 1), frame("{async_fn#0}", 2), frame("{async_fn#0}", 3)];
        let drawn = drawn(&report(frames, &[&[1, 0], &[2, 0]]));
        assert!(drawn.iter().any(|name| name.starts_with("{async fn} (main.rs:2): 1 stack,")), "{drawn:?}");
        assert!(drawn.iter().any(|name| name.starts_with("{async fn} (main.rs:3): 1 stack,")), "{drawn:?}");
    }

    #[test]
    fn a_recursion_takes_few_levels() {
        let frames: Vec<Frame> = (0..1000).map(|line| frame(&format!("shop::f{line}"), line)).collect();
        let all: Vec<u32> = (0..1000).collect();
        let repeated = [vec![1], vec![2; 184], vec![3]].concat();
        let drawn = drawn(&report(frames, &[&all, &repeated]));
        assert!(drawn.iter().any(|name| name.starts_with("shop::f2 (×184): 1 stack,")), "{drawn:?}");
        assert!(drawn.iter().any(|name| name.starts_with("(900 more frames): 1 stack,")), "{drawn:?}");
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
