//! What `go tool pprof` reads in a profile of `gmr top`: the same functions, lines and times as the
//! tests' own reader.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::profile::Profile;
use crate::service::{Service, folder, gmr};
use crate::tools;

/// What `go tool pprof` prints of a profile. `None` if there is none.
fn go(arguments: &[&str], profile: &Path) -> Option<String> {
    let mut command = Command::new("go");
    command.args(["tool", "pprof"]).args(arguments).arg(profile);
    let Ok(output) = command.output() else {
        tools::missing("Go");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("text"))
}

/// A sample: functions, innermost first, values, and the name of the thread or task if it is of one.
type Sample = (Vec<String>, [u64; 2], Option<String>);

/// What `-raw` prints.
struct Raw<'a> {
    /// Lines before the samples, and the one that names the values.
    head: Vec<&'a str>,
    samples: Vec<Sample>,
    /// Functions and lines, by the numbers of the locations.
    locations: BTreeMap<u64, (&'a str, &'a str)>,
}

impl<'a> Raw<'a> {
    fn read(text: &'a str, label: &str) -> Self {
        let (head, rest) = text.split_once("Samples:\n").expect("samples");
        let (samples, rest) = rest.split_once("Locations\n").expect("locations");
        let (locations, _) = rest.split_once("Mappings\n").expect("mappings");
        // `     1: 0x0 M=1 shop::pay src/pay.rs:88 s=0`, and the name in the symbol table, which is empty.
        let location = |line: &'a str| {
            let (number, rest) = line.trim().split_once(": 0x0 M=1 ").expect(line);
            let (place, _) = rest.rsplit_once(" s=0").expect(line);
            let (function, at) = place.rsplit_once(' ').expect(line);
            (number.parse().expect(line), (function, at))
        };
        let locations: BTreeMap<u64, (&str, &str)> = locations.lines().map(location).collect();
        let (values, samples) = samples.split_once('\n').expect("what the values are");
        let mut read: Vec<Sample> = Vec::new();
        for line in samples.lines() {
            if let Some(name) = line.trim().strip_prefix(&format!("{label}:[")) {
                read.last_mut().expect("a sample").2 = Some(name.strip_suffix(']').expect(line).to_owned());
                continue;
            }
            let (numbers, stack) = line.split_once(':').expect(line);
            let numbers: Vec<u64> =
                numbers.split_whitespace().map(|number| number.parse().expect(line)).collect();
            let stack = stack.split_whitespace().map(|number| number.parse::<u64>().expect(line));
            let stack = stack.map(|number| locations[&number].0.to_owned());
            read.push((stack.collect(), numbers.try_into().expect("two values"), None));
        }
        Self { head: head.lines().chain([values]).collect(), samples: read, locations }
    }
}

/// The time of each function alone, and with those that it calls, in nanoseconds.
type Times = BTreeMap<String, (u64, u64)>;

/// What `-top` prints, with all functions.
fn top(text: &str) -> Times {
    let (_, rows) = text.split_once("cum%\n").expect("a heading");
    let row = |line: &str| {
        // `1500000ns   100%   100%  1500000ns   100%  shop::pay`
        let mut rest = line.trim_start();
        let mut columns = Vec::new();
        for _ in 0..5 {
            let (column, after) = rest.split_once(' ').expect(line);
            columns.push(column);
            rest = after.trim_start();
        }
        let time = |column: &str| column.trim_end_matches("ns").parse().expect(line);
        (rest.to_owned(), (time(columns[0]), time(columns[3])))
    };
    rows.lines().map(row).collect()
}

fn times(profile: &Profile) -> Times {
    let mut times = Times::new();
    for (stack, [_, time]) in profile.stacks() {
        times.entry(stack[0].to_owned()).or_default().0 += time;
        let mut functions = stack;
        functions.sort_unstable();
        functions.dedup();
        for function in functions {
            times.entry(function.to_owned()).or_default().1 += time;
        }
    }
    times.retain(|_, (_, total)| *total > 0);
    times
}

/// Profiles the service with these arguments, and compares what is read of it. Returns the times of
/// functions, or `None` without Go.
fn compared(service: &Service, arguments: &[&str], kind: &str, label: &str) -> Option<Times> {
    let path = folder(&format!("pprof-{kind}")).join("profile.pb.gz");
    let (pid, shown) = (service.pid().to_string(), path.display().to_string());
    gmr(&[&["top", &pid, "--seconds", "2", "-o", &shown], arguments].concat()).well();
    let profile = Profile::read(&fs::read(&path).expect("a file"), kind, label);
    let raw = go(&["-raw"], &path)?;
    let raw = Raw::read(&raw, label);
    for line in [&*format!("samples/count {kind}/nanoseconds[dflt]"), "PeriodType: wall nanoseconds"] {
        assert!(raw.head.contains(&line), "{line}: {:?}", raw.head);
    }
    assert!(raw.head.contains(&"Period: 50000000"), "20 looks a second: {:?}", raw.head);
    assert!(raw.head.iter().any(|line| line.starts_with("Duration: ")), "{:?}", raw.head);
    let is_line = |(_, at): &(&str, &str)| at.contains("tests/service.rs:") && !at.ends_with(":0");
    assert!(raw.locations.values().any(is_line), "{:?}", raw.locations);
    let mut samples = raw.samples;
    let mut expected: Vec<Sample> = profile
        .labelled_stacks()
        .map(|(stack, values, label)| {
            (stack.into_iter().map(str::to_owned).collect(), values, label.map(str::to_owned))
        })
        .collect();
    samples.sort_unstable();
    expected.sort_unstable();
    assert_eq!(samples, expected);

    let all = ["-top", "-unit=ns", "-nodecount=1000000", "-nodefraction=0", "-edgefraction=0"];
    let mut shown = top(&go(&all, &path)?);
    shown.retain(|_, (_, total)| *total > 0);
    assert_eq!(shown, times(&profile));
    // The other values are there as well.
    let counts = go(&[&all[..], &["-sample_index=samples"]].concat(), &path)?;
    assert!(counts.contains("Type: samples\n"), "{counts}");
    Some(shown)
}

#[test]
fn go_reads_the_functions_and_times_that_are_in_a_profile() {
    let mut service = Service::start();
    service.tell_all(&["pay", "spin", "task"]);
    let time = |times: &Times, function: &str| {
        let found: Vec<_> = times.iter().filter(|(name, _)| name.contains(function)).collect();
        assert!(!found.is_empty(), "no {function}: {times:?}");
        found.into_iter().map(|(_, (own, total))| (*own, *total)).max().expect("there is one")
    };
    let Some(cpu) = compared(&service, &[], "cpu", "thread") else { return };
    let spinning = time(&cpu, "service::spin").1;
    assert!(spinning > 0 && !cpu.keys().any(|name| name.contains("service::pay")), "{cpu:?}");
    // As it is in the program: its angle brackets are not taken for those of C++.
    assert!(cpu.keys().any(|name| name.contains('<') && name.contains('>')), "{cpu:?}");

    let off_cpu = compared(&service, &["--off-cpu"], "off-cpu", "thread").expect("it was there");
    let (own, total) = time(&off_cpu, "service::pay");
    assert!(own == 0 && total > 0, "the call has the time: {off_cpu:?}");
    assert!(time(&off_cpu, "[futex]").0 >= total, "{off_cpu:?}");

    let wall = compared(&service, &["--tasks"], "wall", "task").expect("it was there");
    assert!(time(&wall, "service::orders").1 > 0 && time(&wall, "[waiting]").0 > 0, "{wall:?}");
}
