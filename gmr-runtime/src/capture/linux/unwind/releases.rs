//! Whether the code that a frame returns to will release a lock, without having acquired it first.
//! If so, the thread holds the lock.
//!
//! From a frame's return address, all paths through its function are followed, with the values of
//! its registers and of its stack. A release is an instruction that std's locks have in their
//! `unlock`, with the lock's address as its operand; or a call that drops a guard of the lock. A
//! path ends where the lock is acquired or may be, and where nothing is known of what follows.
//!
//! What a stack has left over from before is not a guard: a function can return one to a place that
//! had another one. So whatever is passed to a function is not known after the call, nor is what is
//! passed to the call that the frame is in.
//!
//! Nor is code that releases a lock on a condition a proof, as in a loop: the condition may have been
//! true before. So it is also followed what happens after the release.

mod code;
mod filled;
mod known;
mod path;
mod possible;
mod search;
mod visited;

pub(super) use self::known::Releases;
pub(super) use self::search::Frame;

#[cfg(test)]
mod tests;
