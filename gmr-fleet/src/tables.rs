//! The tables: which there are, and their columns, as `docs/fleet/tables.md` lists them. Everything
//! that reads or writes rows goes by these lists.

pub(crate) mod cells;
pub(crate) mod files;

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};

/// The version of the tables: `MAJOR.MINOR`. A minor version adds tables and columns, a major one
/// can change anything. Each file has it.
pub(crate) const VERSION: &str = "1.0";

/// What a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Bool,
    U32,
    U64,
    I64,
    F64,
    /// A point in time in UTC, in milliseconds.
    Time,
    U64s,
    Texts,
    Frames,
}

#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) what: &'static str,
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) columns: &'static [Column],
}

const fn column(name: &'static str, kind: Kind, what: &'static str) -> Column {
    Column { name, kind, what }
}

/// The names of all tables, as indices into [`TABLES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Reports,
    Threads,
    Tasks,
    Spans,
    Findings,
    Resources,
    Sections,
    Stacks,
    Places,
}

impl Name {
    pub(crate) const ALL: [Self; 9] = [
        Self::Reports,
        Self::Threads,
        Self::Tasks,
        Self::Spans,
        Self::Findings,
        Self::Resources,
        Self::Sections,
        Self::Stacks,
        Self::Places,
    ];

    pub(crate) fn table(self) -> &'static Table {
        &TABLES[self as usize]
    }
}

/// What most tables begin with.
const REPORT_ID: Column = column("report_id", Kind::Text, "the report, in `reports`");
const SECTION: Column = column("section", Kind::U32, "the section, by its `position` in `sections`");
const POSITION: Column = column("position", Kind::U32, "its place in the list, from 0");
const REST: Column = column("rest", Kind::Text, "JSON: what else the report has of it");

pub(crate) static TABLES: [Table; 9] = [
    Table {
        name: "reports",
        what: "one row for each report",
        columns: &[
            column(
                "report_id",
                Kind::Text,
                "identifies the report: 128 bits of SHA-256 of its JSON, in hexadecimal",
            ),
            column("schema_version", Kind::Text, "the version of the report's JSON"),
            column("number", Kind::U64, "the report's number within its process, from 1"),
            column("made_at", Kind::Time, "when it was started"),
            column("pid", Kind::U32, "the id of the process"),
            column(
                "trigger_kind",
                Kind::Text,
                "what requested it: `signal`, `api`, `http`, `file`, `automatic`",
            ),
            column("trigger", Kind::Text, "JSON: the trigger with all that is known of it"),
            column("program", Kind::Text, "the product, or else the name of the executable, or `?`"),
            column("version", Kind::Text, "the product's version"),
            column("revision", Kind::Text, "the revision of its source"),
            column("build_id", Kind::Text, "the GNU build-id of the executable"),
            column("host", Kind::Text, "the Kubernetes pod, or else the host"),
            column("namespace", Kind::Text, "the Kubernetes namespace"),
            column("node", Kind::Text, "the Kubernetes node"),
            column("container_id", Kind::Text, "the id of the container"),
            column(
                "started_at",
                Kind::Time,
                "when the process was started; reports of one process can be a second apart",
            ),
            column("uptime_ms", Kind::U64, "time since then"),
            column("threads", Kind::U64, "the number of threads"),
            column("failed_sections", Kind::U64, "the number of sections that failed"),
            column("took_us", Kind::U64, "the time that the report took"),
            REST,
        ],
    },
    Table {
        name: "threads",
        what: "one row for each thread of a report",
        columns: &[
            REPORT_ID,
            SECTION,
            POSITION,
            column("tid", Kind::U32, "the thread's id"),
            column("name", Kind::Text, "its name"),
            column("role", Kind::Text, "`main`, `program`, `kernel`, `reporter`, `gmr`"),
            column("state", Kind::Text, "the kernel's word for its state"),
            column("cpu_user_ms", Kind::U64, "processor time in user mode"),
            column("cpu_system_ms", Kind::U64, "processor time in the kernel"),
            column("started_at", Kind::Time, "when it was started"),
            column("policy", Kind::Text, "the scheduling policy"),
            column("last_cpu", Kind::U32, "the processor that it ran on last"),
            column("at_rest_ms", Kind::U64, "for how long it has not run, at least"),
            column(
                "waiting_call",
                Kind::Text,
                "the system call that it is blocked in; null if it was running",
            ),
            column("waiting_descriptor", Kind::I64, "the descriptor of the call"),
            column("waiting_target", Kind::Text, "what that refers to"),
            column("waiting_futex", Kind::U64, "the address of the futex that it waits on"),
            column("waiting_rest", Kind::Text, "JSON: what else is known of the wait"),
            column("stack_id", Kind::Text, "its stack, in `stacks`; null if it has no frames"),
            column("incomplete", Kind::Text, "why the stack is missing or ends early"),
            column("taken", Kind::Text, "how the stack was taken: `at rest`, `by signal`"),
            column(
                "place_id",
                Kind::Text,
                "its place, in `places`; null for threads of the kernel and of gmr, and without frames",
            ),
            column("idle", Kind::Bool, "whether it is a thread of a pool that waits for work"),
            REST,
        ],
    },
    Table {
        name: "tasks",
        what: "one row for each tracked async task of a report",
        columns: &[
            REPORT_ID,
            SECTION,
            POSITION,
            column("id", Kind::U64, "its number within the process"),
            column("name", Kind::Text, "its name"),
            column("spawned_at", Kind::Text, "where it was spawned: file, line and column"),
            column("age_ms", Kind::U64, "time since it was spawned"),
            column("polls", Kind::U64, "how often it was polled"),
            column("state", Kind::Text, "`polling`, `woken`, `waiting`, `new`"),
            column("state_ms", Kind::U64, "for how long"),
            column("state_tid", Kind::U32, "the thread that polls it"),
            column("blocking", Kind::Bool, "whether it is a function on a thread for blocking calls"),
            column("labels", Kind::Text, "JSON: its labels, as a list of `key` and `value`"),
            column("stack_ids", Kind::Texts, "its stacks, in `stacks`; an empty text for one without frames"),
            column("place_id", Kind::Text, "its place, in `places`; null if it is not known"),
            REST,
        ],
    },
    Table {
        name: "spans",
        what: "one row for each listed open span of `tracing`",
        columns: &[
            REPORT_ID,
            SECTION,
            POSITION,
            column("id", Kind::U64, "identifies the span in its process"),
            column("parent", Kind::U64, "the span that it is a child of"),
            column("depth", Kind::U64, "how many listed spans contain it"),
            column("name", Kind::Text, "its name"),
            column("target", Kind::Text, "its target"),
            column("level", Kind::Text, "`error`, `warn`, `info`, `debug`, `trace`"),
            column("file", Kind::Text, "the source file"),
            column("line", Kind::U32, "the line"),
            column("fields", Kind::Text, "JSON: its fields, secrets masked"),
            column("trace_id", Kind::Text, "the OpenTelemetry trace"),
            column("age_ms", Kind::U64, "time since it was opened"),
            column("busy_ms", Kind::U64, "how long threads were inside"),
            column("idle_ms", Kind::U64, "how long no thread was inside"),
            REST,
        ],
    },
    Table {
        name: "findings",
        what: "one row for each finding of a report",
        columns: &[
            REPORT_ID,
            POSITION,
            column("code", Kind::Text, "the rule"),
            column("severity", Kind::Text, "`error`, `warning`, `info`"),
            column("certainty", Kind::Text, "`certain`, `probable`, `possible`"),
            column("message", Kind::Text, "what it says"),
            column(
                "said",
                Kind::Text,
                "the same without numbers, by which findings of many processes are grouped",
            ),
            column("threads", Kind::U64s, "the threads concerned"),
            column("tasks", Kind::U64s, "the tasks concerned"),
            column("section_title", Kind::Text, "the section concerned"),
            column("next", Kind::Text, "what to look at next"),
            REST,
        ],
    },
    Table {
        name: "resources",
        what: "one row for each section Resources that did not fail; `sections` has all of it",
        columns: &[
            REPORT_ID,
            SECTION,
            column("resident_bytes", Kind::U64, "memory in RAM"),
            column("anonymous_bytes", Kind::U64, "heap and stacks of it"),
            column("file_bytes", Kind::U64, "the part that is mapped from files"),
            column("peak_resident_bytes", Kind::U64, "the most that was ever in RAM"),
            column("swapped_bytes", Kind::U64, "what is swapped out"),
            column("virtual_bytes", Kind::U64, "all mapped addresses"),
            column("cpu_user_ms", Kind::U64, "processor time in user mode"),
            column("cpu_system_ms", Kind::U64, "processor time in the kernel"),
            column("major_faults", Kind::U64, "page faults that waited for input"),
            column("voluntary_switches", Kind::U64, "how often a thread has given up its processor"),
            column("involuntary_switches", Kind::U64, "how often a thread has lost it"),
            column("threads", Kind::U64, "the number of threads"),
            column("open_descriptors", Kind::U64, "the number of open descriptors"),
            column("max_descriptors", Kind::U64, "their limit; null if there is none"),
            column("cgroup_memory_bytes", Kind::U64, "memory in use of the process's cgroup"),
            column("cgroup_memory_max_bytes", Kind::U64, "its limit"),
            column("cgroup_throttled_us", Kind::U64, "for how long its quota has stopped it"),
            column("processors", Kind::U64, "the processors that it may use"),
            column("load_1min", Kind::F64, "the load average of the last minute"),
        ],
    },
    Table {
        name: "sections",
        what: "one row for each section of a report",
        columns: &[
            REPORT_ID,
            POSITION,
            column("title", Kind::Text, "its title"),
            column("kind", Kind::Text, "what its content is, as in the report's JSON"),
            column("took_us", Kind::U64, "how long it took"),
            column(
                "data",
                Kind::Text,
                "JSON: its content, without the threads, tasks and spans that have tables; null if it has none",
            ),
            REST,
        ],
    },
    Table {
        name: "stacks",
        what: "one row for each stack of a batch of reports",
        columns: &[
            column(
                "stack_id",
                Kind::Text,
                "identifies the stack by its frames: the same in all processes of a build",
            ),
            column("frames", Kind::Frames, "its frames, innermost first"),
        ],
    },
    Table {
        name: "places",
        what: "one row for each place of a batch of reports: the functions that a report shows of a stack",
        columns: &[
            column(
                "place_id",
                Kind::Text,
                "identifies the place by the names of its functions: the same in all builds",
            ),
            column("kind", Kind::Text, "`thread` or `task`"),
            column(
                "functions",
                Kind::Texts,
                "the functions, innermost first; module and offset where one has no name",
            ),
            column("lines", Kind::Texts, "the same with file and line, of one of the builds"),
        ],
    },
];

/// The fields of a frame.
pub(crate) const FRAME: &[Column] = &[
    column("function", Kind::Text, "the function's name"),
    column("file", Kind::Text, "the source file"),
    column("line", Kind::U32, "the line"),
    column("source", Kind::Text, "the text of that line"),
    column("inlined", Kind::Bool, "whether it is inlined into the function of the next frame"),
    column("module", Kind::Text, "the executable or library"),
    column("module_offset", Kind::U64, "the address relative to the module, as `addr2line` expects it"),
    column("build_id", Kind::Text, "the GNU build-id of the module"),
    column(
        "past",
        Kind::U32,
        "how far the address in the process is beyond that: the module's base, in `reports.rest`, is a multiple of 4,096",
    ),
    column("address", Kind::U64, "the address in the process, where it can't be computed from these"),
    REST,
];

/// How arrow has a column.
pub(crate) fn data_type(kind: Kind) -> DataType {
    let list = |of| DataType::List(Arc::new(Field::new_list_field(of, true)));
    match kind {
        Kind::Text => DataType::Utf8,
        Kind::Bool => DataType::Boolean,
        Kind::U32 => DataType::UInt32,
        Kind::U64 => DataType::UInt64,
        Kind::I64 => DataType::Int64,
        Kind::F64 => DataType::Float64,
        Kind::Time => DataType::Timestamp(TimeUnit::Millisecond, None),
        Kind::U64s => list(DataType::UInt64),
        Kind::Texts => list(DataType::Utf8),
        Kind::Frames => list(DataType::Struct(frame_fields())),
    }
}

pub(crate) fn frame_fields() -> Fields {
    FRAME.iter().map(|column| Field::new(column.name, data_type(column.kind), true)).collect()
}

impl Table {
    pub(crate) fn schema(&self) -> Schema {
        let fields = self.columns.iter().map(|column| Field::new(column.name, data_type(column.kind), true));
        Schema::new(fields.collect::<Fields>())
    }

    /// The name of its files.
    pub(crate) fn file(&self) -> String {
        format!("{}.parquet", self.name)
    }
}

/// The tables and their columns, as the documentation lists them.
pub(crate) fn described() -> String {
    let mut text = String::new();
    for Table { name, what, columns } in &TABLES {
        let _ = write!(text, "\n### `{name}`\n\nIt has {what}.\n\n{}", listed(columns));
    }
    let _ = write!(text, "\n### A frame\n\n{}", listed(FRAME));
    text
}

fn listed(columns: &[Column]) -> String {
    let mut text = String::from("| column | type | |\n|---|---|---|\n");
    for Column { name, kind, what } in columns {
        let kind = match kind {
            Kind::Text => "text",
            Kind::Bool => "boolean",
            Kind::U32 => "32 bits",
            Kind::U64 => "64 bits",
            Kind::I64 => "64 bits, signed",
            Kind::F64 => "double",
            Kind::Time => "timestamp (ms, UTC)",
            Kind::U64s => "list of 64 bits",
            Kind::Texts => "list of text",
            Kind::Frames => "list of frames",
        };
        let _ = writeln!(text, "| `{name}` | {kind} | {what} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn each_table_is_in_its_place() {
        let names = Name::ALL.map(|name| name.table().name);
        let debug = Name::ALL.map(|name| format!("{name:?}").to_lowercase());
        assert_eq!(names.map(str::to_owned), debug);
        for table in &TABLES {
            let mut columns: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
            columns.sort_unstable();
            columns.dedup();
            assert_eq!(columns.len(), table.columns.len(), "{}", table.name);
        }
    }

    /// `cargo xtask fleet --write` writes it.
    #[test]
    fn the_documentation_lists_all_tables() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/fleet/tables.md");
        let page = fs::read_to_string(&path).expect("the page");
        let (written, _) = page.split_once("## The tables\n").expect("the heading");
        let expected = format!("{written}## The tables\n{}", described());
        if std::env::var_os("GMR_TEST_WRITE_TABLES").is_some() {
            fs::write(&path, &expected).expect("written");
        } else {
            assert!(page == expected, "docs/fleet/tables.md is stale: `cargo xtask fleet --write`");
        }
        assert!(written.contains(&format!("version {VERSION}")), "the page has another version");
    }
}
