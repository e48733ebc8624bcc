//! Tables in object storage. There is neither a lock nor a folder that could get its name at the end:
//! of a batch, `reports` is written last, and a batch without it is not there yet. An object is there
//! as a whole or not at all, and writing it again makes it what it is. So a run that was killed leaves
//! at most objects that no question reads. Nothing is ever deleted.
//!
//! Requests that fail in passing are tried again, after waits that grow.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::aws::AmazonS3Builder;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt as _, RetryConfig};
use tokio::runtime::Runtime;

use super::location::{Bucket, Location, Service};
use super::{Broken, Failed, Place, Storage};
use crate::tables::{Name, files};
use crate::threads;

/// How long a request is tried again, before what needs it fails. Somebody may be waiting for it.
const RETRIES: Duration = Duration::from_mins(1);

/// How often a listing begins anew, and the wait before the first time. Each further one is twice as
/// long.
const LISTINGS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// How many requests are made at the same time: latency is what they cost.
const AT_ONCE: usize = 32;

/// Smaller files have no table.
const MIN_BYTES: u64 = 12;

pub(super) struct Objects {
    /// As it was given.
    name: String,
    store: Arc<dyn ObjectStore>,
    /// The same without the prefix.
    bucket: Arc<dyn PaginatedListStore>,
    prefix: Path,
    runtime: &'static Runtime,
}

impl Objects {
    /// Opens it, with the access that the environment gives.
    pub(super) fn open(bucket: &Bucket) -> Result<Self, String> {
        let name = Location::Bucket(bucket.clone()).to_string();
        let Client { objects, lists } =
            client(bucket).map_err(|reason| format!("could not open {name}: {reason}"))?;
        let prefix = bucket.prefix.clone();
        let store = Arc::new(PrefixStore::new(objects, prefix.clone()));
        Ok(Self { name, store, bucket: lists, prefix, runtime: threads::runtime()? })
    }

    fn failed(&self, verb: &str, error: &Error) -> Failed {
        Failed {
            reason: format!("could not {verb} {}: {}", self.name, short(error)),
            is_passing: is_passing(error),
        }
    }

    /// Gets objects, many at the same time, and gives them to `each` as they come.
    fn get(
        &self,
        paths: &[String],
        mut each: impl FnMut(&str, Bytes) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        let get = |path: &String| {
            let (store, path) = (Arc::clone(&self.store), path.clone());
            async move {
                let location = Path::parse(&path)?;
                Ok::<_, Error>((store.get(&location).await?.bytes().await?, path))
            }
        };
        let mut objects = stream::iter(paths).map(get).buffer_unordered(AT_ONCE);
        while let Some(object) = self.runtime.block_on(objects.next()) {
            let (bytes, path) = object.map_err(|error| self.failed("read", &error))?;
            each(&path, bytes)?;
        }
        Ok(())
    }

    /// The objects whose paths begin like this. The client tries requests again, but not if a part of
    /// the answer is missing.
    fn listed(&self, beginning: &str) -> Result<Vec<ObjectMeta>, Error> {
        let list = || self.runtime.block_on(self.pages(beginning));
        for again in 0..LISTINGS {
            match list() {
                Err(error) if is_passing(&error) => thread::sleep(FIRST_WAIT * (1 << again)),
                done => return done,
            }
        }
        list()
    }

    async fn pages(&self, beginning: &str) -> Result<Vec<ObjectMeta>, Error> {
        let prefix = self.prefix.as_ref();
        let beginning =
            if prefix.is_empty() { beginning.to_owned() } else { format!("{prefix}/{beginning}") };
        let beginning = Some(beginning.as_str()).filter(|beginning| !beginning.is_empty());
        let (mut objects, mut page_token) = (Vec::new(), None);
        loop {
            let options = PaginatedListOptions { page_token, ..PaginatedListOptions::default() };
            let page = self.bucket.list_paginated(beginning, options).await?;
            objects.extend(page.result.objects.into_iter().filter_map(|object| {
                let location = object.location.prefix_match(&self.prefix)?.collect();
                Some(ObjectMeta { location, ..object })
            }));
            page_token = page.page_token;
            if page_token.is_none() {
                return Ok(objects);
            }
        }
    }

    fn put(&self, path: &str, files: Vec<(String, Vec<u8>)>) -> Result<(), Failed> {
        let put = |(name, bytes): (String, Vec<u8>)| {
            let (store, path) = (Arc::clone(&self.store), format!("{path}/{name}"));
            async move { store.put(&Path::parse(path)?, bytes.into()).await.map(drop) }
        };
        let all = stream::iter(files).map(put).buffer_unordered(AT_ONCE).try_collect::<()>();
        self.runtime.block_on(all).map_err(|error| self.failed("write to", &error))
    }
}

impl Storage for Objects {
    fn name_of(&self, path: &str) -> String {
        format!("{}/{path}", self.name.trim_end_matches('/'))
    }

    fn batches(&self, beginning: &str) -> Result<Vec<Place>, Failed> {
        let objects = self.listed(beginning).map_err(|error| self.failed("list", &error))?;
        Ok(places(objects))
    }

    fn read(
        &self,
        paths: &[String],
        each: &mut dyn FnMut(&str, Bytes) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        self.get(paths, each)
    }

    fn check(&self, places: &[Place]) -> Result<(), Broken> {
        for place in places {
            for table in Name::ALL.map(Name::table) {
                let path = place.file(table);
                let size =
                    place.files.iter().find(|file| file.location.as_ref() == path).map(|file| file.size);
                let problem = match size {
                    None => "it is not there",
                    Some(size) if size < MIN_BYTES => "it is not whole, or not Parquet",
                    Some(_) => continue,
                };
                let reason = format!("could not read {}: {problem}", self.name_of(&path));
                return Err(Broken { file: Some(path), reason });
            }
        }
        let reports: Vec<String> = places.iter().map(|place| place.file(Name::Reports.table())).collect();
        let mut file = None;
        let checked = self.get(&reports, |path, bytes| {
            file = Some(path.to_owned());
            files::check(&self.name_of(path), bytes)?;
            file = None;
            Ok(())
        });
        checked.map_err(|failed| Broken { file, reason: failed.reason })
    }

    fn lock(&self) -> Result<Option<File>, Failed> {
        Ok(None)
    }

    fn write(&self, path: &str, mut files: Vec<(String, Vec<u8>)>) -> Result<(), Failed> {
        let reports = Name::Reports.table().file();
        let last = files.extract_if(.., |(name, _)| *name == reports).collect();
        self.put(path, files)?;
        self.put(path, last)
    }

    fn marks(&self, beginning: &str) -> Result<Vec<String>, Failed> {
        let marks = self.listed(beginning).map_err(|error| self.failed("list", &error))?;
        Ok(marks.into_iter().map(|mark| mark.location.into()).collect())
    }

    fn mark(&self, path: &str, bytes: Vec<u8>) -> Result<(), Failed> {
        let (folder, name) = path.rsplit_once('/').unwrap_or_default();
        self.put(folder, vec![(name.to_owned(), bytes)])
    }

    fn objects(&self) -> Result<Box<dyn ObjectStore>, String> {
        Ok(Box::new(Arc::clone(&self.store)))
    }
}

/// A service's client: for objects, and for lists of those whose paths begin alike.
struct Client {
    objects: Arc<dyn ObjectStore>,
    lists: Arc<dyn PaginatedListStore>,
}

impl Client {
    fn of(store: impl ObjectStore + PaginatedListStore) -> Self {
        let store = Arc::new(store);
        Self { objects: Arc::clone(&store) as _, lists: store }
    }
}

fn client(bucket: &Bucket) -> Result<Client, String> {
    let retries = RetryConfig { retry_timeout: RETRIES, ..RetryConfig::default() };
    let text = |error: Error| short(&error);
    match bucket.service {
        Service::S3 => {
            let builder = AmazonS3Builder::from_env().with_bucket_name(&bucket.name).with_retry(retries);
            Ok(Client::of(builder.build().map_err(text)?))
        }
        #[cfg(feature = "gcp")]
        Service::Google => {
            let builder = object_store::gcp::GoogleCloudStorageBuilder::from_env();
            let builder = builder.with_bucket_name(&bucket.name).with_retry(retries);
            Ok(Client::of(builder.build().map_err(text)?))
        }
        #[cfg(not(feature = "gcp"))]
        Service::Google => Err("this program was built without the feature `gcp`".to_owned()),
        #[cfg(feature = "azure")]
        Service::Azure => {
            let builder = object_store::azure::MicrosoftAzureBuilder::from_env();
            let builder = builder.with_container_name(&bucket.name).with_retry(retries);
            Ok(Client::of(builder.build().map_err(text)?))
        }
        #[cfg(not(feature = "azure"))]
        Service::Azure => Err("this program was built without the feature `azure`".to_owned()),
    }
}

/// The batches that are there as a whole. Other objects are somebody else's.
fn places(objects: Vec<ObjectMeta>) -> Vec<Place> {
    let mut batches: BTreeMap<String, Vec<ObjectMeta>> = BTreeMap::new();
    for object in objects {
        let Some((batch, _)) = object.location.as_ref().rsplit_once('/') else { continue };
        let mut parts = batch.split('/');
        let is_batch = parts.next().is_some_and(|part| part.starts_with("service="))
            && parts.next().is_some_and(|part| part.starts_with("date="))
            && parts.next().is_some_and(|part| !part.starts_with('.'))
            && parts.next().is_none();
        if is_batch {
            batches.entry(batch.to_owned()).or_default().push(object);
        }
    }
    let is_whole = |place: &Place| {
        let last = place.file(Name::Reports.table());
        place.files.iter().any(|file| file.location.as_ref() == last)
    };
    batches.into_iter().map(|(path, files)| Place { path, files }).filter(is_whole).collect()
}

/// Access that is denied, and what does not exist, stay so.
fn is_passing(error: &Error) -> bool {
    /// Of a listing, the client has the status in its text alone.
    const REFUSED: &str = "non-2xx status code: 4";
    match error {
        Error::Generic { .. } => !error.to_string().contains(REFUSED),
        Error::JoinError { .. } => true,
        _ => false,
    }
}

/// On one line. Servers answer with whole pages.
fn short(error: &Error) -> String {
    const MAX: usize = 400;
    let text = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_there_once_its_reports_are() {
        let object = |path: &str| ObjectMeta {
            location: Path::parse(path).expect("a path"),
            last_modified: std::time::UNIX_EPOCH.into(),
            size: 100,
            e_tag: None,
            version: None,
        };
        let objects = [
            "service=shop/date=2026-01-02/b/reports.parquet",
            "service=shop/date=2026-01-02/b/threads.parquet",
            "service=shop/date=2026-01-02/a/threads.parquet",
            "service=shop/date=2026-01-02/.c/reports.parquet",
            "service=shop/date=2026-01-02/reports.parquet",
            "service=shop/2026-01-02/d/reports.parquet",
            "service=shop/date=2026-01-02/d/e/reports.parquet",
            "reports.parquet",
        ];
        let places = places(objects.map(object).to_vec());
        let [place] = &places[..] else { panic!("{places:?}") };
        assert_eq!((&*place.path, place.files.len()), ("service=shop/date=2026-01-02/b", 2));
        assert_eq!((place.service(), place.date()), ("shop", "2026-01-02"));
    }
}
