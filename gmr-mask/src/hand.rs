//! What the program and its operator say about names: which are secret although no rule knows them,
//! and which are not although a rule does. `keys` asks before it applies its rules.

use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::words::Words;

/// Whether anything has been said. Most programs say nothing, and pay for one load.
static IS_SET: AtomicBool = AtomicBool::new(false);
static HAND: RwLock<Vec<Entry>> = RwLock::new(Vec::new());

/// A name, and whether it is secret.
#[derive(Debug)]
struct Entry {
    /// The words of the name, in lower case, one after the other.
    joined: String,
    is_secret: bool,
}

/// Has names masked, and names after a dash shown: `internal_code, -session_color`. A name also
/// counts at the end of a longer one: `SHOP_INTERNAL_CODE`. Of several that fit, the last counts.
/// This replaces what was said before.
///
/// # Errors
/// The names that have no letters, and so cannot be recognized. The others count.
pub fn set_names<'a>(lists: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
    let mut entries = Vec::new();
    let mut unknown = Vec::new();
    let names = lists.into_iter().flat_map(|list| list.split(',')).map(str::trim);
    for name in names.filter(|name| !name.is_empty()) {
        let (is_secret, name) = match name.strip_prefix('-') {
            Some(shown) => (false, shown.trim()),
            None => (true, name.trim_start_matches('+').trim()),
        };
        match Words::of(name).joined {
            joined if joined.is_empty() => unknown.push(format!("`{name}`")),
            joined => entries.push(Entry { joined: joined.into_owned(), is_secret }),
        }
    }
    IS_SET.store(!entries.is_empty(), Ordering::Release);
    *HAND.write().unwrap_or_else(std::sync::PoisonError::into_inner) = entries;
    if unknown.is_empty() { Ok(()) } else { Err(unknown.join(", ")) }
}

/// Whether the name with these words is secret. `None` if nothing was said about it.
pub(super) fn is_secret(words: &[&str], joined: &str) -> Option<bool> {
    if !IS_SET.load(Ordering::Acquire) {
        return None;
    }
    let entries = HAND.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    // Only whole words count: `code` is not the end of `barcode`.
    let ends_with = |entry: &Entry| {
        let mut length = 0;
        joined.ends_with(&entry.joined)
            && words.iter().rev().any(|word| {
                length += word.len();
                length == entry.joined.len()
            })
    };
    entries.iter().rfind(|entry| ends_with(entry)).map(|entry| entry.is_secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{field, text};

    /// In one test, since all tests share what is set.
    #[test]
    fn names_are_masked_and_shown_as_told() {
        assert_eq!(set_names(["zylo_code, -cookie_color", "-, qux"]), Err("``".to_owned()));
        for name in ["zylo_code", "ZyloCode", "SHOP_ZYLO_CODE", "qux"] {
            assert_eq!(field(name, "a"), "***", "{name}");
        }
        assert_eq!(field("cookie_color", "red"), "red");
        assert_eq!(field("cookie_color", "ghp_0123456789abcdef"), "***", "still by its content");
        assert_eq!(field("xylo_code", "a"), "a");
        assert_eq!(text("zylo_code=a code=b"), "zylo_code=*** code=b");
        assert_eq!(set_names(["qux", "-qux"]), Ok(()));
        assert_eq!((field("qux", "a"), field("zylo_code", "a")), ("a".to_owned(), "a".to_owned()));
        assert_eq!(set_names([]), Ok(()));
        assert_eq!(field("qux", "a"), "a");
    }
}
