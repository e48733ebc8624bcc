//! The folder with the tables. A batch of reports is a folder with a file for each table:
//!
//! ```text
//! service=shop/date=2026-01-02/4f0c..d1/{reports,threads,..}.parquet
//! ```
//!
//! It is written elsewhere, and gets its name once all of it is on the disk: a reader finds all
//! tables of a report, or none. Its name is made from its reports, and a report that is there
//! already is not written again, so that no report is there twice. Nothing that is there is
//! changed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process;

use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;

use crate::split::{Batch, Partition, id_of};
use crate::tables::{Name, Table, files};

/// Who holds a lock on it may write.
const LOCK: &str = ".lock";
/// Batches that are being written. What is left there is of writers that were killed.
const STAGING: &str = ".staging";

pub(crate) struct Store {
    path: PathBuf,
    /// The reports of each partition that was looked at.
    known: HashMap<Partition, Known>,
}

#[derive(Default)]
struct Known {
    batches: HashSet<PathBuf>,
    reports: HashSet<String>,
}

/// A folder with a batch.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
}

impl Place {
    pub(crate) fn file(&self, table: &Table) -> PathBuf {
        self.path.join(table.file())
    }
}

impl Store {
    /// Opens the folder, and makes it if it is not there.
    pub(crate) fn create(path: &Path) -> Result<Self, String> {
        make_folders(path).map_err(|error| format!("could not create {}: {error}", path.display()))?;
        Ok(Self { path: path.to_owned(), known: HashMap::new() })
    }

    /// Whether this report is there.
    pub(crate) fn has(&mut self, partition: &Partition, report: &str) -> Result<bool, String> {
        if !self.known.contains_key(partition) {
            self.look(partition)?;
        }
        Ok(self.known.get(partition).is_some_and(|known| known.reports.contains(report)))
    }

    /// Writes a batch. Returns how many of its reports were not there yet.
    pub(crate) fn add(&mut self, partition: &Partition, batch: Batch) -> Result<usize, String> {
        let failed = |error: io::Error| format!("could not write to {}: {error}", self.path.display());
        let lock = self.lock().map_err(failed)?;
        // Another writer can have been here.
        self.look(partition)?;
        let known = self.known.entry(partition.clone()).or_default();
        let mut reports = batch.reports.clone();
        reports.retain(|report| !known.reports.contains(report));
        if reports.is_empty() {
            return Ok(0);
        }
        let is_whole = reports.len() == batch.reports.len();
        let mut tables = batch.finish();
        if !is_whole {
            let kept: HashSet<&str> = reports.iter().map(String::as_str).collect();
            for (name, rows) in Name::ALL.into_iter().zip(&mut tables) {
                if name.table().columns[0].name == "report_id" {
                    *rows = only(rows, &kept);
                }
            }
        }
        let name = name_of(&reports);
        let folder = self.path.join(folder_of(partition));
        let failed = |error: String| format!("could not write to {}: {error}", self.path.display());
        write(&self.path, &folder, &name, &tables).map_err(failed)?;
        known.batches.insert(folder.join(name));
        let count = reports.len();
        known.reports.extend(reports);
        drop(lock);
        Ok(count)
    }

    /// Waits for other writers to end. The lock ends with the process.
    fn lock(&self) -> io::Result<File> {
        let lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path.join(LOCK))?;
        lock.lock()?;
        match fs::remove_dir_all(self.path.join(STAGING)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(lock),
        }
    }

    /// Reads which reports are there, of batches that it does not know yet.
    fn look(&mut self, partition: &Partition) -> Result<(), String> {
        let known = self.known.entry(partition.clone()).or_default();
        for place in batches_in(&self.path.join(folder_of(partition)))? {
            if known.batches.contains(&place.path) {
                continue;
            }
            files::read(&place.file(Name::Reports.table()), Some(&["report_id"]), |rows| {
                let ids = rows.column(0).as_string::<i32>();
                known.reports.extend(ids.iter().flatten().map(str::to_owned));
            })?;
            known.batches.insert(place.path);
        }
        Ok(())
    }
}

/// All batches of a folder with tables.
pub(crate) fn batches(path: &Path) -> Result<Vec<Place>, String> {
    let mut batches = Vec::new();
    let is_there = path.is_dir();
    if !is_there {
        return Err(format!("{} is not a folder", path.display()));
    }
    for service in folders(path, "service=")? {
        for date in folders(&service, "date=")? {
            batches.extend(batches_in(&date)?);
        }
    }
    Ok(batches)
}

fn batches_in(partition: &Path) -> Result<Vec<Place>, String> {
    Ok(folders(partition, "")?.into_iter().map(|path| Place { path }).collect())
}

/// The folders in a folder whose names begin like this, sorted. None if it is not there.
fn folders(path: &Path, beginning: &str) -> Result<Vec<PathBuf>, String> {
    let failed = |error: io::Error| format!("could not list {}: {error}", path.display());
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let is_meant =
            name.to_str().is_some_and(|name| name.starts_with(beginning) && !name.starts_with('.'));
        if is_meant && entry.file_type().map_err(failed)?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort_unstable();
    Ok(folders)
}

fn folder_of(partition: &Partition) -> PathBuf {
    PathBuf::from(format!("service={}", partition.service)).join(format!("date={}", partition.date))
}

/// The same for the same reports, in whichever order they came.
fn name_of(reports: &BTreeSet<String>) -> String {
    id_of(&reports.iter().map(String::as_str).collect::<String>())
}

/// The rows of these reports.
fn only(rows: &RecordBatch, reports: &HashSet<&str>) -> RecordBatch {
    let ids = rows.column(0).as_string::<i32>();
    let mask: BooleanArray = ids.iter().map(|id| Some(id.is_some_and(|id| reports.contains(id)))).collect();
    filter_record_batch(rows, &mask).expect("as many as there are rows")
}

fn write(store: &Path, partition: &Path, name: &str, tables: &[RecordBatch]) -> Result<(), String> {
    let failed = |error: io::Error| error.to_string();
    let staging = store.join(STAGING).join(format!("{name}-{}", process::id()));
    make_folders(&staging).map_err(failed)?;
    for (table, rows) in Name::ALL.map(Name::table).into_iter().zip(tables) {
        let file = File::options().write(true).create_new(true).mode(0o600).open(staging.join(table.file()));
        let file = files::write(table, rows, file.map_err(failed)?)?;
        file.sync_all().map_err(failed)?;
    }
    sync(&staging).map_err(failed)?;
    make_folders(partition).map_err(failed)?;
    fs::rename(&staging, partition.join(name)).map_err(failed)?;
    // The names on the way, from the inside out.
    [partition, partition.parent().unwrap_or(store), store].into_iter().try_for_each(sync).map_err(failed)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn make_folders(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
