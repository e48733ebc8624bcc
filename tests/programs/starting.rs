//! A program whose section starts a thread and a process: they are the program's, and what they
//! inherit is compared with what the main thread passes on.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::ptr::null_mut;
use std::sync::Mutex;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

static STARTED: Mutex<Option<(String, Child)>> = Mutex::new(None);

/// Signal mask, processors, and nice value of a thread or process, and for a thread its name.
fn attributes(directory: &str) -> String {
    let read = |file| std::fs::read_to_string(format!("{directory}/{file}")).expect("it lives");
    let status = read("status");
    let field = |name| status.lines().find(|line| line.starts_with(name)).expect("it is there").to_owned();
    let stat = read("stat");
    let (_, stat) = stat.rsplit_once(") ").expect("the name has an end");
    let nice = stat.split(' ').nth(16).expect("the 19th field");
    format!("{} {} nice {nice}", field("SigBlk"), field("Cpus_allowed_list"))
}

/// Those of a thread that the calling one starts.
fn of_a_new_thread() -> String {
    let thread = || {
        let name = std::fs::read_to_string("/proc/thread-self/comm").expect("it lives");
        format!("{} {}", attributes("/proc/thread-self"), name.trim())
    };
    std::thread::spawn(thread).join().expect("it does not panic")
}

#[gmr::section]
fn helper() -> &'static str {
    let mut started = STARTED.lock().expect("nothing panics");
    if started.is_none() {
        let child = Command::new("sleep").arg("600").spawn().expect("it can be started");
        *started = Some((of_a_new_thread(), child));
    }
    "started"
}

/// Attributes that gmr's threads lack, because they were started before.
fn change_the_main_thread() {
    let mut mask = MaybeUninit::uninit();
    // SAFETY: the set is initialised before it is changed and read.
    unsafe {
        libc::sigemptyset(mask.as_mut_ptr());
        libc::sigaddset(mask.as_mut_ptr(), libc::SIGHUP);
        libc::pthread_sigmask(libc::SIG_BLOCK, mask.as_ptr(), null_mut());
        libc::setpriority(libc::PRIO_PROCESS, 0, 3);
    }
    rustix::thread::set_name(c"programs-own").expect("it is short enough");
    let all = sched_getaffinity(None).expect("it is known");
    let mut one = CpuSet::new();
    one.set((0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).expect("it runs on one"));
    sched_setaffinity(None, &one).expect("it is one of those");
}

#[gmr::main]
fn main() {
    if std::env::args().nth(1).is_some() {
        change_the_main_thread();
    }
    gmr_tests::converse(|question| {
        let mut started = STARTED.lock().expect("nothing panics");
        match (question, &mut *started) {
            ("thread of main", _) => of_a_new_thread(),
            ("main", _) => attributes("/proc/self"),
            ("thread", Some((thread, _))) => thread.clone(),
            ("child", Some((_, child))) => attributes(&format!("/proc/{}", child.id())),
            ("end the child", Some((_, child))) => {
                // SAFETY: the child has not been waited for.
                unsafe { libc::kill(child.id().cast_signed(), libc::SIGTERM) };
                format!("{:?}", child.wait().expect("it has not been waited for").signal())
            }
            _ => "nothing is started".to_owned(),
        }
    });
}
