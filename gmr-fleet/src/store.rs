//! The store of the tables. A batch of reports has a file for each table:
//!
//! ```text
//! service=shop/date=2026-01-02/4f0c..d1-86a2..07/{reports,threads,..}.parquet
//! ```
//!
//! A reader finds all tables of a report, or none: how, is up to the kind of storage. A batch's name
//! is made from its reports and begins with their host, and a report that is there already is not
//! written again, so that no report is there twice. Which ones are there, is looked up among the batches
//! of its host and those of several hosts. Nothing that is there is changed.

mod folder;
mod location;
mod objects;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;

use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use bytes::Bytes;
use object_store::{ObjectMeta, ObjectStore};

pub(crate) use self::location::Location;
use crate::origin::{Looked, Origin, Reports, name_of};
use crate::split::Partition;
use crate::tables::{Name, Table, files};

/// Why something of a store could not be done.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) reason: String,
    /// Whether it can be different later, without anybody changing the command.
    pub(crate) is_passing: bool,
}

impl From<String> for Failed {
    fn from(reason: String) -> Self {
        Self { reason, is_passing: false }
    }
}

impl From<Failed> for String {
    fn from(failed: Failed) -> Self {
        failed.reason
    }
}

/// A file that is not there, or not whole.
pub(crate) struct Broken {
    /// Its path; `None` if that could not be found out.
    pub(crate) file: Option<String>,
    pub(crate) reason: String,
}

/// A batch.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Below the tables, as `service=shop/date=2026-01-02/4f0c..d1-86a2..07`.
    pub(crate) path: String,
    /// Its files.
    pub(crate) files: Vec<ObjectMeta>,
}

impl Place {
    /// The path of the file of a table.
    pub(crate) fn file(&self, table: &Table) -> String {
        format!("{}/{}", self.path, table.file())
    }

    pub(crate) fn service(&self) -> &str {
        self.part("service=")
    }

    pub(crate) fn date(&self) -> &str {
        self.part("date=")
    }

    fn part(&self, name: &str) -> &str {
        self.path.split('/').find_map(|part| part.strip_prefix(name)).unwrap_or_default()
    }
}

/// A kind of storage. Paths are those below the tables.
pub(crate) trait Storage {
    /// What people know a file as.
    fn name_of(&self, path: &str) -> String;

    /// The whole batches whose paths begin like this, by path: with the path of a partition and the
    /// beginning of a name in it, or with nothing.
    fn batches(&self, beginning: &str) -> Result<Vec<Place>, Failed>;

    /// Gives each of these files to `each`, with its path, in any order.
    fn read(
        &self,
        paths: &[String],
        each: &mut dyn FnMut(&str, Bytes) -> Result<(), Failed>,
    ) -> Result<(), Failed>;

    /// Whether all files of these batches are there and whole.
    fn check(&self, places: &[Place]) -> Result<(), Broken>;

    /// Waits for others that write, where the storage has a lock.
    fn lock(&self) -> Result<Option<File>, Failed>;

    /// Writes a batch: all of its files, or none.
    fn write(&self, path: &str, files: Vec<(String, Vec<u8>)>) -> Result<(), Failed>;

    /// The paths of the marks that begin like this: with a folder and the beginning of a name in it.
    /// None if the folder is not there.
    fn marks(&self, beginning: &str) -> Result<Vec<String>, Failed>;

    /// Writes a mark: a file that is no table. All of it, or none.
    fn mark(&self, path: &str, bytes: Vec<u8>) -> Result<(), Failed>;

    /// The files, for an engine.
    fn objects(&self) -> Result<Box<dyn ObjectStore>, String>;
}

/// Opens the tables at a location.
pub(crate) fn open(location: &Location) -> Result<Box<dyn Storage>, String> {
    Ok(match location {
        Location::Folder(path) => Box::new(folder::Folder::new(path)),
        Location::Bucket(bucket) => Box::new(objects::Objects::open(bucket)?),
    })
}

/// Reads a file of a table: these columns of it, batch by batch, or all columns.
pub(crate) fn read(
    storage: &dyn Storage,
    path: &str,
    columns: Option<&[&str]>,
    mut each: impl FnMut(&RecordBatch),
) -> Result<(), String> {
    let read = storage.read(&[path.to_owned()], &mut |path, bytes| {
        Ok(files::read(&storage.name_of(path), bytes, columns, &mut each)?)
    });
    Ok(read?)
}

/// The store, for one that writes to it.
pub(crate) struct Store {
    storage: Box<dyn Storage>,
    /// The reports of each partition that was looked at.
    known: HashMap<Partition, Known>,
}

#[derive(Default)]
struct Known {
    looked: Looked,
    batches: HashSet<String>,
    reports: HashSet<String>,
}

impl Store {
    /// Opens it, and makes the folder if it is not there.
    pub(crate) fn create(location: &Location) -> Result<Self, String> {
        if let Location::Folder(path) = location {
            folder::create(path).map_err(|error| format!("could not create {}: {error}", path.display()))?;
        }
        Ok(Self { storage: open(location)?, known: HashMap::new() })
    }

    /// Whether this report is there.
    pub(crate) fn has(
        &mut self,
        partition: &Partition,
        origin: &Origin,
        report: &str,
    ) -> Result<bool, Failed> {
        if !self.known.get(partition).is_some_and(|known| known.looked.has(origin)) {
            self.look(partition, BTreeSet::from([origin.clone()]))?;
        }
        Ok(self.known.get(partition).is_some_and(|known| known.reports.contains(report)))
    }

    /// Writes a batch of these reports, with the rows of all tables. Returns how many of its reports
    /// were not there yet.
    pub(crate) fn add(
        &mut self,
        partition: &Partition,
        reports: &Reports,
        tables: &[RecordBatch],
    ) -> Result<usize, Failed> {
        let lock = self.storage.lock()?;
        // Another writer can have been here.
        self.look(partition, reports.values().cloned().collect())?;
        let known = self.known.entry(partition.clone()).or_default();
        let mut new = reports.clone();
        new.retain(|report, _| !known.reports.contains(report));
        if new.is_empty() {
            return Ok(0);
        }
        let kept: Option<HashSet<&str>> =
            (new.len() < reports.len()).then(|| new.keys().map(String::as_str).collect());
        let mut files = Vec::new();
        for (table, rows) in Name::ALL.map(Name::table).into_iter().zip(tables) {
            let rows = match &kept {
                Some(kept) if table.columns[0].name == "report_id" => &only(rows, kept),
                _ => rows,
            };
            files.push((table.file(), files::write(table, rows)?));
        }
        let path = format!("{}/{}", partition.path(), name_of(&new));
        self.storage.write(&path, files)?;
        known.batches.insert(path);
        let count = new.len();
        known.reports.extend(new.into_keys());
        drop(lock);
        Ok(count)
    }

    /// The ids of the marks that begin like one of these.
    pub(crate) fn marked(&self, beginnings: &[String]) -> Result<HashSet<String>, Failed> {
        let (mut marks, mut marked) = (Vec::new(), HashSet::new());
        for beginning in beginnings {
            marks.extend(self.storage.marks(beginning)?);
        }
        self.storage.read(&marks, &mut |_, bytes| {
            marked.extend(String::from_utf8_lossy(&bytes).lines().map(str::to_owned));
            Ok(())
        })?;
        Ok(marked)
    }

    /// Marks these reports in a folder.
    pub(crate) fn mark(&self, folder: &str, reports: &Reports) -> Result<(), Failed> {
        let lines: String = reports.keys().flat_map(|id| [id, "\n"]).collect();
        self.storage.mark(&format!("{folder}/{}", name_of(reports)), lines.into_bytes())
    }

    /// Reads which reports of these origins are there, of batches that it does not know yet.
    fn look(&mut self, partition: &Partition, origins: BTreeSet<Origin>) -> Result<(), Failed> {
        let known = self.known.entry(partition.clone()).or_default();
        let mut batches = Vec::new();
        for beginning in known.looked.beginnings(&partition.path(), &origins) {
            batches.extend(self.storage.batches(&beginning)?);
        }
        batches.retain(|place| !known.batches.contains(&place.path));
        let paths: Vec<String> = batches.iter().map(|place| place.file(Name::Reports.table())).collect();
        let storage = &*self.storage;
        storage.read(&paths, &mut |path, bytes| {
            Ok(files::read(&storage.name_of(path), bytes, Some(&["report_id"]), |rows| {
                let ids = rows.column(0).as_string::<i32>();
                known.reports.extend(ids.iter().flatten().map(str::to_owned));
            })?)
        })?;
        known.batches.extend(batches.into_iter().map(|place| place.path));
        known.looked.add(origins);
        Ok(())
    }
}

/// The rows of these reports.
fn only(rows: &RecordBatch, reports: &HashSet<&str>) -> RecordBatch {
    let ids = rows.column(0).as_string::<i32>();
    let mask: BooleanArray = ids.iter().map(|id| Some(id.is_some_and(|id| reports.contains(id)))).collect();
    filter_record_batch(rows, &mask).expect("as many as there are rows")
}
