//! What many looks at a process have seen: for how long its threads ran in which functions, and for how
//! long they waited where. It asks and prints nothing.
//!
//! The clocks of threads say how much processor time each has used between two looks. That time counts
//! for the stack at the second one only if the thread ran there. If it was blocked again, nobody has
//! seen where it ran: that is counted apart, and never for the stack that it is blocked in.

use std::collections::HashMap;
use std::time::Duration;

use gmr_runtime::__cli::printable;
use gmr_runtime::Report;
use gmr_runtime::model::{Frame, Taken, Task, TaskState, Thread};

use crate::output::as_u64;
use crate::places::{self, Places};

/// Time after which a look is late, in periods. What ran in a longer time says little about where a
/// thread was in it.
const LATE: u32 = 4;

/// Less than this is not late, however often looks are wanted: a busy machine takes as long.
const NOT_LATE: Duration = Duration::from_millis(250);

/// A function, as a profile has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) function: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
}

/// A stack, outermost function first.
#[derive(Debug)]
pub(super) struct Stack {
    /// Indices into [`Profile::places`].
    pub(super) places: Vec<usize>,
    /// As text shows it, innermost first: without what all threads have.
    pub(super) lines: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Weight {
    /// How many times it was seen.
    pub(super) samples: u64,
    pub(super) time: Duration,
    /// The part of that time in which the thread has not run at all, so that it was there for certain.
    pub(super) certain: Duration,
}

/// Time by stack and by name of the thread or task. Both are indices into [`Profile`].
pub(super) type Weights = HashMap<(usize, usize), Weight>;

/// Times in sum over all threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// The time from the first look to the last.
    pub(super) time: Duration,
    /// How many there were, without the first.
    pub(super) looks: u64,
    pub(super) late: u64,
    pub(super) threads: u64,
    pub(super) tasks: u64,
    /// Processor time of threads that ran at the next look, and had a stack there.
    pub(super) seen: Duration,
    /// Of threads that were blocked at the next look.
    pub(super) not_seen: Duration,
    /// Of threads that ran there and had no stack.
    pub(super) without_stack: Duration,
    /// Before a look that was late.
    pub(super) before_late: Duration,
    /// How many times a thread that ran, or one that waited, had no stack.
    pub(super) missing: u64,
    pub(super) missing_waits: u64,
    /// Whether some clocks counted ticks: a thread that ran at a look then counts as running since the
    /// look before.
    pub(super) is_estimated: bool,
}

impl Totals {
    /// All processor time that threads were seen to have used.
    pub(super) fn used(&self) -> Duration {
        self.seen + self.not_seen + self.without_stack + self.before_late
    }
}

#[derive(Debug, Default)]
pub(super) struct Profile {
    pub(super) places: Vec<Place>,
    pub(super) stacks: Vec<Stack>,
    pub(super) names: Vec<String>,
    pub(super) on_cpu: Weights,
    pub(super) off_cpu: Weights,
    pub(super) of_tasks: Weights,
    pub(super) totals: Totals,
    known_places: HashMap<Place, usize>,
    known_stacks: HashMap<Vec<usize>, usize>,
    known_names: HashMap<String, usize>,
    last: Option<Last>,
}

/// The look before.
#[derive(Debug)]
struct Last {
    at: Duration,
    /// The processor time of each thread.
    used: HashMap<u32, Option<u64>>,
}

impl Profile {
    /// Adds a look, at this time since the profile began. Looks are to be this far apart.
    pub(super) fn add(&mut self, report: &Report, at: Duration, period: Duration) {
        let before = self.last.take();
        let since = before.as_ref().map(|last| at.saturating_sub(last.at));
        let threads = places::threads(report).into_iter().flat_map(|section| &section.threads);
        let threads: Vec<&Thread> = threads.filter(|thread| places::is_programs(thread)).collect();
        let used = threads.iter().map(|thread| (thread.tid, thread.cpu_us)).collect();
        if let Some((before, since)) = before.as_ref().zip(since) {
            let is_late = since > (period * LATE).max(NOT_LATE);
            self.totals.time += since;
            self.totals.looks += 1;
            self.totals.late += u64::from(is_late);
            self.totals.threads = self.totals.threads.max(as_u64(threads.len()));
            let mut named = Named { report, places: None, frames: HashMap::new(), stacks: HashMap::new() };
            for thread in threads {
                let interval = Interval::of(thread, before, since, is_late);
                self.add_thread(thread, &interval, &mut named);
            }
            let tasks = places::tasks(report).map(|section| &*section.tasks).unwrap_or_default();
            self.totals.tasks = self.totals.tasks.max(as_u64(tasks.len()));
            for task in tasks {
                self.add_task(task, since, &mut named);
            }
        }
        self.last = Some(Last { at, used });
    }

    fn add_thread<'a>(&mut self, thread: &'a Thread, interval: &Interval, named: &mut Named<'a>) {
        let ran = thread.state.as_deref() == Some("running");
        let used = interval.used.unwrap_or_default();
        let is_blank = thread.stack.frames.is_empty();
        if ran && thread.stack.taken != Some(Taken::AtRest) {
            if is_blank {
                self.totals.missing += 1;
                self.totals.without_stack += used;
                return;
            }
            if interval.is_late {
                self.totals.before_late += used;
                return;
            }
            self.totals.is_estimated |= interval.used.is_none();
            let time = interval.used.unwrap_or(interval.time);
            self.totals.seen += time;
            let key = (named.of_thread(self, thread, None), self.name(&thread.name));
            add(&mut self.on_cpu, key, time, Duration::ZERO);
            return;
        }
        // It has stopped running, at the latest when its stack was read.
        self.totals.not_seen += used;
        if is_blank {
            self.totals.missing_waits += 1;
            return;
        }
        let is_certain = !ran && !interval.is_new && interval.used == Some(Duration::ZERO);
        // Of a thread that is new, or before a look that is late, it is not known for how long.
        if ran || interval.is_new || interval.is_late && !is_certain {
            return;
        }
        let time = interval.time.saturating_sub(used);
        let call = thread.waiting.as_deref().map(|waiting| &*waiting.call);
        let call = call.or(thread.state.as_deref()).unwrap_or("blocked");
        let key = (named.of_thread(self, thread, Some(&format!("[{call}]"))), self.name(&thread.name));
        add(&mut self.off_cpu, key, time, if is_certain { time } else { Duration::ZERO });
    }

    fn add_task<'a>(&mut self, task: &'a Task, since: Duration, named: &mut Named<'a>) {
        let time = since.min(Duration::from_millis(task.age_ms));
        let state = match &task.state {
            TaskState::Polling { .. } => "[polling]",
            TaskState::Woken { .. } => "[woken]",
            TaskState::Waiting { .. } => "[waiting]",
            TaskState::New => "[new]",
            _ => "[other]",
        };
        let key = (named.of_task(self, task, state), self.name(&task.name));
        add(&mut self.of_tasks, key, time, Duration::ZERO);
    }

    fn name(&mut self, name: &str) -> usize {
        if let Some(known) = self.known_names.get(name) {
            return *known;
        }
        self.names.push(printable(name).into_owned());
        self.known_names.insert(name.to_owned(), self.names.len() - 1);
        self.names.len() - 1
    }

    fn place(&mut self, place: Place) -> usize {
        let next = self.places.len();
        let index = *self.known_places.entry(place.clone()).or_insert(next);
        if index == next {
            self.places.push(place);
        }
        index
    }

    /// A place that is no function.
    fn mark(&mut self, text: &str) -> usize {
        self.place(Place { function: printable(text).into_owned(), file: None, line: None })
    }

    fn stack(&mut self, places: Vec<usize>, lines: impl FnOnce() -> Vec<String>) -> usize {
        if let Some(known) = self.known_stacks.get(&places) {
            return *known;
        }
        self.known_stacks.insert(places.clone(), self.stacks.len());
        self.stacks.push(Stack { places, lines: lines() });
        self.stacks.len() - 1
    }
}

fn add(weights: &mut Weights, key: (usize, usize), time: Duration, certain: Duration) {
    let weight = weights.entry(key).or_default();
    weight.samples += 1;
    weight.time += time;
    weight.certain += certain;
}

/// The time between two looks, for one thread.
struct Interval {
    time: Duration,
    /// The processor time that the thread has used in it, if that is known.
    used: Option<Duration>,
    /// Whether the thread has been started in it.
    is_new: bool,
    is_late: bool,
}

impl Interval {
    fn of(thread: &Thread, before: &Last, time: Duration, is_late: bool) -> Self {
        let earlier = before.used.get(&thread.tid).copied();
        // Of another thread, which had the same id, the clock can have been ahead.
        let of_same = earlier.filter(|earlier| earlier.is_none() || *earlier <= thread.cpu_us);
        let used = match of_same {
            Some(earlier) => earlier.zip(thread.cpu_us).map(|(earlier, now)| now - earlier),
            None => thread.cpu_us,
        };
        Self { time, used: used.map(Duration::from_micros), is_new: of_same.is_none(), is_late }
    }
}

/// The stacks of one look, each named once.
struct Named<'a> {
    report: &'a Report,
    /// Made if there is a new stack.
    places: Option<Places<'a>>,
    frames: HashMap<u32, usize>,
    /// By frames and mark.
    stacks: HashMap<(&'a [u32], Option<String>), usize>,
}

impl<'a> Named<'a> {
    fn of_thread(&mut self, profile: &mut Profile, thread: &'a Thread, mark: Option<&str>) -> usize {
        let key = (&*thread.stack.frames, mark.map(str::to_owned));
        if let Some(known) = self.stacks.get(&key) {
            return *known;
        }
        let mut places = self.frames(profile, &thread.stack);
        places.extend(mark.map(|mark| profile.mark(mark)));
        let of_report = self.places.get_or_insert_with(|| Places::of(self.report));
        let stack = profile.stack(places, || of_report.of_thread(thread).iter().map(places::line).collect());
        self.stacks.insert(key, stack);
        stack
    }

    /// Of a task that waits at several places at once, what these have in common.
    fn of_task(&mut self, profile: &mut Profile, task: &'a Task, state: &str) -> usize {
        let mut stacks = task.stacks.iter().map(|stack| self.frames(profile, stack));
        let mut common = stacks.next().unwrap_or_default();
        let mut count = 1_usize;
        for other in stacks {
            let same = common.iter().zip(&other).take_while(|(one, other)| one == other).count();
            common.truncate(same);
            count += 1;
        }
        if count > 1 {
            common.push(profile.mark(&format!("[{count} places at once]")));
        }
        common.push(profile.mark(state));
        common.insert(0, profile.mark(&task.name));
        let of_report = self.places.get_or_insert_with(|| Places::of(self.report));
        profile.stack(common, || of_report.of_task(task).iter().map(places::line).collect())
    }

    fn frames(&mut self, profile: &mut Profile, stack: &gmr_runtime::model::Stack) -> Vec<usize> {
        let report = self.report;
        let frame = |&index: &u32| {
            let frame = report.frames.get(usize::try_from(index).ok()?)?;
            Some(*self.frames.entry(index).or_insert_with(|| profile.place(place(frame))))
        };
        stack.frames.iter().rev().filter_map(frame).collect()
    }
}

fn place(frame: &Frame) -> Place {
    let clean = |text: &str| printable(text).into_owned();
    let module = || {
        let module = frame.module.as_deref().unwrap_or("?");
        let module = module.rsplit('/').next().unwrap_or(module);
        format!("{}+{:#x}", clean(module), frame.module_offset.unwrap_or(frame.address))
    };
    Place {
        function: frame.function.as_deref().map_or_else(module, clean),
        file: frame.file.as_deref().map(clean),
        line: frame.line,
    }
}

#[cfg(test)]
mod tests;
