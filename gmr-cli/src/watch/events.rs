//! What `gmr watch` waits for: keys, signals, and reports that it has asked for. Each comes from a
//! thread of its own, so that none holds up another.

use std::io;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::stdio::stdin;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

use super::asking::Asked;
use super::keys::{self, Key};
use super::terminal;

pub(super) enum Event {
    Keys(Vec<Key>),
    /// The terminal has another size.
    Resized,
    /// The command was stopped, and a shell can have used the terminal meanwhile.
    Continued,
    /// A signal that ends the command.
    End(i32),
    /// There is no terminal any more.
    Gone,
    Asked(Asked),
}

/// How long the rest of a key can take to arrive. It is what tells Esc from the keys that begin with
/// it; tools for slow lines have it about as long.
const REST_OF_KEY: Duration = Duration::from_millis(50);

/// How long the command may take to end by itself. Only a terminal that takes nothing holds it up.
const TO_END: Duration = Duration::from_millis(300);

pub(super) fn send_keys(sender: Sender<Event>) {
    thread::spawn(move || {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 1024]);
        loop {
            match read(stdin(), &mut buffer) {
                Ok(length @ 1..) => bytes.extend_from_slice(&buffer[..length]),
                Err(Errno::INTR) => continue,
                Ok(0) | Err(_) => return drop(sender.send(Event::Gone)),
            }
            let mut keys = keys::take(&mut bytes, false);
            if !bytes.is_empty() && !comes_more() {
                keys.extend(keys::take(&mut bytes, true));
            }
            if sender.send(Event::Keys(keys)).is_err() {
                return;
            }
        }
    });
}

fn comes_more() -> bool {
    let time = Timespec { tv_sec: 0, tv_nsec: REST_OF_KEY.subsec_nanos().into() };
    poll(&mut [PollFd::from_borrowed_fd(stdin(), PollFlags::IN)], Some(&time)).is_ok_and(|ready| ready > 0)
}

pub(super) fn send_signals(sender: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGWINCH, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            let event = match signal {
                SIGWINCH => Event::Resized,
                SIGCONT => Event::Continued,
                signal => Event::End(signal),
            };
            let is_end = matches!(event, Event::End(_));
            let _ = sender.send(event);
            if is_end {
                thread::sleep(TO_END);
                terminal::end_by(signal);
            }
        }
    });
    Ok(())
}
