//! A campaign of faults: random ones, happening to random programs, judged from outside. Each
//! report that is requested must be complete, or say why it is not, and each program must go on.
//!
//! `GMR_CAMPAIGN_SEED` repeats a run, as far as the machine behaves in the same way.
//! `GMR_CAMPAIGN_SECONDS` sets its length, and adds faults that take seconds:
//!
//!     GMR_CAMPAIGN_SECONDS=1800 cargo test -p gmr-tests --test soak -- --nocapture campaign
//!
//! Signals coalesce. Several of them get one report, which must begin after the last one.

mod subject;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use gmr_tests::Random;
use rustix::process::Signal;

use self::subject::Subject;
use crate::cgroup::{Cgroup, FIFTH_OF_A_PROCESSOR};
use crate::program::{LIMIT, Program, program, wait_until};
use crate::report::{list, text};

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
    quota: Option<Cgroup>,
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
    let quota = if is_long { Cgroup::new(&FIFTH_OF_A_PROCESSOR).ok() } else { None };
    let (figures, folder) = (Figures::default(), Folder::new());
    let mut campaign = Campaign { random, figures, folder, is_long, quota };
    let (begun, length) = (Instant::now(), Duration::from_secs(seconds.unwrap_or(SECONDS)));
    while begun.elapsed() < length {
        campaign.round();
    }
    println!("{}", campaign.figures.text(begun.elapsed().as_secs_f64()));
}
