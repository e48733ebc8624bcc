//! The terminal while `gmr watch` has it: taken for the screen, and given back as it was. It draws
//! nothing, and waits no longer than a moment for a terminal that takes nothing.

use std::io;
use std::panic;
use std::process;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::write;
use rustix::process::{Signal, kill_current_process_group};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The mode before it was taken. `None` while it is not.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// A screen of its own, without a cursor.
const TAKE: &[u8] = b"\x1b[?1049h\x1b[?25l";
/// No colours, the cursor, and the screen that was there before.
const GIVE_BACK: &[u8] = b"\x1b[m\x1b[?25h\x1b[?1049l";

/// How long a terminal may take nothing at the end. One across a slow network takes some later.
const HELD_UP: Duration = Duration::from_millis(300);

/// Takes the terminal. It may be taken already: then its mode can have been changed meanwhile.
pub(super) fn take() -> io::Result<()> {
    let before = tcgetattr(stdin())?;
    let mut raw = before.clone();
    raw.make_raw();
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(before);
    tcsetattr(stdin(), OptionalActions::Now, &raw)?;
    write_all(TAKE)
}

/// Gives it back, if it is taken. What can't be done is left: the terminal may be gone.
pub(super) fn give_back() {
    // Another thread that ends the command must not wait for this one.
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(before) = before else { return };
    let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
    let _ = write_all(GIVE_BACK);
}

/// Writes a few bytes, but does not wait for long.
fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let time = Timespec { tv_sec: 0, tv_nsec: HELD_UP.subsec_nanos().into() };
        if poll(&mut [PollFd::from_borrowed_fd(stdout(), PollFlags::OUT)], Some(&time))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        bytes = &bytes[write(stdout(), bytes)?..];
    }
    Ok(())
}

/// Has a panic of any thread give the terminal back, and end the command after its message.
pub(super) fn give_back_on_panic() {
    let message = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        give_back();
        message(panic);
        // As a panic in `main` does.
        process::exit(101);
    }));
}

/// Stops the command, as Ctrl-Z does, and takes the terminal again when it continues.
pub(super) fn suspend() -> io::Result<()> {
    give_back();
    kill_current_process_group(Signal::TSTP)?;
    // Any thread can take the signal, and until then this one goes on. In a process group without a
    // shell, the kernel stops nothing.
    thread::sleep(Duration::from_millis(50));
    take()
}

/// Ends the command by this signal.
pub(super) fn end_by(signal: i32) -> ! {
    give_back();
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    process::exit(1)
}

#[cfg(test)]
mod tests;
