//! A program in a container: process 1 of namespaces of its own, with a root directory that cannot
//! be written, without capabilities, with the system calls that Docker allows, and with a volume for
//! reports. Each trigger makes a file there.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Program, program};
use crate::report::{Report, text};

/// The volume is `/mnt`. If the root can be written, this fails.
const SCRIPT: &str = r#"mount -t tmpfs -o size=32m none /mnt && mount -o remount,bind,ro / && ! touch /x 2> /dev/null &&
    exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$1" "$0""#;

struct Contained {
    program: Program,
    id: Pid,
}

impl Contained {
    fn start() -> Result<Self, String> {
        let mut command = Command::new("unshare");
        command.args([
            "--user",
            "--map-root-user",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ]);
        command.args(["sh", "-c", SCRIPT, program!("scopes"), program!("docker_profile")]);
        command.env("GMR_LOG_DIR", "/mnt").env("GMR_TRIGGER_FILE", "/mnt/now").env("GMR_SLOW_START", "100ms");
        command.env("GMR_SLOW_SHUTDOWN", "100ms");
        let program = Program::try_start(command)?;
        let id = program.first_child();
        Ok(Self { program, id })
    }

    /// A file of the process.
    fn path(&self, path: &str) -> PathBuf {
        format!("/proc/{}/{path}", self.id.as_raw_nonzero()).into()
    }

    /// The next report, which standard error names, and what has requested it.
    fn next(&mut self) -> (Report, String) {
        let line = self.program.next_error_line();
        let path = line.trim_end().rsplit_once("): /").unwrap_or_else(|| panic!("{line}")).1;
        let report = Report::parse(&fs::read_to_string(self.path("root").join(path)).expect("it is there"));
        assert_eq!(report.heading()["pid"], 1, "{report}");
        assert_eq!(report.failed(), 0, "{report}");
        let trigger = report.trigger();
        let kind = if trigger["kind"] == "automatic" { &trigger["name"] } else { &trigger["kind"] };
        let kind = text(kind).to_owned();
        (report, kind)
    }
}

#[test]
fn each_trigger_makes_a_file_in_a_container() {
    let mut contained = match Contained::start() {
        Ok(contained) => contained,
        Err(said) => return eprintln!("skipped: no container can be made here: {said}"),
    };
    let status = fs::read_to_string(contained.path("status")).expect("it lives");
    let has = |line: &str| status.lines().any(|other| other == line);
    assert!(has("CapEff:\t0000000000000000") && has("NoNewPrivs:\t1"), "{status}");
    assert!(has("Seccomp:\t2"), "{status}");
    assert_eq!(contained.next().1, "slow_start");
    assert_eq!(contained.program.ask("ready"), "done");
    kill_process(contained.id, Signal::USR2).expect("it lives");
    let (report, kind) = contained.next();
    assert_eq!((kind.as_str(), &report.trigger()["sender"]["pid"]), ("signal", &0.into()), "{report}");
    drop(File::create(contained.path("root/mnt/now")).expect("the volume can be written"));
    assert_eq!(contained.next().1, "file");
    for (what, expected) in [("slow", "deadline"), ("stop", "heartbeat"), ("shut down", "slow_shutdown")] {
        contained.program.tell(what);
        assert_eq!(contained.next().1, expected);
        assert_eq!((contained.program.hear(), contained.program.ask("end")), ("done".into(), "done".into()));
    }
    let (status, rest) = contained.program.end();
    assert!(status.success() && rest.is_empty(), "{status}: {rest}");
}
