//! What is near a limit, and what only looks as if it were.

use super::super::tests::{find_in, with_descriptors, with_resources};
use super::*;
use crate::model::{
    Content, DescriptorKind, Descriptors, EventCount, Ids, Memory, Process, Processes, ResourceLimit, Role,
    Threads,
};

fn codes(findings: &[Finding]) -> Vec<(&str, Severity)> {
    findings.iter().map(|finding| (finding.code.as_str(), finding.severity)).collect()
}

fn open(open: u64, limit: u64, highest: Option<i32>) -> Vec<Finding> {
    let kinds = vec![DescriptorKind { name: "TCP socket".into(), count: open }];
    let (open, limit) = (Some(open), Some(limit));
    with_descriptors(Descriptors { open, limit, kinds, highest, ..Descriptors::default() })
}

#[test]
fn descriptors_are_counted_against_their_limit() {
    let near = open(950, 1024, Some(949));
    assert_eq!(codes(&near), [("limit.descriptors", Severity::Warning)]);
    assert_eq!(near[0].evidence[0].message, "950 of kind TCP socket");
    let all = open(1024, 1024, Some(1023));
    assert_eq!(codes(&all), [("limit.descriptors", Severity::Error)]);
    assert_eq!(all[0].certainty, Certainty::Certain);
    // Not all of them were read.
    assert_eq!(open(20_000, 20_000, None)[0].certainty, Certainty::Probable);
    assert_eq!(open(921, 1024, Some(920)), []);
}

#[test]
fn a_limit_that_was_lowered_is_none_of_what_is_open() {
    for (count, limit, highest) in [(5, 0, 4), (70, 64, 69), (64, 64, 200), (8, 8, 7)] {
        assert_eq!(open(count, limit, Some(highest)), [], "{count} of {limit}, up to {highest}");
    }
}

#[test]
fn without_the_list_the_count_is_enough() {
    let limit = ResourceLimit { name: "open files".into(), soft: Some(100), ..ResourceLimit::default() };
    let resources = Resources { open_descriptors: Some(95), limits: vec![limit], ..Resources::default() };
    assert_eq!(codes(&with_resources(resources)), [("limit.descriptors", Severity::Warning)]);
}

fn with_tasks(tasks: u64, tasks_max: Option<u64>) -> Resources {
    let cgroup = Cgroup { path: "/shop".into(), tasks: Some(tasks), tasks_max, ..Cgroup::default() };
    Resources { cgroups: vec![cgroup], threads: Some(12), ..Resources::default() }
}

#[test]
fn threads_are_counted_against_the_limit_of_the_cgroup() {
    let found = with_resources(with_tasks(95, Some(100)));
    assert_eq!(codes(&found), [("limit.threads", Severity::Warning)]);
    assert_eq!(found[0].message, "the cgroup /shop has 95 of at most 100 processes and threads");
    assert_eq!(codes(&with_resources(with_tasks(100, Some(100)))), [("limit.threads", Severity::Error)]);
    assert_eq!(with_resources(with_tasks(89, Some(100))), []);
    assert_eq!(with_resources(with_tasks(100_000, None)), []);
}

#[test]
fn threads_that_make_the_report_do_not_use_up_the_limit() {
    let gmrs = |roles: &[Role]| {
        let thread =
            |role: &Role| crate::model::Thread { role: *role, ..super::super::tests::thread(7, "gmr") };
        let threads = Threads { threads: roles.iter().map(thread).collect(), ..Threads::default() };
        let resources = Content::Resources(Box::new(with_tasks(100, Some(100))));
        find_in(vec![("Resources", resources), ("Threads", Content::Threads(threads))])[0].severity
    };
    assert_eq!(gmrs(&[Role::Reporter]), Severity::Error, "it is always there");
    assert_eq!(gmrs(&[Role::Reporter, Role::Reporter]), Severity::Warning);
}

fn with_memory(cgroup: Cgroup) -> Vec<Finding> {
    let cgroup = Cgroup { path: "/shop".into(), ..cgroup };
    let memory = Memory { resident_bytes: Some(5 << 20), ..Memory::default() };
    with_resources(Resources { cgroups: vec![cgroup], memory, ..Resources::default() })
}

fn used(bytes: u64, reclaimable: Option<u64>) -> Cgroup {
    Cgroup { memory_bytes: Some(bytes), memory_reclaimable_bytes: reclaimable, ..Cgroup::default() }
}

#[test]
fn memory_that_the_kernel_can_take_back_is_not_in_use() {
    const MIB: u64 = 1 << 20;
    let max = |cgroup: Cgroup| Cgroup { memory_max_bytes: Some(100 * MIB), ..cgroup };
    let found = with_memory(max(used(98 * MIB, Some(2 * MIB))));
    assert_eq!(codes(&found), [("limit.memory", Severity::Warning)]);
    assert!(found[0].message.starts_with("the cgroup /shop uses 96.0 MiB of at most 100.0 MiB"), "{found:?}");
    assert_eq!(found[0].evidence[0].message, "this process has 5.0 MiB in RAM");
    assert_eq!(with_memory(max(used(98 * MIB, Some(50 * MIB)))), []);
    assert_eq!(with_memory(max(used(98 * MIB, None))), [], "it is not known");
    assert_eq!(with_memory(used(98 * MIB, Some(0))), [], "there is no limit");
    let high = Cgroup { memory_high_bytes: Some(90 * MIB), ..used(98 * MIB, Some(0)) };
    assert!(with_memory(high)[0].message.contains("slows down"));
}

#[test]
fn what_was_killed_is_a_fact() {
    let event = |name: &str, count| EventCount { name: name.into(), count };
    let events = |kills| vec![event("low", 3), event("max", 900), event("oom_kill", kills)];
    let found = with_memory(Cgroup { memory_events: events(2), ..Cgroup::default() });
    assert_eq!(codes(&found), [("limit.oom-kills", Severity::Info)]);
    assert!(found[0].message.contains("killed 2 processes of the cgroup /shop"), "{found:?}");
    assert_eq!(with_memory(Cgroup { memory_events: events(0), ..Cgroup::default() }), []);
    let near = Cgroup { memory_max_bytes: Some(100), memory_events: events(0), ..used(99, Some(0)) };
    let evidence = with_memory(near).remove(0).evidence;
    assert_eq!(evidence[1].message, "the cgroup has counted 900 `max` since it was created");
    assert_eq!(evidence.len(), 2, "{evidence:?}");
}

fn limited(name: &str, limit: Option<u64>, memory: Memory) -> Vec<Finding> {
    let limit = ResourceLimit { name: name.into(), soft: limit, ..ResourceLimit::default() };
    with_resources(Resources { limits: vec![limit], memory, ..Resources::default() })
}

#[test]
fn addresses_and_the_main_stack_have_limits() {
    let mapped = |bytes| Memory { virtual_bytes: Some(bytes), ..Memory::default() };
    let found = limited("address space", Some(8 << 30), mapped(8 << 30));
    assert_eq!(codes(&found), [("limit.address-space", Severity::Warning)]);
    assert_eq!(limited("address space", None, mapped(8 << 30)), []);
    assert_eq!(limited("address space", Some(8 << 30), mapped(7 << 30)), []);
    // Half of this may be what a thread of the report has reserved.
    assert_eq!(limited("address space", Some(512 << 20), mapped(512 << 20)), []);
    let stack = |bytes| Memory { main_stack_bytes: Some(bytes), ..Memory::default() };
    assert_eq!(
        codes(&limited("stack size", Some(8 << 20), stack(15 << 19))),
        [("limit.stack", Severity::Info)]
    );
    assert_eq!(limited("stack size", Some(8 << 20), stack(132 << 10)), []);
}

#[test]
fn threads_are_counted_against_the_limit_of_the_user() {
    let found = |threads: u64, limit: u64, user: Option<u32>| {
        let limit = ResourceLimit { name: "processes".into(), soft: Some(limit), ..ResourceLimit::default() };
        let resources = Resources { threads: Some(threads), limits: vec![limit], ..Resources::default() };
        let ids = |real| Ids { real, ..Ids::default() };
        let own = Process { uids: user.map(ids), ..Process::default() };
        let processes = Processes { processes: vec![own], ..Processes::default() };
        find_in(vec![
            ("Processes", Content::Processes(processes)),
            ("Resources", Content::Resources(Box::new(resources))),
        ])
    };
    let near = found(95, 100, Some(1_000));
    assert_eq!(codes(&near), [("limit.user-threads", Severity::Info)]);
    let message = "this process has 95 threads, and all processes of its user may have 100 together";
    assert_eq!(near[0].message, message);
    assert_eq!(codes(&found(100, 100, None)), [("limit.user-threads", Severity::Info)]);
    assert_eq!(found(89, 100, Some(1_000)), []);
    assert_eq!(found(95, 100, Some(0)), [], "there is no limit for root");
    assert_eq!(found(101, 100, Some(1_000)), [], "the limit does not apply");
    assert_eq!(found(8, 8, Some(1_000)), [], "a sandbox");
}
