//! Where tables are: in a folder, or in object storage under an address such as `s3://BUCKET/PREFIX`.
//! It only reads what a user has given.

use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use object_store::path::Path;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    Folder(PathBuf),
    Bucket(Bucket),
}

/// Objects of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) service: Service,
    pub(crate) name: String,
    /// What the names of the objects begin with. It can be empty.
    pub(crate) prefix: Path,
}

/// Whose storage it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    S3,
    Google,
    Azure,
}

impl Service {
    const ALL: [Self; 3] = [Self::S3, Self::Google, Self::Azure];

    fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3://",
            Self::Google => "gs://",
            Self::Azure => "az://",
        }
    }
}

impl Location {
    /// Reads an argument.
    pub(crate) fn of(argument: OsString) -> Result<Self, String> {
        let text = argument.to_str().unwrap_or_default();
        if let Some(path) = text.strip_prefix("file://") {
            let path = Path::from_url_path(path.strip_prefix('/').ok_or("expected `file:///PATH`")?);
            let path = path.map_err(|error| error.to_string())?;
            return Ok(Self::Folder(format!("/{path}").into()));
        }
        for service in Service::ALL {
            let Some(rest) = text.strip_prefix(service.scheme()) else { continue };
            let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_plain) {
                return Err(format!("expected `{}BUCKET/PREFIX`", service.scheme()));
            }
            let prefix = Path::parse(prefix.trim_matches('/')).map_err(|error| error.to_string())?;
            return Ok(Self::Bucket(Bucket { service, name: name.to_owned(), prefix }));
        }
        Ok(Self::Folder(argument.into()))
    }

    /// The same, for somebody who is in another folder.
    pub(crate) fn absolute(&self) -> String {
        match self {
            Self::Folder(path) => {
                std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string()
            }
            Self::Bucket(_) => self.to_string(),
        }
    }
}

impl Display for Location {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(formatter, "{}", path.display()),
            Self::Bucket(Bucket { service, name, prefix }) => {
                write!(formatter, "{}{name}/{prefix}", service.scheme())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_bucket_and_all_else_a_folder() {
        let of = |text: &str| Location::of(text.into());
        let bucket = |service, name: &str, prefix: &str| {
            let prefix = Path::parse(prefix).expect("a path");
            Ok(Location::Bucket(Bucket { service, name: name.to_owned(), prefix }))
        };
        assert_eq!(of("s3://reports/shop/a=~b/"), bucket(Service::S3, "reports", "shop/a=~b"));
        assert_eq!(of("s3://my.reports"), bucket(Service::S3, "my.reports", ""));
        assert_eq!(of("gs://reports/x"), bucket(Service::Google, "reports", "x"));
        assert_eq!(of("az://reports/x"), bucket(Service::Azure, "reports", "x"));
        for path in ["tables", "/s3://x", "s3:/x", "../s3"] {
            assert_eq!(of(path), Ok(Location::Folder(path.into())));
        }
        assert_eq!(of("file:///var/a%20b"), Ok(Location::Folder("/var/a b".into())));
        for text in
            ["s3://", "s3:///x", "s3://a b/x", "s3://a/../b", "s3://a//b//c", "gs://?", "file://host/x"]
        {
            assert!(of(text).is_err(), "{text}");
        }
        for text in ["s3://reports/shop/x", "/var/tables"] {
            assert_eq!(of(text).map(|location| location.to_string()), Ok(text.to_owned()));
        }
    }
}
