//! Checks what the types of a document leave open: indices into its lists, and depths. An error
//! names the place in the document, as a JSON Pointer (RFC 6901). Nothing here allocates unless a
//! check fails.

use super::{Content, Finding, GreenThreads, Lock, Stack, Threads};

/// How deep a process or a span may be in its tree: the most processes that Linux can have.
const MAX_DEPTH: usize = 1 << 22;

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Misfit {
    message: String,
    /// The place, as a JSON Pointer. The callers prepend the parts of it that they know.
    place: String,
}

impl Misfit {
    fn new(message: String, place: &str) -> Self {
        Self { message, place: place.to_owned() }
    }

    pub(super) fn within(self, part: &dyn std::fmt::Display) -> Self {
        Self { place: format!("/{part}{}", self.place), ..self }
    }
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.message, self.place)
    }
}

type Check = Result<(), Misfit>;

/// Checks the items of a list, of which this is the name.
pub(super) fn each<T>(list: &[T], name: &str, check: impl Fn(&T) -> Check) -> Check {
    let mut items = list.iter().enumerate();
    items.try_for_each(|(index, item)| check(item).map_err(|misfit| misfit.within(&index).within(&name)))
}

/// Checks the content of a section or of a configuration group. The document has `count` frames.
///
/// # Errors
/// An index refers to what the document does not have, or a depth is impossible.
pub(super) fn content(content: &Content, count: usize) -> Check {
    let checked = match content {
        Content::Threads(value) => threads(value, count),
        Content::GreenThreads(value) => tasks(value, count),
        Content::Configuration(groups) => groups.iter().enumerate().try_for_each(|(index, group)| {
            let checked = self::content(&group.content, count);
            checked.map_err(|misfit| misfit.within(&"content").within(&index))
        }),
        Content::Processes(value) => each(&value.processes, "processes", |process| depth(process.depth)),
        Content::Spans(value) => each(&value.spans, "spans", |span| depth(span.depth))
            .and_then(|()| each(&value.more, "more", |group| depth(group.depth))),
        Content::Panicked(value) => stack(&value.stack, count),
        Content::TimedOut(value) => {
            stack(&value.overdue.stack, count).map_err(|misfit| misfit.within(&"overdue"))
        }
        Content::StillRunning(value) => stack(&value.stack, count),
        Content::Package(_)
        | Content::Resources(_)
        | Content::Descriptors(_)
        | Content::Modules(_)
        | Content::Environment(_)
        | Content::Events(_)
        | Content::Fields(_)
        | Content::Text(_)
        | Content::Nothing
        | Content::Error(_)
        | Content::Skipped(_) => Ok(()),
    };
    checked.map_err(|misfit| misfit.within(&"data"))
}

fn threads(value: &Threads, count: usize) -> Check {
    each(&value.locks, "locks", |lock| self::lock(lock, count))?;
    each(&value.threads, "threads", |thread| stack(&thread.stack, count))
}

fn tasks(value: &GreenThreads, count: usize) -> Check {
    let runtimes = value.runtimes.len();
    each(&value.tasks, "tasks", |task| {
        if let Some(runtime) = task.runtime.filter(|runtime| *runtime >= runtimes) {
            let message = format!("a task refers to runtime {runtime}, but there are {runtimes} runtimes");
            return Err(Misfit::new(message, "/runtime"));
        }
        each(&task.stacks, "stacks", |stack| frames(stack, count))
    })
}

fn lock(lock: &Lock, count: usize) -> Check {
    each(&lock.waiters, "waiters", |waiter| frame(waiter.frame, "a lock", count))?;
    each(&lock.holders, "holders", |holder| frame(holder.frame, "a lock", count))
}

/// Checks the frames that a finding's evidence refers to.
///
/// # Errors
/// One does not exist.
pub(super) fn finding(finding: &Finding, count: usize) -> Check {
    each(&finding.evidence, "evidence", |evidence| frame(evidence.frame, "a finding", count))
}

fn stack(stack: &Stack, count: usize) -> Check {
    frames(stack, count).map_err(|misfit| misfit.within(&"stack"))
}

fn frames(stack: &Stack, count: usize) -> Check {
    each(&stack.frames, "frames", |&index| exists(index, "a stack", "", count))
}

fn frame(index: Option<u32>, whose: &str, count: usize) -> Check {
    index.map_or(Ok(()), |index| exists(index, whose, "/frame", count))
}

fn exists(index: u32, whose: &str, place: &str, count: usize) -> Check {
    if usize::try_from(index).is_ok_and(|index| index < count) {
        return Ok(());
    }
    Err(Misfit::new(format!("{whose} refers to frame {index}, but there are {count} frames"), place))
}

fn depth(depth: usize) -> Check {
    if depth <= MAX_DEPTH {
        return Ok(());
    }
    Err(Misfit::new(format!("depth {depth} is more than {MAX_DEPTH}"), "/depth"))
}
