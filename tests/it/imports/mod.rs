//! The imports of gmr-runtime, gmr-mask, gmr-collect and gmr-cli: no cycle, and in gmr-runtime none
//! from a module to one above it, in the order of the table in `docs/architecture.md`. Computed from
//! the sources.

mod graph;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use graph::Graph;

/// Modules that show private functions to the benchmarks, the command `gmr` and the fuzz targets.
/// They may use anything, and nothing uses them.
const HIDDEN: [&str; 3] = ["__bench", "__cli", "__fuzz"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The modules in the order of the table, from the top down.
fn documented_order() -> Vec<String> {
    let page = fs::read_to_string(repository().join("docs/architecture.md")).expect("the page can be read");
    let (_, section) = page.split_once("## The modules of gmr-runtime").expect("the section");
    let section = section.split("\n## ").next().expect("its text");
    section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(module, _)| module.to_owned())
        .collect()
}

fn top(file: &str) -> &str {
    file.split("::").next().unwrap_or(file)
}

/// Imports of modules that are not below the one that imports them.
fn upward(graph: &Graph, order: &[String]) -> Vec<String> {
    let place = |file: &str| order.iter().position(|module| module == top(file));
    let imports = graph.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)));
    imports
        .filter(|(from, to)| top(from) != top(to) && !HIDDEN.contains(&top(from)))
        .filter(|(from, to)| place(from).zip(place(to)).is_none_or(|(from, to)| from >= to))
        .map(|(from, to)| format!("{from} -> {to}"))
        .collect()
}

#[test]
fn the_runtime_has_no_circle_and_no_upward_import() {
    let graph = graph::read(&repository().join("gmr-runtime/src"));
    assert!(graph.len() > 50, "the sources were not found: {:?}", graph.keys());
    let imports: usize = graph.values().map(BTreeSet::len).sum();
    assert!(imports > 150, "the imports were not found: {graph:?}");
    let circles = graph::circles(&graph);
    assert!(circles.is_empty(), "these files import each other: {circles:#?}");
    let order = documented_order();
    for file in graph.keys().filter(|file| !HIDDEN.contains(&top(file))) {
        assert!(order.iter().any(|module| module == top(file)), "docs/architecture.md lacks `{}`", top(file));
    }
    for module in &order {
        assert!(graph.contains_key(module), "docs/architecture.md has `{module}`, which does not exist");
    }
    let gate = graph::read(&repository().join("gmr-mask/src"));
    assert!(gate.len() > 10, "the sources were not found: {:?}", gate.keys());
    let circles = graph::circles(&gate);
    assert!(circles.is_empty(), "these files of gmr-mask import each other: {circles:#?}");
    let command = graph::read(&repository().join("gmr-cli/src"));
    assert!(command.len() > 8, "the sources were not found: {:?}", command.keys());
    let circles = graph::circles(&command);
    assert!(circles.is_empty(), "these files of gmr-cli import each other: {circles:#?}");
    let collect = graph::read(&repository().join("gmr-collect/src"));
    assert!(collect.len() > 6, "the sources were not found: {:?}", collect.keys());
    let circles = graph::circles(&collect);
    assert!(circles.is_empty(), "these files of gmr-collect import each other: {circles:#?}");
    let upward = upward(&graph, &order);
    assert!(upward.is_empty(), "not in the order of docs/architecture.md: {upward:#?}");
}

/// A crate with these files, read.
fn read(name: &str, files: &[(&str, &str)]) -> Graph {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("imports").join(name);
    // Left by an earlier run.
    let _ = fs::remove_dir_all(&folder);
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    graph::read(&folder)
}

#[test]
fn an_import_is_found_however_it_is_written() {
    for (name, high) in [
        ("use", "use crate::low::thing;"),
        ("group", "use crate::{low::{self, thing}};"),
        ("path", "fn f() { crate::low::thing() }"),
        ("module", "use crate::low; fn f() { low::thing() }"),
        ("super", "fn f() -> super::low::Thing { todo!() }"),
        ("renamed", "use crate::low as below; fn f() { below::thing() }"),
        ("macro", "fn f() { println!(\"{}\", crate::low::thing()) }"),
        ("reexport", "use crate::door::thing;"),
    ] {
        let door = ("door.rs", "pub(crate) use crate::low::thing;");
        let graph = read(
            name,
            &[("lib.rs", "mod high; mod low; mod door;"), ("high.rs", high), ("low.rs", ""), door],
        );
        assert!(graph["high"].contains("low"), "{name}: {graph:?}");
    }
}

#[test]
fn what_only_tests_use_and_what_only_names_is_no_import() {
    let graph = read(
        "none",
        &[
            ("lib.rs", "mod high; mod low;"),
            (
                "high.rs",
                "use std::fmt; pub(super) fn f() {} #[cfg(test)] mod tests { use crate::low::thing; }",
            ),
            ("low/mod.rs", "mod inner; pub(crate) use inner::thing;"),
            ("low/inner.rs", "pub(crate) fn thing() {}"),
            ("low/tests.rs", "use crate::high::f;"),
        ],
    );
    assert!(graph.values().all(BTreeSet::is_empty), "{graph:?}");
}

#[test]
fn a_circle_and_an_upward_import_are_found() {
    let graph = read(
        "circle",
        &[
            ("lib.rs", "mod high; mod low;"),
            ("high/mod.rs", "mod inner; fn f() { inner::g() }"),
            ("high/inner.rs", "pub(super) fn g() { super::f() }"),
            ("low.rs", "use crate::high::f;"),
        ],
    );
    assert_eq!(graph::circles(&graph), [["high", "high::inner"]]);
    let order = ["high", "low"].map(str::to_owned);
    assert_eq!(upward(&graph, &order), ["low -> high"]);
}
