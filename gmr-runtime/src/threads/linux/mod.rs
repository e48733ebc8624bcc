//! Linux: everything is read from `/proc/self/task`, `/proc/self/fd` and `/proc/self/net`.

mod arguments;
mod descriptors;
mod entry;
mod known;
mod list;
mod objects;
mod open;
mod peers;
mod ports;
mod rest;
mod sockets;
mod source;
mod syscall_names;
mod syscalls;
#[cfg(test)]
mod testing;
mod waits;
mod watched;

/// The kernel's name of the system call with this number.
pub(crate) fn call_name(number: i64) -> Option<&'static str> {
    syscall_names::name(number)
}

pub(crate) use known::{moved, processor_times, since_list};
pub(crate) use list::{List, info, list, look, skip_reason};
pub(crate) use open::{Open, OpenDescriptors, OpenFile, OpenSocket, open_descriptors, open_list};
pub(crate) use peers::peers;
#[cfg(test)]
pub(crate) use rest::parse as rest_of_line;
pub(crate) use rest::{Moment, Observer, Rest};
pub(crate) use sockets::LISTENING;
#[cfg(test)]
pub(crate) use sockets::Socket;
