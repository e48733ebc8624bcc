//! Linux: everything is read from `/proc/self/task`, `/proc/self/fd` and `/proc/self/net`.

mod arguments;
mod descriptors;
mod list;
mod objects;
mod rest;
mod sockets;
mod source;
mod syscall_names;
mod syscalls;
#[cfg(test)]
mod testing;
mod waits;
mod watched;

pub(crate) use list::{info, list, skip_reason};
#[cfg(test)]
pub(crate) use rest::parse as rest_of_line;
pub(crate) use rest::{Moment, Observer, Rest};
