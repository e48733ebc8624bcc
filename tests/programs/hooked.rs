//! Captures a report in its panic hook, without having installed gmr. For each line, a thread
//! panics.

use std::panic;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

fn main() {
    let (send, reports) = mpsc::channel();
    let send = Mutex::new(send);
    panic::set_hook(Box::new(move |_| {
        let json = serde_json::to_string(&gmr::Report::capture()).unwrap_or_else(|error| error.to_string());
        let _ = send.lock().map(|send| send.send(json));
    }));
    gmr_tests::converse(|_| {
        let panicked = thread::Builder::new().name("unlucky".to_owned()).spawn(|| panic!("out of luck"));
        let _ = panicked.map(thread::JoinHandle::join);
        reports.try_recv().unwrap_or_else(|error| error.to_string())
    });
}
