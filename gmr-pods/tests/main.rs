//! The command as an operator runs it: the built program, an emulated API server with TLS, and a real
//! process with gmr behind it.

mod answers;
mod program;
mod rights;
mod service;
mod token;
mod world;
