//! Linux: everything is read from `/proc/self/task`, `/proc/self/fd` and `/proc/self/net`.

mod descriptors;
mod list;
mod syscalls;

pub(crate) use list::{info, list};
