//! `limit.cpu` and `pressure`: what has made threads wait, of the cgroup or of the whole machine.
//!
//! Both are about all processes there, and this one may have nothing to do with it. So they are
//! never more than an `info`.

use super::facts::{Facts, fact, finding};
use crate::model::{Cgroup, Finding, Pressure, Severity};
use crate::units::duration;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(resources) = facts.resources() else { return Vec::new() };
    let mut findings: Vec<Finding> = resources.cgroups.iter().filter_map(throttled).collect();
    // The innermost cgroup's threads wait for what those around it use up, too.
    let of_cgroup = resources.cgroups.iter().find(|cgroup| !cgroup.pressure.is_empty());
    let (place, pressures) = match of_cgroup {
        Some(cgroup) => (format!("in the cgroup {}", cgroup.path), &cgroup.pressure),
        None => ("on the machine".to_owned(), &resources.system.pressure),
    };
    findings.extend(pressures.iter().filter_map(|pressure| under_pressure(pressure, &place)));
    findings
}

/// Below this share of the periods, in percent, a start or a burst is enough to explain it.
const MIN_THROTTLED: u64 = 5;

/// A share of fewer periods says little. Usually this is ten seconds in which something ran.
const MIN_PERIODS: u64 = 100;

fn throttled(cgroup: &Cgroup) -> Option<Finding> {
    let (periods, throttled) = (cgroup.cpu_periods?, cgroup.throttled_periods?);
    let percent = throttled.checked_mul(100)?.checked_div(periods)?;
    if periods < MIN_PERIODS || percent < MIN_THROTTLED {
        return None;
    }
    let path = &cgroup.path;
    let message = format!(
        "the cgroup {path} was throttled in {percent} % of the periods since it was created ({throttled} of \
         {periods})"
    );
    let stopped = cgroup
        .throttled_us
        .map(|time| fact(format!("it was throttled for {}, all CPUs together", duration(time / 1000))));
    Some(Finding {
        evidence: stopped.into_iter().collect(),
        next: Some("how many threads compute at a time, or the cgroup's quota".to_owned()),
        section: Some("Resources".to_owned()),
        ..finding("limit.cpu", Severity::Info, message)
    })
}

/// A resource, whether all threads have to wait at the same time, and for what percentage of the
/// last 10 seconds.
///
/// All threads wait for memory or input only if nothing else gets done: a tenth of the time is
/// lost. Some thread waits for a processor in any program that computes on as many threads as there
/// are processors, so only nearly all of the time says that there are too few.
const THRESHOLDS: [(&str, bool, f64); 3] = [("memory", true, 10.0), ("io", true, 10.0), ("cpu", false, 90.0)];

fn under_pressure(pressure: &Pressure, place: &str) -> Option<Finding> {
    let (resource, all, threshold) =
        THRESHOLDS.into_iter().find(|(resource, ..)| *resource == pressure.resource)?;
    let percent = if all { pressure.full_10s? } else { pressure.some_10s };
    if percent < threshold {
        return None;
    }
    let who = if all { "all runnable threads" } else { "some thread" };
    let what = match resource {
        "memory" => "memory",
        "io" => "input and output",
        _ => "a processor",
    };
    let message = format!("{place}, {who} waited for {what} in {percent:.0} % of the last 10 s");
    let section = Some("Resources".to_owned());
    Some(Finding { section, ..finding("pressure", Severity::Info, message) })
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::super::tests::with_resources;
    use super::*;
    use crate::model::{Resources, System};

    fn codes(findings: &[Finding]) -> Vec<(&str, Severity)> {
        findings.iter().map(|finding| (finding.code.as_str(), finding.severity)).collect()
    }

    #[test]
    fn throttling_is_a_fact_of_the_cgroup() {
        let of = |periods, throttled| {
            let cgroup = Cgroup {
                path: "/shop".into(),
                cpu_periods: Some(periods),
                throttled_periods: Some(throttled),
                throttled_us: Some(3_000_000),
                ..Cgroup::default()
            };
            with_resources(Resources { cgroups: vec![cgroup], ..Resources::default() })
        };
        let findings = of(1_000, 430);
        assert_eq!(codes(&findings), [("limit.cpu", Severity::Info)]);
        assert!(findings[0].message.contains("43 % of the periods"), "{findings:?}");
        assert_eq!(findings[0].evidence[0].message, "it was throttled for 3.0 s, all CPUs together");
        for (periods, throttled) in [(0, 0), (99, 99), (1_000, 49), (1_000, 0)] {
            assert_eq!(of(periods, throttled), [], "{throttled} of {periods}");
        }
    }

    #[test]
    fn pressure_is_that_of_the_cgroup_if_it_is_measured() {
        let pressure = |resource: &str, some_10s, full_10s| Pressure {
            resource: resource.to_owned(),
            some_10s,
            full_10s: Some(full_10s),
            ..Pressure::default()
        };
        let calm = vec![pressure("cpu", 89.0, 0.0), pressure("memory", 60.0, 9.0), pressure("io", 99.0, 9.9)];
        let strained =
            vec![pressure("cpu", 93.0, 0.0), pressure("memory", 60.0, 12.0), pressure("io", 99.0, 40.0)];
        let of = |of_cgroup: &[Pressure], of_machine: &[Pressure]| {
            let cgroup = Cgroup { path: "/shop".into(), pressure: of_cgroup.to_vec(), ..Cgroup::default() };
            let system = System { pressure: of_machine.to_vec(), ..System::default() };
            with_resources(Resources { cgroups: vec![cgroup], system, ..Resources::default() })
        };
        let on_machine = of(&[], &strained);
        assert_eq!(codes(&on_machine), [("pressure", Severity::Info); 3]);
        let expected = "on the machine, all runnable threads waited for memory in 12 % of the last 10 s";
        assert_eq!(on_machine[1].message, expected);
        assert!(of(&strained, &calm)[0].message.starts_with("in the cgroup /shop, some thread waited"));
        assert_eq!(of(&calm, &strained), []);
    }
}
