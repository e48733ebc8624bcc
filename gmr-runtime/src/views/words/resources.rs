//! The wording of what a process uses, and what it may use.

use super::Field;
use crate::model::{Cgroup, Memory, Pressure, ResourceLimit, Resources, System, Usage};
use crate::units::{bytes, duration};
use crate::views::escape::clean;

/// Fields in the order in which they are shown. What is not known, or not limited, is left out.
pub(in crate::views) fn resources(value: &Resources) -> Vec<Field> {
    let mut fields = Fields::default();
    memory(&mut fields, &value.memory);
    usage(&mut fields, &value.usage);
    fields.number("threads", value.threads);
    let of_descriptors = value.limits.iter().find(|limit| limit.name == "open files");
    fields.add(
        "open descriptors",
        value.open_descriptors.map(|open| match of_descriptors.and_then(|limit| limit.soft) {
            Some(soft) => format!("{open} (limit {soft})"),
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
    for note in super::notes(&value.notes) {
        fields.add("note", Some(note));
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
        (value.file_bytes, "of files"),
        (value.shared_bytes, "shared"),
    ];
    let parts: Vec<_> =
        parts.into_iter().filter_map(|(part, name)| Some(format!("{} {name}", bytes(part?)))).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    fields.add("resident memory", Some(format!("{}{peak}{parts}", bytes(resident))));
    let unless_none = |part: Option<u64>| part.filter(|part| *part > 0).map(bytes);
    fields.add("swapped out", unless_none(value.swapped_bytes));
    fields.add("locked memory", unless_none(value.locked_bytes));
    let stack = value.main_stack_bytes.map(|stack| format!(" (main thread's stack {})", bytes(stack)));
    fields.add(
        "virtual memory",
        value.virtual_bytes.map(|all| format!("{}{}", bytes(all), stack.unwrap_or_default())),
    );
}

fn usage(fields: &mut Fields, value: &Usage) {
    let pair = |one: Option<u64>, other: Option<u64>| one.zip(other);
    fields.add(
        "cpu time",
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
        (Some(limit), Some("seconds")) => format!("{limit} s"),
        (Some(limit), Some("us")) => format!("{limit} µs"),
        (Some(limit), _) => limit.to_string(),
    }
}

fn cgroup(fields: &mut Fields, value: &Cgroup) {
    let version = if value.version == 2 { String::new() } else { format!(" (version {})", value.version) };
    fields.add("cgroup", Some(format!("{}{version}", clean(&value.path))));
    if let Some(used) = value.memory_bytes {
        let limits = [
            value.memory_max_bytes.map(|max| format!("limit {}", bytes(max))),
            value.memory_high_bytes.map(|high| format!("throttled above {}", bytes(high))),
            value.memory_peak_bytes.map(|peak| format!("peak {}", bytes(peak))),
        ];
        fields.add("cgroup memory", Some(format!("{}{}", bytes(used), in_brackets(limits))));
    }
    fields.add(
        "cgroup swap",
        value.swap_bytes.filter(|swap| *swap > 0).map(|swap| {
            let limit = value.swap_max_bytes.map(|max| format!("limit {}", bytes(max)));
            format!("{}{}", bytes(swap), in_brackets([limit]))
        }),
    );
    let events = value.memory_events.iter().filter(|event| event.count > 0);
    fields
        .list("cgroup memory events", events.map(|event| format!("{} {}", event.count, clean(&event.name))));
    if let Some((quota, period)) = value.cpu_quota_us.zip(value.cpu_period_us) {
        let throttled = value.throttled_periods.filter(|periods| *periods > 0).map(|throttled| {
            let periods = value.cpu_periods.map(|periods| format!(" of {periods}")).unwrap_or_default();
            // The kernel counts it for each CPU by itself.
            let time = value.throttled_us.map(|time| format!(" ({} in all CPUs)", duration(time / 1000)));
            format!("; throttled in {throttled}{periods} periods{}", time.unwrap_or_default())
        });
        let cpus = Decimal(quota, period);
        let cpus = format!("{cpus} CPU{}", if quota == period { "" } else { "s" });
        let [quota, period] = [quota, period].map(|us| Decimal(us, 1000));
        fields.add(
            "cgroup cpu",
            Some(format!("limit {cpus} ({quota} ms every {period} ms){}", throttled.unwrap_or_default())),
        );
    }
    fields.add(
        "cgroup tasks",
        value.tasks.map(|tasks| {
            let limit = value.tasks_max.map(|most| format!("limit {most}"));
            format!("{tasks}{}", in_brackets([limit]))
        }),
    );
    pressure(fields, "cgroup pressure", &value.pressure);
}

/// The parts that there are, as an addition.
fn in_brackets<const N: usize>(parts: [Option<String>; N]) -> String {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// A fraction with up to two decimals.
#[derive(Clone, Copy)]
struct Decimal(u64, u64);

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [value, unit] = [self.0, self.1.max(1)].map(u128::from);
        let hundredths = value % unit * 100 / unit;
        let text = format!("{}.{hundredths:02}", value / unit);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// The resources that tasks have waited for.
fn pressure(fields: &mut Fields, key: &'static str, all: &[Pressure]) {
    let has_waited = |short: f64, long: f64| short > 0.0 || long > 0.0;
    let times = |short: f64, long: f64| format!("{short:.1} % over 10 s, {long:.1} % over 60 s");
    let parts = all.iter().filter(|one| has_waited(one.some_10s, one.some_60s)).map(|one| {
        let full = one.full_10s.zip(one.full_60s).filter(|(short, long)| has_waited(*short, *long));
        let full = full.map(|(short, long)| format!(" (all tasks at once: {})", times(short, long)));
        format!("{} {}{}", clean(&one.resource), times(one.some_10s, one.some_60s), full.unwrap_or_default())
    });
    let parts: Vec<String> = parts.collect();
    fields.add(key, (!parts.is_empty()).then(|| parts.join("; ")));
}

fn system(fields: &mut Fields, value: &System) {
    // Where the process may run on some of the CPUs only, the load is that of all of them.
    fields.number("usable cpus", value.processors);
    let load = [(value.load_1min, "1 min"), (value.load_5min, "5 min"), (value.load_15min, "15 min")];
    let load = load.into_iter().filter_map(|(load, over)| Some(format!("{:.2} over {over}", load?)));
    fields.list("system load", load);
    let memory = value.available_bytes.zip(value.memory_bytes);
    fields.add(
        "system memory",
        memory.map(|(available, all)| format!("{} available of {}", bytes(available), bytes(all))),
    );
    pressure(fields, "system pressure", &value.pressure);
}

#[cfg(all(test, not(gmr_units)))]
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
        let unread =
            Resources { notes: vec!["could not read limits: refused".into()], ..Resources::default() };
        assert_eq!(shown(&unread), ["note = could not read limits: refused"]);
    }

    #[test]
    fn a_fraction_has_no_decimals_that_say_nothing() {
        let shown = [(150, 100), (100, 100), (5, 100), (12_345, 1000), (1000, 10), (0, 0), (u64::MAX, 1)]
            .map(|(value, unit)| Decimal(value, unit).to_string());
        assert_eq!(shown, ["1.5", "1", "0.05", "12.34", "100", "0", "18446744073709551615"]);
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a few lines for each field")]
    fn a_process_in_a_service_looks_like_this() {
        let memory = Memory {
            resident_bytes: Some(84 * MIB),
            anonymous_bytes: Some(70 * MIB),
            file_bytes: Some(14 * MIB),
            shared_bytes: Some(0),
            peak_resident_bytes: Some(91 * MIB),
            swapped_bytes: Some(3 * MIB),
            locked_bytes: Some(0),
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
        let of_memory = Pressure {
            resource: "memory".into(),
            some_10s: 1.25,
            some_60s: 0.5,
            full_10s: Some(0.0),
            full_60s: Some(0.0),
        };
        let of_io = Pressure {
            resource: "io".into(),
            some_10s: 9.0,
            some_60s: 4.0,
            full_10s: Some(2.5),
            full_60s: Some(0.1),
        };
        let cgroup = Cgroup {
            path: "/system.slice/shop.service".into(),
            version: 2,
            memory_bytes: Some(100 * MIB),
            memory_max_bytes: Some(512 * MIB),
            memory_high_bytes: Some(400 * MIB),
            memory_peak_bytes: Some(130 * MIB),
            swap_bytes: Some(7 * MIB),
            memory_events: vec![EventCount { name: "low".into(), count: 0 }, oom],
            cpu_quota_us: Some(150_000),
            cpu_period_us: Some(100_000),
            cpu_periods: Some(400),
            throttled_periods: Some(12),
            throttled_us: Some(3_200_000),
            tasks: Some(14),
            tasks_max: Some(512),
            pressure: vec![of_memory, of_io],
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
                "resident memory = 84.0 MiB (peak 91.0 MiB): 70.0 MiB anonymous, 14.0 MiB of files, 0 B shared",
                "swapped out = 3.0 MiB",
                "virtual memory = 1.0 GiB (main thread's stack 132.0 KiB)",
                "cpu time = 12.4 s user, 310 ms system",
                "page faults = 18423 minor, 12 major",
                "context switches = 7 voluntary, 3 involuntary",
                "threads = 12",
                "open descriptors = 87 (limit 1024)",
                "limits = stack size 8.0 MiB (hard unlimited), open files 1024 (hard 4096), nice priority 0",
                "unlimited = cpu time",
                "cgroup = /system.slice/shop.service",
                "cgroup memory = 100.0 MiB (limit 512.0 MiB, throttled above 400.0 MiB, peak 130.0 MiB)",
                "cgroup swap = 7.0 MiB",
                "cgroup memory events = 1 oom",
                "cgroup cpu = limit 1.5 CPUs (150 ms every 100 ms); throttled in 12 of 400 periods (3.2 s in all CPUs)",
                "cgroup tasks = 14 (limit 512)",
                "cgroup pressure = memory 1.2 % over 10 s, 0.5 % over 60 s; \
                 io 9.0 % over 10 s, 4.0 % over 60 s (all tasks at once: 2.5 % over 10 s, 0.1 % over 60 s)",
                "usable cpus = 2",
                "system load = 0.50 over 1 min, 0.25 over 5 min, 0.00 over 15 min",
                "system memory = 1.5 GiB available of 8.0 GiB",
            ]
        );
    }
}
