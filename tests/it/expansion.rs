//! Checks the registry entries that the attributes generate in the neighbouring crates, and that
//! each program in `pass`, which has what they accept, is run.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::panic;
use std::path::Path;
use std::time::Duration;

use gmr::__private::{Kind, SectionEntry, inventory};
use gmr::model::Content;

// `extern crate` links them, as the expansion of `link(..)` does.
extern crate gmr_test_strict as _;
extern crate my_sections as _;

/// The entries of a module, by kind and function.
fn entries(module: &str) -> BTreeMap<String, &'static SectionEntry> {
    let of_module = inventory::iter::<SectionEntry>
        .into_iter()
        .filter(|entry| entry.module_path.replace("r#", "") == module);
    of_module.map(|entry| (format!("{:?} {}", entry.kind, entry.function), entry)).collect()
}

fn functions(module: &str) -> Vec<String> {
    entries(module).into_keys().collect()
}

#[test]
fn every_section_is_registered_with_its_options() {
    let entries = entries("gmr_test_strict::shapes");
    let options = |entry: &SectionEntry| (entry.title, entry.order, entry.timeout);
    let expected = [
        ("Config config", Some("strict"), 0, None),
        ("Config section_and_config", Some("second-of-two"), 0, None),
        ("Config untitled_config", None, 0, None),
        ("Section configured_in", Some("Configured In"), 0, None),
        ("Section deprecated", None, 0, None),
        ("Section every_option", Some("From a Constant"), -5, Some(Duration::from_secs(90))),
        ("Section literal_title", Some("Literal"), -1, None),
        ("Section macro_title", Some("Put Together"), 0, None),
        ("Section nested", None, 0, None),
        ("Section nested_in_generic", None, 0, None),
        ("Section renamed", None, 0, None),
        ("Section section_and_config", Some("First of Two"), 0, None),
        ("Section type", None, 0, None),
    ];
    assert_eq!(entries.keys().collect::<Vec<_>>(), expected.map(|(name, ..)| name));
    for (name, title, order, timeout) in expected {
        assert_eq!(options(entries[name]), (title, order, timeout), "{name}");
    }
}

#[test]
fn sections_are_registered_from_any_module() {
    assert_eq!(
        functions("gmr_test_strict::bare"),
        ["Config without_prelude_either", "Section without_prelude"]
    );
    assert_eq!(functions("gmr_test_strict::mod"), ["Section fn"]);
    let made = entries("gmr_test_strict::made");
    assert_eq!(
        made.keys().collect::<Vec<_>>(),
        ["Section made_first", "Section made_second", "Section made_whole"]
    );
    assert_eq!(made["Section made_first"].order, -3);
    assert_eq!(made["Section made_second"].order, 2);
    assert_eq!(made["Section made_second"].timeout, Some(Duration::from_millis(500)));
}

#[test]
fn a_crate_that_only_contributes_sections_is_registered() {
    let linked = entries("gmr_test_sections");
    assert_eq!(linked["Section pool"].title, Some("Linked Section"));
    assert_eq!(linked["Config limits"].kind, Kind::Config);
}

#[test]
fn every_return_type_is_converted() {
    let entries = entries("gmr_test_strict::returns");
    let shown = |name: &str| (entries[&format!("Section returns_{name}")].generate)();
    assert_eq!(shown("impl_display"), Content::Text("broken".into()));
    assert_eq!(shown("str"), Content::Text("text".into()));
    assert_eq!(shown("string"), Content::Text("text".into()));
    assert_eq!(shown("alias"), Content::Error("broken".into()));
    assert_eq!(shown("dyn_error"), Content::Error("broken".into()));
    assert_eq!(shown("nothing"), Content::Nothing);
    for name in ["serialize", "impl_serialize", "option", "infallible", "qualified"] {
        assert!(matches!(shown(name), Content::Fields(_)), "{name}: {:?}", shown(name));
    }
    assert!(panic::catch_unwind(|| shown("never")).is_err());
    assert_eq!(entries.len(), 12);
}

#[test]
fn each_program_of_what_is_accepted_is_a_target() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(package.join("Cargo.toml")).expect("a manifest");
    let files = fs::read_dir(package.join("pass")).expect("a folder `pass`");
    let names = files.map(|file| file.expect("the folder can be read").path());
    let names: Vec<_> = names.filter(|path| path.extension() == Some(OsStr::new("rs"))).collect();
    assert!(!names.is_empty(), "no program in pass");
    for path in names {
        let name = path.file_name().and_then(OsStr::to_str).expect("a name in UTF-8");
        assert!(manifest.contains(&format!("\npath = \"pass/{name}\"\n")), "{name} is not in Cargo.toml");
    }
}
