//! Stacks as the text shows them, line by line and in short form, for the command `gmr`, which
//! groups those of many reports. It writes nothing.

use super::folding::{Known, Part, of_stack};
use super::room::{MAX_TEXT, Room};
use super::{Context, Detail, grouping, words};
use crate::model::{Report, Stack, Task, Thread};

/// A frame that text shows. What is omitted between frames is left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Line {
    /// The function, as text shows it. The same in all builds of a program.
    pub function: Option<String>,
    /// File and line, or module and offset.
    pub place: String,
}

/// The stacks of a report.
#[derive(Debug)]
pub struct Lines<'a> {
    frames: Vec<Known<'a>>,
    room: Room,
}

impl<'a> Lines<'a> {
    /// Those of this report.
    pub fn of(report: &'a Report) -> Self {
        Self { frames: Known::all(&report.frames), room: Room::new(MAX_TEXT) }
    }

    /// The frames of a thread, innermost first.
    pub fn of_thread(&'a self, thread: &Thread) -> Vec<Line> {
        match grouping::pool_thread(thread, &self.frames) {
            Some(thread) => vec![line(&Part::Frame(thread.frame))].into_iter().flatten().collect(),
            None => self.of_stack(&thread.stack),
        }
    }

    fn of_stack(&'a self, stack: &Stack) -> Vec<Line> {
        let frames = of_stack(stack, &self.frames);
        grouping::short(&frames, stack).filter_map(|part| line(&part)).collect()
    }

    /// The frames of a task, innermost first: of each branch, then what the branches have in
    /// common.
    pub fn of_task(&'a self, task: &Task) -> Vec<Line> {
        let cx = Context { frames: &self.frames, detail: Detail::Short, room: &self.room };
        grouping::wait_points(task, cx).all().filter_map(|part| line(&part)).collect()
    }

    /// Whether this is a thread of a pool that waits for work.
    pub fn is_idle(&'a self, thread: &Thread) -> bool {
        grouping::pool_thread(thread, &self.frames).is_some_and(|thread| thread.is_idle)
    }
}

fn line(part: &Part<'_>) -> Option<Line> {
    let frame = part.frame()?;
    let function = match part {
        Part::OwnBody(frame) => words::own_function(frame),
        _ => words::function(frame, Detail::Short),
    };
    let place = match (frame.path(), frame.line) {
        (Some(path), Some(line)) => format!("{path}:{line}"),
        (Some(path), None) => path.to_owned(),
        (None, _) => words::place(frame),
    };
    Some(Line { function: frame.function.is_some().then_some(function), place })
}
