//! `cargo xtask test-aarch64`: the tests on Debian's kernel for aarch64, in a machine that qemu
//! emulates. Unlike qemu's user mode, it has all that a kernel has. The machine has no disk: all
//! files are in the archive that the kernel unpacks into memory at the start.

mod archive;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use self::archive::Archive;
use crate::cargo::root;
use crate::process::{on, output};
use crate::steps::Steps;
use crate::targets::{Target, machine};
use crate::tools::{self, Tool};

const NO_GDB: &str = "the machine has no gdb";
const NO_COMPILER: &str = "the machine has no compiler";
const NO_BASH: &str = "the machine has no bash";
const NO_PYTHON: &str = "the machine has no Python";
const SOURCES: &str = "about the sources, which are the same on every processor";

/// The tests that the machine does not run, by the start of their paths.
const NOT_RUN: [(&str, &str); 10] = [
    ("agreement::", NO_GDB),
    ("gdb::", NO_GDB),
    ("imports::", SOURCES),
    ("isolation::where_panics_abort", NO_COMPILER),
    ("symbols::linux::tests::", NO_COMPILER),
    ("threads::each_thread_of_a_static_program", NO_COMPILER),
    ("stderr::a_reader_that_went_away", NO_BASH),
    ("stderr::a_report_to_a_broken_pipe", NO_PYTHON),
    ("stderr::a_slow_reader", NO_PYTHON),
    ("stderr::whatever_standard_error_is", NO_PYTHON),
];

/// What the machine writes when all tests have run, before the number of those that failed.
const RESULT: &str = "gmr: failed test programs: ";

/// Line tables are what the tests look at, and make the archive a third as large.
const VARIABLES: [(&str, &str); 1] = [("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")];

pub(crate) fn run(filters: &[&str]) -> Result<(), String> {
    let missing = tools::provide(&[Tool::Target(Target::Aarch64)], true);
    if !missing.is_empty() {
        return Err(format!("not installed: {}", tools::list(&missing)));
    }
    let mut steps = Steps::default();
    let result = all(&mut steps, filters);
    println!("\n{steps}");
    result
}

fn all(steps: &mut Steps, filters: &[&str]) -> Result<(), String> {
    steps.run("machine", machine::set_up)?;
    let built = steps.run("build", || {
        let mut built = build(&["--package", "gmr-runtime", "--lib"])?;
        // Optimized in this way, a report takes a fifth of the instructions.
        let optimized = ["--config", "profile.dev.package.gmr-runtime.opt-level=1"];
        built.extend(build(&[&["--package", "gmr-tests", "--test", "it"], &optimized[..]].concat())?);
        Ok(built)
    })?;
    println!("\nnot run in the machine:");
    for (test, reason) in NOT_RUN {
        println!("  {test} ({reason})");
    }
    let archive = root().join("target/aarch64.cpio");
    steps.run("archive", || pack(&archive, &built, filters))?;
    steps.run("tests", || start(&archive))
}

/// A file that cargo has built: a test, a program that tests start, or a library that one loads.
struct Built {
    path: PathBuf,
    is_test: bool,
}

fn build(options: &[&str]) -> Result<Vec<Built>, String> {
    let arguments = [&["test", "--no-run", "--message-format", "json-render-diagnostics"], options].concat();
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

/// The files that the machine starts with.
fn pack(archive: &Path, built: &[Built], filters: &[&str]) -> Result<(), String> {
    let file = File::create(archive).map_err(on("create", archive))?;
    let mut archive = Archive::new(BufWriter::new(file));
    let sources = sources()?;
    let mut folders = BTreeSet::new();
    let paths = built.iter().map(|built| built.path.as_path());
    let fixed = ["/bin/x", "/dev/x", "/lib/x", "/proc/x", "/sys/x", "/tmp/x"].map(Path::new);
    for path in paths.chain(fixed).chain(sources.iter().map(PathBuf::as_path)) {
        folders.extend(path.ancestors().skip(1).filter(|folder| folder.parent().is_some()));
    }
    for folder in folders {
        archive.folder(folder)?;
    }
    archive.file(Path::new("/bin/busybox"), &read(&machine::busybox())?)?;
    for library in machine::libraries()? {
        archive.file(&Path::new("/lib").join(library.file_name().unwrap_or_default()), &read(&library)?)?;
    }
    for built in built {
        archive.file(&built.path, &read(&built.path)?)?;
    }
    for source in &sources {
        archive.file(source, &read(source)?)?;
    }
    archive.file(Path::new("/init"), script(built, filters).as_bytes())?;
    archive.end()
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

/// The machine's first process: runs the tests, and switches the machine off.
fn script(built: &[Built], filters: &[&str]) -> String {
    let skip = NOT_RUN.map(|(test, _)| format!("--skip {test}")).join(" ");
    let filters = filters.iter().map(|filter| format!("'{filter}'")).collect::<Vec<_>>().join(" ");
    let mut script = String::from(
        "#!/bin/busybox sh\n\
         for system in proc sysfs devtmpfs; do\n\
         \x20   case $system in proc) at=/proc;; sysfs) at=/sys;; *) at=/dev;; esac\n\
         \x20   /bin/busybox mount -t $system $system $at\n\
         done\n\
         /bin/busybox mkdir /dev/shm\n\
         /bin/busybox mount -t tmpfs tmpfs /dev/shm\n\
         /bin/busybox --install -s /bin\n\
         /bin/busybox ip link set lo up\n\
         cd /tmp\n\
         failed=0\n",
    );
    // Most of the tests with random input are the same on every processor. In the machine, a report
    // of 200 threads takes two seconds.
    script.push_str("export PROPTEST_CASES=8 GMR_TEST_SCALE=10\n");
    for test in built.iter().filter(|built| built.is_test) {
        let _ = writeln!(script, "'{}' {skip} {filters} || failed=$((failed + 1))", test.path.display());
    }
    let _ = writeln!(script, "echo \"{RESULT}$failed\"\n/bin/busybox poweroff -f");
    script
}

/// Starts the machine, shows what it writes, and waits for its end.
fn start(archive: &Path) -> Result<(), String> {
    let mut command = Command::new(machine::qemu());
    command.args(["-machine", "virt", "-cpu", "max", "-smp", "2", "-m", "6G"]);
    command.args(["-nographic", "-nic", "none", "-no-reboot"]);
    // Its clock counts instructions, one a nanosecond. Deadlines then do not depend on how fast or
    // how busy this machine is, and no time passes while the machine sleeps.
    command.args(["-icount", "shift=0,sleep=off"]);
    command.arg("-kernel").arg(machine::kernel()?).arg("-initrd").arg(archive);
    command.args(["-append", "console=ttyAMA0 loglevel=3 panic=-1"]);
    let mut machine = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start qemu: {error}"))?;
    let output = machine.stdout.take().ok_or("qemu has no output")?;
    let mut failed = None;
    for line in BufReader::new(output).split(b'\n') {
        let line = line.map_err(|error| format!("cannot read the machine's output: {error}"))?;
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        println!("{line}");
        failed = line.strip_prefix(RESULT).and_then(|number| number.parse::<u32>().ok()).or(failed);
    }
    machine.wait().map_err(|error| format!("cannot wait for qemu: {error}"))?;
    match failed {
        Some(0) => Ok(()),
        Some(number) => Err(format!("{number} test programs failed in the machine")),
        None => Err("the machine ended before all tests had run".to_owned()),
    }
}
