//! Reports for the command `gmr report`: each request gets a memory file, on a thread of its own.
//! The file is made before the report, which tells the command that its request has arrived. Text
//! is written piece by piece, JSON once it is complete.
//!
//! The reporter does not wait for the command, and learns nothing of it: it may be gone. So the
//! thread ends by itself, some time after the report.

use std::sync::Arc;
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
    parts: Sender<Part>,
}

/// What the thread gets.
enum Part {
    /// Bytes of the text.
    Bytes(Vec<u8>),
    /// The report, of which the thread makes the bytes.
    Report(Arc<Report>),
    /// The report is complete.
    End,
}

/// What the thread needs.
struct Thread {
    name: String,
    format: Format,
    detail: Detail,
    max_bytes: Option<usize>,
    is_made: Sender<Result<(), String>>,
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
    pub(super) fn begin(&mut self, attach: Attach) -> Result<(), String> {
        if own_threads::count(THREAD) >= MOST {
            return Err(format!("{MOST} others have requested reports within two seconds"));
        }
        let Self { detail, max_bytes, .. } = *self;
        let wanted = if attach.is_json { "json" } else { "text" };
        // The name says which one it is where the feature is disabled.
        let format: Format = wanted.parse().unwrap_or_default();
        let name = format!("{}{format}", Attach::file_begin(attach.token));
        let (is_made, answer) = channel::channel();
        let (parts, received) = channel::channel();
        let thread = Thread { name, format, detail, max_bytes, is_made, parts: received };
        own_threads::spawn(THREAD, move || thread.run())
            .map_err(|error| format!("could not start a thread: {error}"))?;
        // If it is late, the file ends without any report.
        answer.recv_timeout(MADE_WITHIN).map_err(|_| "the thread for it does not start".to_owned())??;
        let is_text = format == Format::Text;
        if is_text {
            self.text.get_or_insert_with(|| Stream::new(Format::Text, detail, max_bytes));
        }
        self.clients.push(Client { is_text, parts });
        Ok(())
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
        for Client { is_text, parts } in self.clients {
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

impl Thread {
    fn run(self) {
        let Self { name, format, detail, max_bytes, is_made, parts } = self;
        capture::shield_thread(None);
        let made = Instant::now();
        let mut file = match Offered::create(&name) {
            Ok(file) => file,
            Err(reason) => {
                let _ = is_made.send(Err(reason));
                return;
            }
        };
        if is_made.send(Ok(())).is_err() {
            return;
        }
        for part in parts.iter() {
            match part {
                Part::Bytes(bytes) => file.write(&bytes),
                Part::Report(report) => {
                    file.write(&Stream::new(format, detail, max_bytes).finish(&report));
                }
                Part::End => file.end(),
            }
        }
        sys::sleep(OPEN_FOR.saturating_sub(made.elapsed()));
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
        let attach = |is_json, token| Attach { is_json, without_tasks: false, token };
        let pid = std::process::id();
        let (text, json) = (attach(false, pid), attach(true, pid ^ 0x5555_0000));
        let mut files = Attachments::new(Detail::Short, None);
        files.begin(text).unwrap();
        files.begin(json).unwrap();
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
    }
}
