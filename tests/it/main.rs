//! The integration tests: real processes, real signals, and what came out read back by a parser that knows nothing of gmr's code.

mod adoption;
mod agreement;
mod captured;
mod deadlock;
mod demo;
mod exhausted;
mod expansion;
mod forked;
mod gdb;
mod http;
mod isolation;
mod program;
mod report;
mod stderr;
mod storm;
mod tasks;
mod threads;
mod views;
