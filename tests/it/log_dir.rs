//! Reports in a directory: each is a whole file of its own, nothing is overwritten or followed, and
//! what cannot be written there is on standard error, with the reason.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Program, program, scaled, wait_until};
use crate::report::{Report, text};
use crate::tools;

/// A directory of the test's own, which it removes.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gmr-reports-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    fn files(&self) -> BTreeSet<PathBuf> {
        files(&self.0)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn files(path: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn command(directory: &Path) -> Command {
    let mut command = Command::new(program!("log_dir"));
    command.env("GMR_LOG_DIR", directory);
    command
}

fn start(directory: &Path) -> Program {
    Program::start_with(command(directory))
}

/// Where the next report is, as standard error says.
fn next_file(program: &mut Program) -> PathBuf {
    let line = program.next_error_line();
    let path = line.trim_end().rsplit_once("): ").map(|(_, path)| path.into());
    path.filter(|_| line.starts_with("gmr: report ")).unwrap_or_else(|| panic!("not where it is: {line}"))
}

fn file_of_signal(program: &mut Program) -> PathBuf {
    program.signal(Signal::USR2);
    next_file(program)
}

fn read(path: &Path) -> Report {
    Report::parse(&fs::read_to_string(path).unwrap())
}

/// The next report, which is on standard error after a warning with this reason.
fn unwritten(program: &mut Program, reason: &str) -> Report {
    program.signal(Signal::USR2);
    expect_warning(program, "no report is written to", reason);
    program.next_report()
}

fn expect_warning(program: &mut Program, what: &str, reason: &str) {
    let line = program.next_error_line();
    assert!(line.starts_with("gmr: warning: ") && line.contains(what), "{line}");
    assert!(line.contains(reason), "{reason}: {line}");
}

/// The name of a file: its service, its process and its number.
fn parts(path: &Path) -> (String, u32, u64) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let (service, rest) = name.split_once("_gurumeditation_").unwrap_or_else(|| panic!("{name}"));
    let (rest, extension) = rest.split_once('.').unwrap();
    assert_eq!(extension, "json", "{name}");
    let parts: Vec<&str> = rest.split('_').collect();
    let [stamp, pid, number] = parts[..] else { panic!("{name}") };
    assert!(stamp.len() == 16 && stamp.ends_with('Z') && stamp.as_bytes()[8] == b'T', "{name}");
    (service.to_owned(), pid.parse().unwrap(), number.parse().unwrap())
}

#[test]
fn a_report_is_a_file_that_standard_error_names() {
    let directory = Directory::new();
    let mut program = start(&directory.0);
    let path = file_of_signal(&mut program);
    assert_eq!(parts(&path), ("shop".to_owned(), program.pid(), 1));
    let report = read(&path);
    assert_eq!((report.number(), &report.trigger()["kind"]), (1, &"signal".into()));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(directory.files(), BTreeSet::from([path]), "no other file is left");
    let open = fs::read_dir(format!("/proc/{}/fd", program.pid())).unwrap();
    let open = open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    assert_eq!(open.filter(|path| path.starts_with(&directory.0)).count(), 0, "none is open");
    let (status, rest) = program.end();
    assert!(status.success() && rest.is_empty(), "{status}: {rest}");
}

#[test]
fn a_report_can_go_to_both_places() {
    let directory = Directory::new();
    let mut command = command(&directory.0);
    command.env("GMR_LOG_TO_STDERR", "on");
    let mut program = Program::start_with(command);
    program.signal(Signal::USR2);
    let line = program.next_error_line();
    let path = next_file(&mut program);
    assert_eq!(fs::read_to_string(path).unwrap(), line);
}

#[test]
fn the_operator_can_switch_it_off() {
    let mut program = start(Path::new("off"));
    assert_eq!(program.report().number(), 1);
    assert_eq!(program.end().1, "");
}

#[test]
fn text_is_written_as_text_with_its_findings_on_the_line() {
    let directory = Directory::new();
    let mut command = command(&directory.0);
    command.env("GMR_FORMAT", "text");
    let mut program = Program::start_with(command);
    program.signal(Signal::USR2);
    let line = program.next_error_line();
    let path = line.trim_end().rsplit_once("): ").expect("a path").1;
    assert!(path.ends_with("_1.txt"), "{line}");
    let text = fs::read_to_string(path).unwrap();
    let first = text.lines().find_map(|line| line.strip_prefix("info: ").or(line.strip_prefix("warning: ")));
    let first = first.unwrap_or("no problems detected");
    assert!(line.contains(first), "{first}: {line}");
    assert!(text.trim_end().lines().last().unwrap().contains("end of report 1"), "{text}");
}

#[test]
fn two_processes_of_a_service_share_a_directory() {
    let directory = Directory::new();
    let mut programs = [start(&directory.0), start(&directory.0)];
    let mut written = BTreeSet::new();
    for number in 1..=10 {
        for program in &programs {
            program.signal(Signal::USR2);
        }
        for program in &mut programs {
            let path = next_file(program);
            assert_eq!(parts(&path), ("shop".to_owned(), program.pid(), number));
            assert_eq!(read(&path).heading()["pid"], program.pid());
            assert!(written.insert(path), "a name of its own");
        }
    }
    assert_eq!(directory.files(), written);
}

#[test]
fn the_last_reports_are_kept_and_other_files_are_not_touched() {
    const KEPT: usize = 100;
    const WRITTEN: usize = 30;
    let directory = Directory::new();
    let other = |name: &str| directory.0.join(name);
    let others = BTreeSet::from([
        other("notes.txt"),
        other("shop.log"),
        other("shop_gurumeditation_notes.json"),
        other("shop_gurumeditation_20200102T030405Z_1_1.json.gz"),
        other("bookshop_gurumeditation_20200102T030405Z_1_1.json"),
        other("shop_gurumeditation_20200102T030405Z_1_2.json"),
        other("shop_gurumeditation_20200102T030405Z_1_3.json"),
    ]);
    let link = other("shop_gurumeditation_20200102T030405Z_1_2.json");
    let folder = other("shop_gurumeditation_20200102T030405Z_1_3.json");
    symlink("notes.txt", &link).unwrap();
    fs::create_dir(&folder).unwrap();
    for path in others.iter().filter(|path| **path != link && **path != folder) {
        fs::write(path, "mine").unwrap();
    }
    let old: Vec<_> = (0..2 * KEPT)
        .map(|number| other(&format!("shop_gurumeditation_20200102T030406Z_1_{number}.json")))
        .collect();
    for old in &old {
        fs::write(old, "of an earlier process").unwrap();
    }

    let mut program = start(&directory.0);
    let mut written = Vec::new();
    for _ in 0..WRITTEN {
        let path = file_of_signal(&mut program);
        assert_eq!(read(&path).number(), written.len() as u64 + 1);
        written.push(path);
    }
    let left = &old[old.len() - (KEPT - WRITTEN)..];
    let mut expected: BTreeSet<_> = written.iter().chain(left).cloned().collect();
    expected.extend(others);
    // They are removed after the line has been written.
    wait_until("the older ones are removed", || directory.files() == expected);
    assert!(program.end().0.success());
}

/// Of a thousand reports, as many are left as the operator says, and none has replaced another
/// file.
#[test]
fn of_a_thousand_reports_as_many_are_kept_as_was_chosen() {
    const KEPT: usize = 20;
    let written = scaled(1_000);
    let directory = Directory::new();
    let others =
        ["notes.txt", "shop_gurumeditation_notes.json", "bookshop_gurumeditation_20200102T030405Z_1_1.json"]
            .map(|name| directory.0.join(name));
    for path in &others {
        fs::write(path, "mine").unwrap();
    }
    let mut command = command(&directory.0);
    command.env("GMR_LOG_MAX_FILES", KEPT.to_string()).env("GMR_SECTIONS", "-all,+package");
    let mut program = Program::start_with(command);
    let paths: Vec<PathBuf> = (0..written).map(|_| file_of_signal(&mut program)).collect();
    assert_eq!(paths.iter().collect::<BTreeSet<_>>().len(), written, "each has a name of its own");
    let expected = paths[written - KEPT..].iter().chain(&others).cloned().collect();
    wait_until("the older ones are removed", || directory.files() == expected);
    for (path, number) in paths[written - KEPT..].iter().zip(written - KEPT + 1..) {
        assert_eq!((read(path).number(), parts(path).2), (number as u64, number as u64));
    }
    assert!(others.iter().all(|path| fs::read_to_string(path).unwrap() == "mine"));
    let (status, rest) = program.end();
    assert!(status.success() && rest.is_empty(), "{status}: {rest}");
}

#[test]
fn the_last_reports_are_kept_that_have_so_many_bytes_together() {
    let directory = Directory::new();
    let mut command = command(&directory.0);
    command.env("GMR_LOG_MAX_BYTES", "64KiB").env("GMR_SECTIONS", "-all,+package");
    let mut program = Program::start_with(command);
    let first = file_of_signal(&mut program);
    let mut last = first.clone();
    let size = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let reports = 2 * (64 << 10) / size(&first);
    for _ in 0..reports {
        last = file_of_signal(&mut program);
    }
    let fits = || directory.files().iter().map(size).sum::<u64>() <= 64 << 10;
    wait_until("the older ones are removed", || fits() && !first.exists());
    assert!(last.exists() && directory.files().len() > 2);
}

/// What another program than gmr reads from a compressed file.
fn decompressed(path: &Path) -> Option<Report> {
    let output = Command::new("gzip").arg("-dc").arg(path).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(Report::parse(&String::from_utf8(output.stdout).unwrap()))
}

#[test]
fn files_can_be_compressed_and_are_kept_with_those_that_are_not() {
    let directory = Directory::new();
    let plain = file_of_signal(&mut start(&directory.0));
    let size = fs::metadata(&plain).unwrap().len();
    let mut command = command(&directory.0);
    command.env("GMR_LOG_GZIP", "on").env("GMR_LOG_MAX_FILES", "2");
    let mut program = Program::start_with(command);
    let first = file_of_signal(&mut program);
    assert!(first.to_str().unwrap().ends_with(".json.gz"), "{}", first.display());
    assert_eq!(fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::metadata(&first).unwrap().len() < size / 2, "of {size} bytes");
    let Some(report) = decompressed(&first) else { return tools::missing("gzip") };
    assert_eq!(report.number(), 1);
    let last = file_of_signal(&mut program);
    let two = BTreeSet::from([first, last]);
    wait_until("the plain one, which is the oldest, is removed", || directory.files() == two);
    assert!(program.end().0.success());
}

#[test]
fn a_number_that_is_none_is_said() {
    let directory = Directory::new();
    let mut command = command(&directory.0);
    command.env("GMR_LOG_MAX_FILES", "few").env("GMR_LOG_MAX_BYTES", "5MB").env("GMR_MAX_PER_HOUR", "-1");
    command.env("GMR_MAX_BYTES", "1 MB");
    let mut program = Program::start_with(command);
    let mut said = [(); 4].map(|()| program.next_error_line());
    said.sort_unstable();
    let names = ["GMR_LOG_MAX_BYTES", "GMR_LOG_MAX_FILES", "GMR_MAX_BYTES", "GMR_MAX_PER_HOUR"];
    assert!(
        said.iter().zip(names).all(|(line, name)| line.contains(name) && line.contains("`off`")),
        "{said:?}"
    );
    assert!(file_of_signal(&mut program).exists());
}

/// More processes than files are kept can be asked at the same time.
#[test]
fn a_report_that_was_announced_a_moment_ago_is_kept() {
    let directory = Directory::new();
    let mut program = start(&directory.0);
    let written: BTreeSet<_> = (0..scaled(210).max(105)).map(|_| file_of_signal(&mut program)).collect();
    // The next one begins when the files of the one before have been looked at.
    assert!(program.end().0.success());
    assert_eq!(directory.files(), written);
}

#[test]
fn a_directory_that_is_missing_is_said_at_once_and_used_when_it_is_there() {
    let parent = Directory::new();
    let directory = parent.0.join("reports");
    let mut program = start(&directory);
    expect_warning(&mut program, "reports cannot be written to", "No such file");
    assert_eq!(unwritten(&mut program, "No such file").number(), 1);
    fs::create_dir(&directory).unwrap();
    assert_eq!(read(&file_of_signal(&mut program)).number(), 2);
}

#[test]
fn the_attributes_directory_is_used_without_an_operators() {
    let mut program = Program::start(program!("log_dir"));
    expect_warning(&mut program, "/proc/self/no-such-directory", "");
    assert_eq!(unwritten(&mut program, "").number(), 1);
}

#[test]
fn a_directory_that_is_removed_meanwhile_costs_no_report() {
    let parent = Directory::new();
    let directory = parent.0.join("reports");
    fs::create_dir(&directory).unwrap();
    let mut program = start(&directory);
    read(&file_of_signal(&mut program));
    fs::remove_dir_all(&directory).unwrap();
    let report = unwritten(&mut program, "No such file");
    assert_eq!(report.number(), 2);
    assert!(!directory.exists(), "it is not made");
    fs::create_dir(&directory).unwrap();
    let report = read(&file_of_signal(&mut program));
    assert_eq!(report.number(), 3);
    assert_eq!(report.heading()["notes"], serde_json::json!([]), "nothing was lost");
}

#[test]
fn no_symbolic_link_is_followed_to_the_directory() {
    let parent = Directory::new();
    let real = parent.0.join("real");
    fs::create_dir_all(real.join("reports")).unwrap();
    symlink(&real, parent.0.join("link")).unwrap();
    symlink(real.join("reports"), real.join("link")).unwrap();
    for path in [parent.0.join("link/reports"), real.join("link")] {
        let mut program = start(&path);
        expect_warning(&mut program, "reports cannot be written to", "symbolic link");
        assert_eq!(unwritten(&mut program, "symbolic link").number(), 1);
    }
    assert_eq!(files(&real.join("reports")), BTreeSet::new());
}

/// Somebody who can write to the directory knows the names that files will have.
#[test]
fn no_symbolic_link_in_place_of_a_file_is_followed() {
    let directory = Directory::new();
    let target = directory.0.join("target");
    let mut program = start(&directory.0);
    let pid = program.pid();
    for second in 0..240 {
        let time = SystemTime::now() + Duration::from_secs(second);
        let stamp = humantime::format_rfc3339_seconds(time).to_string().replace(['-', ':'], "");
        let name = |number: u64| format!("shop_gurumeditation_{stamp}_{pid}_{number}.json");
        symlink(&target, directory.0.join(format!(".{}.tmp", name(1)))).unwrap();
        symlink(&target, directory.0.join(name(2))).unwrap();
    }
    let path = file_of_signal(&mut program);
    assert_eq!(parts(&path).2, 3);
    assert_eq!(read(&path).number(), 1);
    assert!(!fs::symlink_metadata(&path).unwrap().is_symlink() && !target.exists());
}

/// `mount` mounts something on `/mnt`, in a namespace of the program's own.
fn on_mount(mount: &str) -> Option<Program> {
    let mut command = Command::new("unshare");
    let script = format!("{mount} && GMR_LOG_DIR=/mnt exec \"$0\"");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, program!("log_dir")]);
    let started = Program::try_start(command);
    started.inspect_err(|said| eprintln!("skipped: no namespace with a mount of its own: {said}")).ok()
}

#[test]
fn a_directory_that_cannot_be_written_is_said_at_once() {
    let Some(mut program) = on_mount("mount -t tmpfs -o ro none /mnt") else { return };
    expect_warning(&mut program, "reports cannot be written to /mnt", "Read-only file system");
    assert_eq!(unwritten(&mut program, "Read-only file system").number(), 1);
    assert!(program.end().0.success());
}

#[test]
fn a_report_for_which_the_disk_has_no_space_is_on_standard_error() {
    let mount = "mount -t tmpfs -o size=64k none /mnt && head -c 57344 /dev/zero > /mnt/other";
    let Some(mut program) = on_mount(mount) else { return };
    for number in 1..=3 {
        assert_eq!(unwritten(&mut program, "No space left on device").number(), number);
    }
    let mounted = PathBuf::from(format!("/proc/{}/root/mnt", program.pid()));
    // It goes when the report is on standard error.
    let only_other = BTreeSet::from([mounted.join("other")]);
    wait_until("no part of a report is left", || files(&mounted) == only_other);
    fs::remove_file(mounted.join("other")).unwrap();
    program.signal(Signal::USR2);
    wait_until("there is space", || !files(&mounted).is_empty());
    assert!(program.end().0.success());
}

#[test]
fn a_report_that_exceeds_a_quota_is_on_standard_error() {
    let directory = Directory::new();
    let mut program = start(&directory.0);
    assert_eq!(read(&file_of_signal(&mut program)).number(), 1);
    let before = directory.files();
    assert_eq!(program.ask("use up the quota"), "alive");
    for number in 2..=3 {
        assert_eq!(unwritten(&mut program, "quota exceeded").number(), number);
    }
    wait_until("no part of a report is left", || directory.files() == before);
    assert!(program.end().0.success());
}

/// The kernel refuses the write itself here; above it refuses to sync what was written.
#[test]
fn a_report_that_a_file_system_refuses_to_write_is_on_standard_error() {
    if Command::new("mkfs.btrfs").arg("--version").output().is_err() {
        return tools::missing("mkfs.btrfs");
    }
    let image = Directory::new();
    let script = r#"cd "$1" && truncate -s 128M image && mkfs.btrfs -q image >/dev/null 2>&1 &&
        mount -o loop image /mnt && btrfs quota enable /mnt &&
        btrfs subvolume create /mnt/reports >/dev/null && btrfs qgroup limit 256K /mnt/reports || exit
        # Ends when nothing more fits.
        cat /dev/zero >/mnt/reports/other 2>/dev/null
        cd / && GMR_LOG_DIR=/mnt/reports exec "$0""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, program!("log_dir")]).arg(&image.0);
    let mut program = match Program::try_start(command) {
        Ok(program) => program,
        Err(said) => return eprintln!("skipped: no file system with a quota can be mounted: {said}"),
    };
    let reports = PathBuf::from(format!("/proc/{}/root/mnt/reports", program.pid()));
    let other = reports.join("other");
    assert!(fs::metadata(&other).unwrap().len() > 0);
    for number in 1..=3 {
        assert_eq!(unwritten(&mut program, "quota exceeded").number(), number);
    }
    let only_other = BTreeSet::from([other.clone()]);
    wait_until("no part of a report is left", || files(&reports) == only_other);
    fs::remove_file(other).unwrap();
    rustix::fs::syncfs(fs::File::open(&reports).unwrap()).unwrap();
    program.signal(Signal::USR2);
    wait_until("there is space", || !files(&reports).is_empty());
    assert!(program.end().0.success());
}

/// The first file that is there once the program has been signalled.
fn first_file(program: &Program, directory: &Directory) -> PathBuf {
    let before = directory.files();
    program.signal(Signal::USR2);
    let mut found = None;
    wait_until("there is a file", || {
        let is_whole = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "json");
        let now = directory.files();
        found = now.difference(&before).find(is_whole).cloned();
        found.is_some()
    });
    found.expect("it has been found")
}

#[test]
fn standard_error_that_is_closed_or_full_costs_no_file() {
    for stderr in ["exec \"$0\" 2>&-", "head -c 65536 /dev/zero >&2; exec \"$0\""] {
        let directory = Directory::new();
        let mut command = Command::new("sh");
        command.args(["-c", stderr, program!("log_dir")]).env("GMR_LOG_DIR", &directory.0);
        let mut program = Program::start_with(command);
        for number in 1..=2 {
            wait_until("the last report has been written", || !program.is_writing());
            let report = read(&first_file(&program, &directory));
            assert_eq!(report.number(), number, "{stderr}");
            assert_eq!(report.heading()["notes"], serde_json::json!([]), "nothing was lost: {stderr}");
        }
        assert_eq!(program.ask("are you alive?"), "alive");
    }
}

#[test]
fn a_forked_child_has_files_of_its_own() {
    let directory = Directory::new();
    let mut command = Command::new(program!("forked"));
    command.arg("daemon").env("GMR_LOG_DIR", &directory.0).stderr(Stdio::piped());
    let mut program = Program::start_with(command);
    let child: i32 = program.ask("who are you?").parse().expect("a process id");
    assert_eq!(program.ask("after fork"), "Ok(())");
    for number in 1..=2 {
        kill_process(Pid::from_raw(child).unwrap(), Signal::USR2).unwrap();
        let path = next_file(&mut program);
        let (service, pid, of_process) = parts(&path);
        assert_eq!((service.as_str(), pid, of_process), ("daemon", child.cast_unsigned(), number));
        assert_eq!(text(&read(&path).package()["product"]), "daemon");
    }
}
