//! `report.*`: what the report itself lacks, and what made it slow. Missing and cut stacks of threads,
//! and sections that failed, have findings of their own.

use super::facts::{Facts, MAX_EVIDENCE, fact, finding};
use crate::model::{Content, Evidence, Finding, Section, Severity, Task, TaskState, Threads};
use crate::sys::sort;
use crate::sys::sorted_map::SortedMap;
use crate::units::milliseconds;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let all = [names_missing(facts), task_stacks_missing(facts), slow(facts)];
    all.into_iter().flatten().collect()
}

/// The share of addresses without a name, as a divisor, from which on it is worth a line. Libraries
/// without a symbol table have a few such addresses in each report.
const SHARE: usize = 10;

fn names_missing(facts: &Facts<'_>) -> Option<Finding> {
    // Each address has one frame that is not inlined.
    let addresses = facts.frames.iter().filter(|frame| !frame.inlined);
    let mut all = 0_usize;
    let mut nameless: SortedMap<&str, usize> = SortedMap::new();
    for frame in addresses {
        all += 1;
        if frame.function.is_none() {
            *nameless.entry(frame.module.as_deref().unwrap_or_default()) += 1;
        }
    }
    let mut nameless: Vec<(&str, usize)> = nameless.into_iter().collect();
    sort::by_key(&mut nameless, |(_, count)| std::cmp::Reverse(*count));
    let missing: usize = nameless.iter().map(|(_, count)| count).sum();
    if missing == 0 || missing * SHARE < all {
        return None;
    }
    let message = format!("{missing} of {all} addresses have no name");
    let evidence =
        nameless.into_iter().take(MAX_EVIDENCE).map(|(module, count)| in_module(facts, module, count));
    Some(Finding {
        evidence: evidence.collect(),
        next: Some("docs/symbols.md: where names come from".to_owned()),
        ..finding("report.names-missing", Severity::Info, message)
    })
}

/// How many there are in a module, and why, if a note of the Threads section says so.
fn in_module(facts: &Facts<'_>, module: &str, count: usize) -> Evidence {
    if module.is_empty() {
        return fact(format!("{count} in no module: generated code, or its module could not be read"));
    }
    let notes = facts.sections.iter().filter_map(|section| match &section.content {
        Content::Threads(Threads { notes, .. }) => Some(notes),
        _ => None,
    });
    let why = notes.flatten().find_map(|note| note.strip_prefix(module)?.strip_prefix(": "));
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    fact(format!("{count} in {module}{why}"))
}

/// Fewer tasks are seen at one sight, each with the reason why it has no stack.
const MIN_TASKS: usize = 10;

/// Most of the tasks that have been polled before have no stack: who looks for one among hundreds
/// finds the same reason at each.
fn task_stacks_missing(facts: &Facts<'_>) -> Option<Finding> {
    let begun = facts.tasks().filter(|task| task.state != TaskState::New);
    let mut all = 0_usize;
    let mut reasons: SortedMap<&str, usize> = SortedMap::new();
    for task in begun {
        all += 1;
        if task.stacks.iter().all(|stack| stack.frames.is_empty()) {
            *reasons.entry(why(task)) += 1;
        }
    }
    let mut reasons: Vec<(&str, usize)> = reasons.into_iter().collect();
    sort::by_key(&mut reasons, |(_, count)| std::cmp::Reverse(*count));
    let missing: usize = reasons.iter().map(|(_, count)| count).sum();
    if all < MIN_TASKS || missing * 2 <= all {
        return None;
    }
    let message = format!("{missing} of {all} tracked tasks have no stack in this report");
    let evidence = reasons.into_iter().take(MAX_EVIDENCE).map(|(why, count)| fact(format!("{count}: {why}")));
    let is_tasks = |section: &&Section| matches!(section.content, Content::GreenThreads(_));
    Some(Finding {
        section: facts.sections.iter().find(is_tasks).map(|section| section.title.clone()),
        evidence: evidence.collect(),
        next: Some("docs/async-tasks.md: how the stack of a task is taken, and what is not shown".to_owned()),
        ..finding("report.task-stacks-missing", Severity::Info, message)
    })
}

/// Why a task has no stack.
fn why(task: &Task) -> &str {
    let reason = task.stacks.iter().find_map(|stack| stack.incomplete.as_deref());
    reason.unwrap_or(match task.state {
        TaskState::Polling { .. } => "being polled, and the stack of that poll was not taken",
        TaskState::Woken { .. } => "woken for this report, and not polled since",
        TaskState::Waiting { .. } | TaskState::New => "the reason is not known",
    })
}

/// A report of a large program takes some tens of milliseconds, and its first one, which reads
/// symbols, some hundreds.
const SLOW_US: u64 = 1_000_000;

/// One that failed has a finding that says so.
fn slow(facts: &Facts<'_>) -> Option<Finding> {
    let sections = facts.sections.iter();
    let slow = sections.filter(|section| section.took_us >= SLOW_US && section.content.is_ok());
    let mut slow: Vec<(&str, u64)> = slow.map(|section| (section.title.as_str(), section.took_us)).collect();
    sort::by_key(&mut slow, |(_, took)| std::cmp::Reverse(*took));
    let (slowest, _) = *slow.first()?;
    let shown = slow.iter().take(MAX_EVIDENCE);
    let shown: Vec<String> = shown.map(|(title, took)| format!("{title} {}", milliseconds(*took))).collect();
    let message = format!("the report was slow: {}", shown.join(", "));
    let section = Some(slowest.to_owned());
    Some(Finding { section, ..finding("report.slow", Severity::Info, message) })
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::super::SecondLook;
    use super::super::tests::{find, section, task};
    use super::*;
    use crate::model::{Frame, GreenThreads, Stack};

    fn frame(module: Option<&str>, function: Option<&str>, inlined: bool) -> Frame {
        let [module, function] = [module, function].map(|name| name.map(str::to_owned));
        Frame { function, inlined, module, ..Frame::default() }
    }

    #[test]
    fn addresses_without_a_name_are_counted_by_module() {
        let notes = vec!["/lib/a.so: it has no symbol table".to_owned()];
        let threads = Content::Threads(Threads { notes, ..Threads::default() });
        let sections = [section("Threads", threads)];
        let mut frames = vec![
            frame(Some("/bin/shop"), Some("shop::main"), true),
            frame(Some("/bin/shop"), Some("main"), false),
            frame(Some("/lib/a.so"), None, false),
            frame(Some("/lib/a.so"), None, false),
            frame(None, None, false),
        ];
        let findings = find(&sections, &frames, &SecondLook::NotTaken);
        let [found] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((found.code.as_str(), found.severity), ("report.names-missing", Severity::Info));
        assert_eq!(found.message, "3 of 4 addresses have no name");
        let evidence: Vec<_> = found.evidence.iter().map(|evidence| evidence.message.as_str()).collect();
        assert_eq!(evidence[0], "2 in /lib/a.so: it has no symbol table");
        assert!(evidence[1].starts_with("1 in no module"), "{evidence:?}");
        frames.extend(vec![frame(Some("/bin/shop"), Some("shop::run"), false); 40]);
        assert_eq!(find(&sections, &frames, &SecondLook::NotTaken), [], "few of many");
        assert_eq!(find(&sections, &[], &SecondLook::NotTaken), []);
    }

    #[test]
    fn tasks_without_a_stack_are_counted_by_reason_if_most_have_none() {
        let of = |count: usize, state: &TaskState, stack: Option<Stack>| -> Vec<Task> {
            let stacks: std::sync::Arc<[Stack]> = stack.into_iter().collect();
            (0..count).map(|_| Task { stacks: stacks.clone(), ..task(1, state.clone()) }).collect()
        };
        let (waiting, woken) =
            (TaskState::Waiting { waiting_ms: 1 }, TaskState::Woken { woken_ms: 1, waiting_ms: 1 });
        let with = Stack { frames: std::sync::Arc::new([0]), ..Stack::default() };
        let found = |lists: &[Vec<Task>]| {
            let tasks = GreenThreads { tasks: lists.concat(), ..GreenThreads::default() };
            let findings =
                find(&[section("Green Threads", Content::GreenThreads(tasks))], &[], &SecondLook::NotTaken);
            findings.into_iter().find(|finding| finding.code == "report.task-stacks-missing")
        };
        let lacking = [
            of(4, &waiting, Some(with)),
            of(2, &woken, None),
            of(3, &waiting, Some(Stack::missing("`poll = false`"))),
            of(1, &waiting, Some(Stack::missing("no room"))),
            of(90, &TaskState::New, None),
        ];
        let finding = found(&lacking).expect("6 of 10 have none");
        assert_eq!(finding.message, "6 of 10 tracked tasks have no stack in this report");
        assert_eq!((finding.severity, finding.section.as_deref()), (Severity::Info, Some("Green Threads")));
        let evidence: Vec<_> = finding.evidence.iter().map(|evidence| evidence.message.as_str()).collect();
        assert_eq!(
            evidence,
            ["3: `poll = false`", "2: woken for this report, and not polled since", "1: no room"]
        );
        assert_eq!(found(&[&lacking[..1], &lacking[..1], &lacking[2..]].concat()), None, "4 of 12");
        assert_eq!(found(&lacking[1..]), None, "few tasks");
    }

    #[test]
    fn a_section_that_took_long_is_named() {
        let taking = |title: &str, took_us| Section { took_us, ..section(title, Content::Nothing) };
        let sections = [taking("Threads", 1_200_000), taking("Package", 999_999), taking("Cache", 3_000_000)];
        let findings = find(&sections, &[], &SecondLook::NotTaken);
        let [found] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!(found.message, "the report was slow: Cache 3.0 s, Threads 1.2 s");
        assert_eq!((found.code.as_str(), found.section.as_deref()), ("report.slow", Some("Cache")));
        assert_eq!(find(&sections[1..2], &[], &SecondLook::NotTaken), []);
    }
}
