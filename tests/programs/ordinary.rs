//! An ordinary program that uses gmr; its first argument selects what it does, and how it ends.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[gmr::main(
    product = "ordinary",
    vendor = "ACME",
    version = concat!("1", ".2"),
    revision = "4f2c1e9",
    signal = "SIGUSR1",
    sections = "+environment",
)]
fn main() -> Result<ExitCode, String> {
    match std::env::args().nth(1).as_deref() {
        Some("fail") => Err("as asked".into()),
        Some("seven") => return Ok(ExitCode::from(7)),
        Some("facts") => {
            let _planted = Facts::plant();
            gmr_tests::converse(str::to_owned);
            Ok(ExitCode::SUCCESS)
        }
        Some("many") => {
            let _many = many();
            gmr_tests::converse(str::to_owned);
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            gmr_tests::converse(str::to_owned);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What a report has to find.
struct Facts {
    _files: [File; 2],
    _listeners: [TcpListener; 2],
    _connections: Vec<TcpStream>,
}

impl Facts {
    /// Two files, one of them deleted, with a secret in its path; 50 connections to one address and
    /// 3 to another, none accepted; a limit of 200 descriptors.
    fn plant() -> Self {
        let folder = PathBuf::from(std::env::var_os("FOLDER").expect("a folder"));
        let deleted = folder.join("password=hunter2");
        let files = [open(&deleted, 4096, 1000), open(&folder.join("kept"), 300, 300)];
        std::fs::remove_file(&deleted).expect("it is there");
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let connections = [50, 3].iter().zip(&listeners).flat_map(|(count, listener)| {
            let address = listener.local_addr().expect("it is bound");
            (0..*count).map(move |_| TcpStream::connect(address).expect("it listens"))
        });
        let connections = connections.collect();
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(200), ..limit }).expect("it can be lowered");
        Self { _files: files, _listeners: listeners, _connections: connections }
    }
}

/// A file of this length, at this position.
fn open(path: &std::path::Path, length: usize, position: u64) -> File {
    let mut file = File::create_new(path).expect("a file");
    file.write_all(&vec![b'x'; length]).expect("it can be written");
    file.seek(SeekFrom::Start(position)).expect("it has positions");
    file
}

/// More descriptors than a report reads.
fn many() -> Vec<File> {
    const MANY: u64 = 20_000;
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if limit.maximum.is_some_and(|most| most < MANY + 100) || setrlimit(Resource::Nofile, raised).is_err() {
        gmr_tests::say("skipped: the process may not have so many descriptors");
        std::process::exit(0);
    }
    (0..MANY).map(|_| File::open("/dev/null").expect("a descriptor")).collect()
}
