//! Reports in systemd's journal: each is one entry, which has all of it, and what the journal does
//! not take is on standard error, with the reason.
//!
//! The journal here is a socket of the test's, at the place of the real one in a namespace of the
//! program's, and reads entries as the documentation of the protocol says:
//! <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, IoSliceMut, Read, Seek};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{SealFlags, fcntl_get_seals};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::Signal;

use crate::program::{LIMIT, Program, program};
use crate::report::Report;

/// More than any datagram here.
const MAX_DATAGRAM: usize = 1 << 20;

struct Journal {
    directory: PathBuf,
    socket: UnixDatagram,
}

/// An entry, with the values of each field.
struct Entry {
    fields: BTreeMap<String, Vec<Vec<u8>>>,
    /// Whether it came as a file.
    is_file: bool,
}

impl Journal {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("gmr-journal-{}-{number}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let socket = UnixDatagram::bind(directory.join("socket")).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Self { directory, socket }
    }

    /// Starts the program with this journal.
    fn start(&self, variables: &[(&str, &str)]) -> Option<Program> {
        start(Some(&self.directory), variables)
    }

    fn next(&self) -> Entry {
        let mut bytes = vec![0; MAX_DATAGRAM];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let received = recvmsg(&self.socket, &mut parts, &mut control, RecvFlags::empty()).expect("an entry");
        let files = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(files) => Some(files),
            _ => None,
        });
        let file = files.flatten().next();
        let is_file = file.is_some();
        if let Some(file) = file {
            assert_eq!(received.bytes, 0, "a file comes alone");
            let seals = fcntl_get_seals(&file).unwrap();
            assert!(seals.contains(SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK), "{seals:?}");
            let mut file = File::from(file);
            file.rewind().unwrap();
            bytes.clear();
            file.read_to_end(&mut bytes).unwrap();
        } else {
            bytes.truncate(received.bytes);
        }
        Entry { fields: fields(&bytes), is_file }
    }

    /// Sends to it until it is full. Returns how many entries that takes.
    fn fill(&self) -> usize {
        let socket = UnixDatagram::unbound().unwrap();
        socket.set_nonblocking(true).unwrap();
        let path = self.directory.join("socket");
        let send = || socket.send_to(b"MESSAGE=another service's\n", &path);
        let mut count = 0;
        let full = loop {
            match send() {
                Ok(_) => count += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        count
    }

    /// Reads these entries, and none that comes once there is space.
    fn read_others(&self, count: usize) {
        for _ in 0..count {
            self.socket.recv(&mut [0; 64]).unwrap();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Starts the program, whose journal is in this directory.
fn start(journal: Option<&Path>, variables: &[(&str, &str)]) -> Option<Program> {
    let mut command = Command::new("unshare");
    let make = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal";
    let script = match journal {
        Some(path) => {
            format!("{make} && mount --bind {} /run/systemd/journal && exec \"$0\"", path.display())
        }
        None => format!("{make} && exec \"$0\""),
    };
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, program!("log_dir")]);
    command.env("GMR_LOG_DIR", "off").env("GMR_LOG_JOURNAL", "on").envs(variables.iter().copied());
    let started = Program::try_start(command);
    started.inspect_err(|said| eprintln!("skipped: no namespace with a mount of its own: {said}")).ok()
}

fn fields(mut rest: &[u8]) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut fields = BTreeMap::<String, Vec<Vec<u8>>>::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| [b'\n', b'='].contains(byte)).expect("a name ends");
        let name = str::from_utf8(&rest[..end]).unwrap().to_owned();
        assert!(name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'));
        let is_binary = rest[end] == b'\n';
        rest = &rest[end + 1..];
        let length = if is_binary {
            let (length, after) = rest.split_first_chunk::<8>().expect("a length");
            rest = after;
            usize::try_from(u64::from_le_bytes(*length)).unwrap()
        } else {
            rest.iter().position(|byte| *byte == b'\n').expect("a line ends")
        };
        fields.entry(name).or_default().push(rest[..length].to_owned());
        assert_eq!(rest[length], b'\n');
        rest = &rest[length + 1..];
    }
    fields
}

impl Entry {
    fn text(&self, name: &str) -> &str {
        let values = self.fields.get(name).unwrap_or_else(|| panic!("no {name}: {:?}", self.fields.keys()));
        assert_eq!(values.len(), 1, "{name}");
        str::from_utf8(&values[0]).unwrap()
    }

    fn report(&self) -> Report {
        Report::parse(self.text("GMR_DOCUMENT"))
    }
}

#[test]
fn a_report_is_one_entry_and_standard_error_says_so() {
    let journal = Journal::new();
    let Some(mut program) = journal.start(&[]) else { return };
    for number in 1..=2 {
        program.signal(Signal::USR2);
        let entry = journal.next();
        let report = entry.report();
        assert_eq!((report.number(), entry.text("GMR_REPORT")), (number, &*number.to_string()));
        assert_eq!(report.heading()["pid"], program.pid());
        assert_eq!(entry.text("SYSLOG_IDENTIFIER"), "shop");
        let outline = entry.text("MESSAGE");
        assert_eq!(entry.text("GMR_OUTLINE"), outline);
        assert_eq!(program.next_error_line(), format!("gmr: {outline}: in the journal\n"));
        let of_findings: Vec<_> =
            report.findings().iter().map(|finding| finding["severity"].as_str().unwrap()).collect();
        let expected = match of_findings.first() {
            Some(&"error") => "3",
            Some(&"warning") => "4",
            _ => "6",
        };
        assert_eq!(entry.text("PRIORITY"), expected, "{of_findings:?}");
        assert_eq!(entry.text("MESSAGE_ID").len(), 32);
    }
    let (status, rest) = program.end();
    assert!(status.success() && rest.is_empty(), "{status}: {rest}");
}

#[test]
fn text_is_the_message_after_a_line_about_it() {
    let journal = Journal::new();
    let Some(program) = journal.start(&[("GMR_FORMAT", "text")]) else { return };
    program.signal(Signal::USR2);
    let entry = journal.next();
    let (line, text) = entry.text("MESSAGE").split_once('\n').unwrap();
    assert_eq!(line, entry.text("GMR_OUTLINE"));
    assert!(text.trim_end().lines().last().unwrap().contains("end of report 1"), "{text}");
    assert!(!entry.fields.contains_key("GMR_DOCUMENT"));
}

#[test]
fn a_report_that_is_longer_than_a_datagram_is_passed_as_a_file() {
    let journal = Journal::new();
    let Some(mut program) = journal.start(&[]) else { return };
    program.signal(Signal::USR2);
    assert!(!journal.next().is_file, "a twin that is short");
    assert_eq!(program.ask("have a long section"), "alive");
    program.signal(Signal::USR2);
    let entry = journal.next();
    assert!(entry.is_file);
    assert_eq!(entry.report().number(), 2);
    let open = fs::read_dir(format!("/proc/{}/fd", program.pid())).unwrap();
    let open: Vec<_> = open.map(|entry| fs::read_link(entry.unwrap().path()).unwrap()).collect();
    let sockets = open.iter().filter(|path| path.to_string_lossy().starts_with("socket:")).count();
    assert!(sockets == 0 && !open.iter().any(|path| path.starts_with("/memfd:")), "{open:?}");
}

#[test]
fn reports_go_to_a_directory_as_well() {
    let journal = Journal::new();
    let Some(mut program) = journal.start(&[("GMR_LOG_DIR", "/run")]) else { return };
    program.signal(Signal::USR2);
    let lines = [program.next_error_line(), program.next_error_line()];
    let path = lines[0].trim_end().rsplit_once("): ").expect("a path").1;
    assert!(lines[1].ends_with(": in the journal\n"), "{lines:?}");
    let file = fs::read_to_string(format!("/proc/{}/root{path}", program.pid())).unwrap();
    assert_eq!(file, journal.next().text("GMR_DOCUMENT"));
}

#[test]
fn without_a_journal_reports_go_to_standard_error_and_a_warning_says_so_at_once() {
    let Some(mut program) = start(None, &[]) else { return };
    let line = program.next_error_line();
    let (what, why) = ("reports cannot be written to the journal", "No such file or directory");
    assert!(line.starts_with("gmr: warning: ") && line.contains(what) && line.contains(why), "{line}");
    program.signal(Signal::USR2);
    let line = program.next_error_line();
    assert!(line.contains("no report is written to the journal") && line.contains(why), "{line}");
    assert_eq!(program.next_report().number(), 1);
    assert!(program.end().0.success());
}

#[test]
fn a_journal_that_does_not_respond_gets_its_report_after_standard_error() {
    let journal = Journal::new();
    let Some(mut program) = journal.start(&[]) else { return };
    let others = journal.fill();
    program.signal(Signal::USR2);
    let line = program.next_error_line();
    assert!(line.contains("no report is written to the journal: no response"), "{line}");
    assert_eq!(program.next_report().number(), 1);
    journal.read_others(others);
    // The thread that waited sends it still.
    assert_eq!(journal.next().report().number(), 1);
    program.signal(Signal::USR2);
    assert_eq!(journal.next().report().number(), 2);
    assert!(program.next_error_line().ends_with(": in the journal\n"));
    assert!(program.end().0.success());
}
