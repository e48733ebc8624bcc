//! The built-in sections that `sections = ".."` accepts.
//!
//! The runtime has a table of its own; a test of `gmr-tests` compares the two. What a list means is
//! decided there.

use super::suggest;

/// The names of the built-in sections, and the one that stands for all of them.
pub(crate) const NAMES: [&str; 12] = [
    "package",
    "resources",
    "threads",
    "green-threads",
    "processes",
    "descriptors",
    "modules",
    "environment",
    "configuration",
    "spans-in-flight",
    "recent-events",
    "all",
];

/// Checks a list of names, each with `+`, `-` or nothing before it.
///
/// # Errors
/// The message for the user for each name that no section has.
pub(crate) fn check(list: &str) -> Vec<String> {
    let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.filter_map(|item| unknown(item.strip_prefix(['+', '-']).unwrap_or(item).trim())).collect()
}

fn unknown(written: &str) -> Option<String> {
    let name = written.to_ascii_lowercase().replace(['_', ' '], "-");
    if NAMES.contains(&name.as_str()) {
        return None;
    }
    let hint = suggest::closest(&name, NAMES);
    let hint = hint.map_or_else(String::new, |name| format!("did you mean `{name}`? "));
    let names = suggest::list(NAMES);
    Some(format!("unknown section `{written}`: {hint}expected one of {names}, with `+` or `-` before it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_is_accepted() {
        for list in ["", "-modules", "+environment, -modules", "-all,Green Threads,package", "green_threads,"]
        {
            assert_eq!(check(list), Vec::<String>::new(), "{list:?}");
        }
    }

    #[test]
    fn each_unknown_name_is_an_error_with_the_known_ones() {
        let errors = check("-modles, +threads, -sockets");
        assert_eq!(errors.len(), 2);
        assert!(
            errors[0]
                .starts_with("unknown section `modles`: did you mean `modules`? expected one of `package`, "),
            "{errors:?}"
        );
        assert!(errors[1].starts_with("unknown section `sockets`: expected one of "), "{errors:?}");
        assert_eq!(check("--threads").len(), 1);
    }
}
