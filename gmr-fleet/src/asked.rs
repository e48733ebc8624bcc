//! What the engine sees of a store: the files of the batches that are asked, as they were listed when
//! the question began. Others are not there for it, and it can write nothing.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::store::Place;

#[derive(Debug)]
pub(crate) struct Asked {
    files: BTreeMap<Path, ObjectMeta>,
    store: Box<dyn ObjectStore>,
}

impl Asked {
    pub(crate) fn new(batches: &[Place], store: Box<dyn ObjectStore>) -> Self {
        let files = batches.iter().flat_map(|place| &place.files);
        Self { files: files.map(|file| (file.location.clone(), file.clone())).collect(), store }
    }
}

impl Display for Asked {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("tables")
    }
}

fn read_only() -> Error {
    Error::NotSupported { source: "tables are only read".into() }
}

#[async_trait]
impl ObjectStore for Asked {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(read_only())
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only())
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.files.contains_key(location) {
            return self.store.get_opts(location, options).await;
        }
        Err(Error::NotFound { path: location.to_string(), source: "it is not asked".into() })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        locations.map(|_| Err(read_only())).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let is_listed = |path: &Path| prefix.is_none_or(|prefix| path.prefix_matches(prefix));
        let files = self.files.iter().filter(|(path, _)| is_listed(path));
        stream::iter(files.map(|(_, file)| Ok(file.clone())).collect::<Vec<_>>()).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(Error::NotSupported { source: "tables are listed as a whole".into() })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(read_only())
    }
}
