//! Which of the built-in sections a report has: from lists such as `-modules, +environment`, which
//! the program and the operator give. It does not know what a section shows.

use crate::error::{Error, ErrorKind};

/// The built-in sections in display order: each by its name in such a list, and whether reports
/// have it unless a list says otherwise.
const SECTIONS: [(&str, bool); 11] = [
    ("package", true),
    ("resources", true),
    ("threads", true),
    ("green-threads", true),
    ("processes", true),
    ("descriptors", true),
    ("modules", true),
    // Environments are full of secrets that no rule recognizes: docs/secrets.md.
    ("environment", false),
    ("configuration", true),
    // These exist only with the feature `tracing`. Their names are always accepted: an operator's
    // list has to work for programs with and without it.
    ("spans-in-flight", true),
    ("recent-events", true),
];

/// The names of the built-in sections.
pub const NAMES: [&str; SECTIONS.len()] = {
    let mut names = [""; SECTIONS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = SECTIONS[index].0;
        index += 1;
    }
    names
};

/// Stands for all of them.
const ALL: &str = "all";

/// The sections that reports have.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    shown: [bool; SECTIONS.len()],
}

impl Default for Selection {
    fn default() -> Self {
        Self { shown: SECTIONS.map(|(_, shown)| shown) }
    }
}

impl Selection {
    /// Whether reports have this section.
    pub(crate) fn has(&self, name: &str) -> bool {
        NAMES.iter().zip(self.shown).any(|(known, shown)| *known == name && shown)
    }

    /// Applies a list: names separated by commas, each with `+` (or nothing) for a section that
    /// reports are to have, or `-` for one that they are not to have. Later items override earlier
    /// ones.
    ///
    /// # Errors
    /// No section has one of the names. All other items are applied.
    pub(crate) fn apply(&mut self, list: &str) -> Result<(), Error> {
        let mut unknown = Vec::new();
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, shown) = match item.strip_prefix('-') {
                Some(name) => (name, false),
                None => (item.strip_prefix('+').unwrap_or(item), true),
            };
            let name = name.trim().to_ascii_lowercase().replace(['_', ' '], "-");
            match NAMES.iter().position(|known| *known == name) {
                Some(index) => self.shown[index] = shown,
                None if name == ALL => self.shown.fill(shown),
                None => unknown.push(format!("`{}`", item.trim_start_matches(['+', '-']).trim())),
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let sections = if unknown.len() == 1 { "section" } else { "sections" };
        let message = format!(
            "unknown {sections} {}; expected {ALL}, or some of {}, each with `+` or `-`",
            unknown.join(", "),
            NAMES.join(", ")
        );
        Err(Error::new(ErrorKind::UnknownSection, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lists: &[&str]) -> Vec<&'static str> {
        let mut selection = Selection::default();
        for list in lists {
            selection.apply(list).unwrap();
        }
        NAMES.into_iter().filter(|name| selection.has(name)).collect()
    }

    #[test]
    fn a_list_changes_what_it_names() {
        let default = shown(&[]);
        assert!(default.contains(&"modules") && !default.contains(&"environment"));
        assert_eq!(shown(&["", " , "]), default);
        let changed = shown(&["-modules, +environment"]);
        assert!(!changed.contains(&"modules") && changed.contains(&"environment"));
        assert_eq!(changed.len(), default.len());
        assert_eq!(shown(&["all"]), NAMES);
        assert_eq!(shown(&["-all, Green_Threads, package"]), ["package", "green-threads"]);
    }

    #[test]
    fn what_comes_later_overrides() {
        assert_eq!(shown(&["-modules", "modules"]), shown(&[]));
        assert_eq!(shown(&["+environment,-environment"]), shown(&[]));
        assert_eq!(shown(&["all", "-all,+threads"]), ["threads"]);
    }

    #[test]
    fn an_unknown_name_is_an_error_and_the_others_count() {
        let mut selection = Selection::default();
        let error = selection.apply("-modles, -threads,+").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownSection);
        let message = error.to_string();
        assert!(
            message.starts_with("unknown sections `modles`, ``; expected all, or some of package, "),
            "{message}"
        );
        assert!(!selection.has("threads") && selection.has("modules"));
        assert!(!selection.has("no-section"));
    }
}
