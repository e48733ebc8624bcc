//! `gmr ship`: from sources to the store. It may be killed at any time: what is in the store is
//! whole, and the next run adds what is missing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use gmr_runtime::__cli::Found;

use crate::args::Ship;
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

struct Shipper<'a> {
    args: &'a Ship,
    store: Store,
    open: BTreeMap<Partition, Batch>,
    /// Since when a report waits to be written.
    waits_since: Option<Instant>,
    /// Since it was last told.
    done: Done,
    /// Whether there was a report.
    any: bool,
    broken: usize,
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
    let mut shipper = Shipper {
        args,
        store: Store::create(&args.to)?,
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
        (false, 0) => Err("there is no report in what was read".to_owned()),
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
            self.tell();
            let Some(interval) = self.args.watch else { return Ok(()) };
            thread::sleep(interval);
        }
    }

    fn input(&mut self) -> Result<(), String> {
        let found = sources::standard_input();
        loop {
            let left = self.waits_since.map(|since| self.args.delay.saturating_sub(since.elapsed()));
            let next = match left {
                Some(left) => found.recv_timeout(left),
                None => found.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(found) => self.take(found)?,
                Err(RecvTimeoutError::Timeout) => self.write_all()?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.write_all()?;
        self.tell();
        Ok(())
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
        self.any = true;
        let is_open = self.open.get(&partition).is_some_and(|batch| batch.reports.contains(&id));
        if is_open || self.tried(|store| store.has(&partition, &id))? {
            self.done.known += 1;
            return Ok(());
        }
        let batch = self.open.entry(partition.clone()).or_insert_with(Batch::new);
        batch.add(&id, &found);
        self.waits_since.get_or_insert_with(Instant::now);
        let most = usize::try_from(self.args.batch).unwrap_or(usize::MAX);
        if batch.reports.len() >= most {
            self.write(&partition)?;
        }
        if self.open.values().map(Batch::bytes).sum::<usize>() > MAX_BYTES {
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
        let Some(batch) = self.open.remove(partition) else { return Ok(()) };
        let (reports, tables) = batch.finish();
        let count = reports.len();
        let added = self.tried(|store| store.add(partition, &reports, &tables))?;
        self.done.added += added;
        self.done.known += count - added;
        self.done.batches += usize::from(added > 0);
        Ok(())
    }

    /// Does something with the store. A run that goes on, or that can't read its input again, waits
    /// for a store that does not answer: what it has is kept until it has arrived.
    fn tried<T>(&mut self, mut act: impl FnMut(&mut Store) -> Result<T, Failed>) -> Result<T, String> {
        let waits = self.args.watch.is_some() || self.args.from == Path::new("-");
        let mut wait = FIRST_WAIT;
        loop {
            match act(&mut self.store) {
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
        if added + known == 0 {
            return;
        }
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
