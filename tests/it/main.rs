//! The integration tests: real processes and real signals, and reports read back by parsers that
//! share no code with gmr.
//!
//! A test asserts over the fields of a report in JSON (`report.rs`). Only what is particular to
//! text is read as text (`text.rs`); its wording is pinned in the text view's own tests.

mod agreement;
mod apart;
mod at_rest;
mod builds;
mod captured;
mod cgroup;
mod closing;
mod conditions;
mod contained;
mod copies;
mod deadlock;
mod demo;
mod early;
mod edge;
mod emergency;
mod ends;
mod examples;
mod exhausted;
mod expansion;
mod facade;
// The calls of a report depend on the architecture and the C library.
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
mod fatal;
mod faults;
mod folding;
mod forked;
mod frames;
mod gdb;
mod growing;
mod hanging;
mod healthy;
mod http;
mod imports;
mod isolation;
mod journal;
mod linking;
mod log_dir;
mod logged;
mod mark;
mod masked;
mod namespaces;
mod on_panic;
mod ordinary;
mod program;
mod published;
mod report;
mod rules;
mod scopes;
mod sections;
mod signal_names;
mod signals;
mod spans;
mod spinning;
mod standing;
mod starting;
mod stderr;
mod storm;
mod stuck;
mod stuck_tasks;
mod tasks;
mod text;
mod threads;
mod tools;
mod trigger_file;
mod unwinding;
mod views;
mod waits;
