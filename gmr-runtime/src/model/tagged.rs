//! Reads enums that have their kind beside their own members. What serde derives for such an enum
//! keeps all members of the object until it knows the kind, also those that no variant has: in a
//! document that somebody else has made, these can be many. Here, they are skipped.

use serde::{Deserialize, Deserializer, de};

use super::{Children, Sender, TaskState, Trigger};

/// What a variant must have.
fn given<T, E: de::Error>(member: Option<T>, name: &'static str) -> Result<T, E> {
    member.ok_or_else(|| E::missing_field(name))
}

impl<'de> Deserialize<'de> for Trigger {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Members {
            kind: String,
            name: Option<String>,
            sender: Option<Sender>,
            peer: Option<String>,
            path: Option<String>,
            cause: Option<String>,
            coalesced: Option<u64>,
        }
        const KINDS: &[&str] = &["signal", "api", "http", "file", "automatic"];
        let Members { kind, name, sender, peer, path, cause, coalesced } =
            Members::deserialize(deserializer)?;
        let coalesced = || given(coalesced, "coalesced");
        Ok(match &*kind {
            "signal" => Self::Signal { name: given(name, "name")?, sender, coalesced: coalesced()? },
            "api" => Self::Api,
            "http" => Self::Http { peer, path: given(path, "path")?, coalesced: coalesced()? },
            "file" => Self::File { path: given(path, "path")?, coalesced: coalesced()? },
            "automatic" => {
                let (name, cause) = (given(name, "name")?, given(cause, "cause")?);
                Self::Automatic { name, cause, coalesced: coalesced()? }
            }
            other => return Err(de::Error::unknown_variant(other, KINDS)),
        })
    }
}

impl<'de> Deserialize<'de> for TaskState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Members {
            kind: String,
            tid: Option<u32>,
            thread: Option<String>,
            polling_ms: Option<u64>,
            woken_ms: Option<u64>,
            waiting_ms: Option<u64>,
        }
        const KINDS: &[&str] = &["polling", "woken", "waiting", "new"];
        let Members { kind, tid, thread, polling_ms, woken_ms, waiting_ms } =
            Members::deserialize(deserializer)?;
        let waiting_ms = || given(waiting_ms, "waiting_ms");
        Ok(match &*kind {
            "polling" => {
                let (tid, polling_ms) = (given(tid, "tid")?, given(polling_ms, "polling_ms")?);
                Self::Polling { tid, thread, polling_ms }
            }
            "woken" => Self::Woken { woken_ms: given(woken_ms, "woken_ms")?, waiting_ms: waiting_ms()? },
            "waiting" => Self::Waiting { waiting_ms: waiting_ms()? },
            "new" => Self::New,
            other => return Err(de::Error::unknown_variant(other, KINDS)),
        })
    }
}

impl<'de> Deserialize<'de> for Children {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Members {
            kind: String,
            pid: Option<u32>,
            name: Option<String>,
            id: Option<u32>,
        }
        const KINDS: &[&str] = &["any", "one", "group", "own_group"];
        let Members { kind, pid, name, id } = Members::deserialize(deserializer)?;
        Ok(match &*kind {
            "any" => Self::Any,
            "one" => Self::One { pid: given(pid, "pid")?, name },
            "group" => Self::Group { id: given(id, "id")? },
            "own_group" => Self::OwnGroup,
            other => return Err(de::Error::unknown_variant(other, KINDS)),
        })
    }
}
