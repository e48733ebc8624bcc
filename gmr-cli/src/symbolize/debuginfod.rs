//! Servers of debug information, by the protocol of debuginfod: a file for a build-id. What they send is
//! kept where other programs keep it, such as gdb, and counts only if it is whole and has the build-id.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gmr_runtime::__cli::bytes;
use ureq::http::Response;
use ureq::{Agent, Body, Error};

use crate::http;
use crate::image::image;
use crate::progress::Progress;

/// The most that is read of a file. Those of browsers, which are among the largest programs, have
/// 5 GiB.
const MAX_LENGTH: u64 = 16 << 30;

/// Servers, in the order in which they are asked.
pub(super) struct Servers {
    all: Vec<Server>,
    agent: Agent,
    /// For each file to be complete.
    timeout: Duration,
}

struct Server {
    url: String,
    /// Why it is not asked any more.
    is_down: Option<String>,
}

/// Why there is no file.
enum Failure {
    /// The server has an answer for this file.
    OfFile(String),
    /// It can't be asked, or does not answer.
    OfServer(String),
    /// What it sends can't be kept.
    Here(String),
}

impl Servers {
    pub(super) fn new(urls: &[String], timeout: Duration) -> Self {
        let server = |url: &String| Server { url: url.clone(), is_down: None };
        Self { all: urls.iter().map(server).collect(), agent: http::agent("*/*"), timeout }
    }

    /// The file with the debug information of this build-id.
    ///
    /// # Errors
    /// No server has it, for these reasons.
    pub(super) fn find(&mut self, build_id: &str, progress: &Progress) -> Result<PathBuf, String> {
        const NONE: &str = "no file with its build-id was found";
        if self.all.is_empty() {
            return Err(NONE.to_owned());
        }
        // It is from the report, and becomes a part of paths.
        if build_id.is_empty() || !build_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("{NONE}, and servers can't be asked for `{build_id}`"));
        }
        let folder = cache()?.join(build_id);
        let kept = folder.join("debuginfo");
        if check(&kept, build_id).is_ok() {
            return Ok(kept);
        }
        let mut reasons = vec![NONE.to_owned()];
        for server in &mut self.all {
            let url = &server.url;
            if let Some(reason) = &server.is_down {
                reasons.push(format!("{url} was not asked again: {reason}"));
                continue;
            }
            progress.say(|| format!("asking {url}"));
            let answer = ask(&self.agent, url, build_id, self.timeout);
            match answer.and_then(|answer| keep(answer, &kept, build_id, self.timeout, progress)) {
                Ok(()) => return Ok(kept),
                Err(Failure::Here(reason)) => return Err(reason),
                Err(Failure::OfFile(reason)) => reasons.push(format!("{url}: {reason}")),
                Err(Failure::OfServer(reason)) => {
                    reasons.push(format!("{url}: {reason}"));
                    server.is_down = Some(reason);
                }
            }
        }
        Err(reasons.join("; "))
    }
}

fn ask(agent: &Agent, url: &str, build_id: &str, timeout: Duration) -> Result<Response<Body>, Failure> {
    let request = agent.get(format!("{url}/buildid/{build_id}/debuginfo"));
    let request = request.config().timeout_global(Some(timeout)).build();
    let answer = request.call().map_err(|error| Failure::OfServer(http::reason(error, timeout)))?;
    match answer.status().as_u16() {
        200 => Ok(answer),
        404 => Err(Failure::OfFile("it does not have it".to_owned())),
        300..=399 => Err(Failure::OfFile("it redirects, and is not followed".to_owned())),
        _ => Err(Failure::OfFile(http::refusal(answer))),
    }
}

/// Writes what the server sends to a file of its own first: other programs must not see a part of it.
fn keep(
    answer: Response<Body>,
    kept: &Path,
    build_id: &str,
    timeout: Duration,
    progress: &Progress,
) -> Result<(), Failure> {
    let folder = kept.parent().unwrap_or(Path::new("."));
    let here = |error: io::Error| Failure::Here(format!("could not write to {}: {error}", folder.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(here)?;
    let part = Part(folder.join(format!("debuginfo.{:016x}", RandomState::new().hash_one(0))));
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&part.0).map_err(here)?;
    let mut body = answer.into_body().into_with_config().limit(u64::MAX).reader();
    let (mut buffer, mut length) = (vec![0; 256 << 10], 0);
    loop {
        let read = body.read(&mut buffer).map_err(|error| {
            let reason = http::reason(Error::from(error), timeout);
            Failure::OfServer(format!("{reason}; {} had come", bytes(length)))
        })?;
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read]).map_err(here)?;
        length += u64::try_from(read).expect("the length of a buffer");
        if length > MAX_LENGTH {
            return Err(Failure::OfFile(format!("it sends more than {}", bytes(MAX_LENGTH))));
        }
        progress.say(|| format!("{} of debug information", bytes(length)));
    }
    check(&part.0, build_id).map_err(|reason| Failure::OfFile(format!("it sends {reason}")))?;
    fs::rename(&part.0, kept).map_err(here)
}

/// Whether it is the file of this build-id.
///
/// # Errors
/// What it is instead.
fn check(path: &Path, build_id: &str) -> Result<(), String> {
    let image = File::open(path).ok().and_then(image).ok_or("something that is no whole ELF file")?;
    match image.build_id {
        Some(id) if id == build_id => Ok(()),
        Some(other) => Err(format!("a file with another build-id, {other}")),
        None => Err("a file without a build-id".to_owned()),
    }
}

/// A file that is not whole yet. It is removed unless it has got another name, and its folder if there
/// is nothing else in it.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        let _ = self.0.parent().map(fs::remove_dir);
    }
}

/// The folder in which programs keep what they get from such servers.
fn cache() -> Result<PathBuf, String> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = |cache: PathBuf| cache.join("debuginfod_client");
    variable("DEBUGINFOD_CACHE_PATH")
        .or_else(|| variable("XDG_CACHE_HOME").map(folder))
        .or_else(|| variable("HOME").map(|home| folder(home.join(".cache"))))
        .ok_or_else(|| {
            "there is no folder for what servers send: HOME is not set; name one by DEBUGINFOD_CACHE_PATH"
                .to_owned()
        })
}
