//! A terminal with the command on it: what its screen shows after each change, what is typed, and
//! what is left when the command has ended. Whatever is waited for has a deadline.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

/// Far more than a debug build takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct OnTerminal {
    child: Child,
    /// Where keys are typed. `None` once the terminal is gone.
    keys: Option<File>,
    /// Keeps the terminal open after the command.
    side: Option<OwnedFd>,
    before: Termios,
    shown: Arc<Shown>,
    /// Tells the reader what to do. Without it, the reader lets go of the terminal.
    control: Option<PipeWriter>,
    reader: Option<JoinHandle<()>>,
}

struct Shown {
    state: Mutex<State>,
    has_changed: Condvar,
}

struct State {
    parser: vt100::Parser,
    /// Nothing comes any more.
    is_at_end: bool,
}

impl Shown {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("it is not poisoned")
    }
}

pub(crate) fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl OnTerminal {
    /// Runs `gmr watch` on a new terminal of this size, as a shell does: the terminal sends it signals,
    /// and no other terminal does.
    pub(crate) fn watch(arguments: &[&str], size: (u16, u16), variables: &[(&str, &str)]) -> Self {
        Self::start(&["--ctty"], &[&["watch"], arguments].concat(), size, variables)
    }

    /// Runs the command with these options of `setsid`.
    pub(crate) fn start(
        options: &[&str],
        arguments: &[&str],
        (columns, rows): (u16, u16),
        variables: &[(&str, &str)],
    ) -> Self {
        let terminal =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("a terminal");
        let name = ptsname(&terminal, Vec::new()).expect("its name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let side = open(&name, flags, Mode::empty()).expect("it opens");
        tcsetwinsize(&side, size(columns, rows)).expect("its size");
        let before = tcgetattr(&side).expect("its mode");
        let mut command = Command::new("setsid");
        command.args(options).arg(env!("CARGO_BIN_EXE_gmr")).args(arguments);
        command.current_dir(env!("CARGO_TARGET_TMPDIR"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("TERM", "xterm").envs(variables.iter().copied());
        let end = || Stdio::from(side.try_clone().expect("a descriptor"));
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("it starts");
        let parser = vt100::Parser::new(rows, columns, 0);
        let state = Mutex::new(State { parser, is_at_end: false });
        let shown = Arc::new(Shown { state, has_changed: Condvar::new() });
        let keys = File::from(terminal);
        let output = keys.try_clone().expect("a descriptor");
        let (controlled, control) = std::io::pipe().expect("a pipe");
        let all = Arc::clone(&shown);
        let reader = Some(thread::spawn(move || read(output, &controlled, &all)));
        Self { child, keys: Some(keys), side: Some(side), before, shown, control: Some(control), reader }
    }

    /// Waits until this is so, and returns it.
    #[track_caller]
    pub(crate) fn waits<T>(&self, what: &str, is_so: impl Fn(&vt100::Screen) -> Option<T>) -> T {
        let mut found = None;
        let state = self.shown.state();
        let (state, _) = self
            .shown
            .has_changed
            .wait_timeout_while(state, DEADLINE, |state| {
                found = is_so(state.parser.screen());
                found.is_none() && !state.is_at_end
            })
            .expect("it is not poisoned");
        let screen = state.parser.screen().contents();
        drop(state);
        found.unwrap_or_else(|| panic!("{what} is not on the screen:\n{screen}"))
    }

    /// Waits until a line has this, and returns the line.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) -> String {
        self.waits(text, |screen| lines(screen).into_iter().find(|line| line.contains(text)))
    }

    #[track_caller]
    pub(crate) fn shows_no(&self, text: &str) {
        self.waits(&format!("no `{text}`"), |screen| (!screen.contents().contains(text)).then_some(()));
    }

    /// The colours and modes of the cells with this text.
    #[track_caller]
    pub(crate) fn cell(&self, text: &str) -> vt100::Cell {
        self.waits(text, |screen| {
            let (row, line) = lines(screen).into_iter().enumerate().find(|(_, line)| line.contains(text))?;
            let column = line[..line.find(text)?].chars().count();
            screen.cell(u16::try_from(row).ok()?, u16::try_from(column).ok()?).cloned()
        })
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.as_mut().expect("it is there").write_all(keys.as_bytes()).expect("it takes them");
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        self.shown.state().parser.screen_mut().set_size(rows, columns);
        tcsetwinsize(self.side.as_ref().expect("it is there"), size(columns, rows)).expect("its size");
    }

    /// Has it take no more than fits into its queue.
    pub(crate) fn hold_up(&mut self) {
        self.control.as_mut().expect("it is there").write_all(b"h").expect("it is read");
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it lives");
    }

    /// Waits for its end.
    #[track_caller]
    fn status(&mut self) -> ExitStatus {
        let pidfd = pidfd_open(self.pid(), PidfdFlags::empty()).expect("nobody has waited for it");
        let time = Timespec { tv_sec: DEADLINE.as_secs().cast_signed(), tv_nsec: 0 };
        let ready = retry_on_intr(|| poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&time)))
            .expect("it can be waited for");
        if ready == 0 {
            let screen = self.shown.state().parser.screen().contents();
            panic!("it does not end:\n{screen}");
        }
        self.child.wait().expect("it has ended")
    }

    /// Waits for its end. The terminal is as it was before, and what it shows is returned: what the
    /// command has said after it has left its screen.
    #[track_caller]
    pub(crate) fn ends(mut self) -> (ExitStatus, String) {
        let status = self.status();
        let side = self.side.take().expect("it is there");
        assert_eq!(format!("{:?}", tcgetattr(&side).expect("its mode")), format!("{:?}", self.before));
        drop(side);
        self.reader.take().expect("it is there").join().expect("it reads to the end");
        let state = self.shown.state();
        let screen = state.parser.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor(), "{}", screen.contents());
        let text = screen.contents();
        drop(state);
        (status, text)
    }

    /// Waits for its end while the terminal takes nothing. Its mode is as it was before.
    #[track_caller]
    pub(crate) fn ends_held_up(mut self) -> ExitStatus {
        let status = self.status();
        let mode = tcgetattr(self.side.as_ref().expect("it is there")).expect("its mode");
        assert_eq!(format!("{mode:?}"), format!("{:?}", self.before));
        status
    }

    /// Closes the terminal, and waits for the end.
    #[track_caller]
    pub(crate) fn ends_without_terminal(mut self) -> ExitStatus {
        (self.side, self.keys, self.control) = (None, None, None);
        self.reader.take().expect("it is there").join().expect("it lets go");
        self.status()
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads what the terminal gets until it has no other side, or there is no more control. After a byte
/// from that, it reads no more.
fn read(mut terminal: File, mut control: &PipeReader, shown: &Shown) {
    let (mut bytes, mut is_held_up) = ([0; 4096], false);
    loop {
        let mut ready = [PollFd::new(control, PollFlags::IN), PollFd::new(&terminal, PollFlags::IN)];
        let watched = if is_held_up { &mut ready[..1] } else { &mut ready[..] };
        // A report of this process can interrupt it.
        retry_on_intr(|| poll(watched, None)).expect("they can be waited for");
        if ready[0].revents().is_empty() {
            // The end is an error on a terminal.
            let length = terminal.read(&mut bytes).unwrap_or(0);
            let mut state = shown.state();
            state.parser.process(&bytes[..length]);
            state.is_at_end = length == 0;
            drop(state);
            shown.has_changed.notify_all();
            if length == 0 {
                return;
            }
        } else {
            match control.read(&mut bytes).expect("it can be read") {
                0 => return,
                _ => is_held_up = true,
            }
        }
    }
}

/// All lines, without the spaces at their ends.
pub(crate) fn lines(screen: &vt100::Screen) -> Vec<String> {
    let (_, columns) = screen.size();
    screen.rows(0, columns).map(|line| line.trim_end().to_owned()).collect()
}
