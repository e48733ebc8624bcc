//! Whether a frame is gmr's own.
//!
//! Every module that omits such frames uses this one function. It compares with the crate name and
//! the source path known to the compiler, so that a renamed crate is still recognized.

use super::Frame;

/// The name of the wrapper that `#[gmr::section]` and `#[gmr::config]` generate.
const GENERATED: &str = "__gmr_generate";

/// The crate that masks secrets. A section's values are serialized by it.
const MASK_CRATE: &str = "gmr_mask";

impl Frame {
    /// Whether the frame belongs to gmr or to code that its attributes generate.
    pub(crate) fn is_gmr(&self) -> bool {
        let function = self.function.as_deref().unwrap_or_default();
        let is_in_file = || self.file.as_deref().is_some_and(|file| file.contains(source_directory()));
        if is_unqualified(function) {
            return function == GENERATED || is_in_file();
        }
        let path = function.trim_start_matches(['<', '&']);
        let path = path.strip_prefix("mut ").unwrap_or(path);
        let is_of_type = [crate_name(), MASK_CRATE]
            .iter()
            .any(|name| path.strip_prefix(name).is_some_and(|rest| rest.starts_with("::")));
        // A program can implement its traits for types of gmr.
        let is_known = |name: &str| name.split("::").next().is_some_and(is_implemented);
        is_of_type && (of_trait(function).is_none_or(is_known) || is_in_file())
            || function.split("::").any(|segment| segment == GENERATED)
    }
}

/// Whether gmr implements traits of this crate, and a program can't implement them for gmr's types.
fn is_implemented(name: &str) -> bool {
    const CRATES: [&str; 9] = [
        "alloc",
        "axum_core",
        "core",
        "serde",
        "serde_core",
        "std",
        "tower_layer",
        "tower_service",
        "tracing_subscriber",
    ];
    name == crate_name() || CRATES.contains(&name)
}

/// The trait of `<Type as Trait>::function`.
fn of_trait(function: &str) -> Option<&str> {
    let inside = function.strip_prefix('<')?;
    let (mut depth, mut before) = (0_usize, ' ');
    for (at, character) in inside.char_indices() {
        match character {
            '<' | '(' | '[' | '{' => depth += 1,
            // Not the bracket of `fn() -> T`.
            '>' | ')' | ']' | '}' if before != '-' => depth = depth.checked_sub(1)?,
            ' ' if depth == 0 && inside[at..].starts_with(" as ") => return Some(&inside[at + 4..]),
            _ => {}
        }
        before = character;
    }
    None
}

/// Whether a function's name lacks its path. With `debug = "line-tables-only"`, the names of
/// inlined functions do.
pub(crate) fn is_unqualified(function: &str) -> bool {
    // A name that starts with `<`, as in `<T as Trait>::f`, has a path.
    let name = function.split('<').next().unwrap_or_default();
    !name.is_empty() && !name.contains("::")
}

fn crate_name() -> &'static str {
    module_path!().split("::").next().unwrap_or_default()
}

/// The directory of this crate's sources, as passed to the compiler.
fn source_directory() -> &'static str {
    file!().strip_suffix("model/origin.rs").unwrap_or(file!())
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    fn is_gmr(function: &str, file: Option<&str>) -> bool {
        let (function, file) = (Some(function.to_owned()), file.map(str::to_owned));
        Frame { function, file, ..Frame::default() }.is_gmr()
    }

    #[test]
    fn names_of_this_crate_are_its_own() {
        assert_eq!(crate_name(), env!("CARGO_CRATE_NAME"));
        assert!(is_gmr(&format!("{}::task::poll", crate_name()), None));
        assert!(is_gmr(&format!("<{}::task::Tracked<F> as core::future::Future>::poll", crate_name()), None));
        assert!(is_gmr("<gmr_mask::serializer::Compound as serde::ser::SerializeSeq>::end", None));
        assert!(!is_gmr("gmr_masked::run", None));
        assert!(is_gmr("shop::stock::_::__gmr_generate", None));
        assert!(is_gmr("__gmr_generate", Some("src/stock.rs")));
    }

    #[test]
    fn a_programs_functions_are_not() {
        assert!(!is_gmr("shop::checkout", None));
        assert!(!is_gmr(&format!("shop::pool::run<{}::task::Tracked<F>>", crate_name()), None));
        assert!(!is_gmr(&format!("{}_tools::run", crate_name()), None));
        assert!(!is_gmr("shop::my__gmr_generate", None));
        assert!(!is_gmr("poll", Some("/srv/shop/src/main.rs")));
    }

    #[test]
    fn a_trait_of_the_program_for_a_type_of_gmrs_is_the_programs() {
        let krate = crate_name();
        let for_trait = |name| format!("<&mut {krate}::task::Tracked<fn() -> shop::Pay> as {name}>::go");
        for name in ["shop::Ext", "shop::Ext<core::task::Poll<()>>", "http::Ext"] {
            assert!(!is_gmr(&for_trait(name), None), "{name}");
            assert!(!is_gmr(&for_trait(name), Some("/srv/shop/src/main.rs")), "{name}");
            let file = format!("/build/{}task/tracked.rs", source_directory());
            assert!(is_gmr(&for_trait(name), Some(&file)), "{name}");
        }
        for name in ["core::future::future::Future", "tower_service::Service<R>", &format!("{krate}::Trait")]
        {
            assert!(is_gmr(&for_trait(name), None), "{name}");
        }
        assert!(is_gmr(&format!("<{krate}::task::Tracked<<F as shop::Pay>::Order>>::go"), None));
    }

    #[test]
    fn names_without_a_path_are_known_by_their_files() {
        assert!(std::path::Path::new(file!()).ends_with("src/model/origin.rs"));
        assert!(is_gmr("poll<F>", Some(&format!("/build/{}task/tracked.rs", source_directory()))));
        assert!(!is_gmr("poll<F>", Some("/build/shop/src/task/tracked.rs")));
    }
}
