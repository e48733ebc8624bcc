//! `limit.*`: what the process, or a cgroup that it is in, has nearly used up: descriptors,
//! threads, memory, addresses, the stack of the main thread.
//!
//! What has no limit has no finding, and neither has a figure that does not tell how much is left.

use super::facts::{Facts, MAX_EVIDENCE, fact, finding};
use crate::model::{Certainty, Cgroup, Evidence, Finding, Resources, Severity};
use crate::units::bytes;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = descriptors(facts).into_iter().collect();
    if let Some(resources) = facts.resources() {
        for cgroup in &resources.cgroups {
            findings.extend(threads(facts, resources, cgroup));
            findings.extend(memory(resources, cgroup));
        }
        findings.extend(threads_of_user(facts, resources));
        findings.extend(addresses(resources));
        findings.extend(stack(resources));
        findings.extend(resources.cgroups.iter().filter_map(kills));
    }
    findings
}

/// Whether less than a tenth is left: enough to act on, and more than a healthy program comes to by
/// ordinary growth, because limits are set with some room.
fn is_near(used: u64, limit: u64) -> bool {
    used >= limit - limit / 10
}

/// The lowest limit of descriptors that is judged. A program that gives up the right to open files,
/// as sandboxes do, sets a limit near what it has open. The usual limits begin at 256.
const MIN_DESCRIPTORS: u64 = 64;

fn descriptors(facts: &Facts<'_>) -> Option<Finding> {
    let listed = facts.descriptors();
    let resources = facts.resources();
    let counted = || resources.and_then(|resources| resources.open_descriptors);
    let open = listed.and_then(|listed| listed.open).or_else(counted)?;
    let allowed = || resources.and_then(|resources| limit_of(resources, "open files"));
    let limit = listed.and_then(|listed| listed.limit).or_else(allowed)?;
    let highest = listed.and_then(|listed| listed.highest).and_then(|highest| u64::try_from(highest).ok());
    // The limit is one of numbers: some were opened before it was lowered, and what is open does
    // not tell which numbers are left.
    let was_lowered = open > limit || highest.is_some_and(|highest| highest >= limit);
    if limit < MIN_DESCRIPTORS || was_lowered || !is_near(open, limit) {
        return None;
    }
    let (severity, message) = if open == limit {
        let message = format!("all {limit} descriptors are in use: the next open, socket or accept fails");
        (Severity::Error, message)
    } else {
        (Severity::Warning, format!("{open} of at most {limit} descriptors are in use"))
    };
    let certainty = if highest.is_some() { Certainty::Certain } else { Certainty::Probable };
    let kinds = listed.iter().flat_map(|listed| &listed.kinds);
    let evidence = kinds.take(3).map(|kind| fact(format!("{} of kind {}", kind.count, kind.name))).collect();
    let next = Some("what opens descriptors and does not close them: Descriptors lists them".to_owned());
    let section = listed.map(|_| "Descriptors".to_owned());
    Some(Finding { section, certainty, evidence, next, ..finding("limit.descriptors", severity, message) })
}

/// The limit of this name, as `/proc/self/limits` has it.
fn limit_of(resources: &Resources, name: &str) -> Option<u64> {
    resources.limits.iter().find(|limit| limit.name == name)?.soft
}

/// The lowest limit of threads and processes that is judged. Around a program that starts no more,
/// a sandbox sets a limit near what it has.
const MIN_TASKS: u64 = 64;

fn threads(facts: &Facts<'_>, resources: &Resources, cgroup: &Cgroup) -> Option<Finding> {
    let (tasks, limit) = (cgroup.tasks?, cgroup.tasks_max?);
    if limit < MIN_TASKS || tasks > limit || !is_near(tasks, limit) {
        return None;
    }
    // Those that make this report come and go. One waits for the next report.
    let transient = facts.own_threads().saturating_sub(1) as u64;
    let path = &cgroup.path;
    let (severity, message) = if tasks.saturating_sub(transient) >= limit {
        let message = format!(
            "all {limit} processes and threads of the cgroup {path} are in use: the next thread or process \
             does not start"
        );
        (Severity::Error, message)
    } else {
        (Severity::Warning, format!("the cgroup {path} has {tasks} of at most {limit} processes and threads"))
    };
    let own = resources.threads.map(|own| fact(format!("{own} of them are threads of this process")));
    Some(Finding {
        evidence: own.into_iter().collect(),
        next: Some("what starts threads, or the cgroup's limit (pids.max)".to_owned()),
        section: Some(SECTION.to_owned()),
        ..finding("limit.threads", severity, message)
    })
}

/// The kernel counts all processes and threads of the user, which no file shows. Those of this
/// process are among them, so there is no more left than these leave.
fn threads_of_user(facts: &Facts<'_>, resources: &Resources) -> Option<Finding> {
    let (threads, limit) = (resources.threads?, limit_of(resources, "processes")?);
    // With more than the limit, it does not apply: to root, for example.
    let is_exempt = facts.user_id() == Some(0) || threads > limit;
    let transient = facts.own_threads().saturating_sub(1) as u64;
    if limit < MIN_TASKS || is_exempt || !is_near(threads.saturating_sub(transient), limit) {
        return None;
    }
    let message = format!(
        "this process has {threads} threads, and all processes of its user may have {limit} together"
    );
    Some(Finding {
        evidence: vec![fact("a process with CAP_SYS_RESOURCE or CAP_SYS_ADMIN may start more".to_owned())],
        next: Some("what starts threads, or the user's limit (ulimit -u)".to_owned()),
        section: Some(SECTION.to_owned()),
        ..finding("limit.user-threads", Severity::Info, message)
    })
}

const SECTION: &str = "Resources";

/// Memory that can be taken back is not in use: a program that reads many files uses up every
/// limit, because the kernel keeps what it has read.
fn memory(resources: &Resources, cgroup: &Cgroup) -> Option<Finding> {
    let used = cgroup.memory_bytes?.checked_sub(cgroup.memory_reclaimable_bytes?)?;
    let path = &cgroup.path;
    let near = |limit: Option<u64>| limit.filter(|limit| is_near(used, *limit));
    let (limit, at_limit) = match (near(cgroup.memory_max_bytes), near(cgroup.memory_high_bytes)) {
        (Some(max), _) => (max, "at the limit, the kernel kills a process of the cgroup"),
        (None, Some(high)) => (high, "above the limit, the kernel slows down the threads of the cgroup"),
        (None, None) => return None,
    };
    let message = format!(
        "the cgroup {path} uses {} of at most {} of memory, without caches; {at_limit}",
        bytes(used),
        bytes(limit)
    );
    let own = resources.memory.resident_bytes;
    let own = own.map(|own| fact(format!("this process has {} in RAM", bytes(own))));
    let evidence = own.into_iter().chain(events(cgroup)).collect();
    Some(Finding {
        evidence,
        next: Some("what keeps the memory, or the cgroup's limit".to_owned()),
        section: Some(SECTION.to_owned()),
        ..finding("limit.memory", Severity::Warning, message)
    })
}

/// What the kernel has counted since the cgroup was made.
fn events(cgroup: &Cgroup) -> impl Iterator<Item = Evidence> {
    const NAMES: [&str; 4] = ["high", "max", "oom", "oom_kill"];
    let counted = cgroup.memory_events.iter();
    let counted = counted.filter(|event| event.count > 0 && NAMES.contains(&event.name.as_str()));
    let shown = counted.take(MAX_EVIDENCE);
    shown.map(|event| {
        fact(format!("the cgroup has counted {} `{}` since it was created", event.count, event.name))
    })
}

/// A process that was killed is gone, and this one lives: a fact about the past.
fn kills(cgroup: &Cgroup) -> Option<Finding> {
    let kills = cgroup.memory_events.iter().find(|event| event.name == "oom_kill")?.count;
    if kills == 0 {
        return None;
    }
    let processes = if kills == 1 { "process" } else { "processes" };
    let path = &cgroup.path;
    let message = format!(
        "the kernel has killed {kills} {processes} of the cgroup {path} for lack of memory since it was created"
    );
    let section = Some(SECTION.to_owned());
    Some(Finding { section, ..finding("limit.oom-kills", Severity::Info, message) })
}

/// What threads of gmr can reserve for a moment, as `sys` says: the C library's allocator reserves
/// 128 MiB for a thread, and two may do so at a time.
const RESERVED_BY_GMR: u64 = 256 << 20;

/// With more than this left, a program that has reserved all that it will need goes on as before.
const ENOUGH_ADDRESSES: u64 = 1 << 30;

fn addresses(resources: &Resources) -> Option<Finding> {
    let limit = limit_of(resources, "address space")?;
    let mapped = resources.memory.virtual_bytes?;
    let own = mapped.saturating_sub(RESERVED_BY_GMR);
    if !is_near(own, limit) || limit.saturating_sub(own) >= ENOUGH_ADDRESSES {
        return None;
    }
    let message = format!("{} of at most {} of addresses are mapped", bytes(mapped), bytes(limit));
    let next = Some("what maps memory, or the limit of the address space (ulimit -v)".to_owned());
    let section = Some(SECTION.to_owned());
    Some(Finding { section, next, ..finding("limit.address-space", Severity::Warning, message) })
}

/// The stack does not shrink: this may have been long ago, and a program that switches to another
/// stack near the end of this one does so by design.
fn stack(resources: &Resources) -> Option<Finding> {
    let (limit, size) = (limit_of(resources, "stack size")?, resources.memory.main_stack_bytes?);
    if !is_near(size, limit) {
        return None;
    }
    let message = format!("the main thread's stack has grown to {} of at most {}", bytes(size), bytes(limit));
    let section = Some(SECTION.to_owned());
    Some(Finding { section, ..finding("limit.stack", Severity::Info, message) })
}

#[cfg(all(test, not(gmr_units)))]
mod tests;
