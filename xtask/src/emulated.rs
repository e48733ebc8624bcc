//! `cargo xtask test-aarch64`: the tests on Debian's kernel for aarch64, in machines that qemu
//! emulates. Unlike qemu's user mode, they have all that a kernel has. A machine has no disk: all
//! files are in the archive that the kernel unpacks into memory at the start.
//!
//! Each test runs in a process of its own. A test that hangs or ends its process fails alone.

mod archive;
mod outcome;
mod plan;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use serde_json::Value;

use self::archive::Archive;
use self::outcome::{Outcome, Summary};
use self::plan::{LeftOut, Plan, Test};
use crate::cargo::root;
use crate::process::{on, output};
use crate::steps::Steps;
use crate::targets::{Target, machine};
use crate::tools::{self, Tool};

/// Line tables are what the tests look at, and make the archive a third as large.
const VARIABLES: [(&str, &str); 1] = [("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")];

/// What takes most of the time in debug builds. Optimized in this way, a report takes a fifth of
/// the instructions.
const OPTIMIZED: [&str; 6] = ["gmr-mask", "gmr-runtime", "proptest", "serde", "serde_core", "serde_json"];

/// Each machine keeps one processor busy, and takes 6 GiB of memory: all of its files, and the
/// archive with them.
const MOST_MACHINES: usize = 2;

/// The time in a machine after which a test is ended, in seconds. No test waits for so long: see
/// `LIMIT` in `tests/it/program.rs`.
const LIMIT: u32 = 240;

pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    let missing = tools::provide(&[Tool::Target(Target::Aarch64)], true);
    if !missing.is_empty() {
        return Err(format!("not installed: {}", tools::list(&missing)));
    }
    let mut steps = Steps::default();
    let result = all(&mut steps, words);
    println!("\n{steps}");
    result
}

fn all(steps: &mut Steps, words: &[&str]) -> Result<(), String> {
    steps.run("machine", machine::set_up)?;
    let built = steps.run("build", build)?;
    let plan = steps.run("list", || list(&built, words))?;
    let machines = thread::available_parallelism().map_or(1, usize::from).min(MOST_MACHINES);
    let archive = root().join("target/aarch64.cpio");
    steps.run("archive", || pack(&archive, &built, &plan.parts(machines)))?;
    steps.run("tests", || {
        let outcomes = start(&archive, &plan, machines)?;
        let summary = Summary::new(&plan, &outcomes);
        println!("\n{summary}");
        summary.result()
    })
}

/// A file that cargo has built: a test, a program that tests start, or a library that one loads.
struct Built {
    path: PathBuf,
    is_test: bool,
}

fn build() -> Result<Vec<Built>, String> {
    let settings = OPTIMIZED.map(|package| format!("profile.dev.package.{package}.opt-level=1"));
    let mut arguments = vec!["test", "--no-run", "--message-format", "json-render-diagnostics"];
    arguments.extend(["--package", "gmr-runtime", "--package", "gmr-tests", "--lib", "--test", "it"]);
    arguments.extend(settings.iter().flat_map(|setting| ["--config", setting]));
    let messages = Target::Aarch64.output(&arguments, &VARIABLES)?;
    let messages = messages.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let built = messages.filter_map(|message: Value| {
        let is_cdylib = message["target"]["kind"].as_array()?.iter().any(|kind| kind == "cdylib");
        let mut files = message["filenames"].as_array()?.iter().filter_map(Value::as_str).map(Path::new);
        let is_library = |file: &&Path| is_cdylib && file.extension().is_some_and(|name| name == "so");
        let path = message["executable"].as_str().map(Path::new).or_else(|| files.find(is_library))?;
        Some(Built { path: path.into(), is_test: message["profile"]["test"] == true })
    });
    Ok(built.collect())
}

/// Asks the test programs, in qemu's user mode, which tests they have.
fn list(built: &[Built], words: &[&str]) -> Result<Plan, String> {
    let (mut tests, mut ignored) = (Vec::new(), Vec::new());
    for built in built.iter().filter(|built| built.is_test) {
        let ask = |arguments: &[&str]| {
            output(Command::new(Target::aarch64_runner()).arg(&built.path).args(arguments))
        };
        let listed = ask(&["--list"])?;
        let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
        tests.extend(names.map(|name| Test { program: built.path.clone(), name: name.to_owned() }));
        let listed = ask(&["--list", "--ignored"])?;
        let names: Vec<_> = listed.lines().filter_map(|line| line.strip_suffix(": test")).collect();
        if !names.is_empty() {
            // This runs none of them, and shows the reasons.
            let said = ask(&[&["--exact"], &names[..]].concat())?;
            ignored.extend(said.lines().filter_map(LeftOut::parse));
        }
    }
    let plan = Plan::new(tests, ignored, words);
    if plan.tests.is_empty() { Err("no test has such a name".to_owned()) } else { Ok(plan) }
}

/// The files that machines start with.
fn pack(archive: &Path, built: &[Built], parts: &[String]) -> Result<(), String> {
    let file = File::create(archive).map_err(on("create", archive))?;
    let mut archive = Archive::new(BufWriter::new(file));
    let system = machine::system();
    let of_system = files_below(&system)?;
    let sources = sources()?;
    let inside = |path: &Path| Path::new("/").join(path.strip_prefix(&system).unwrap_or(path));

    let paths = built.iter().map(|built| built.path.clone()).chain(sources.iter().cloned());
    let fixed = ["/dev/x", "/parts/x", "/proc/x", "/sys/x", "/tmp/x"].map(PathBuf::from);
    let mut folders = BTreeSet::new();
    for path in paths.chain(fixed).chain(of_system.iter().map(|path| inside(path))) {
        let above = path.ancestors().skip(1).filter(|folder| folder.parent().is_some());
        folders.extend(above.map(Path::to_owned));
    }
    for folder in folders {
        archive.folder(&folder)?;
    }
    for path in &of_system {
        match fs::read_link(path) {
            Ok(target) => archive.link(&inside(path), &target)?,
            Err(_) => archive.file(&inside(path), &read(path)?)?,
        }
    }
    for path in built.iter().map(|built| &built.path).chain(&sources) {
        archive.file(path, &read(path)?)?;
    }
    for (number, part) in parts.iter().enumerate() {
        archive.file(Path::new(&format!("/parts/{number}")), part.as_bytes())?;
    }
    archive.file(Path::new("/init"), script().as_bytes())?;
    archive.end()
}

/// All files and symbolic links in a folder.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(on("read", folder))?.flatten() {
        let kind = entry.file_type().map_err(on("read", &entry.path()))?;
        if kind.is_dir() { files.extend(files_below(&entry.path())?) } else { files.push(entry.path()) }
    }
    Ok(files)
}

/// The files of the repository that tests read, and whose lines are in reports.
fn sources() -> Result<Vec<PathBuf>, String> {
    let listed = output(Command::new("git").args(["ls-files", "-z", "--cached"]).current_dir(root()))?;
    let root = root().canonicalize().map_err(on("find", root()))?;
    let paths = listed.split('\0').filter(|path| !path.is_empty()).map(|path| root.join(path));
    Ok(paths.filter(|path| path.is_file()).collect())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(on("read", path))
}

/// A machine's first process: runs the tests of the part that the kernel's command line names, and
/// switches the machine off.
fn script() -> String {
    let mut script = String::from(
        "#!/bin/busybox sh\n\
         for system in proc sysfs devtmpfs; do\n\
         \x20   case $system in proc) at=/proc;; sysfs) at=/sys;; *) at=/dev;; esac\n\
         \x20   /bin/busybox mount -t $system $system $at\n\
         done\n\
         /bin/busybox mkdir /dev/shm /dev/pts\n\
         /bin/busybox mount -t tmpfs tmpfs /dev/shm\n\
         /bin/busybox mount -t devpts devpts /dev/pts\n\
         /bin/busybox --install -s /bin\n\
         ln -sf /proc/self/fd /dev/fd\n\
         ip link set lo up\n\
         cd /tmp\n",
    );
    // Most of the tests with random input are the same on every processor. In the machine, a report
    // of 200 threads takes two seconds.
    script.push_str("export PROPTEST_CASES=8 GMR_TEST_SCALE=10\n");
    // Debian's programs come before those of busybox.
    script.push_str("export PATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
    let _ = write!(
        script,
        "while read -r number test program; do\n\
         \x20   read -r begin rest < /proc/uptime\n\
         \x20   timeout -s KILL {LIMIT} \"$program\" --show-output --exact \"$test\" \
                 < /dev/null > /output 2>&1\n\
         \x20   status=$?\n\
         \x20   read -r end rest < /proc/uptime\n\
         \x20   if [ $status != 0 ]; then cat /output; fi\n\
         \x20   skipped=$(grep -m 1 '^skipped: ' /output)\n\
         \x20   echo \"{} $number $status $begin $end $skipped\"\n\
         \x20   kill -KILL -1\n\
         done < \"/parts/$part\"\n\
         poweroff -f\n",
        outcome::MARK
    );
    script
}

/// Starts the machines, shows what they write, and waits for their end.
fn start(archive: &Path, plan: &Plan, machines: usize) -> Result<Vec<Outcome>, String> {
    let mut started = Vec::new();
    for part in 0..machines {
        let mut machine = start_machine(archive, part)?;
        let output = machine.stdout.take().ok_or("qemu has no output")?;
        started.push((machine, output));
    }
    thread::scope(|scope| {
        let threads: Vec<_> = started
            .into_iter()
            .map(|(machine, output)| scope.spawn(move || follow(machine, output, plan)))
            .collect();
        let mut outcomes = Vec::new();
        for thread in threads {
            outcomes.extend(thread.join().map_err(|_| "a thread has panicked")??);
        }
        Ok(outcomes)
    })
}

fn start_machine(archive: &Path, part: usize) -> Result<Child, String> {
    let mut command = Command::new(machine::qemu());
    // Pointers are signed by a cheaper function than Arm's, which takes most of the time otherwise.
    command.args(["-machine", "virt", "-cpu", "max,pauth-impdef=on", "-smp", "2", "-m", "6G"]);
    command.args(["-nographic", "-nic", "none", "-no-reboot"]);
    // Its clock counts instructions, one a nanosecond. Deadlines then do not depend on how fast or
    // how busy this machine is, and no time passes while the machine sleeps. The price is that its
    // processors take turns on one of this machine.
    command.args(["-icount", "shift=0,sleep=off"]);
    command.arg("-kernel").arg(machine::kernel()?).arg("-initrd").arg(archive);
    command.args(["-append", &format!("console=ttyAMA0 loglevel=3 panic=-1 init_on_alloc=0 part={part}")]);
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().map_err(|error| format!("cannot start qemu: {error}"))
}

/// Shows the output of a machine until it ends. What a test has written comes at once, with its
/// outcome, so that the output of several machines is not mixed.
fn follow(mut machine: Child, output: ChildStdout, plan: &Plan) -> Result<Vec<Outcome>, String> {
    let mut outcomes = Vec::new();
    let mut of_test = String::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.map_err(|error| format!("cannot read the machine's output: {error}"))?;
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if let Some(outcome) = Outcome::parse(&line, plan) {
            println!("{of_test}{}", outcome.shown(plan));
            of_test.clear();
            outcomes.push(outcome);
        } else if !line.is_empty() {
            let _ = writeln!(of_test, "{line}");
        }
    }
    print!("{of_test}");
    machine.wait().map_err(|error| format!("cannot wait for qemu: {error}"))?;
    Ok(outcomes)
}
