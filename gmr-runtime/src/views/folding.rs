//! Omits frames that are not the program's from stacks: the standard libraries', a runtime's, and
//! gmr's. What is omitted is counted, by crate.
//!
//! A frame that can have code of the program in it is never omitted. Nor are the functions that the
//! program's functions call: they name what the program waits for.

mod kinds;
mod parts;
mod tasks;
mod threads;

pub(crate) use kinds::Known;
pub(super) use kinds::of_stack;
pub(super) use parts::{Omitted, Part};
pub(super) use tasks::fold_task;
pub(super) use threads::{fold_pool_thread, fold_section, fold_thread};
