//! What a terminal gets: the pager, colours, and none of either if the operator says so.

use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};

use gmr_runtime::Report;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::service::{Service, file, folder};

/// Runs the command on a new terminal, and returns what that shows.
fn on_terminal(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("a terminal");
    let name = ptsname(&terminal, Vec::new()).expect("its name");
    let side = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("it opens");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gmr"));
    command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("TERM", "xterm").envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::from(side));
    let mut child = command.spawn().expect("it starts");
    // Or else the terminal would have no end.
    drop(command);
    let (mut shown, mut terminal) = (Vec::new(), File::from(terminal));
    // The end is an error on a terminal.
    let _ = terminal.read_to_end(&mut shown);
    assert!(child.wait().expect("it ends").success());
    String::from_utf8(shown).expect("text")
}

#[test]
fn text_on_a_terminal_is_shown_by_the_pager_and_has_colours() {
    let report = file(&folder("terminal"), "report", Report::capture().to_json());
    let (diff, pager) = (["diff", &report, &report], ("PAGER", "sed -e s/^/paged:/"));
    let shown = on_terminal(&diff, &[pager]);
    assert!(shown.lines().all(|line| line.starts_with("paged:")), "{shown}");
    assert!(shown.contains("\x1b[1mFindings\x1b[0m"), "{shown:?}");
    for variables in [&[("PAGER", "")][..], &[("PAGER", "cat")], &[("PAGER", "gmr-has-no-such-pager")]] {
        let shown = on_terminal(&diff, variables);
        assert!(shown.starts_with("older: "), "{shown:?}");
    }
    let shown = on_terminal(&["diff", &report, &report, "--no-pager"], &[pager, ("NO_COLOR", "1")]);
    assert!(shown.starts_with("older: ") && !shown.contains('\x1b'), "{shown:?}");
    // Other formats are for programs.
    let shown = on_terminal(&["view", &report, "-f", "json"], &[pager]);
    assert!(shown.starts_with("{\"schema_version\""), "{shown:?}");
}

#[test]
fn a_report_is_shown_by_the_pager_as_it_comes() {
    let service = Service::start();
    let pid = service.pid().to_string();
    let pager = ("PAGER", "sed -e s/^/paged:/");
    let shown = on_terminal(&["report", &pid], &[pager]);
    assert!(shown.lines().all(|line| line.starts_with("paged:")), "{shown}");
    assert!(shown.contains("Guru Meditation") && shown.trim_end().ends_with("===="), "{shown}");
    for variables in [&[("PAGER", "")][..], &[("PAGER", "gmr-has-no-such-pager")]] {
        let shown = on_terminal(&["report", &pid], variables);
        assert!(shown.contains("Guru Meditation") && shown.trim_end().ends_with("===="), "{shown:?}");
    }
    // Who leaves the pager has seen enough.
    let shown = on_terminal(&["report", &pid], &[("PAGER", "head -n 1")]);
    assert!(shown.lines().count() == 1, "{shown:?}");
}
