//! Which threads and tasks the sentence of a finding names, and where.

use std::ops::Range;

use crate::model::Finding;

/// The most names of a sentence that are looked at. A finding names a few.
const MAX_NAMES: usize = 16;
/// The most bytes of a name. The kernel keeps 15 of a thread's; that of a task is a type.
const MAX_NAME: usize = 200;

/// What a sentence names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Thread(u32),
    Task(u64),
}

/// The threads and tasks of a finding that its sentence names, as `#7 (main)`, and where.
pub(super) fn names(finding: &Finding, sentence: &str) -> Vec<(Range<usize>, Named)> {
    let mut names = Vec::new();
    let mut from = 0;
    for _ in 0..MAX_NAMES {
        let Some(at) = sentence[from..].find('#').map(|place| from + place) else { break };
        let digits = sentence[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        from = at + 1 + digits;
        let Ok(id) = sentence[at + 1..from].parse::<u64>() else { continue };
        let thread = || {
            let tid = u32::try_from(id).ok()?;
            finding.threads.contains(&tid).then_some(Named::Thread(tid))
        };
        let task = || finding.tasks.contains(&id).then_some(Named::Task(id));
        let is_task = sentence[..at].ends_with("task ");
        let target = if is_task { task().or_else(thread) } else { thread().or_else(task) };
        if let Some(target) = target {
            from += name_length(&sentence[from..]);
            names.push((at..from, target));
        }
    }
    names
}

/// The length of ` (main)` at the beginning of this, or 0.
fn name_length(text: &str) -> usize {
    if !text.starts_with(" (") {
        return 0;
    }
    let mut open = 0_usize;
    for (at, byte) in text.bytes().enumerate().take(MAX_NAME) {
        match byte {
            b'(' => open += 1,
            b')' if open == 1 => return at + 1,
            b')' => open -= 1,
            _ => {}
        }
    }
    0
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;
    use crate::model::{Certainty, Severity};

    fn named(sentence: &str) -> Vec<(&str, Named)> {
        let finding = Finding {
            code: String::new(),
            severity: Severity::Error,
            message: sentence.to_owned(),
            threads: vec![7, 8, 16_651],
            tasks: vec![8, 9],
            section: None,
            certainty: Certainty::Certain,
            evidence: Vec::new(),
            next: None,
        };
        names(&finding, sentence).into_iter().map(|(place, named)| (&sentence[place], named)).collect()
    }

    #[test]
    fn a_sentence_names_the_threads_and_tasks_of_its_finding() {
        use Named::{Task, Thread};
        for (sentence, expected) in [
            ("deadlock: #7 (cashier), #8 and others", vec![("#7 (cashier)", Thread(7)), ("#8", Thread(8))]),
            (
                "task #8 (shop::pay(a, (b))) blocks its worker: thread #16651 (web)",
                vec![("#8 (shop::pay(a, (b)))", Task(8)), ("#16651 (web)", Thread(16_651))],
            ),
            ("waits for #9", vec![("#9", Task(9))]),
            // Not among those of the finding, no numbers, no end of a name.
            ("#77 (x), #78, #, ##7, #7a (ä", vec![("#7", Thread(7)), ("#7", Thread(7))]),
            ("#7 (#8 (x)", vec![("#7", Thread(7)), ("#8 (x)", Thread(8))]),
            ("#99999999999999999999999 ü#", vec![]),
        ] {
            assert_eq!(named(sentence), expected, "{sentence}");
        }
        assert_eq!(named(&"#7 ".repeat(100)).len(), MAX_NAMES);
        assert_eq!(named(&format!("#7 ({})", "ä".repeat(MAX_NAME)))[0].0, "#7");
    }
}
