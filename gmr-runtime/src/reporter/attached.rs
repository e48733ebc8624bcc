//! Reports for the command `gmr report`: each request gets a memory file, on a thread of its own.
//! The file is made before the report, which tells the command that its request has arrived. Text
//! is written piece by piece, JSON once it is complete.
//!
//! The reporter does not wait for the command, and learns nothing of it: it may be gone. So the
//! thread ends by itself, some time after the report. Until then, it takes the next look of the same
//! command, and closes the file of the one before.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use crate::model::Report;
use crate::sinks::Offered;
use crate::sys::attach::Attach;
use crate::sys::channel::{self, Receiver, Sender};
use crate::sys::own_threads;
use crate::views::{Detail, Format, Piece, Stream};
use crate::{capture, sys};

/// The name of the threads. The command looks for it.
const THREAD: &str = "gmr attach";

/// How long a file stays open at least. The command looks for it every few milliseconds; where it
/// gets hardly any processor time, this is enough for it to open the file once.
const OPEN_FOR: Duration = Duration::from_secs(2);

/// How often a thread that has nothing to do looks whether the reporter is still there. It would be
/// woken if not, so this is any long time.
const IDLE: Duration = Duration::from_secs(60);

/// How long the thread may take to make the file. It takes a fraction of a millisecond.
const MADE_WITHIN: Duration = Duration::from_secs(1);

/// The most files at a time: each takes a thread, and the memory of a report. It is far more than
/// people look at the same process within two seconds.
const MOST: usize = 16;

/// The files that one report is written to.
pub(super) struct Attachments {
    detail: Detail,
    max_bytes: Option<usize>,
    /// Makes the text of all of them, if there are any.
    text: Option<Stream>,
    clients: Vec<Client>,
}

/// One who has a file, as the reporter knows it.
struct Client {
    is_text: bool,
    /// If it is the file of a look.
    looker: Option<u32>,
    parts: Sender<Part>,
}

/// The threads that have files of looks, the oldest first, by the command that looks. Some may have
/// ended.
#[derive(Default)]
pub(super) struct Lookers(VecDeque<(u32, Sender<Part>)>);

impl Lookers {
    fn take(&mut self, looker: Option<u32>) -> Option<Sender<Part>> {
        let index = self.0.iter().position(|(known, _)| Some(*known) == looker)?;
        self.0.remove(index).map(|(_, parts)| parts)
    }

    fn keep(&mut self, looker: Option<u32>, parts: &Sender<Part>) {
        let Some(looker) = looker else { return };
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((looker, parts.clone()));
    }
}

/// What the thread gets.
enum Part {
    /// A file of this name is wanted, for a report in this format. The one before is closed.
    Begin(String, Format, Sender<Result<(), String>>),
    /// Bytes of the text.
    Bytes(Vec<u8>),
    /// The report, of which the thread makes the bytes.
    Report(Arc<Report>),
    /// The report is complete.
    End,
}

/// What the thread needs.
struct Thread {
    detail: Detail,
    max_bytes: Option<usize>,
    parts: Receiver<Part>,
}

impl Attachments {
    /// None, for a report in this style.
    pub(super) fn new(detail: Detail, max_bytes: Option<usize>) -> Self {
        Self { detail, max_bytes, text: None, clients: Vec::new() }
    }

    /// Makes the file for this request. The report must not have begun.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(super) fn begin(&mut self, attach: Attach, lookers: &mut Lookers) -> Result<(), String> {
        let wanted = if attach.is_json { "json" } else { "text" };
        // The name says which one it is where the feature is disabled.
        let format: Format = wanted.parse().unwrap_or_default();
        let name = format!("{}{format}", Attach::file_begin(attach.token));
        let looker = attach.looker();
        // It ends at any time.
        let kept = lookers.take(looker).filter(|parts| make_file(parts, &name, format).is_ok());
        let parts = if let Some(parts) = kept {
            parts
        } else {
            let parts = self.start_thread()?;
            make_file(&parts, &name, format)?;
            parts
        };
        lookers.keep(looker, &parts);
        // The command has not waited for its look before, whose file is closed by now.
        self.clients.retain(|client| client.looker.is_none() || client.looker != looker);
        let is_text = format == Format::Text;
        if is_text {
            let Self { detail, max_bytes, .. } = *self;
            self.text.get_or_insert_with(|| Stream::new(Format::Text, detail, max_bytes));
        }
        self.clients.push(Client { is_text, looker, parts });
        Ok(())
    }

    fn start_thread(&self) -> Result<Sender<Part>, String> {
        if own_threads::count(THREAD) >= MOST {
            return Err(format!("{MOST} others have requested reports within two seconds"));
        }
        let (parts, received) = channel::channel();
        let thread = Thread { detail: self.detail, max_bytes: self.max_bytes, parts: received };
        own_threads::spawn(THREAD, move || thread.run())
            .map_err(|error| format!("could not start a thread: {error}"))?;
        Ok(parts)
    }

    /// A piece of the report is known.
    pub(super) fn write(&mut self, piece: &Piece<'_>) {
        if let Some(text) = &mut self.text {
            let bytes = text.piece(piece);
            self.write_text(&bytes);
        }
    }

    /// The report is complete.
    pub(super) fn end(mut self, report: &Arc<Report>) {
        if let Some(text) = self.text.take() {
            let bytes = text.finish(report);
            self.write_text(&bytes);
        }
        for Client { is_text, parts, .. } in self.clients {
            // This fails if the thread has panicked.
            if !is_text {
                let _ = parts.send(Part::Report(Arc::clone(report)));
            }
            let _ = parts.send(Part::End);
        }
    }

    fn write_text(&self, bytes: &[u8]) {
        for client in self.clients.iter().filter(|client| client.is_text && !bytes.is_empty()) {
            let _ = client.parts.send(Part::Bytes(bytes.to_vec()));
        }
    }
}

/// Has the thread make a file.
fn make_file(parts: &Sender<Part>, name: &str, format: Format) -> Result<(), String> {
    let (is_made, answer) = channel::channel();
    let _ = parts.send(Part::Begin(name.to_owned(), format, is_made));
    // If it is late, the file ends without any report.
    answer.recv_timeout(MADE_WITHIN).map_err(|_| "the thread for it does not start".to_owned())?
}

/// A file, as the thread has it.
struct Open {
    file: Offered,
    format: Format,
    made: Instant,
    /// Whether the report is complete.
    is_complete: bool,
}

impl Thread {
    fn run(self) {
        let Self { detail, max_bytes, parts } = self;
        capture::shield_thread(None);
        let mut open: Option<Open> = None;
        loop {
            let complete = open.as_ref().filter(|open| open.is_complete);
            let left = complete.map_or(IDLE, |open| OPEN_FOR.saturating_sub(open.made.elapsed()));
            let part = match parts.recv_timeout(left) {
                Ok(part) => part,
                Err(RecvTimeoutError::Timeout) if complete.is_none() => continue,
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            match part {
                Part::Begin(name, format, is_made) => {
                    // First, since the table is emptied.
                    open = None;
                    let made = Instant::now();
                    let created = Offered::create(&name).map(|file| {
                        open = Some(Open { file, format, made, is_complete: false });
                    });
                    if is_made.send(created).is_err() || open.is_none() {
                        return;
                    }
                }
                part => {
                    let Some(open) = &mut open else { continue };
                    match part {
                        Part::Bytes(bytes) => open.file.write(&bytes),
                        Part::Report(report) => {
                            open.file.write(&Stream::new(open.format, detail, max_bytes).finish(&report));
                        }
                        _ => {
                            open.file.end();
                            open.is_complete = true;
                        }
                    }
                }
            }
        }
        sys::sleep(open.map_or(Duration::ZERO, |open| OPEN_FOR.saturating_sub(open.made.elapsed())));
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// The file of a request, while a thread has it.
    fn file_of(attach: Attach) -> Option<(PathBuf, String)> {
        let begin = format!("/memfd:{}", Attach::file_begin(attach.token));
        let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
        let lists = threads.filter_map(|thread| fs::read_dir(thread.path().join("fd")).ok());
        lists.flatten().flatten().find_map(|descriptor| {
            let link = fs::read_link(descriptor.path()).ok()?.to_str()?.to_owned();
            link.starts_with(&begin).then(|| (descriptor.path(), link))
        })
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn each_request_has_a_file_that_ends_by_itself() {
        let report = Arc::new(Report::capture());
        let attach = |is_json, token| Attach { is_json, without_tasks: false, is_look: false, token };
        let pid = std::process::id();
        let (text, json) = (attach(false, pid), attach(true, pid ^ 0x5555_0000));
        let mut files = Attachments::new(Detail::Short, None);
        files.begin(text, &mut Lookers::default()).unwrap();
        files.begin(json, &mut Lookers::default()).unwrap();
        let [(text, text_link), (json, json_link)] = [text, json].map(|one| file_of(one).unwrap());
        assert!(text_link.ends_with(" format=text (deleted)"), "{text_link}");
        let shown = if cfg!(feature = "json") { "json" } else { "text" };
        assert!(json_link.ends_with(&format!(" format={shown} (deleted)")), "{json_link}");
        let [text, json] = [text, json].map(|path| fs::File::open(path).unwrap());
        files.write(&Piece::Heading(&report.heading));
        files.end(&report);
        let read = |mut file: fs::File| {
            use rustix::fs::{SealFlags, fcntl_get_seals};
            while !fcntl_get_seals(&file).unwrap().contains(SealFlags::WRITE) {
                std::thread::yield_now();
            }
            std::io::read_to_string(&mut file).unwrap()
        };
        assert!(read(text).contains("Guru Meditation"));
        let json = read(json);
        #[cfg(feature = "json")]
        assert_eq!(json, report.to_json());
        drop(json);
        while file_of(attach(false, pid)).is_some() || own_threads::count(THREAD) > 0 {
            std::thread::yield_now();
        }
        the_next_look_closes_the_file_of_the_one_before(&report);
    }

    /// Not a test of its own: it counts threads, too.
    fn the_next_look_closes_the_file_of_the_one_before(report: &Arc<Report>) {
        let look = |looker: u32, number: u32| {
            let token = looker << 16 | number;
            Attach { is_json: true, without_tasks: true, is_look: true, token }
        };
        let (mut lookers, looker) = (Lookers::default(), std::process::id() & 0xffff);
        for number in 0..4 {
            let mut files = Attachments::new(Detail::Short, None);
            if number == 2 {
                // It has not waited for this one.
                files.begin(look(looker, 100), &mut lookers).unwrap();
            }
            files.begin(look(looker, number), &mut lookers).unwrap();
            files.begin(look(looker ^ 1, number), &mut lookers).unwrap();
            files.end(report);
            assert!(file_of(look(looker, number)).is_some());
            for before in (0..number).chain([100]) {
                assert!(file_of(look(looker, before)).is_none(), "{before} at {number}");
            }
            assert_eq!(own_threads::count(THREAD), 2);
        }
        drop(lookers);
        while own_threads::count(THREAD) > 0 {
            std::thread::yield_now();
        }
    }
}
