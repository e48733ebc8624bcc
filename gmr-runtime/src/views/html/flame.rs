//! The flame graph: the stacks of all threads and tasks as an icicle graph, the outermost functions
//! on top.
//!
//! Each frame is a button. Its place is given in stacks, of which the page's style makes a share of
//! the width. So the graph fits any window and any paper, a name is cut where its frame ends, and
//! to zoom is to set two properties of the whole.

use std::io;

use maud::{Markup, html};

use super::out::PLACEHOLDER;
use crate::model::{Content, Frame, Report, is_unqualified};
use crate::sys::hash::{HashMap, NumberMap, address};
use crate::sys::sort;
use crate::units::counted;
use crate::views::escape::clean;
use crate::views::folding::Part;
use crate::views::grouping::Shown;
#[cfg(feature = "__cli")]
use crate::views::owner::{Owner, owner};
use crate::views::{Context, Detail, Known, grouping, words};

/// Narrower frames are omitted, as a part of the whole width. Otherwise, a thousand distinct stacks
/// would make a page of many megabytes, with frames too narrow to see. If those that are left take
/// too much, the next part applies: wider frames are fewer.
const MIN_WIDTHS: [usize; 3] = [400, 100, 25];

/// The most bytes of the frames of a drawing. A document can refer to a frame any number of times.
const MAX_DRAWING: usize = 1 << 20;

/// The most levels of a stack: what is in between is omitted. A deeper drawing would take many
/// screens, most of them empty.
const MAX_LEVELS: usize = 100;

/// The most names in all stacks together: those of ten thousand different stacks.
const MAX_NAMES: usize = 1 << 20;

/// The most characters of a name.
const MAX_NAME: usize = 200;

/// Precedes the name of a function of the program.
const OWN: char = '+';
const LIBRARYS: char = '-';

/// The drawing of all stacks. `None` if there is no stack.
pub(super) fn graph(report: &Report, cx: Context<'_>) -> Option<Drawing> {
    Drawing::of(stacks(report, cx))
}

/// Stacks by the numbers of their names: each name is kept once.
#[derive(Debug, Default)]
struct Stacks {
    names: HashMap<Box<str>, u32>,
    /// Each stack, the outermost function first, and the number of threads or tasks that have it.
    all: Vec<(Box<[u32]>, usize)>,
    /// How many names all of them have.
    length: usize,
}

impl Stacks {
    fn is_full(&self) -> bool {
        self.length >= MAX_NAMES
    }

    fn number(&mut self, name: String) -> u32 {
        if let Some(number) = self.names.get(&*name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.insert(name.into(), number);
        number
    }

    fn add(&mut self, stack: Vec<u32>, count: usize) {
        self.length += stack.len();
        self.all.push((stack.into(), count));
    }
}

/// A drawing, and what it means.
#[derive(Debug)]
pub(super) struct Drawing {
    /// In ascending order.
    names: Vec<Box<str>>,
    /// By the places of their names, in ascending order: those that begin alike are next to one
    /// another.
    stacks: Vec<(Box<[u32]>, usize)>,
    /// How many threads and tasks have one of them.
    all: usize,
    /// How many have the narrowest frame that is drawn.
    least: usize,
    levels: usize,
}

impl Drawing {
    fn of(stacks: Stacks) -> Option<Self> {
        let Stacks { names, all: mut stacks, .. } = stacks;
        let mut names: Vec<(Box<str>, u32)> = names.into_iter().collect();
        sort::all(&mut names);
        let mut places = vec![0_u32; names.len()];
        for ((_, number), place) in names.iter().zip(0..) {
            places[*number as usize] = place;
        }
        for (stack, _) in &mut stacks {
            stack.iter_mut().for_each(|number| *number = places[*number as usize]);
        }
        sort::all(&mut stacks);
        let all = stacks.iter().fold(0_usize, |sum, (_, count)| sum.saturating_add(*count));
        let names = names.into_iter().map(|(name, _)| name).collect();
        let mut drawing = Self { names, stacks, all, least: 0, levels: 0 };
        MIN_WIDTHS.into_iter().any(|part| drawing.fits(all / part)).then_some(drawing)
    }

    /// Whether there are frames that are as wide as this, and how they are drawn is short enough.
    fn fits(&mut self, least: usize) -> bool {
        self.least = least;
        let (mut levels, mut bytes) = (0, 0);
        let drawn = self.each(&mut |frame| {
            levels = levels.max(frame.level + 1);
            bytes += self.frame(frame).0.len();
            if bytes > MAX_DRAWING { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        });
        self.levels = levels;
        drawn.is_ok() && levels > 0
    }

    /// Writes it. What needs the script is hidden until the script shows it.
    pub(super) fn write(&self, write: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        let Self { all, levels, .. } = self;
        let all_stacks = counted(*all, "stack");
        let around = html! {
            p #width .note {
                "Each column is a stack, the outermost function on top. A function is as wide as the number of threads and tasks that have it at this place of their stacks; it is not about time. The whole width is " (all_stacks) ". The program's functions are in colour."
            }
            p #how .note hidden { "To zoom in, click a function, or press Enter on it; the arrow keys lead from one to the next. To zoom out, click it again, or press Escape." }
            p.zoom hidden {
                button #whole type="button" disabled { "zoom out" }
                output #zoomed { "shown: all " (all_stacks) }
            }
            div.flame style={ "--all:" (all) ";--levels:" (levels) } role="group" aria-label="Flame graph of all stacks" aria-describedby="width" {
                (PLACEHOLDER)
            }
            p #frame .note aria-live="polite" {}
        };
        let (before, after) = around.0.split_once(PLACEHOLDER.0).unwrap_or_default();
        write(before)?;
        self.each(&mut |frame| write(&self.frame(frame).0))?;
        write(after)
    }

    /// Calls `act` with each frame that is wide enough, before those that it calls.
    fn each(&self, act: &mut dyn FnMut(Placed) -> io::Result<()>) -> io::Result<()> {
        self.each_of(&self.stacks, 0, 0, act)
    }

    /// The same for stacks that are the same above a level, with so many on their left.
    fn each_of(
        &self,
        stacks: &[(Box<[u32]>, usize)],
        level: usize,
        left: usize,
        act: &mut dyn FnMut(Placed) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut left = left;
        for same in stacks.chunk_by(|(a, _), (b, _)| a.get(level) == b.get(level)) {
            let stacks = same.iter().fold(0_usize, |sum, (_, count)| sum.saturating_add(*count));
            if let Some(&name) = same[0].0.get(level).filter(|_| stacks >= self.least) {
                act(Placed { level, left, stacks, name })?;
                self.each_of(same, level + 1, left, act)?;
            }
            left = left.saturating_add(stacks);
        }
        Ok(())
    }

    fn frame(&self, frame: Placed) -> Markup {
        let Placed { level, left, stacks, name } = frame;
        let marked = &*self.names[name as usize];
        let name = marked.strip_prefix([OWN, LIBRARYS]).unwrap_or(marked);
        let permille = stacks.saturating_mul(1000) / self.all.max(1);
        let title = format!("{name}: {}, {}.{} %", counted(stacks, "stack"), permille / 10, permille % 10);
        html! {
            // The outermost ones can be reached by the Tab key, and the others from there by
            // arrows.
            button type="button" tabindex=[(level > 0).then_some("-1")] class=[marked.starts_with(OWN).then_some("own")]
                style={ "--x:" (left) ";--w:" (stacks) ";--y:" (level) } title=(title) { bdi { (name) } }
        }
    }
}

/// A frame in a drawing.
#[derive(Debug, Clone, Copy)]
struct Placed {
    /// The outermost is 0.
    level: usize,
    /// How many stacks are on its left.
    left: usize,
    /// How many stacks have it.
    stacks: usize,
    /// The place of its name.
    name: u32,
}

/// Stacks of many reports, for the command `gmr-fleet`: by the names of functions, as
/// [`Line`](crate::views::Line) has them.
#[cfg(feature = "__cli")]
#[derive(Debug, Default)]
pub struct Flame(Stacks);

#[cfg(feature = "__cli")]
impl Flame {
    /// Adds a stack that so many threads or tasks have, the outermost function first. What is below
    /// the first levels is left out, and all but the root once the drawing has enough.
    pub fn add<'a>(&mut self, root: &str, functions: impl Iterator<Item = &'a str>, count: usize) {
        let levels = if self.0.is_full() { 0 } else { MAX_LEVELS };
        let mut stack = vec![self.0.number(root.to_owned())];
        stack.extend(functions.take(levels).map(|name| self.0.number(marked(is_own(name), name))));
        self.0.add(stack, count);
    }

    /// The markup. `None` if there is no stack.
    pub fn draw(self) -> Option<String> {
        let drawing = Drawing::of(self.0)?;
        let mut markup = String::new();
        let written = drawing.write(&mut |piece| {
            markup.push_str(piece);
            Ok(())
        });
        written.ok().map(|()| markup)
    }
}

/// Whether a function is the program's, by its name alone.
#[cfg(feature = "__cli")]
fn is_own(function: &str) -> bool {
    let frame = Frame { function: Some(function.to_owned()), ..Frame::default() };
    !is_unqualified(function) && owner(&frame) == Owner::Program
}

/// The stacks of all threads of the program, and of all tasks.
fn stacks(report: &Report, cx: Context<'_>) -> Stacks {
    let mut stacks = Stacks::default();
    // Thousands of stacks share a frame.
    let mut known: NumberMap<Option<u32>> = NumberMap::default();
    let mut add = |root: &str, shown: &Shown<'_>, times: usize| {
        let (inner, between, outer) = shown.ends_within(MAX_LEVELS / 2, MAX_LEVELS / 2);
        let mut stack = vec![stacks.number(root.to_owned())];
        if stacks.is_full() {
            stack.push(stacks.number(marked(false, "(not drawn: too many stacks)")));
            return stacks.add(stack, times);
        }
        let mut number = |part: &Part<'_>| match part {
            Part::Frame(frame) => {
                *known.entry(address(*frame), || Some(stacks.number(name(part, cx.detail)?)))
            }
            _ => Some(stacks.number(name(part, cx.detail)?)),
        };
        stack.extend(outer.iter().rev().filter_map(&mut number));
        let inner: Vec<u32> = inner.iter().rev().filter_map(number).collect();
        if between > 0 {
            stack.push(stacks.number(marked(false, &format!("({})", counted(between, "more frame")))));
        }
        stack.extend(inner);
        stacks.add(stack, times);
    };
    for section in &report.sections {
        match &section.content {
            Content::Threads(threads) => {
                let programs = threads.threads.iter().filter(|thread| thread.role.is_program());
                for group in grouping::of_threads(programs, cx.frames) {
                    let in_pool = grouping::pool_thread(group[0], cx.frames);
                    let shown = match in_pool.filter(|_| cx.detail == Detail::Short) {
                        Some(thread) => Shown::all([Part::Frame(thread.frame)].into_iter()),
                        None => grouping::shown(&group[0].stack, cx),
                    };
                    add("threads", &shown, group.len());
                }
            }
            Content::GreenThreads(section) => {
                for group in grouping::of_tasks(&section.tasks, cx.frames) {
                    let points = grouping::wait_points(group[0], cx);
                    points.whole().for_each(|whole| add("tasks", &whole, group.len()));
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
    Some(marked(part.frame().is_some_and(Known::is_own), &name))
}

fn marked(is_own: bool, name: &str) -> String {
    let mark = if is_own { OWN } else { LIBRARYS };
    [mark].into_iter().chain(clean(name.trim()).chars().take(MAX_NAME)).collect()
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
        let mut drawing = String::new();
        let written = graph(report, cx).expect("there are stacks").write(&mut |piece| {
            drawing.push_str(piece);
            Ok(())
        });
        written.expect("a string takes all");
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
