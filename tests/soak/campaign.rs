//! A campaign of faults: random ones, happening to random programs, judged from outside. Each
//! report that is requested must be complete, or say why it is not, and each program must go on.
//!
//! `GMR_CAMPAIGN_SEED` repeats a run, as far as the machine behaves in the same way.
//! `GMR_CAMPAIGN_SECONDS` sets its length, and adds faults that take seconds:
//!
//!     GMR_CAMPAIGN_SECONDS=1800 cargo test -p gmr-tests --test soak -- --nocapture campaign
//!
//! Signals coalesce. Several of them get one report, which must begin after the last one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use gmr_tests::Random;
use rustix::process::Signal;

use crate::program::{LIMIT, Program, program, wait_until};
use crate::quota::Quota;
use crate::report::{Report, list, text};

/// How long it runs by default, and with which seed.
const SECONDS: u64 = 5;
const SEED: u64 = 13;

/// What `programs/campaign.rs` counts. The first ones never stop.
const COUNTS: [&str; 9] =
    ["sleep", "compute", "echo", "ping", "pong", "task", "handled", "panics", "disturbed"];
const THREADS: usize = 6;

/// Programs to which faults happen only from outside, and what they answer with their progress.
const OTHERS: [(&str, &str); 6] = [
    (program!("hostile"), "counts"),
    (program!("storm"), "work"),
    (program!("stations"), ""),
    (program!("crossroads"), ""),
    (program!("moving"), ""),
    (program!("waiting"), ""),
];

/// What the campaign has seen. A report that is lost, or a program that is harmed, fails the test.
#[derive(Default)]
struct Figures {
    programs: u64,
    killed: u64,
    faults: BTreeMap<&'static str, u64>,
    /// Requests: a report for each, or one for several.
    asked: u64,
    whole: u64,
    /// By reason.
    shortened: BTreeMap<String, u64>,
}

struct Campaign {
    random: Random,
    figures: Figures,
    folder: Folder,
    /// Whether there is time for faults that take seconds.
    is_long: bool,
    quota: Option<Quota>,
}

/// A folder for the programs' files, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("gmr-campaign-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("it can be made");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A program and what is known of it from outside.
struct Subject {
    program: Program,
    counts: Option<File>,
    log: PathBuf,
    /// Its sections, learned from its first report.
    titles: Vec<String>,
    /// The time of the last signal that has not been answered.
    owed: Option<SystemTime>,
    /// The numbers of the reports that came, and of those that the next one says were lost.
    known: BTreeSet<u64>,
    /// Why the last reports that were read are not whole.
    shortened: Vec<String>,
    whole: u64,
}

/// The reason without what differs each time.
fn kind_of(reason: &str) -> String {
    let words = reason.split_whitespace().map(|word| word.trim_matches(|c: char| c.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ").chars().take(100).collect()
}

impl Subject {
    fn read_counts(&self) -> Option<Vec<u64>> {
        let file = self.counts.as_ref()?;
        let mut bytes = [0; COUNTS.len() * 8];
        file.read_exact_at(&mut bytes, 0).expect("the file of the counts");
        Some(bytes.as_chunks::<8>().0.iter().map(|count| u64::from_ne_bytes(*count)).collect())
    }

    /// Waits until each of its threads has done something, and it has answered.
    fn must_go_on(&mut self, question: &str) {
        if let Some(before) = self.read_counts() {
            let mut after = Vec::new();
            wait_until("each thread of the program goes on", || {
                after = self.read_counts().expect("it has counts");
                (0..THREADS).all(|thread| after[thread] > before[thread])
            });
            assert_eq!(after[COUNTS.len() - 1], 0, "the program was disturbed");
        }
        let answer = self.program.ask(question);
        assert!(!answer.is_empty() || question.is_empty(), "the program has ended: {}", self.state());
        assert!(!answer.contains("disturbed=") || answer.ends_with("disturbed=0"), "{answer}");
    }

    /// Its line in `/proc`, at whose end is its exit code, for messages.
    fn state(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/stat", self.program.pid())).unwrap_or_default()
    }

    fn signal(&mut self) {
        self.owed = Some(SystemTime::now());
        self.program.signal(Signal::USR2);
    }

    /// Reads standard error until the report that is owed has arrived.
    fn settle(&mut self) {
        while self.owed.is_some() {
            let line = self.program.next_error_line();
            assert!(!line.is_empty(), "the program has ended: {}", self.state());
            self.take_line(&line);
        }
    }

    /// A line of standard error: a report in JSON, a warning, or the beginning of a raw report.
    fn take_line(&mut self, line: &str) {
        if line.starts_with('{') {
            match serde_json::from_str(line) {
                Ok(report) => self.take_report(&Report::new(report), true),
                // The next report must say that this one was cut off.
                Err(_) => self.shortened.push("cut off".to_owned()),
            }
        } else if line.starts_with("==== Guru Meditation: emergency report ") {
            self.take_raw_report(line);
        } else {
            let is_known = line.trim().is_empty() || line.starts_with("gmr: warning: ");
            assert!(is_known, "unexpected on standard error: {line}");
        }
    }

    fn answer_with(&mut self, made_at: &str, precision: Duration) {
        let made_at = humantime::parse_rfc3339(made_at).expect("a time");
        self.owed = self.owed.filter(|owed| made_at + precision <= *owed);
    }

    /// Judges a report in JSON, which came from standard error or was captured.
    fn take_report(&mut self, report: &Report, is_answer: bool) {
        if is_answer {
            self.answer_with(text(&report.heading()["made_at"]), Duration::from_millis(1));
        }
        assert_eq!(report.heading()["pid"], self.program.pid(), "{report}");
        for note in list(&report.heading()["notes"]).iter().map(text) {
            if note.contains(" lost its last ") {
                let mut numbers = note.split(|c: char| !c.is_ascii_digit()).flat_map(str::parse::<u64>);
                self.known.extend(numbers.next());
            }
        }
        assert!(self.known.insert(report.number()) || !is_answer || report.trigger()["kind"] == "signal");
        if self.titles.is_empty() {
            self.titles = report.titles().into_iter().map(str::to_owned).collect();
        }
        assert_eq!(report.titles(), self.titles, "{report}");
        let before = self.shortened.len();
        for section in report.sections() {
            let content = &section["content"];
            if ["error", "panicked", "timed_out", "skipped"].contains(&text(&content["kind"])) {
                let reason = format!("{}: {}", text(&section["title"]), content["data"]);
                assert!(reason.len() > 10, "without a reason: {content}");
                self.shortened.push(kind_of(&reason));
            }
        }
        if report.content("Threads")["kind"] == "threads" {
            let data = report.data("Threads", "threads");
            self.shortened.extend(list(&data["notes"]).iter().map(|note| kind_of(text(note))));
            let threads = report.threads();
            if self.counts.is_some() {
                let names: BTreeSet<_> = threads.iter().map(|thread| thread.name()).collect();
                assert!(COUNTS[..THREADS].iter().all(|name| names.contains(name)), "{report}");
            }
            let of_program = threads.iter().filter(|thread| matches!(thread.role(), "main" | "program"));
            for thread in of_program {
                // This panics if a stack is missing without a reason.
                if let Some(reason) = thread.stack().incomplete.filter(|_| !thread.stack().is_whole()) {
                    self.shortened.push(kind_of(&format!("stack: {reason}")));
                } else {
                    assert!(!thread.stack().is_missing());
                }
            }
        } else {
            assert!(self.shortened.len() > before, "{report}");
        }
        // One reason is enough.
        self.shortened.dedup();
        self.shortened.truncate(before + 1);
        self.whole += u64::from(self.shortened.len() == before);
    }

    fn take_raw_report(&mut self, first: &str) {
        let number = first.trim_end().trim_end_matches(" ====").rsplit(' ').next().expect("a number");
        let end = format!("==== end of emergency report {number} ====");
        let mut lines = vec![first.to_owned()];
        while lines.last().is_some_and(|line| line.trim_end() != end) {
            let line = self.program.next_error_line();
            assert!(!line.is_empty() && !line.starts_with('{'), "not to its end: {lines:#?}");
            lines.push(line);
        }
        let field = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).map(str::trim_end);
        let reason = field("reason = ").unwrap_or_else(|| panic!("without a reason: {lines:#?}"));
        self.shortened.push(kind_of(&format!("raw: {reason}")));
        for name in COUNTS[..THREADS].iter().filter(|_| self.counts.is_some()) {
            let is_there = lines.iter().any(|line| line.contains(&format!("\"{name}\"")));
            assert!(is_there, "{name} is not in {lines:#?}");
        }
        let made_at = field("made_at = ").expect("a time").to_owned();
        self.known.insert(number.parse().expect("a number"));
        self.answer_with(&made_at, Duration::from_secs(1));
    }

    /// Has a fault happen inside the program.
    fn have(&mut self, fault: &str) {
        assert_eq!(self.program.ask(fault), "done", "{fault}: {}", self.state());
    }

    fn capture(&mut self) -> Report {
        let report = Report::parse(&self.program.ask("capture"));
        self.take_report(&report, false);
        report
    }

    /// Ends the program, after a last report, and looks whether each number is accounted for.
    fn end(mut self, figures: &mut Figures) {
        self.signal();
        self.settle();
        figures.asked += 1;
        let last = *self.known.last().expect("the last report");
        let unknown: Vec<u64> = (1..last).filter(|number| !self.known.contains(number)).collect();
        assert!(unknown.is_empty(), "lost without a note: {unknown:?} of {last}");
        self.count(figures);
        let (status, rest) = self.program.end();
        assert!(status.success(), "{status}");
        assert!(!rest.contains("emergency"), "{rest}");
    }

    fn count(&mut self, figures: &mut Figures) {
        figures.whole += std::mem::take(&mut self.whole);
        for reason in std::mem::take(&mut self.shortened) {
            *figures.shortened.entry(reason).or_default() += 1;
        }
    }
}

impl Campaign {
    fn start(&mut self, path: &str, counts: bool) -> Subject {
        let (counts_path, log) = (self.folder.0.join("counts"), self.folder.0.join("log"));
        let file = counts.then(|| {
            let mut options = File::options();
            let file = options.create(true).truncate(true).read(true).write(true).open(&counts_path);
            let file = file.expect("it can be made");
            file.set_len(COUNTS.len() as u64 * 8).expect("a short file");
            file
        });
        let is_limited = self.is_long && self.random.below(8) == 0;
        let mut command = match self.quota.as_ref().filter(|_| is_limited) {
            Some(quota) => quota.command(path),
            None => Command::new(path),
        };
        if counts {
            command.args([&counts_path, &log]);
        }
        let program = Program::start_with(command);
        // The program has mapped it.
        let _ = std::fs::remove_file(&counts_path);
        self.figures.programs += 1;
        Subject {
            program,
            counts: file,
            log,
            titles: Vec::new(),
            owed: None,
            known: BTreeSet::new(),
            shortened: Vec::new(),
            whole: 0,
        }
    }

    fn fault(&mut self, name: &'static str) {
        println!("  {name}");
        *self.figures.faults.entry(name).or_default() += 1;
    }

    /// Some signals, and the report that is owed for them.
    fn ask(&mut self, subject: &mut Subject) {
        for _ in 0..*self.random.among(&[1, 1, 2, 5, 40]) {
            subject.signal();
        }
        self.figures.asked += 1;
        subject.settle();
    }

    fn pause(&mut self, most: u64) {
        std::thread::sleep(Duration::from_millis(self.random.below(most)));
    }

    /// A fault that happens from outside, to any program.
    fn outside(&mut self, subject: &mut Subject) {
        match self.random.below(4) {
            0 => {
                self.fault("signals");
                self.ask(subject);
            }
            1 => {
                self.fault("stopped and continued");
                subject.program.signal(Signal::STOP);
                subject.signal();
                self.pause(20);
                subject.program.signal(Signal::CONT);
                subject.signal();
            }
            2 => {
                self.fault("stopped during a report");
                subject.signal();
                self.pause(10);
                subject.program.signal(Signal::STOP);
                self.pause(300);
                subject.program.signal(Signal::CONT);
            }
            _ => {
                self.fault("standard error is not read for a while");
                subject.signal();
                subject.signal();
                self.pause(200);
            }
        }
        self.figures.asked += u64::from(subject.owed.is_some());
        subject.settle();
    }

    /// A fault that the program has happen to itself.
    #[allow(clippy::too_many_lines, reason = "a few lines for each fault")]
    fn inside(&mut self, subject: &mut Subject) {
        let number = self.random.number();
        let among = |all: &[u64]| all[usize::try_from(number % all.len() as u64).expect("it is small")];
        match self.random.below(18) {
            0 => {
                self.fault("forged signals");
                let seed = self.random.number() >> 1;
                // Those that arrive later are asked for later.
                let before = SystemTime::now();
                let answer = subject.program.ask(&format!("storm {seed} {}", among(&[10, 100, 1000])));
                subject.owed = (answer != "0").then_some(before);
            }
            1 => {
                self.fault("addresses are limited");
                self.limit(subject, among(&[0, 4, 64, 333, 1000, 4000]));
            }
            2 => {
                self.fault("many addresses are left");
                let left = 30 << 10 | self.random.below(700 << 10);
                self.limit(subject, left);
            }
            3 => {
                self.fault("descriptors are closed");
                subject.signal();
                for _ in 0..among(&[1, 5, 20]) {
                    subject.have("close");
                }
            }
            4 => {
                self.fault("descriptors are used up");
                subject.have(&format!("descriptors {}", among(&[0, 1, 5])));
                self.ask(subject);
                subject.have("descriptors");
            }
            5 => {
                self.fault("standard error is closed");
                self.without_stderr(subject, "stderr-closed");
            }
            6 => {
                self.fault("standard error is a file of the program");
                self.without_stderr(subject, "stderr-own");
            }
            7 => {
                self.fault("standard error is redirected");
                self.with_log(subject);
            }
            8 => {
                self.fault("threads block the signal");
                subject.have("mask");
                self.ask(subject);
                subject.have("unmask");
            }
            9 => {
                self.fault("forks");
                subject.signal();
                for kind in 0..among(&[3, 30]) {
                    subject.have(&format!("fork {kind}"));
                }
            }
            10 => {
                self.fault("main waits in vfork");
                subject.signal();
                subject.have("vfork");
            }
            11 => {
                self.fault("libraries come and go");
                subject.signal();
                subject.have(&format!("libraries {}", among(&[1, 10, 50])));
            }
            12 => {
                self.fault("threads come and go");
                subject.signal();
                subject.have(&format!("churn {}", among(&[1, 10, 30])));
            }
            13 => {
                self.fault("many threads");
                subject.have(&format!("threads {}", among(&[0, 50, 200])));
                self.ask(subject);
            }
            14 => {
                self.fault("busy threads");
                subject.have(&format!("busy {}", among(&[2, 8])));
                self.ask(subject);
                subject.have("busy 0");
            }
            15 => {
                self.fault("another policy");
                let policy = *self.random.among(&["idle", "batch"]);
                subject.have(policy);
                self.ask(subject);
                subject.have("other");
            }
            16 => {
                self.fault("panics");
                subject.signal();
                subject.have("panic");
            }
            _ => {
                self.fault("captures");
                subject.signal();
                for _ in 0..among(&[1, 3]) {
                    self.figures.asked += 1;
                    subject.capture();
                }
            }
        }
        self.figures.asked += u64::from(subject.owed.is_some());
        subject.settle();
    }

    fn limit(&mut self, subject: &mut Subject, kibibytes: u64) {
        // No report is being made: memory may be limited only where the program is ready for it.
        subject.have("threads 0");
        Self::quiet(subject);
        subject.have(&format!("limit {kibibytes}"));
        for _ in 0..=self.random.below(2) {
            self.ask(subject);
            subject.must_go_on("here?");
        }
        Self::quiet(subject);
        subject.have("limit");
    }

    /// Waits until no report is being made or written: all threads of gmr are asleep.
    fn quiet(subject: &Subject) {
        let pid = subject.program.pid();
        let is_quiet = || {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives").flatten();
            let of_gmr = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
            let names: Vec<_> = of_gmr.filter(|stat| stat.contains("(gmr")).collect();
            names.len() == 3 && names.iter().all(|stat| stat.contains(") S "))
        };
        let mut times = 0;
        wait_until("gmr's threads sleep", || {
            times = if is_quiet() { times + 1 } else { 0 };
            times > 3
        });
    }

    fn without_stderr(&mut self, subject: &mut Subject, fault: &str) {
        subject.have(fault);
        for _ in 0..=self.random.below(4) {
            subject.program.signal(Signal::USR2);
            self.pause(10);
        }
        self.figures.asked += 1;
        let until = Instant::now() + LIMIT;
        // The captured reports say that those for signals were lost, and why.
        while !list(&subject.capture().heading()["notes"]).iter().any(|note| text(note).contains(" lost ")) {
            assert!(Instant::now() < until, "no note about a report that was lost");
        }
        subject.shortened.push(format!("lost, and said why: {fault}"));
        Self::quiet(subject);
        subject.capture();
        subject.have("stderr-back");
    }

    fn with_log(&mut self, subject: &mut Subject) {
        let _ = std::fs::remove_file(&subject.log);
        subject.have("stderr-log");
        subject.signal();
        self.figures.asked += 1;
        let mut log = String::new();
        wait_until("the report is in the log", || {
            log = std::fs::read_to_string(&subject.log).unwrap_or_default();
            log.ends_with('\n')
        });
        Self::quiet(subject);
        log = std::fs::read_to_string(&subject.log).expect("the log");
        log.lines().for_each(|line| subject.take_line(line));
        assert!(subject.owed.is_none(), "{log}");
        subject.have("stderr-back");
    }

    /// Faults that take seconds.
    fn slowly(&mut self, subject: &mut Subject) {
        self.fault("standard error is not read for seconds");
        subject.have("pipe 0");
        subject.signal();
        self.figures.asked += 1;
        self.pause(12_000);
        subject.signal();
        subject.have("pipe 4");
        self.figures.asked += 1;
        subject.settle();
    }

    fn round(&mut self) {
        let is_own = self.random.below(3) != 0;
        let (path, question) =
            if is_own { (program!("campaign"), "here?") } else { *self.random.among(&OTHERS) };
        println!("{path}");
        let mut subject = self.start(path, is_own);
        subject.signal();
        self.figures.asked += 1;
        subject.settle();
        for _ in 0..*self.random.among(if is_own { &[3, 8, 20] } else { &[1, 2, 5] }) {
            match self.random.below(40) {
                0 if is_own && self.is_long => self.slowly(&mut subject),
                1..=29 if is_own => self.inside(&mut subject),
                _ => self.outside(&mut subject),
            }
            subject.must_go_on(question);
            subject.count(&mut self.figures);
        }
        if self.random.below(4) == 0 {
            println!("  killed");
            self.figures.killed += 1;
            subject.program.signal(Signal::USR2);
            self.pause(30);
        } else {
            subject.end(&mut self.figures);
        }
    }
}

impl Figures {
    fn text(&self, seconds: f64) -> String {
        let Self { programs, killed, faults, asked, whole, shortened } = self;
        let sum = |counts: &mut dyn Iterator<Item = &u64>| counts.sum::<u64>();
        let (faults_in_all, cut) = (sum(&mut faults.values()), sum(&mut shortened.values()));
        let mut text = format!(
            "{seconds:.0} s, {programs} programs ({killed} killed), {faults_in_all} faults; {asked} requests: \
             {whole} reports whole, {cut} shortened with a reason, 0 lost; 0 programs harmed\n"
        );
        for (name, count) in faults {
            let _ = writeln!(text, "  {count:6} fault: {name}");
        }
        for (reason, count) in shortened {
            let _ = writeln!(text, "  {count:6} shortened: {reason}");
        }
        text
    }
}

#[test]
fn no_fault_of_a_campaign_harms_a_program_or_costs_a_report() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seconds = number("GMR_CAMPAIGN_SECONDS");
    let seed = number("GMR_CAMPAIGN_SEED").unwrap_or(SEED);
    println!("GMR_CAMPAIGN_SEED={seed}");
    let random = Random::new(seed);
    let is_long = seconds.is_some();
    let quota = if is_long { Quota::new().ok() } else { None };
    let (figures, folder) = (Figures::default(), Folder::new());
    let mut campaign = Campaign { random, figures, folder, is_long, quota };
    let (begun, length) = (Instant::now(), Duration::from_secs(seconds.unwrap_or(SECONDS)));
    while begun.elapsed() < length {
        campaign.round();
    }
    println!("{}", campaign.figures.text(begun.elapsed().as_secs_f64()));
}
