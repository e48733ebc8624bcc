//! What there is more of with each line on standard input: `threads 60` starts threads that wait,
//! `files 120` opens files, `fewer` ends the threads and closes the files.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;

use gmr_tests::{arrive, settle};

#[inline(never)]
fn serve(mut requests: PipeReader) {
    arrive();
    let _ = requests.read(&mut [0]);
}

#[gmr::main]
fn main() {
    let (mut requests, mut sender): (PipeReader, PipeWriter) = std::io::pipe().expect("a pipe");
    let (mut threads, mut files): (Vec<JoinHandle<()>>, Vec<OwnedFd>) = (Vec::new(), Vec::new());
    let mut arrived = 0;
    gmr_tests::converse(|line| {
        let (what, number) = line.split_once(' ').unwrap_or((line, "0"));
        let number: usize = number.parse().expect("a number");
        match what {
            "threads" => {
                arrived += number;
                for _ in 0..number {
                    let requests = requests.try_clone().expect("a descriptor");
                    threads.push(std::thread::spawn(move || serve(requests)));
                }
                settle(arrived);
            }
            "files" => {
                let file = File::open("/dev/null").expect("it is there");
                files.extend((0..number).map(|_| file.as_fd().try_clone_to_owned().expect("a descriptor")));
            }
            _ => {
                files.clear();
                // It closes the only other end.
                (requests, sender) = std::io::pipe().expect("a pipe");
                threads.drain(..).for_each(|thread| thread.join().expect("it has not panicked"));
            }
        }
        String::new()
    });
    drop(sender);
}
