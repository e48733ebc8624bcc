//! A process that has gmr: this test program once more, in a test that runs a small service. It
//! does what it reads from its standard input.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use gmr_runtime::task::TrackExt as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::obstacles;

/// Runs if another test has started it.
#[test]
fn service() {
    let Ok(version) = std::env::var("SHOP") else { return };
    let name = std::env::var("SHOP_NAME").unwrap_or_else(|_| "shop".to_owned());
    let mut builder = gmr_runtime::Builder::new().product(name).version(version);
    if std::env::var_os("SHOP_SLOW").is_some() {
        builder = builder.section("Deliveries", deliveries);
    }
    let mut guard = vec![builder.install().expect("installed")];
    println!("\nready");
    let (mut held, mut task) = (Vec::new(), None);
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match &*line {
            "pay" => held.push(waiting(pay)),
            "ship" => held.push(waiting(ship)),
            "lock" => obstacles::lock_crosswise(),
            "become" => {
                println!("done");
                become_another_program("exec sleep 600");
            }
            // One with a handler of its own.
            "become trapping" => {
                println!("done");
                become_another_program(
                    "trap 'echo harmed' USR2; echo trapped; read line; echo \"$line\"; read line",
                );
            }
            "spin" => drop(thread::spawn(spin)),
            "share" => (0..2).for_each(|_| drop(thread::spawn(share))),
            "crash" => crash(),
            "release" => held.clear(),
            "crowd" => held.extend((0..1_000).map(|_| waiting(pay))),
            "late" => IS_LATE.store(true, Ordering::SeqCst),
            "on time" => IS_LATE.store(false, Ordering::SeqCst),
            "no files" => obstacles::refuse_memory_files(),
            "wedge" => {
                println!("done");
                obstacles::hold_the_allocator();
            }
            "uninstall" => guard.clear(),
            "task" => task = Some(polled()),
            "serve" => println!("{}", crate::collect::serve()),
            "poll" => task.as_ref().expect("a task").poll(),
            other => panic!("{other}"),
        }
        println!("done");
    }
}

static IS_LATE: AtomicBool = AtomicBool::new(false);

/// A section that takes longer than its deadline while it is told to.
fn deliveries() -> u32 {
    while IS_LATE.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(5));
    }
    7
}

/// Starts a thread that waits in this function until the sender is dropped.
fn waiting(wait: fn(&mut dyn FnMut())) -> Sender<()> {
    let (sender, receiver) = channel();
    let (arrived, has_arrived) = channel();
    thread::spawn(move || {
        wait(&mut || {
            let _ = arrived.send(());
            let _ = receiver.recv();
        });
    });
    has_arrived.recv().expect("it starts");
    sender
}

#[inline(never)]
fn pay(wait: &mut dyn FnMut()) {
    wait();
    std::hint::black_box(1);
}

#[inline(never)]
fn ship(wait: &mut dyn FnMut()) {
    wait();
    std::hint::black_box(2);
}

/// Has this process run a shell with this script, and without gmr.
fn become_another_program(script: &str) {
    let error = Command::new("sh").args(["-c", script]).exec();
    panic!("{error}");
}

#[inline(never)]
fn crash() {
    std::process::abort();
}

#[inline(never)]
fn spin() {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    thread::Builder::new()
        .name("spinning".to_owned())
        .spawn(|| {
            loop {
                COUNT.fetch_add(1, Ordering::Relaxed);
            }
        })
        .expect("a thread");
}

/// Spends its processor time in three functions: half in the first. The rounds are not of the same
/// length: the kernel takes the processor away at regular times.
fn share() {
    let (mut until, mut random) = (used(), 1_u32);
    loop {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let tenth = Duration::from_micros(u64::from(50 + (random >> 16) % 100));
        for (spend, part) in [(half_of_the_time as fn(Duration), 5), (three_tenths, 3), (a_fifth, 2)] {
            until += tenth * part;
            spend(until);
        }
    }
}

/// The processor time of this thread.
fn used() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).expect("less than a second"))
}

#[inline(never)]
fn half_of_the_time(until: Duration) {
    while used() < until {}
    std::hint::black_box(5);
}

#[inline(never)]
fn three_tenths(until: Duration) {
    while used() < until {}
    std::hint::black_box(3);
}

#[inline(never)]
fn a_fifth(until: Duration) {
    while used() < until {}
    std::hint::black_box(2);
}

/// A task that waits for ever, on a thread that polls it when it is told to, or when a report wakes
/// it.
struct Task {
    waker: Waker,
    polls: Arc<Unparks>,
}

struct Unparks(thread::Thread, AtomicBool, AtomicU32);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.1.store(true, Ordering::SeqCst);
        self.0.unpark();
    }
}

fn polled() -> Task {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let polls = Arc::new(Unparks(thread::current(), AtomicBool::new(true), AtomicU32::new(0)));
        let mut task = pin!(orders().tracked_as("orders"));
        let waker = Waker::from(Arc::clone(&polls));
        loop {
            if polls.1.swap(false, Ordering::SeqCst) {
                assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                polls.2.fetch_add(1, Ordering::SeqCst);
                let _ = sender.send(Task { waker: waker.clone(), polls: Arc::clone(&polls) });
            }
            thread::park();
        }
    });
    receiver.recv().expect("it is polled")
}

impl Task {
    /// Has it polled, and waits until it has been.
    fn poll(&self) {
        let before = self.polls.2.load(Ordering::SeqCst);
        self.waker.wake_by_ref();
        while self.polls.2.load(Ordering::SeqCst) == before {
            thread::yield_now();
        }
    }
}

async fn orders() {
    let mut kept = None;
    std::future::poll_fn(|context| {
        kept = Some(context.waker().clone());
        Poll::<()>::Pending
    })
    .await;
}

pub(crate) struct Service {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    errors: Option<Lines<BufReader<ChildStderr>>>,
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::start_version("1.0")
    }

    pub(crate) fn start_version(version: &str) -> Self {
        let mut command = Self::command(&[]);
        command.env("SHOP", version).stderr(Stdio::piped());
        Self::start_with(command).expect("it starts")
    }

    /// How to start it, by these arguments of another command if there are any.
    pub(crate) fn command(before: &[&str]) -> Command {
        Self::command_of("service::service", before)
    }

    /// The same for the program in another test.
    pub(crate) fn command_of(test: &str, before: &[&str]) -> Command {
        let this = std::env::current_exe().expect("a path").display().to_string();
        let all = [before, &[&this, "--exact", test, "--nocapture"]].concat();
        let mut command = Command::new(all[0]);
        command.args(&all[1..]);
        // Not those of whoever runs the tests.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("SHOP", "1.0").env("GMR_FORMAT", "json").env("GMR_MIN_INTERVAL", "off");
        command
    }

    /// Starts it, and waits until it is ready. `None` if it ends.
    pub(crate) fn start_with(mut command: Command) -> Option<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().ok()?;
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let errors = child.stderr.take().map(|errors| BufReader::new(errors).lines());
        let mut service = Self { child, input, output, errors };
        service.hears("ready").then_some(service)
    }

    /// Starts it as process 1 of namespaces of its own, with a root directory that can't be
    /// written. `None` if there is no container to be had, which is said.
    pub(crate) fn start_in_container() -> Option<Self> {
        let unshare = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--net"];
        let options = ["--fork", "--kill-child", "--mount-proc", "sh", "-c"];
        let script = "mount -o remount,bind,ro / && ! touch /x 2> /dev/null && exec \"$0\" \"$@\"";
        let mut command = Self::command(&[&unshare[..], &options, &[script]].concat());
        command.stderr(Stdio::piped());
        let service = Self::start_with(command);
        if service.is_none() {
            eprintln!("skipped: no container can be made here");
        }
        service
    }

    fn hears(&mut self, expected: &str) -> bool {
        self.output.by_ref().map_while(Result::ok).any(|line| line == expected)
    }

    /// The next line of its standard output.
    pub(crate) fn line(&mut self) -> String {
        self.output.next().expect("it writes a line").expect("text")
    }

    /// Writes a line to its standard input.
    pub(crate) fn write(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("it lives");
    }

    pub(crate) fn tell(&mut self, line: &str) {
        self.write(line);
        assert!(self.hears("done"), "it has ended");
    }

    /// Tells it something, and returns the line that it answers.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}").expect("it lives");
        let answer = self.output.next().expect("it lives").expect("text");
        assert!(self.hears("done"), "it has ended");
        answer
    }

    pub(crate) fn tell_all(&mut self, lines: &[&str]) {
        for line in lines {
            self.tell(line);
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has been told to end, or has ended by itself.
    pub(crate) fn lives(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    /// Sends SIGUSR2, and returns the report.
    pub(crate) fn report(&mut self) -> String {
        self.signal(Signal::USR2);
        self.error_line()
    }

    /// The next line of its standard error.
    pub(crate) fn error_line(&mut self) -> String {
        let errors = self.errors.as_mut().expect("it is piped");
        errors.next().expect("it writes a line").expect("text")
    }

    /// Tells it to crash, and returns what it has written to standard error since.
    pub(crate) fn crash(mut self) -> String {
        writeln!(self.input, "crash").expect("it lives");
        let errors = self.errors.take().expect("it is piped");
        errors.map_while(Result::ok).map(|line| line + "\n").collect()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it lives");
    }

    /// The process that it has started.
    pub(crate) fn child(&self) -> u32 {
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("it lives");
        children.split_ascii_whitespace().next().expect("a child").parse().expect("a number")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder of a test, empty at first.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("command-{name}"));
    // Left by an earlier run.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Writes a file, and returns its path.
pub(crate) fn file(folder: &std::path::Path, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

/// What the command has printed.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

pub(crate) fn gmr(arguments: &[&str]) -> Done {
    gmr_on(arguments, "")
}

pub(crate) fn gmr_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gmr"));
    command.args(arguments);
    command
}

/// The same, with this on standard input.
pub(crate) fn gmr_on(arguments: &[&str], input: &str) -> Done {
    let mut command = gmr_command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut standard_input = child.stdin.take().expect("it is piped");
    let input = input.to_owned();
    // It can end without reading all.
    let writer = thread::spawn(move || drop(standard_input.write_all(input.as_bytes())));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("written");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Done { code: output.status.code(), output: text(output.stdout), errors: text(output.stderr) }
}

impl Done {
    /// What it has printed, if it has done what it should.
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert_eq!((self.code, &*self.errors), (Some(0), ""), "{}", self.output);
        self.output
    }

    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.well()).expect("JSON")
    }

    /// What it says, if it has failed with this code.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!((self.code, &*self.output), (Some(code), ""), "{}", self.errors);
        self.errors
    }
}

/// The elements of a JSON array.
#[track_caller]
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

/// Whether a frame of this stack names the function.
pub(crate) fn has(place: &Value, function: &str) -> bool {
    list(&place["stack"]).iter().any(|frame| frame.as_str().is_some_and(|frame| frame.contains(function)))
}
