//! Starts the threads that watch what an option names. Each is a thread of its own, so that what one
//! waits for cannot delay another.

use std::path::Path;
use std::sync::Arc;

use super::warning::warn;
use crate::capture;
use crate::sys::channel::Sender;
use crate::sys::own_threads;
use crate::trigger::{Outbox, file};

/// Starts the thread that notices when the file is touched. It says when it is `ready`.
pub(super) fn watch_file(file: &Path, outbox: &Arc<Outbox>, ready: &Sender<()>) {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let (watched, is_ready) = (Arc::clone(outbox), ready.clone());
    let watch = move || {
        capture::shield_thread(None);
        file::watch(&file, &watched, || {
            let _ = is_ready.send(());
        });
    };
    if let Err(error) = own_threads::spawn("gmr file", watch) {
        warn(&format!("could not start the thread that watches the trigger file: {error}"));
    }
}
