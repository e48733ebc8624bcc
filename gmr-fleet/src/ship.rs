//! `gmr ship`: from sources to the store. It may be killed at any time: what is in the store is
//! whole, and the next run adds what is missing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use gmr_runtime::__cli::Found;

use crate::args::Ship;
use crate::origin::{Origin, Reports};
use crate::otlp::Outbox;
use crate::output::{self, counted};
use crate::sources::{self, Folder};
use crate::split::{Batch, Partition, id_of};
use crate::store::{Failed, Store};

/// Of rows, before a batch is written: it is in memory until then.
const MAX_BYTES: usize = 128 << 20;

/// Waits between tries to write, which grow from the first to the last. The first one follows all
/// those of the storage itself.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_mins(5);

/// How long a run that has read all of a folder tries to send what it has stored. The next one goes on.
const SENDING: Duration = Duration::from_mins(1);

struct Shipper<'a> {
    args: &'a Ship,
    store: Store,
    outbox: Option<Outbox>,
    open: BTreeMap<Partition, Open>,
    /// Since when a report waits to be written.
    waits_since: Option<Instant>,
    /// Since it was last told.
    done: Done,
    /// Whether there was a report.
    any: bool,
    broken: usize,
}

/// A batch that gets more reports.
struct Open {
    reports: Reports,
    batch: Batch,
}

#[derive(Default)]
struct Done {
    added: usize,
    batches: usize,
    /// Reports that were there already.
    known: usize,
}

pub(crate) fn run(args: &Ship) -> Result<(), String> {
    let is_input = args.from == Path::new("-");
    if is_input && args.watch.is_some() {
        return Err("standard input is read until it ends, without --watch".to_owned());
    }
    if !is_input {
        sources::is_there(&args.from)?;
    }
    let outbox = args.otlp.as_deref().map(|url| Outbox::new(url, &args.to)).transpose()?;
    let mut shipper = Shipper {
        args,
        store: Store::create(&args.to)?,
        outbox,
        open: BTreeMap::new(),
        waits_since: None,
        done: Done::default(),
        any: false,
        broken: 0,
    };
    if is_input {
        shipper.input()?;
    } else {
        shipper.folder()?;
    }
    match (shipper.any, shipper.broken) {
        (true, _) => Ok(()),
        (false, 0) => {
            let from = if is_input { "standard input".into() } else { args.from.display().to_string() };
            Err(format!(
                "there is no report as JSON in {from}; set GMR_FORMAT=json for the processes, or \
                 GMR_FORMAT=json-lines if they write to a log"
            ))
        }
        (false, _) => Err("there is no report that can be read".to_owned()),
    }
}

impl Shipper<'_> {
    fn folder(&mut self) -> Result<(), String> {
        let mut folder = Folder::default();
        loop {
            for file in folder.changed(&self.args.from)? {
                let mut stored = Ok(());
                let read = sources::file(&file, &mut |found| {
                    stored = self.take(found);
                    stored.is_ok()
                });
                stored?;
                // One file of a folder holds up no other.
                read.unwrap_or_else(|error| self.left_out(&error));
            }
            self.write_all()?;
            let Some(interval) = self.args.watch else { return self.send_rest(Some(SENDING)) };
            self.send()?;
            self.tell();
            self.check()?;
            self.pause(interval)?;
        }
    }

    /// Sends what is due meanwhile.
    fn pause(&mut self, interval: Duration) -> Result<(), String> {
        let end = Instant::now() + interval;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let next = self.outbox.as_ref().and_then(Outbox::next);
            thread::sleep(next.map_or(left, |next| next.min(left)));
            self.send()?;
            self.tell();
            self.check()?;
        }
    }

    fn input(&mut self) -> Result<(), String> {
        let found = sources::standard_input();
        loop {
            let written = self.waits_since.map(|since| self.args.delay.saturating_sub(since.elapsed()));
            let sent = self.outbox.as_ref().and_then(Outbox::next);
            let next = match written.into_iter().chain(sent).min() {
                Some(left) => found.recv_timeout(left),
                None => found.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(found) => self.take(found)?,
                Err(RecvTimeoutError::Timeout) => {
                    if self.waits_since.is_some_and(|since| since.elapsed() >= self.args.delay) {
                        self.write_all()?;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.send()?;
            if self.check().is_err() {
                break;
            }
        }
        self.write_all()?;
        self.send_rest(None)
    }

    fn take(&mut self, found: Result<Found, String>) -> Result<(), String> {
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                self.left_out(&error);
                return Ok(());
            }
        };
        let (id, partition) = (id_of(&found.json), Partition::of(&found.report));
        let origin = Origin::of(&found.report);
        self.any = true;
        let is_open = self.open.get(&partition).is_some_and(|open| open.reports.contains_key(&id));
        if is_open {
            self.done.known += 1;
            return Ok(());
        }
        let is_stored = self.tried(|store, _| store.has(&partition, &origin, &id))?;
        let is_sent = self.tried(|store, outbox| match outbox {
            Some(outbox) => outbox.has(store, &partition, &origin, &id),
            None => Ok(true),
        })?;
        if let Some(outbox) = self.outbox.as_mut().filter(|_| !is_sent) {
            outbox.hold(&partition, &id, &found.report, is_stored);
        }
        if is_stored {
            self.done.known += 1;
            return self.send_if_full();
        }
        let new = || Open { reports: Reports::new(), batch: Batch::new() };
        let open = self.open.entry(partition.clone()).or_insert_with(new);
        open.batch.add(&id, &found);
        open.reports.insert(id, origin);
        self.waits_since.get_or_insert_with(Instant::now);
        let most = usize::try_from(self.args.batch).unwrap_or(usize::MAX);
        if open.reports.len() >= most {
            self.write(&partition)?;
        }
        if self.open.values().map(|open| open.batch.bytes()).sum::<usize>() > MAX_BYTES {
            self.write_all()?;
        }
        Ok(())
    }

    fn write_all(&mut self) -> Result<(), String> {
        while let Some(partition) = self.open.keys().next().cloned() {
            self.write(&partition)?;
        }
        self.waits_since = None;
        Ok(())
    }

    fn write(&mut self, partition: &Partition) -> Result<(), String> {
        let Some(Open { reports, batch }) = self.open.remove(partition) else { return Ok(()) };
        let (count, tables) = (reports.len(), batch.finish());
        let added = self.tried(|store, _| store.add(partition, &reports, &tables))?;
        self.done.added += added;
        self.done.known += count - added;
        self.done.batches += usize::from(added > 0);
        if let Some(outbox) = &mut self.outbox {
            outbox.release(partition);
        }
        self.send()?;
        self.send_if_full()
    }

    /// Sends what is due, as long as the receiver takes it.
    fn send(&mut self) -> Result<(), String> {
        while let Some(outbox) = &mut self.outbox
            && let Some(sent) = outbox.step()
        {
            self.tried(|store, outbox| outbox.map_or(Ok(()), |outbox| outbox.mark(store, &sent)))?;
        }
        Ok(())
    }

    /// Waits for the receiver if it has not taken too much for too long.
    fn send_if_full(&mut self) -> Result<(), String> {
        while let Some(outbox) = self.outbox.as_ref().filter(|outbox| outbox.is_full()) {
            thread::sleep(outbox.next().unwrap_or_default());
            self.send()?;
        }
        Ok(())
    }

    /// Sends all of it, and says what has been done.
    ///
    /// # Errors
    /// The receiver has not taken it within this time.
    fn send_rest(&mut self, most: Option<Duration>) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            self.send()?;
            let Some(left) = self.outbox.as_ref().and_then(Outbox::next) else { break };
            if most.is_some_and(|most| begun.elapsed() + left > most) {
                self.tell();
                let count = self.outbox.as_ref().map_or(0, Outbox::count);
                return Err(format!(
                    "{} stored and not sent; run the command again to send the rest",
                    counted(count, "report")
                ));
            }
            thread::sleep(left);
        }
        self.tell();
        self.check()
    }

    /// Whether the receiver takes what is sent from here.
    fn check(&self) -> Result<(), String> {
        self.outbox.as_ref().map_or(Ok(()), Outbox::check)
    }

    /// Does something with the store. A run that goes on, or that can't read its input again, waits
    /// for a store that does not answer: what it has is kept until it has arrived.
    fn tried<T>(
        &mut self,
        mut act: impl FnMut(&mut Store, Option<&mut Outbox>) -> Result<T, Failed>,
    ) -> Result<T, String> {
        let waits = self.args.watch.is_some() || self.args.from == Path::new("-");
        let mut wait = FIRST_WAIT;
        loop {
            match act(&mut self.store, self.outbox.as_mut()) {
                Ok(done) => return Ok(done),
                Err(Failed { reason, is_passing }) if waits && is_passing => {
                    output::warn(&format!("{reason}; trying again in {}", humantime::format_duration(wait)));
                    thread::sleep(wait);
                    wait = LAST_WAIT.min(wait * 2);
                }
                Err(failed) => return Err(failed.reason),
            }
        }
    }

    fn left_out(&mut self, reason: &str) {
        self.broken += 1;
        output::warn(&format!("left out: {reason}"));
    }

    /// What has been done since the last time.
    fn tell(&mut self) {
        let Done { added, batches, known } = std::mem::take(&mut self.done);
        if added + known > 0 {
            self.tell_added(added, batches, known);
        }
        if let Some((sent, receiver)) = self.outbox.as_mut().and_then(Outbox::told) {
            output::warn(&format!("{} sent to {receiver}", counted(sent, "report")));
        }
    }

    fn tell_added(&self, added: usize, batches: usize, known: usize) {
        let was_there =
            if known > 0 { format!(", {} there already", output::number(known)) } else { String::new() };
        let to = &self.args.to;
        output::warn(&format!(
            "{} added to {to} in {}{was_there}",
            counted(added, "report"),
            counted(batches, "batch")
        ));
    }
}
