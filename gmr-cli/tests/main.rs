//! The command as an operator runs it: the built program, its output and exit code, on reports of
//! real processes. What it prints as JSON is read by `serde_json`.

mod collect;
mod command;
mod debuginfod;
mod diff;
mod doctor;
mod exec;
mod impostor;
mod limits;
mod list;
mod merge;
mod obstacles;
mod pprof;
mod profile;
mod progress;
mod report;
mod screen;
mod service;
mod split;
mod static_build;
mod symbolize;
mod terminal;
mod tmux;
mod tools;
mod top;
mod view;
mod watch;
