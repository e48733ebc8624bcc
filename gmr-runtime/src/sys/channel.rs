//! Channels of std in little code. For each type of message, std's channel adds 15 KiB to a
//! program. Here, messages are boxed, so it is compiled once for all of them.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::mpsc::{self, RecvTimeoutError, SendError, TryRecvError};
use std::time::Duration;

type Message = Box<dyn Any + Send>;

/// A channel for any number of messages.
pub(crate) fn channel<T: Send + 'static>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel();
    (Sender { messages: sender, of: PhantomData }, Receiver { messages: receiver, of: PhantomData })
}

/// The end that sends. Its clones lead to the same receiver.
#[derive(Debug)]
pub(crate) struct Sender<T> {
    messages: mpsc::Sender<Message>,
    of: PhantomData<fn(T)>,
}

/// The end that receives.
#[derive(Debug)]
pub(crate) struct Receiver<T> {
    messages: mpsc::Receiver<Message>,
    of: PhantomData<fn() -> T>,
}

/// The receiver is gone.
#[derive(Debug)]
pub(crate) struct Disconnected;

impl<T: Send + 'static> Sender<T> {
    /// Sends a message, without waiting.
    ///
    /// # Errors
    /// The receiver is gone. The message is dropped.
    pub(crate) fn send(&self, message: T) -> Result<(), Disconnected> {
        self.messages.send(Box::new(message)).map_err(|SendError(_)| Disconnected)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { messages: self.messages.clone(), of: PhantomData }
    }
}

impl<T: 'static> Receiver<T> {
    /// The next message, if it arrives in time.
    ///
    /// # Errors
    /// There is none, and perhaps there will be none because all senders are gone.
    pub(crate) fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.messages.recv_timeout(timeout).map(open)
    }

    /// The next message, if it has arrived.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        self.messages.try_recv().map(open)
    }

    /// The messages that have arrived.
    pub(crate) fn try_iter(&self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.try_recv().ok())
    }

    /// The messages until all senders are gone.
    pub(crate) fn iter(&self) -> impl Iterator<Item = T> {
        self.messages.iter().map(open)
    }
}

fn open<T: 'static>(message: Message) -> T {
    *message.downcast().expect("senders and receiver have the same type")
}
