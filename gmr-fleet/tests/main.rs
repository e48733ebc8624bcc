//! The command as an operator runs it: the built program, on reports of real processes, and on
//! documents with everything that the schema of reports allows. What is in the tables is read by
//! the crates `arrow` and `parquet`.

mod clickhouse;
mod documents;
mod duckdb;
mod killed;
mod loki;
mod lossless;
mod objects;
mod otlp;
mod page;
mod planted;
mod program;
mod questions;
mod receiver;
mod s3;
mod scale;
mod service;
mod ship;
mod sidecars;
mod size;
mod story;
#[path = "../../tests/browser/webdriver.rs"]
#[allow(dead_code, reason = "the tests of a report's page use the rest of it")]
mod webdriver;
