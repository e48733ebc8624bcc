//! Threads that wait for sockets, pipes, descriptors, signals and children.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use signal_hook::consts::SIGHUP;
use signal_hook::iterator::Signals;

use crate::{Mode, pace, spawn};

pub(crate) const MODES: &[Mode] = &[
    ("accept-idle", "threads that accept, without clients", false, accept_idle),
    ("accept-used", "a thread for each connection, and clients", false, accept_used),
    ("keep-alive", "connections that are open and silent", false, keep_alive),
    ("pipes", "readers of pipes, and a writer of a full one", false, pipes),
    ("udp", "a socket that is read for a limited time, again and again", false, udp),
    ("epoll", "a loop around `epoll_wait`", false, epoll_loop),
    ("signals", "a thread that waits for signals", false, signals),
    ("child", "a thread that waits for a child process", false, child),
    ("children", "children that are started and waited for all the time", true, children),
    ("files", "threads that write and sync a file", false, files),
];

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port")
}

fn accept_idle() {
    let listener = listener();
    for number in 0..3 {
        let listener = listener.try_clone().expect("a descriptor");
        spawn(&format!("accepts-{number}"), move || while listener.accept().is_ok() {});
    }
}

/// Answers each byte with one.
fn answer(mut stream: TcpStream) {
    let mut byte = [0];
    while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
}

fn accept_used() {
    let listener = listener();
    let address = listener.local_addr().expect("it is bound");
    spawn("accepts", move || {
        for stream in listener.incoming().flatten() {
            spawn("answers", move || answer(stream));
        }
    });
    for number in 0..2 {
        spawn(&format!("client-{number}"), move || {
            loop {
                let mut stream = TcpStream::connect(address).expect("it listens");
                for _ in 0..20 {
                    stream.write_all(&[7]).expect("it reads");
                    stream.read_exact(&mut [0]).expect("it answers");
                    thread::sleep(Duration::from_millis(1));
                }
                drop(stream);
                // The ports of closed connections stay in use for a minute.
                thread::sleep(Duration::from_millis(200));
            }
        });
    }
}

fn keep_alive() {
    let listener = listener();
    let address = listener.local_addr().expect("it is bound");
    for number in 0..4 {
        let client = TcpStream::connect(address).expect("it listens");
        let (server, _) = listener.accept().expect("it is connected");
        spawn(&format!("silent-{number}"), move || answer(server));
        // The program keeps them open.
        std::mem::forget(client);
    }
    spawn("keep-accept", move || drop(listener.accept()));
}

fn pipes() {
    for number in 0..3 {
        spawn(&format!("reads-pipe-{number}"), || {
            let (mut reader, _writer) = std::io::pipe().expect("a pipe");
            drop(reader.read(&mut [0; 8]));
        });
    }
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    spawn("fills-pipe", move || while writer.write_all(&[7; 4096]).is_ok() {});
    spawn("drains-pipe", move || {
        let mut piece = [0; 4096];
        while reader.read(&mut piece).is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
    });
}

fn udp() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a time");
    spawn("reads-udp", move || {
        loop {
            drop(socket.recv(&mut [0; 8]));
        }
    });
}

fn epoll_loop() {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("a descriptor");
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    epoll::add(&poll, &reader, epoll::EventData::new_u64(1), epoll::EventFlags::IN).expect("it is added");
    spawn("polls", move || {
        let mut events = Vec::with_capacity(4);
        loop {
            // A report may interrupt it.
            if epoll::wait(&poll, spare_capacity(&mut events), None).is_ok() {
                for _ in events.drain(..) {
                    reader.read_exact(&mut [0]).expect("there is a byte");
                }
            }
        }
    });
    spawn("wakes-poll", move || {
        while writer.write_all(&[7]).is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
}

fn signals() {
    let mut signals = Signals::new([SIGHUP]).expect("a handler");
    spawn("signals", move || signals.forever().for_each(drop));
}

fn child() {
    spawn("waits-child", || {
        // It ends with this process, which holds the other end of its input.
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat is installed");
        let input = child.stdin.take();
        drop(child.wait());
        drop(input);
    });
}

fn children() {
    spawn("starts-children", || {
        loop {
            drop(Command::new("true").status());
            thread::sleep(Duration::from_millis(5));
            pace();
        }
    });
}

fn files() {
    let file = tempfile();
    for number in 0..2_u8 {
        let mut file = file.try_clone().expect("a descriptor");
        spawn(&format!("syncs-{number}"), move || {
            loop {
                file.write_all(&[number; 64]).expect("there is space");
                file.sync_data().expect("it can be written");
                thread::sleep(Duration::from_millis(20));
            }
        });
    }
}

/// A file without a name.
fn tempfile() -> std::fs::File {
    let path = std::env::temp_dir().join(format!("gmr-healthy-{}", std::process::id()));
    let file = std::fs::File::create(&path).expect("a file");
    std::fs::remove_file(&path).expect("it is there");
    file
}
