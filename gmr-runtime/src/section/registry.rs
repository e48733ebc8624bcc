//! The registered sections and configuration groups, and the order in which they are shown. Nothing
//! here runs one.
//!
//! An entry is plain data. The attributes make it at compile time, and `inventory` collects all
//! entries when the program is linked. What derives from an entry (title, deadline, order) is
//! derived here, at run time.

use crate::sys::sort;
use std::time::Duration;

use crate::model::Content;

/// What `#[gmr::section]` and `#[gmr::config]` register for a function.
///
/// Generated code builds it. It is not part of the public API.
#[derive(Debug)]
pub struct SectionEntry {
    /// Whether it is a section of the report or a group of the Configuration section.
    pub kind: Kind,
    /// The function's name, without `r#`.
    pub function: &'static str,
    /// The title, if the attribute sets one.
    pub title: Option<&'static str>,
    /// The position among those of its kind: lower comes first. The default is 0.
    pub order: i32,
    /// The deadline, if the attribute sets one.
    pub timeout: Option<Duration>,
    /// `module_path!()` at the function.
    pub module_path: &'static str,
    /// The function's name and place.
    pub mark: &'static str,
    /// The marks of the functions that were expanded last before this one in its crate. One that is
    /// not registered was dropped when the program was linked.
    pub earlier: &'static [&'static str],
    /// Calls the function and converts what it returns.
    pub generate: fn() -> Content,
}

/// What an entry is in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A section of its own.
    Section,
    /// A group of the Configuration section.
    Config,
}

inventory::collect!(SectionEntry);

/// The deadline of a generator that does not set one.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

impl SectionEntry {
    /// The title in the report: the attribute's, or one made from the function's name.
    pub(crate) fn shown_title(&self) -> String {
        self.title.map_or_else(|| title_from(self.function), str::to_owned)
    }
}

/// All entries of this kind, sorted by order, title, module path and function. The sequence is the
/// same in each run of a binary, however the linker arranged the entries.
pub(crate) fn entries(kind: Kind) -> Vec<&'static SectionEntry> {
    let mut entries: Vec<_> =
        inventory::iter::<SectionEntry>.into_iter().filter(|entry| entry.kind == kind).collect();
    sort::by_key(&mut entries, |entry| sort_key(entry));
    entries
}

/// The marks of functions that were compiled, but are not registered. A linker drops those object
/// files of a static library that nothing refers to.
pub(crate) fn lost() -> Vec<&'static str> {
    lost_of(inventory::iter::<SectionEntry>.into_iter())
}

fn lost_of<'a>(entries: impl Iterator<Item = &'a SectionEntry>) -> Vec<&'static str> {
    let krate = |entry: &SectionEntry| entry.module_path.split("::").next().unwrap_or_default();
    let (mut registered, mut compiled) = (Vec::new(), Vec::new());
    for entry in entries {
        registered.push((krate(entry), entry.mark));
        compiled.extend(entry.earlier.iter().map(|mark| (krate(entry), *mark)));
    }
    sort::all(&mut registered);
    let lost = compiled.iter().filter(|compiled| registered.binary_search(compiled).is_err());
    let mut lost: Vec<&str> = lost.map(|(_, mark)| *mark).collect();
    sort::all(&mut lost);
    lost.dedup();
    lost
}

fn sort_key(entry: &SectionEntry) -> (i32, String, &'static str, &'static str) {
    (entry.order, entry.shown_title(), entry.module_path, entry.function)
}

/// `cache_stats` → `Cache Stats`.
fn title_from(function: &str) -> String {
    let words = function.split('_').filter(|word| !word.is_empty()).map(|word| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(function: &'static str, title: Option<&'static str>, order: i32) -> SectionEntry {
        SectionEntry {
            kind: Kind::Section,
            function,
            title,
            order,
            timeout: None,
            module_path: "shop::cache",
            mark: function,
            earlier: &[],
            generate: || Content::Nothing,
        }
    }

    #[test]
    fn titles_come_from_function_names() {
        assert_eq!(title_from("cache_stats"), "Cache Stats");
        assert_eq!(title_from("_open__files_"), "Open Files");
        assert_eq!(title_from("größe"), "Größe");
        assert_eq!(title_from("type"), "Type");
        assert_eq!(entry("cache_stats", Some("LRU"), 0).shown_title(), "LRU");
    }

    #[test]
    fn an_entry_that_others_name_and_that_is_not_registered_is_lost() {
        let of = |function, earlier| SectionEntry { earlier, ..entry(function, None, 0) };
        let other = SectionEntry { module_path: "plugin", ..of("queue", &[]) };
        let entries = [of("size", &[]), of("hits", &["size", "misses", "queue"]), other];
        // The registered `queue` is another crate's.
        assert!(lost_of(entries.iter()).into_iter().eq(["misses", "queue"]));
        assert!(lost_of(entries[..1].iter()).is_empty());
        assert!(lost().is_empty(), "this program is linked whole");
    }

    #[test]
    fn order_then_title_then_module() {
        let mut entries =
            [entry("b", None, 0), entry("a", None, 1), entry("z", Some("Aa"), 0), entry("last", None, -3)];
        entries.sort_by_cached_key(sort_key);
        assert_eq!(entries.each_ref().map(|entry| entry.function), ["last", "z", "b", "a"]);
    }
}
