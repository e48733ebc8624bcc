//! A panic on a terminal: this program once more.

use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::*;

/// A test that hangs should fail.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs if the other test has started it.
#[test]
fn on_a_terminal() {
    if std::env::var_os("GMR_PANICS_ON_TERMINAL").is_none() {
        return;
    }
    give_back_on_panic();
    take().expect("a terminal");
    // A thread that is not the one that draws.
    let thread = thread::spawn(|| panic!("as planned"));
    thread.join().expect("the command has ended before");
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_says_anything() {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("a terminal");
    let name = ptsname(&terminal, Vec::new()).expect("its name");
    let side = open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("it opens");
    let before = tcgetattr(&side).expect("its mode");
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", "watch::terminal::tests::on_a_terminal", "--nocapture"]);
    command.env("GMR_PANICS_ON_TERMINAL", "1");
    let end = || Stdio::from(side.try_clone().expect("a descriptor"));
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("it starts");
    // Or else the output would have no end.
    drop(command);
    let mut output = File::from(terminal);
    let (mut shown, started) = (Vec::new(), Instant::now());
    while !String::from_utf8_lossy(&shown).contains("as planned") {
        assert!(started.elapsed() < DEADLINE, "{}", String::from_utf8_lossy(&shown));
        let time = Timespec { tv_sec: 1, tv_nsec: 0 };
        if poll(&mut [PollFd::new(&output, PollFlags::IN)], Some(&time)).expect("it is open") > 0 {
            let mut bytes = [0; 4096];
            let length = output.read(&mut bytes).expect("this has the other side, too");
            shown.extend_from_slice(&bytes[..length]);
        }
    }
    assert_eq!(child.wait().expect("it ends").code(), Some(101));
    assert_eq!(format!("{:?}", tcgetattr(&side).expect("its mode")), format!("{before:?}"));
    let shown = String::from_utf8_lossy(&shown).into_owned();
    let place = |what: &[u8]| shown.find(std::str::from_utf8(what).expect("text")).expect("it is there");
    assert!(place(TAKE) < place(GIVE_BACK) && place(GIVE_BACK) < place(b"as planned"), "{shown:?}");
}
