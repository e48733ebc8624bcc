//! `gmr watch`: what the threads and tasks of a process do, live in the terminal. It looks at the process
//! again and again: one look at a time, and not before the process has had as much time without one as
//! the last one took.
//!
//! However it ends, the terminal is as it was before.

mod asking;
mod events;
mod keys;
mod looks;
mod screen;
mod terminal;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::mem::ManuallyDrop;
use std::os::unix::fs::OpenOptionsExt as _;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use gmr_runtime::Report;
use ratatui::Terminal;
use ratatui::backend::TermionBackend;

use crate::args;
use crate::output::has_colours;
use crate::report::Looker;
use asking::{Asked, Asker, Came};
use events::Event;
use keys::Key;
use looks::{Earlier, Look, Whole};
use screen::{Action, Screen};

/// How often the times on the screen go on if nothing else changes.
const TICK: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &args::Watch) -> Result<(), String> {
    check_terminal().map_err(|lacks| {
        format!(
            "`gmr watch` needs a terminal, and {lacks}; `gmr report {}` shows one report anywhere",
            args.process
        )
    })?;
    let looker = Looker::new(&args.process, args.no_tasks)?;
    let pid = looker.target().pid();
    // Before the screen is taken: an error is easier to read there.
    let began = Instant::now();
    let (asker, Came { report, at, .. }) = Asker::new(looker)?;
    let first = Rc::new(report);
    let (sender, events) = channel();
    events::send_signals(sender.clone()).map_err(|error| format!("could not handle signals: {error}"))?;
    terminal::give_back_on_panic();
    let answers = sender.clone();
    let (look, whole) = (Look::of(&first, None), Whole::of(&first, None));
    let mut watch = Watch {
        screen: Screen::new(look, whole, at, args.interval, has_colours()),
        last: (Rc::clone(&first), at),
        whole: first,
        pid,
        interval: args.interval,
        next: Some(began + args.interval.max(began.elapsed() * 2)),
        began,
        requests: asker.start(move |asked| {
            let _ = answers.send(Event::Asked(asked));
        }),
    };
    let shown = terminal::take().and_then(|()| {
        events::send_keys(sender);
        watch.show(&events)
    });
    if let Ok(End::By(signal)) = shown {
        terminal::end_by(signal);
    }
    terminal::give_back();
    match shown {
        Ok(End::Gone) => Err("the terminal is gone".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("could not use the terminal: {error}")),
    }
}

/// What it lacks.
fn check_terminal() -> Result<(), &'static str> {
    if !io::stdin().is_terminal() {
        return Err("standard input is none");
    }
    if !io::stdout().is_terminal() {
        return Err("standard output is none");
    }
    if std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb") {
        return Err("TERM says that this one only shows lines");
    }
    Ok(())
}

/// Why it ends.
enum End {
    Key,
    By(i32),
    Gone,
}

struct Watch {
    screen: Screen,
    /// Whose threads and tasks are on the screen, and when it came.
    last: (Rc<Report>, Instant),
    /// Whose findings are on the screen.
    whole: Rc<Report>,
    pid: u32,
    interval: Duration,
    /// When to ask. `None` while it is asked, or has ended.
    next: Option<Instant>,
    /// When it was asked the last time.
    began: Instant,
    requests: Sender<()>,
}

impl Watch {
    /// Until something ends it.
    fn show(&mut self, events: &Receiver<Event>) -> io::Result<End> {
        let output = BufWriter::with_capacity(64 << 10, io::stdout());
        // Dropping it writes to the terminal and to standard error, which may be gone.
        let mut terminal = ManuallyDrop::new(Terminal::new(TermionBackend::new(output))?);
        loop {
            terminal.draw(|frame| self.screen.draw(frame, Instant::now()))?;
            match events.recv_timeout(self.until_next()) {
                Ok(Event::Keys(keys)) => {
                    for key in keys {
                        match self.press(key) {
                            Action::Quit => return Ok(End::Key),
                            Action::Suspend => {
                                terminal::suspend()?;
                                redraw(&mut terminal)?;
                            }
                            Action::Redraw => redraw(&mut terminal)?,
                            Action::None | Action::Save => {}
                        }
                    }
                }
                Ok(Event::Continued) => {
                    terminal::take()?;
                    redraw(&mut terminal)?;
                }
                Ok(Event::End(signal)) => return Ok(End::By(signal)),
                Ok(Event::Gone) => return Ok(End::Gone),
                Ok(Event::Asked(asked)) => self.have(asked),
                // It is drawn again in any case.
                Ok(Event::Resized) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("this has a sender: that of the asker"),
            }
            if self.is_due() {
                self.began = Instant::now();
                self.next = None;
                let _ = self.requests.send(());
            }
        }
    }

    fn press(&mut self, key: Key) -> Action {
        let action = self.screen.press(key);
        if action == Action::Save {
            self.screen.say(save(&self.whole, self.pid));
        }
        action
    }

    /// Nobody is asked for what is not shown.
    fn is_due(&self) -> bool {
        !self.screen.is_frozen() && self.next.is_some_and(|next| Instant::now() >= next)
    }

    fn until_next(&self) -> Duration {
        match self.next {
            Some(next) if !self.screen.is_frozen() => {
                next.saturating_duration_since(Instant::now()).min(TICK)
            }
            _ => TICK,
        }
    }

    fn have(&mut self, asked: Asked) {
        self.next = Some(self.began + self.interval.max(self.began.elapsed() * 2));
        match asked {
            // It was asked for before the screen was frozen.
            Asked::Came(_) if self.screen.is_frozen() => {}
            Asked::Came(came) => {
                let Came { report, at, is_whole } = *came;
                let (earlier, earlier_at) = &self.last;
                let between = at.saturating_duration_since(*earlier_at);
                let earlier = Earlier { report: earlier, look: self.screen.look(), between };
                self.screen.show(Look::of(&report, Some(earlier)), at);
                let report = Rc::new(report);
                if is_whole {
                    self.screen.show_whole(Whole::of(&report, Some(&self.whole)), at);
                    self.whole = Rc::clone(&report);
                }
                self.last = (report, at);
            }
            Asked::Failed(reason) => self.screen.fail(reason),
            Asked::Ended(reason) => {
                self.screen.fail(reason);
                self.next = None;
            }
        }
    }
}

/// Has all of it drawn the next time, whatever the terminal shows.
fn redraw<W: io::Write>(terminal: &mut Terminal<TermionBackend<W>>) -> io::Result<()> {
    let size = terminal.size()?;
    terminal.resize(size.into())
}

/// Saves the report whose findings are shown. Returns what to say of it.
fn save(report: &Report, pid: u32) -> String {
    let path = format!("gmr-{pid}-{}.json", report.heading.number);
    let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
    match file.and_then(|mut file| file.write_all(report.to_json().as_bytes())) {
        Ok(()) => format!("saved as {path}"),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => format!("{path} is there already"),
        Err(error) => format!("could not save {path}: {error}"),
    }
}
