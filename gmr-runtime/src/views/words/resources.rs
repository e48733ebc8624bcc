//! The wording of what a process uses, and what it may use.

use super::Field;
use crate::model::{Cgroup, Memory, Pressure, ResourceLimit, Resources, System, Usage};
use crate::units::{bytes, counted, duration};
use crate::views::escape::clean;

/// Fields in the order in which they are shown. What is not known, or not limited, is left out.
pub(in crate::views) fn resources(value: &Resources) -> Vec<Field> {
    let mut fields = Fields::default();
    memory(&mut fields, &value.memory);
    usage(&mut fields, &value.usage);
    fields.number("threads", value.threads);
    let of_descriptors = value.limits.iter().find(|limit| limit.name == "open files");
    fields.add(
        "descriptors",
        value.open_descriptors.map(|open| match of_descriptors.and_then(|limit| limit.soft) {
            Some(soft) => format!("{open} of {soft}"),
            None => open.to_string(),
        }),
    );
    let (limited, unlimited): (Vec<_>, Vec<_>) =
        value.limits.iter().partition(|limit| limit.soft.or(limit.hard).is_some());
    fields.list("limits", limited.into_iter().map(limit));
    fields.list("unlimited", unlimited.into_iter().map(|limit| clean(&limit.name).into_owned()));
    for one in &value.cgroups {
        cgroup(&mut fields, one);
    }
    system(&mut fields, &value.system);
    for note in &value.notes {
        fields.add("note", Some(clean(note).into_owned()));
    }
    fields.0
}

#[derive(Default)]
struct Fields(Vec<Field>);

impl Fields {
    fn add(&mut self, key: &'static str, value: Option<String>) {
        self.0.extend(value.map(|value| (key, value)));
    }

    fn number(&mut self, key: &'static str, value: Option<u64>) {
        self.add(key, value.map(|number| number.to_string()));
    }

    /// The parts that there are, separated by commas.
    fn list(&mut self, key: &'static str, parts: impl IntoIterator<Item = String>) {
        let parts: Vec<String> = parts.into_iter().collect();
        self.add(key, (!parts.is_empty()).then(|| parts.join(", ")));
    }
}

fn memory(fields: &mut Fields, value: &Memory) {
    let Some(resident) = value.resident_bytes else { return };
    let peak = value.peak_resident_bytes.map(|peak| format!(" (peak {})", bytes(peak))).unwrap_or_default();
    let parts = [
        (value.anonymous_bytes, "anonymous"),
        (value.file_bytes, "from files"),
        (value.shared_bytes, "shared"),
    ];
    let parts: Vec<_> =
        parts.into_iter().filter_map(|(part, name)| Some(format!("{} {name}", bytes(part?)))).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    fields.add("memory", Some(format!("{}{peak}{parts}", bytes(resident))));
    let is_some = |part: &u64| *part > 0;
    fields.list(
        "of it",
        [
            (value.swapped_bytes.filter(is_some), "swapped out"),
            (value.locked_bytes.filter(is_some), "locked"),
        ]
        .into_iter()
        .filter_map(|(part, name)| Some(format!("{} {name}", bytes(part?)))),
    );
    let stack = value.main_stack_bytes.map(|stack| format!(", {} main thread's stack", bytes(stack)));
    fields.add(
        "virtual memory",
        value.virtual_bytes.map(|all| format!("{}{}", bytes(all), stack.unwrap_or_default())),
    );
}

fn usage(fields: &mut Fields, value: &Usage) {
    let pair = |one: Option<u64>, other: Option<u64>| one.zip(other);
    fields.add(
        "cpu",
        pair(value.cpu_user_ms, value.cpu_system_ms)
            .map(|(user, system)| format!("{} user, {} system", duration(user), duration(system))),
    );
    fields.add(
        "page faults",
        pair(value.minor_faults, value.major_faults)
            .map(|(minor, major)| format!("{minor} minor, {major} major")),
    );
    fields.add(
        "context switches",
        pair(value.voluntary_switches, value.involuntary_switches)
            .map(|(voluntary, involuntary)| format!("{voluntary} voluntary, {involuntary} involuntary")),
    );
}

fn limit(value: &ResourceLimit) -> String {
    let unit = value.unit.as_deref();
    let soft = amount(value.soft, unit);
    let hard = if value.soft == value.hard {
        String::new()
    } else {
        format!(" (hard {})", amount(value.hard, unit))
    };
    format!("{} {soft}{hard}", clean(&value.name))
}

fn amount(limit: Option<u64>, unit: Option<&str>) -> String {
    match (limit, unit) {
        (None, _) => "unlimited".to_owned(),
        (Some(limit), Some("bytes")) => bytes(limit),
        (Some(limit), Some(unit @ ("seconds" | "us"))) => format!("{limit} {unit}"),
        (Some(limit), _) => limit.to_string(),
    }
}

fn cgroup(fields: &mut Fields, value: &Cgroup) {
    let version = if value.version == 2 { String::new() } else { format!(" (version {})", value.version) };
    fields.add("cgroup", Some(format!("{}{version}", clean(&value.path))));
    let of = |limit: Option<u64>| limit.map(|limit| format!(" of {}", bytes(limit))).unwrap_or_default();
    if let Some(used) = value.memory_bytes {
        let peak = value.memory_peak_bytes.map(|peak| format!("peak {}", bytes(peak)));
        let high = value.memory_high_bytes.map(|high| format!("slowed down above {}", bytes(high)));
        let swap = value.swap_bytes.filter(|swap| *swap > 0);
        let swap = swap.map(|swap| format!("{}{} swapped out", bytes(swap), of(value.swap_max_bytes)));
        let used = format!("{}{}", bytes(used), of(value.memory_max_bytes));
        fields.list("cgroup memory", [Some(used), peak, high, swap].into_iter().flatten());
    }
    let events = value.memory_events.iter().filter(|event| event.count > 0);
    fields.list("cgroup events", events.map(|event| format!("{} {}", event.count, clean(&event.name))));
    if let Some((quota, period)) = value.cpu_quota_us.zip(value.cpu_period_us) {
        let throttled = value.throttled_periods.filter(|periods| *periods > 0).map(|throttled| {
            let periods = value.cpu_periods.map(|periods| format!(" of {periods}")).unwrap_or_default();
            let time = value.throttled_us.map(|time| format!(", {} in all threads", duration(time / 1000)));
            format!("; used up in {throttled}{periods} periods{}", time.unwrap_or_default())
        });
        let ms = |us: u64| format!("{}", Decimal(us, 1000));
        fields.add(
            "cgroup cpu",
            Some(format!("{} ms in each {} ms{}", ms(quota), ms(period), throttled.unwrap_or_default())),
        );
    }
    fields.add(
        "cgroup tasks",
        value.tasks.map(|tasks| match value.tasks_max {
            Some(most) => format!("{tasks} of {most}"),
            None => tasks.to_string(),
        }),
    );
    pressure(fields, "cgroup pressure", &value.pressure);
}

/// A fraction with one decimal, unless that is 0.
struct Decimal(u64, u64);

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(value, unit) = *self;
        match value % unit * 10 / unit {
            0 => write!(f, "{}", value / unit),
            tenths => write!(f, "{}.{tenths}", value / unit),
        }
    }
}

/// The resources that tasks waited for.
fn pressure(fields: &mut Fields, key: &'static str, all: &[Pressure]) {
    let has_waited = |one: &&Pressure| one.some_10s > 0.0 || one.some_60s > 0.0;
    let parts = all.iter().filter(has_waited).map(|one| {
        let full = one.full_10s.zip(one.full_60s).filter(|(short, long)| *short > 0.0 || *long > 0.0);
        let full = full.map(|(short, long)| format!(" (all tasks: {short:.1} %, {long:.1} %)"));
        let Pressure { resource, some_10s, some_60s, .. } = one;
        format!("{} {some_10s:.1} %, {some_60s:.1} %{}", clean(resource), full.unwrap_or_default())
    });
    let parts: Vec<String> = parts.collect();
    fields.add(key, (!parts.is_empty()).then(|| format!("{} (of 10 s, of 60 s)", parts.join("; "))));
}

fn system(fields: &mut Fields, value: &System) {
    let processors = value
        .processors
        .map(|count| format!(" ({})", counted(usize::try_from(count).unwrap_or(usize::MAX), "processor")));
    let load = [value.load_1min, value.load_5min, value.load_15min];
    let load: Vec<String> = load.into_iter().flatten().map(|load| format!("{load:.2}")).collect();
    let load = (!load.is_empty()).then(|| load.join(", "));
    fields.add("system load", load.map(|load| format!("{load}{}", processors.unwrap_or_default())));
    let memory = value.available_bytes.zip(value.memory_bytes);
    fields.add(
        "system memory",
        memory.map(|(available, all)| format!("{} available of {}", bytes(available), bytes(all))),
    );
    pressure(fields, "system pressure", &value.pressure);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventCount;

    const MIB: u64 = 1 << 20;

    fn shown(value: &Resources) -> Vec<String> {
        resources(value).into_iter().map(|(key, value)| format!("{key} = {value}")).collect()
    }

    fn limit(name: &str, soft: Option<u64>, hard: Option<u64>, unit: Option<&str>) -> ResourceLimit {
        ResourceLimit { name: name.into(), soft, hard, unit: unit.map(str::to_owned) }
    }

    #[test]
    fn nothing_is_shown_of_what_is_not_known() {
        assert_eq!(shown(&Resources::default()), Vec::<String>::new());
        let unread = Resources { notes: vec!["not known: limits: refused".into()], ..Resources::default() };
        assert_eq!(shown(&unread), ["note = not known: limits: refused"]);
    }

    #[test]
    fn a_process_in_a_service_looks_like_this() {
        let memory = Memory {
            resident_bytes: Some(84 * MIB),
            anonymous_bytes: Some(70 * MIB),
            file_bytes: Some(14 * MIB),
            shared_bytes: Some(0),
            peak_resident_bytes: Some(91 * MIB),
            swapped_bytes: Some(0),
            virtual_bytes: Some(1 << 30),
            main_stack_bytes: Some(132 << 10),
            ..Memory::default()
        };
        let usage = Usage {
            cpu_user_ms: Some(12_400),
            cpu_system_ms: Some(310),
            minor_faults: Some(18_423),
            major_faults: Some(12),
            voluntary_switches: Some(7),
            involuntary_switches: Some(3),
        };
        let oom = EventCount { name: "oom".into(), count: 1 };
        let cgroup = Cgroup {
            path: "/system.slice/shop.service".into(),
            version: 2,
            memory_bytes: Some(100 * MIB),
            memory_max_bytes: Some(512 * MIB),
            memory_high_bytes: Some(400 * MIB),
            memory_events: vec![EventCount { name: "low".into(), count: 0 }, oom],
            cpu_quota_us: Some(150_000),
            cpu_period_us: Some(100_000),
            cpu_periods: Some(400),
            throttled_periods: Some(12),
            throttled_us: Some(3_200_000),
            tasks: Some(14),
            tasks_max: Some(512),
            pressure: vec![Pressure {
                resource: "memory".into(),
                some_10s: 1.25,
                some_60s: 0.5,
                full_10s: Some(0.0),
                full_60s: Some(0.0),
            }],
            ..Cgroup::default()
        };
        let system = System {
            processors: Some(2),
            load_1min: Some(0.5),
            load_5min: Some(0.25),
            load_15min: Some(0.0),
            memory_bytes: Some(8192 * MIB),
            available_bytes: Some(1536 * MIB),
            pressure: vec![Pressure { resource: "io".into(), ..Pressure::default() }],
        };
        let limits = vec![
            limit("cpu time", None, None, Some("seconds")),
            limit("stack size", Some(8 * MIB), None, Some("bytes")),
            limit("open files", Some(1024), Some(4096), Some("files")),
            limit("nice priority", Some(0), Some(0), None),
        ];
        let resources = Resources {
            memory,
            usage,
            threads: Some(12),
            open_descriptors: Some(87),
            limits,
            cgroups: vec![cgroup],
            system,
            notes: Vec::new(),
        };
        assert_eq!(
            shown(&resources),
            [
                "memory = 84.0 MiB (peak 91.0 MiB): 70.0 MiB anonymous, 14.0 MiB from files, 0 B shared",
                "virtual memory = 1.0 GiB, 132.0 KiB main thread's stack",
                "cpu = 12.4 s user, 310 ms system",
                "page faults = 18423 minor, 12 major",
                "context switches = 7 voluntary, 3 involuntary",
                "threads = 12",
                "descriptors = 87 of 1024",
                "limits = stack size 8.0 MiB (hard unlimited), open files 1024 (hard 4096), nice priority 0",
                "unlimited = cpu time",
                "cgroup = /system.slice/shop.service",
                "cgroup memory = 100.0 MiB of 512.0 MiB, slowed down above 400.0 MiB",
                "cgroup events = 1 oom",
                "cgroup cpu = 150 ms in each 100 ms; used up in 12 of 400 periods, 3.2 s in all threads",
                "cgroup tasks = 14 of 512",
                "cgroup pressure = memory 1.2 %, 0.5 % (of 10 s, of 60 s)",
                "system load = 0.50, 0.25, 0.00 (2 processors)",
                "system memory = 1.5 GiB available of 8.0 GiB",
            ]
        );
    }
}
