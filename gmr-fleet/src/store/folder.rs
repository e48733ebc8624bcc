//! Tables in a folder. A batch is written elsewhere, and gets its name once all of it is on the disk.
//! Who writes holds a lock.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::{ObjectMeta, ObjectStore};

use super::{Broken, Failed, Place, Storage};
use crate::tables::{Name, files};

/// Who holds a lock on it may write.
const LOCK: &str = ".lock";
/// Batches that are being written. What is left there is of writers that were killed.
const STAGING: &str = ".staging";

pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    fn staging(&self) -> PathBuf {
        self.path.join(STAGING)
    }

    fn place(&self, folder: &Path) -> Result<Place, Failed> {
        let path = folder.strip_prefix(&self.path).unwrap_or(folder).to_string_lossy().into_owned();
        let mut files = Vec::new();
        for table in Name::ALL.map(Name::table) {
            // `check` says which one is not there.
            let Ok(metadata) = fs::metadata(folder.join(table.file())) else { continue };
            let location = format!("{path}/{}", table.file());
            files.push(ObjectMeta {
                location: object_store::path::Path::parse(&location)
                    .map_err(|error| format!("{}: {error}", folder.display()))?,
                last_modified: metadata.modified().unwrap_or(std::time::UNIX_EPOCH).into(),
                size: metadata.len(),
                e_tag: None,
                version: None,
            });
        }
        Ok(Place { path, files })
    }

    fn checked(&self, place: &Place) -> Result<(), Broken> {
        for table in Name::ALL.map(Name::table) {
            let (path, name) = (place.file(table), self.name_of(&place.file(table)));
            let open =
                File::open(self.path.join(&path)).map_err(|error| format!("could not read {name}: {error}"));
            // The engine leaves out what is empty, or not there.
            let checked = open.and_then(|file| match table.name {
                "reports" => files::check(&name, file),
                _ => files::check_end(&name, &file),
            });
            checked.map_err(|reason| Broken { file: Some(path), reason })?;
        }
        Ok(())
    }
}

impl Storage for Folder {
    fn name_of(&self, path: &str) -> String {
        self.path.join(path).display().to_string()
    }

    fn batches(&self, beginning: &str) -> Result<Vec<Place>, Failed> {
        let mut partitions = Vec::new();
        let (partition, name) = beginning.rsplit_once('/').unwrap_or_default();
        match partition {
            "" if !self.path.is_dir() => {
                let path = self.path.display();
                return Err(format!("{path} is not a folder; `gmr ship REPORTS {path}` makes it").into());
            }
            "" => {
                for service in folders(&self.path, "service=")? {
                    partitions.extend(folders(&service, "date=")?);
                }
            }
            partition => partitions.push(self.path.join(partition)),
        }
        let mut batches = Vec::new();
        for partition in partitions {
            for folder in folders(&partition, name)? {
                batches.push(self.place(&folder)?);
            }
        }
        Ok(batches)
    }

    fn read(
        &self,
        paths: &[String],
        each: &mut dyn FnMut(&str, Bytes) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        paths.iter().try_for_each(|path| {
            let bytes = fs::read(self.path.join(path))
                .map_err(|error| format!("could not read {}: {error}", self.name_of(path)))?;
            each(path, bytes.into())
        })
    }

    fn check(&self, places: &[Place]) -> Result<(), Broken> {
        places.iter().try_for_each(|place| self.checked(place))
    }

    /// The lock ends with the process.
    fn lock(&self) -> Result<Option<File>, Failed> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let locked = options.open(self.path.join(LOCK)).and_then(|lock| {
            lock.lock()?;
            match fs::remove_dir_all(self.staging()) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(lock),
            }
        });
        locked.map(Some).map_err(|error| self.failed(&error))
    }

    fn write(&self, path: &str, files: Vec<(String, Vec<u8>)>) -> Result<(), Failed> {
        self.written(path, files).map_err(|error| self.failed(&error))
    }

    fn marks(&self, beginning: &str) -> Result<Vec<String>, Failed> {
        let (folder, beginning) = beginning.rsplit_once('/').unwrap_or_default();
        let path = self.path.join(folder);
        let failed = |error: io::Error| format!("could not list {}: {error}", path.display());
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut marks = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            // The others are being written.
            let is_meant = |name: &&str| name.starts_with(beginning) && !name.starts_with('.');
            marks.extend(name.to_str().filter(is_meant).map(|name| format!("{folder}/{name}")));
        }
        Ok(marks)
    }

    fn mark(&self, path: &str, bytes: Vec<u8>) -> Result<(), Failed> {
        self.marked(path, &bytes).map_err(|error| self.failed(&error))
    }

    fn objects(&self) -> Result<Box<dyn ObjectStore>, String> {
        let store = LocalFileSystem::new_with_prefix(&self.path).map_err(|error| error.to_string())?;
        Ok(Box::new(store))
    }
}

impl Folder {
    /// A disk that is full now can have space later.
    fn failed(&self, error: &io::Error) -> Failed {
        let is_passing = !matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem);
        Failed { reason: format!("could not write to {}: {error}", self.path.display()), is_passing }
    }

    fn marked(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path.join(path);
        let folder = path.parent().unwrap_or(&self.path);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        create(folder)?;
        let staged = folder.join(format!(".{name}-{}", process::id()));
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&staged)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&staged, &path)?;
        sync(folder)
    }

    fn written(&self, path: &str, files: Vec<(String, Vec<u8>)>) -> io::Result<()> {
        let batch = self.path.join(path);
        let partition = batch.parent().unwrap_or(&self.path);
        let name = batch.file_name().unwrap_or_default().to_string_lossy();
        let staging = self.staging().join(format!("{name}-{}", process::id()));
        create(&staging)?;
        for (name, bytes) in files {
            let mut file =
                File::options().write(true).create_new(true).mode(0o600).open(staging.join(name))?;
            file.write_all(&bytes)?;
            file.sync_all()?;
        }
        sync(&staging)?;
        create(partition)?;
        fs::rename(&staging, &batch)?;
        // The names on the way, from the inside out.
        [partition, partition.parent().unwrap_or(&self.path), &self.path].into_iter().try_for_each(sync)
    }
}

/// Makes a folder, and those on the way, for their user alone.
pub(super) fn create(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
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
