//! `gmr watch` in tmux: a terminal that many operators have, and one that nobody here has written.

use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::service::Service;
use crate::tools;

/// Far more than a debug build takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A server of its own, with one window.
struct Tmux {
    socket: String,
}

impl Tmux {
    /// Runs this line of shell in a window of this size. `None` if there is no tmux.
    fn start(name: &str, columns: u32, rows: u32, line: &str) -> Option<Self> {
        Command::new("tmux").arg("-V").stdout(Stdio::null()).status().ok()?;
        let tmux = Self { socket: format!("gmr-{name}-{}", std::process::id()) };
        let [columns, rows] = [columns, rows].map(|number| number.to_string());
        let window = ["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows, line];
        let started = tmux.run(&window);
        assert!(started.status.success(), "{started:?}");
        Some(tmux)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        // -u: it shows text as it is, whatever the tests' own locale is.
        let mut command = Command::new("tmux");
        command.args(["-u", "-L", &self.socket]).args(arguments);
        command.env_remove("TMUX").env("TERM", "xterm-256color").output().expect("it starts")
    }

    fn press(&self, keys: &[&str]) {
        assert!(self.run(&[&["send-keys"], keys].concat()).status.success());
    }

    /// What it shows, with these options.
    fn screen(&self, options: &[&str]) -> Vec<String> {
        let shown = self.run(&[&["capture-pane", "-p"], options].concat());
        let shown = String::from_utf8(shown.stdout).expect("text");
        shown.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Waits until it is so, and returns the screen.
    #[track_caller]
    fn waits(&self, what: &str, is_so: impl Fn(&[String]) -> bool) -> Vec<String> {
        let started = Instant::now();
        loop {
            let screen = self.screen(&[]);
            if is_so(&screen) {
                return screen;
            }
            assert!(started.elapsed() < DEADLINE, "no {what}:\n{}", screen.join("\n"));
            // tmux has nothing to wait for but what it is asked.
            thread::yield_now();
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

/// With `#` for each number.
fn without_numbers(line: &str) -> String {
    let mut shown = String::new();
    for c in line.chars() {
        if !c.is_ascii_digit() {
            shown.push(c);
        } else if !shown.ends_with('#') {
            shown.push('#');
        }
    }
    shown
}

#[test]
fn its_screen_is_in_tmux_what_it_is_meant_to_be() {
    let mut service = Service::start();
    service.tell("lock");
    let line = format!(
        "NO_COLOR=1 {} watch {} --interval 200ms; echo \"ended: $?\"; exec cat",
        env!("CARGO_BIN_EXE_gmr"),
        service.pid()
    );
    let Some(tmux) = Tmux::start("watch", 80, 24, &line) else { return tools::missing("tmux") };
    tmux.waits("its screen", |screen| screen.last().is_some_and(|line| line.starts_with("q quit")));
    tmux.press(&["/hold_both", "Enter"]);
    // As in the second look, which knows for how long they have waited.
    let is_place = |line: &String| line.contains("s sleeping     command::obstacles::Lock::lock, ");
    let screen = tmux.waits("the deadlock", |screen| {
        screen.iter().any(|line| line.contains("deadlock: ")) && screen.iter().any(is_place)
    });
    assert_eq!(screen.len(), 24);
    // But for what is about the machine that it runs on.
    let lines = screen.iter().map(|line| without_numbers(line)).filter(|line| !line.contains("info: "));
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    let expected = [
        "shop #.#, process # on ",
        "# threads, # tasks at #:#:#Z; every # ms; findings of report #, ",
        "  error: deadlock: # threads wait for each other's locks: # (sale-世界),",
        "CHANGE COUNT CPU% STILL STATE        PLACE, by count; with \"hold_both\"",
        "q quit  ? keys  Enter stack  / filter  s sort  p freeze  w save  i idle  a all",
    ];
    for expected in expected {
        let is_there = lines.iter().any(|line| line.starts_with(expected));
        assert!(is_there, "no `{expected}`:\n{}", screen.join("\n"));
    }
    tmux.press(&["Escape", "?"]);
    tmux.waits("the keys", |screen| screen.iter().any(|line| line == "     ?  these lines"));
    assert!(tmux.run(&["resize-window", "-x", "120", "-y", "40"]).status.success());
    tmux.waits("a larger screen", |screen| {
        screen.len() == 40 && screen[39] == "any key: back" && screen[0].starts_with("shop 1.0, process ")
    });
    tmux.press(&["q"]);
    let screen = tmux.waits("the end", |screen| screen[0] == "ended: 0");
    assert!(screen[1..].iter().all(String::is_empty), "{screen:?}");
}
