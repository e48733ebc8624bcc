//! A program that closes every descriptor above 2, no matter who opened it, as daemons do. Its own
//! files get the numbers then. The first argument says when.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

/// The descriptors that a program opens first: they take the numbers that have become free.
struct Opened {
    sockets: Vec<UnixStream>,
    files: Vec<File>,
}

impl Opened {
    fn new() -> Self {
        let pairs = std::iter::repeat_with(|| UnixStream::pair().expect("descriptors are free"));
        let sockets: Vec<UnixStream> = pairs.take(4).flat_map(<[UnixStream; 2]>::from).collect();
        for socket in &sockets {
            socket.set_nonblocking(true).expect("it is a socket");
        }
        let files = (0..4).map(|_| file()).collect();
        Self { sockets, files }
    }

    /// What differs from how this program left it.
    fn harmed(&mut self) -> Vec<String> {
        let mut harmed = Vec::new();
        for socket in &mut self.sockets {
            match socket.read(&mut [0; 64]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => harmed.push(format!("socket {}: {other:?}", socket.as_raw_fd())),
            }
        }
        for file in &mut self.files {
            let mut text = String::new();
            let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
            if text != "header" {
                harmed.push(format!("file {}: {read:?} {text:?}", file.as_raw_fd()));
            }
        }
        harmed
    }
}

/// A file that no other program sees.
fn file() -> File {
    let path = std::env::temp_dir().join(format!("gmr-closing-{}", std::process::id()));
    let mut file = File::options()
        .create_new(true)
        .read(true)
        .append(true)
        .open(&path)
        .expect("the directory can be written to");
    std::fs::remove_file(&path).expect("it exists");
    file.write_all(b"header").expect("it can be written to");
    file
}

fn close_all() {
    // SAFETY: no code of this program uses a descriptor above 2 that it opened before.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

fn fork() {
    // SAFETY: this program has one thread of its own, and gmr's sleeps.
    match unsafe { libc::fork() } {
        0 => {}
        child => {
            let mut status = 0;
            // SAFETY: waits for the child made above.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            std::process::exit(status);
        }
    }
}

#[gmr::section]
fn notes() -> &'static str {
    "whole"
}

#[gmr::main]
fn main() {
    let mode = std::env::args().nth(1).unwrap_or_default();
    match mode.as_str() {
        "once" => close_all(),
        "forked" => {
            fork();
            close_all();
        }
        "always" => {
            std::thread::spawn(|| {
                loop {
                    close_all();
                }
            });
            return gmr_tests::converse(str::to_owned);
        }
        _ => panic!("an unknown mode: {mode}"),
    }
    let mut opened = Opened::new();
    gmr_tests::converse(|question| match question {
        "pid" => std::process::id().to_string(),
        _ => format!("{:?}", opened.harmed()),
    });
}
