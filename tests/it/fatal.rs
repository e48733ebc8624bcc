//! Reports of fatal signals: there is one for each crash, it says what is known and nothing else,
//! and the process ends as it does without gmr.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use object::{Object as _, SymbolMap, SymbolMapName};
use rustix::process::Signal;
use serde_json::Value;

use crate::program::{Program, program};

/// Ways to crash, the signal that ends the process, and the one that the report is about.
const CRASHES: [(&str, i32, &str); 14] = [
    ("null", libc::SIGSEGV, "SIGSEGV"),
    ("guard", libc::SIGSEGV, "SIGSEGV"),
    ("end", libc::SIGBUS, "SIGBUS"),
    ("overflow", libc::SIGABRT, "SIGSEGV"),
    ("thread overflow", libc::SIGABRT, "SIGSEGV"),
    ("abort", libc::SIGABRT, "SIGABRT"),
    ("allocation", libc::SIGABRT, "SIGABRT"),
    ("heap", libc::SIGABRT, "SIGABRT"),
    ("division", libc::SIGFPE, "SIGFPE"),
    ("instruction", libc::SIGILL, "SIGILL"),
    ("call", libc::SIGSEGV, "SIGSEGV"),
    ("system call", libc::SIGSYS, "SIGSYS"),
    ("panic", libc::SIGABRT, "SIGABRT"),
    ("all", libc::SIGSEGV, "SIGSEGV"),
];

/// A directory for core files, which it removes.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gmr-fatal-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How a crash has ended, and what is on standard error.
struct End {
    status: ExitStatus,
    errors: String,
}

impl End {
    /// Starts the program, and lets it crash.
    fn of(how: &str, fatal: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(program!("fatal"));
        command.arg(how).env("GMR_ON_FATAL", fatal);
        prepare(&mut command);
        let mut program = Program::start_with(command);
        program.tell("crash");
        let (status, errors) = program.end();
        Self { status, errors }
    }

    fn reports(&self) -> Vec<Value> {
        let lines = self.errors.lines().filter(|line| line.starts_with("{\"kind\":\"fatal\""));
        lines.map(|line| serde_json::from_str(line).expect("it is JSON")).collect()
    }

    /// The only report.
    fn report(&self) -> Value {
        let [report] = &self.reports()[..] else { panic!("not one report: {}", self.errors) };
        report.clone()
    }

    /// What is there besides reports.
    fn rest(&self) -> String {
        let rest = self.errors.lines().filter(|line| !line.starts_with("{\"kind\":\"fatal\""));
        // std names the thread's id.
        rest.map(|line| line.replace(|c: char| c.is_ascii_digit(), "")).collect::<Vec<_>>().join("\n")
    }
}

/// The names of the program's functions.
fn with_symbols<T>(look: impl FnOnce(&SymbolMap<SymbolMapName<'_>>) -> T) -> T {
    let bytes = std::fs::read(program!("fatal")).expect("it is there");
    look(&object::File::parse(&*bytes).expect("it is an executable").symbol_map())
}

/// The names of the functions of the program that a thread is in, innermost first.
fn functions(thread: &Value) -> Vec<String> {
    with_symbols(|symbols| {
        let frames = thread["frames"].as_array().expect("a list").iter();
        let own =
            frames.filter(|frame| frame["module"].as_str().is_some_and(|name| name.starts_with("fatal")));
        own.filter_map(|frame| {
            let offset = hexadecimal(&frame["offset"]) - u64::from(frame["kind"] == "return");
            symbols.before(offset).map(|symbol| symbol.name().to_owned())
        })
        .collect()
    })
}

fn hexadecimal(value: &Value) -> u64 {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x")).expect("a number");
    u64::from_str_radix(digits, 16).expect("a number")
}

fn is_in(thread: &Value, function: &str) -> bool {
    functions(thread).iter().any(|name| name.contains(function))
}

#[test]
fn each_crash_has_a_report_and_ends_as_without_it() {
    for (how, signal, reported) in CRASHES {
        let (end, twin) = (End::of(how, "1", |_| {}), End::of(how, "0", |_| {}));
        assert_eq!((end.status, end.status.signal()), (twin.status, Some(signal)), "{how}: {}", end.errors);
        let report = end.report();
        assert_eq!(report["signal"]["name"], reported, "{how}: {report}");
        // On a busy machine, not all threads may be shown.
        assert!(!report["notes"].to_string().contains("could not"), "{how}: {report}");
        assert_eq!(report["threads"][0]["crashed"], true, "{how}: {report}");
        assert!(twin.reports().is_empty(), "{how}: {}", twin.errors);
        assert_eq!(end.rest(), twin.rest(), "{how}: std's messages, for instance");
    }
}

#[test]
fn a_report_says_where_it_is() {
    let cases = [
        ("null", "SEGV_MAPERR", Some(0), "reads_null"),
        ("guard", "SEGV_ACCERR", None, "writes_to_guard"),
        ("end", "BUS_ADRERR", None, "reads_past_the_end"),
        ("overflow", "SEGV_ACCERR", None, "recurses"),
        ("abort", "SI_TKILL", None, "crash"),
        ("allocation", "SI_TKILL", None, "aborts_in_an_allocation"),
        ("instruction", "ILL_ILLOPN", None, "runs_no_instruction"),
        #[cfg(target_arch = "x86_64")]
        ("division", "FPE_INTDIV", None, "divides_by_zero"),
        #[cfg(target_env = "gnu")]
        ("heap", "SI_TKILL", None, "frees_twice"),
    ];
    for (how, code, address, function) in cases {
        let report = End::of(how, "1", |_| {}).report();
        let thread = &report["threads"][0];
        // Kernels differ in what they say of an illegal instruction, and of the end of main's
        // stack.
        if !["instruction", "overflow"].contains(&how) {
            assert_eq!(report["signal"]["code_name"], code, "{how}: {report}");
        }
        assert!(is_in(thread, function), "{how}: {:?} in {report}", functions(thread));
        let is_sent = code == "SI_TKILL";
        assert_eq!(report["signal"]["address"].is_null(), is_sent, "{how}: {report}");
        assert_eq!(report["signal"]["sender"]["pid"].is_null(), !is_sent, "{how}: {report}");
        if let Some(address) = address {
            assert_eq!(hexadecimal(&report["signal"]["address"]), address, "{report}");
        }
        if how != "overflow" {
            assert_eq!(thread["ends"], Value::Null, "{how}: it leads to the first function: {report}");
            assert!(is_in(thread, "main"), "{how}: {report}");
            assert!(thread["possible_return_addresses"].as_array().unwrap().is_empty(), "{how}: {report}");
        }
        let build_id = thread["frames"][0]["build_id"].as_str();
        let modules = report["modules"].as_array().unwrap();
        assert!(modules.iter().any(|module| module["build_id"].as_str() == build_id), "{how}: {report}");
    }
}

#[test]
fn a_call_that_leads_nowhere_is_not_guessed() {
    let report = End::of("call", "1", |_| {}).report();
    let thread = &report["threads"][0];
    assert_eq!(thread["frames"].as_array().map(Vec::len), Some(1), "{report}");
    assert!(thread["ends"].as_str().is_some_and(|ends| ends.contains("no unwind information")), "{report}");
    let possible = with_symbols(|symbols| {
        let addresses = thread["possible_return_addresses"].as_array().unwrap().iter();
        let own =
            addresses.filter(|one| one["module"].as_str().is_some_and(|name| name.starts_with("fatal")));
        let names = own.filter_map(|one| symbols.before(hexadecimal(&one["offset"]) - 1));
        names.map(|symbol| symbol.name().to_owned()).collect::<Vec<_>>()
    });
    assert!(possible.iter().any(|name| name.contains("calls_nothing")), "{possible:?}");
}

#[test]
fn the_other_threads_are_shown() {
    fn named<'a>(report: &'a Value, name: &str) -> Option<&'a Value> {
        report["threads"].as_array()?.iter().find(|thread| thread["name"] == name)
    }
    // On a busy machine, a thread may get no CPU in time to answer.
    let mut reports = (0..50).map(|_| {
        let with_threads = |command: &mut Command| {
            command.arg("threads");
        };
        End::of("null", "1", with_threads).report()
    });
    let have_answered = |report: &Value| {
        ["waiting", "spinning"]
            .into_iter()
            .all(|name| named(report, name).is_some_and(|one| one["taken"] == "signal"))
    };
    let report = reports.find(have_answered).expect("a report in which both have answered");
    for (name, function) in [("waiting", "waits"), ("spinning", "spins")] {
        let thread = named(&report, name).expect("it is there");
        assert_eq!(thread["ends"], Value::Null, "{thread}");
        assert!(is_in(thread, function), "{thread}");
    }
    assert_eq!(named(&report, "waiting").expect("it is there")["system_call"], "futex");
}

#[test]
fn a_core_file_is_written_as_without_a_report() {
    let unlimited = |command: &mut Command| {
        // SAFETY: the calls may be made after a fork.
        #[allow(unsafe_code, reason = "only a new process can have another limit")]
        unsafe {
            command.pre_exec(|| {
                let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
                // Without the right to raise it, it stays, for both.
                libc::setrlimit(libc::RLIMIT_CORE, &raw const limit);
                Ok(())
            })
        };
    };
    for how in ["null", "abort", "overflow", "nested"] {
        let (first, second) = (Directory::new(), Directory::new());
        let end = End::of(how, "1", |command| unlimited(command.current_dir(&first.0)));
        let twin = End::of(how, "0", |command| unlimited(command.current_dir(&second.0)));
        assert_eq!(end.status, twin.status, "{how}: {}", end.errors);
        assert_eq!(end.status.core_dumped(), twin.status.core_dumped());
    }
}

#[test]
fn a_signal_from_outside_names_its_sender() {
    let mut command = Command::new(program!("fatal"));
    command.env("GMR_ON_FATAL", "1");
    let program = Program::start_with(command);
    program.signal(Signal::SEGV);
    let (status, errors) = program.end();
    let end = End { status, errors };
    let report = end.report();
    assert_eq!(report["signal"]["sender"]["pid"], std::process::id(), "{report}");
    assert_eq!(
        (&report["signal"]["code_name"], &report["signal"]["address"]),
        (&"SI_USER".into(), &Value::Null)
    );
    // std's handler takes it for a fault that happens again, and sets the default action.
    assert!(status.success() || status.signal() == Some(libc::SIGSEGV));
}

#[test]
fn a_handler_from_before_runs_after_the_report() {
    let (end, twin) = (End::of("handled", "1", |_| {}), End::of("handled", "0", |_| {}));
    assert_eq!((end.status.code(), twin.status.code()), (Some(41), Some(41)), "{}", end.errors);
    let report = end.report();
    assert_eq!(report["next"]["action"], "handler");
    let next = with_symbols(|symbols| {
        symbols.before(hexadecimal(&report["next"]["offset"])).unwrap().name().to_owned()
    });
    assert!(next.contains("ends"), "{next}");
}

#[test]
fn a_process_that_goes_on_has_one_report() {
    for fatal in ["1", "0"] {
        let mut command = Command::new(program!("fatal"));
        command.arg("repaired").env("GMR_ON_FATAL", fatal);
        let mut program = Program::start_with(command);
        assert_eq!(program.ask("crash"), "2 2", "both were handled, as SEGV_ACCERR");
        assert_eq!(program.hear(), "alive");
        let (status, errors) = program.end();
        let reports = End { status, errors }.reports().len();
        assert_eq!((status.success(), reports), (true, usize::from(fatal == "1")));
    }
}

#[test]
fn a_handler_from_later_can_call_this_one() {
    let (end, twin) = (End::of("chained", "1", |_| {}), End::of("chained", "0", |_| {}));
    assert_eq!((end.status, end.status.signal()), (twin.status, Some(libc::SIGSEGV)), "{}", end.errors);
    end.report();
}

#[test]
fn a_crash_in_the_handler_ends_the_report_and_nothing_else() {
    for (how, signal) in [("nested", libc::SIGSEGV), ("nested abort", libc::SIGABRT)] {
        let (end, twin) = (End::of(how, "1", |_| {}), End::of(how, "0", |_| {}));
        assert_eq!((end.status, end.status.signal()), (twin.status, Some(signal)), "{how}: {}", end.errors);
        assert!(!end.errors.contains("\"notes\""), "{how}: {}", end.errors);
        assert!(end.errors.contains("\"kind\":\"fatal\""), "{how}: {}", end.errors);
        assert!(end.errors.ends_with("ends here: it crashed\n"), "{how}: {}", end.errors);
    }
}

#[test]
fn a_thread_with_a_filter_of_its_own_has_no_report() {
    let (end, twin) = (End::of("filtered", "1", |_| {}), End::of("filtered", "0", |_| {}));
    assert_eq!((end.status, end.errors.as_str()), (twin.status, ""));
}

#[test]
fn an_unknown_choice_is_said_and_the_programs_counts() {
    let end = End::of("null", "sometimes", |_| {});
    assert!(
        end.errors.starts_with("gmr: warning: GMR_ON_FATAL: unknown value `sometimes`"),
        "{}",
        end.errors
    );
    assert!(end.reports().is_empty(), "it is off by default");
}

#[test]
fn a_forked_child_reports_as_itself() {
    let mut command = Command::new(program!("fatal"));
    command.arg("child").env("GMR_ON_FATAL", "1");
    let mut program = Program::start_with(command);
    let said = program.ask("crash");
    let (child, signal) = said.split_once(' ').expect("two words");
    assert_eq!(signal, libc::SIGSEGV.to_string());
    assert_eq!(program.hear(), "alive");
    let (status, errors) = program.end();
    let report = End { status, errors }.report();
    assert_eq!((report["pid"].to_string(), status.success()), (child.to_owned(), true), "{report}");
}

#[test]
fn nobody_who_does_not_read_holds_a_crash_up() {
    let began = Instant::now();
    let end = End::of("full", "1", |_| {});
    assert_eq!(end.status.signal(), Some(libc::SIGSEGV));
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn the_report_is_also_a_file() {
    let directory = Directory::new();
    for (format, extension) in [("json", "json"), ("text", "txt")] {
        let end = End::of("null", "1", |command| {
            command.env("GMR_LOG_DIR", &directory.0).env("GMR_FORMAT", format);
        });
        let files = std::fs::read_dir(&directory.0).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|one| one == extension)).collect();
        let [file] = &files[..] else { panic!("not one: {files:?}, {}", end.errors) };
        let written = std::fs::read_to_string(file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(end.errors.starts_with(&written), "{}", end.errors);
        assert!(end.errors.contains(name) && name.starts_with("shop_gurumeditation_"), "{}", end.errors);
    }
    let missing = directory.0.join("missing");
    let end = End::of("null", "1", |command| {
        command.env("GMR_LOG_DIR", &missing);
    });
    assert!(end.errors.contains("gmr: could not open the directory of reports (error 2)"), "{}", end.errors);
    end.report();
}

#[test]
fn the_text_says_the_same() {
    let end = End::of("null", "1", |command| {
        command.env("GMR_FORMAT", "text").arg("threads");
    });
    for part in
        ["fatal signal SIGSEGV", "code = SEGV_MAPERR", "\"spinning\"", "build-id ", "end of the report"]
    {
        assert!(end.errors.contains(part), "{part} in {}", end.errors);
    }
}

/// The figures of many crashes, for `--ignored`: how many have a report, and how long they take.
#[test]
#[ignore = "it takes minutes"]
fn a_thousand_crashes() {
    let mut times = [Vec::new(), Vec::new()];
    let mut reports = 0;
    for (how, signal, _) in CRASHES.iter().cycle().take(1_000) {
        for (times, fatal) in times.iter_mut().zip(["1", "0"]) {
            let mut command = Command::new(program!("fatal"));
            command.args([how, "threads"]).env("GMR_ON_FATAL", fatal);
            let mut program = Program::start_with(command);
            let began = Instant::now();
            program.tell("crash");
            let (status, errors) = program.end();
            times.push(began.elapsed());
            assert_eq!(status.signal(), Some(*signal), "{how}: {errors}");
            reports += End { status, errors }.reports().len();
        }
    }
    for (times, what) in times.iter_mut().zip(["with", "without"]) {
        times.sort_unstable();
        println!("{what}: median {:?}, 99 % {:?}, max {:?}", times[500], times[990], times[999]);
    }
    println!("{reports} reports in 1000 crashes");
    assert_eq!(reports, 1_000);
}
