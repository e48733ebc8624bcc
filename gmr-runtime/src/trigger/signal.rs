//! The signal that asks for reports, and the queue it shares with requests of the program's own.
//!
//! The handler is signal-hook's: it copies the siginfo into a slot and writes a byte into a socket pair. The same byte wakes the reporter for the program's own
//! requests, so that one thread can sleep on one descriptor for both.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, Sender};

use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::raw::WithRawSiginfo;

use super::Request;
use crate::model;
use crate::sys;

/// The reporter's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    delivery: SignalDelivery<UnixStream, WithRawSiginfo>,
    requests: Receiver<Request>,
}

/// Everybody else's end.
#[derive(Debug)]
pub(crate) struct Outbox {
    wake: UnixStream,
    requests: Sender<Request>,
}

/// Makes the queue, and takes `signal` for it.
///
/// # Errors
/// The operating system refused the descriptors or the handler.
pub(crate) fn open(signal: Option<i32>) -> io::Result<(Outbox, Inbox)> {
    let (read, write) = UnixStream::pair()?;
    let wake = write.try_clone()?;
    // A full socket holds enough wakes already; nobody who asks for a report should wait for the reporter to read them.
    wake.set_nonblocking(true)?;
    let delivery = SignalDelivery::with_pipe(read, write, WithRawSiginfo, signal)?;
    let (sender, requests) = mpsc::channel();
    Ok((Outbox { wake, requests: sender }, Inbox { delivery, requests }))
}

impl Outbox {
    /// Puts a request into the queue. False if there is no reporter any more.
    pub(crate) fn send(&self, request: Request) -> bool {
        let sent = self.requests.send(request).is_ok();
        // The only failure that matters is a full socket, and that is no failure: the reporter has a wake waiting.
        let _ = (&self.wake).write(&[1]);
        sent
    }
}

impl Inbox {
    /// Sleeps until somebody wants a report, and returns all who do by then.
    pub(crate) fn wait(&mut self) -> Vec<Request> {
        loop {
            let requests = self.arrived();
            if !requests.is_empty() {
                return requests;
            }
            match self.delivery.get_read_mut().read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The other end is held by the handler and by the outbox: it is closed only when nobody can ask any more. Any other error
                // would come again at once.
                Ok(0) | Err(_) => return vec![Request::Stop],
                Ok(_) => {}
            }
        }
    }

    fn arrived(&mut self) -> Vec<Request> {
        // The socket is drained first: whatever arrives after that leaves a new byte in it.
        let signals = self.delivery.pending().map(|info| Request::Signal { sender: sender(&info) });
        let mut requests: Vec<Request> = signals.collect();
        requests.extend(self.requests.try_iter());
        requests
    }

    /// Takes no more signals. The signal is ignored from now on: to give it back its default would let the next one end the process.
    pub(crate) fn close(&self) {
        self.delivery.handle().close();
    }
}

fn sender(info: &libc::siginfo_t) -> Option<model::Sender> {
    let (pid, uid) = sys::sender(info)?;
    Some(described(pid, uid))
}

#[cfg(target_os = "linux")]
fn described(pid: u32, uid: u32) -> model::Sender {
    use crate::sys::procfs::{Stat, user_name};
    // Usually gone by now, as `kill` is: a sender that is still there is worth its name.
    let stat = Stat::read(&std::path::Path::new("/proc").join(pid.to_string()));
    model::Sender { pid, uid, user: user_name(uid), command: stat.ok().map(|stat| stat.name) }
}

#[cfg(not(target_os = "linux"))]
fn described(pid: u32, uid: u32) -> model::Sender {
    model::Sender { pid, uid, user: None, command: None }
}
