//! What gmr adds to the release build of a program: by kind of section, by what its functions are
//! of, and in builds with other features and profiles. Each is the difference from the unchanged
//! program, built in the same way.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Form, Program};
use crate::process::{on, output};

/// What is the same in all builds: names of functions say for which types they were compiled, so
/// that those of the standard library have an owner.
const FLAGS: [(&str, &str); 1] = [("RUSTFLAGS", "-C symbol-mangling-version=v0")];

/// Owners of less are added up, in bytes.
const LEAST: i64 = 4_096;

/// A build, with the options of cargo that make it. Options for gmr alone are left out for the
/// unchanged program, which would not know them.
struct Build {
    what: &'static str,
    of_gmr: &'static [&'static str],
    of_both: &'static [&'static str],
}

/// gmr is compiled for size by these options.
const SMALL: [&str; 4] = [
    "--config",
    "profile.release.package.gmr-runtime.opt-level='s'",
    "--config",
    "profile.release.package.gmr-mask.opt-level='s'",
];

const BUILDS: [Build; 10] = [
    Build { what: "as it is", of_gmr: &[], of_both: &[] },
    Build { what: "gmr compiled for size", of_gmr: &SMALL, of_both: &[] },
    Build {
        what: "`panic = \"abort\"`",
        of_gmr: &[],
        of_both: &["--config", "profile.release.panic='abort'"],
    },
    Build {
        what: "`lto = true`, `codegen-units = 1`, `panic = \"abort\"`, and gmr compiled for size",
        of_gmr: &SMALL,
        of_both: &[
            "--config",
            "profile.release.lto=true",
            "--config",
            "profile.release.codegen-units=1",
            "--config",
            "profile.release.panic='abort'",
        ],
    },
    Build { what: "with `json`", of_gmr: &["--features", "gmr/json"], of_both: &[] },
    Build { what: "with `html`", of_gmr: &["--features", "gmr/html"], of_both: &[] },
    Build { what: "with `tracing`", of_gmr: &["--features", "gmr/tracing"], of_both: &[] },
    Build { what: "with `xml`", of_gmr: &["--features", "gmr/xml"], of_both: &[] },
    Build { what: "with `gzip`", of_gmr: &["--features", "gmr/gzip"], of_both: &[] },
    Build { what: "with `cpp`", of_gmr: &["--features", "gmr/cpp"], of_both: &[] },
];

/// What a program weighs, in bytes.
struct Weight {
    /// The file, without symbols.
    file: i64,
    sections: BTreeMap<&'static str, i64>,
    owners: BTreeMap<String, i64>,
}

/// Prints the tables for this program.
pub(super) fn weigh(program: &Program, source: &Path) -> Result<(), String> {
    let plain = program.copy(source, Form::Plain)?;
    let adopted = program.copy(source, Form::Adopted)?;
    for (index, build) in BUILDS.iter().enumerate() {
        let release = [&["--release"], build.of_both].concat();
        let before = weight(&program.build(&plain, &release, &FLAGS)?)?;
        let after = weight(&program.build(&adopted, &[&release, build.of_gmr].concat(), &FLAGS)?)?;
        if index == 0 {
            table("section", &before.sections, &after.sections);
            table("functions of", &before.owners, &after.owners);
            println!("\n| build | without | with | adds, MB |\n|---|---:|---:|---:|");
        }
        let columns = [before.file, after.file, after.file - before.file].map(megabytes);
        println!("| {} | {} |", build.what, columns.join(" | "));
    }
    Ok(())
}

fn megabytes(bytes: i64) -> String {
    let hundredths = (bytes + 5_000) / 10_000;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Prints the differences, the largest first.
fn table<K: Ord + ToString>(what: &str, before: &BTreeMap<K, i64>, after: &BTreeMap<K, i64>) {
    let difference = |(key, size): (&K, &i64)| (size - before.get(key).unwrap_or(&0), key.to_string());
    let mut rows: Vec<(i64, String)> = after.iter().map(difference).collect();
    let small: i64 = rows.iter().map(|(size, _)| *size).filter(|size| size.abs() < LEAST).sum();
    rows.retain(|(size, _)| size.abs() >= LEAST);
    rows.sort();
    rows.insert(0, (small, "others".to_owned()));
    println!("\n| {what} | KB |\n|---|---:|");
    for (size, name) in rows.iter().rev() {
        println!("| {name} | {} |", (size + 500).div_euclid(1_000));
    }
}

fn weight(program: &Path) -> Result<Weight, String> {
    let stripped = program.with_extension("stripped");
    output(Command::new("strip").arg("-o").arg(&stripped).arg(program))?;
    let file = fs::metadata(&stripped).map_err(on("read", &stripped))?.len();
    let mut sections = BTreeMap::new();
    // `.text  3172492  1008384`: name, size and address.
    for line in output(Command::new("size").args(["-A", "-d"]).arg(&stripped))?.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(Ok(size))) = (words.next(), words.next().map(str::parse::<i64>))
            && let Some(kind) = kind(name)
        {
            *sections.entry(kind).or_default() += size;
        }
    }
    let mut owners = BTreeMap::new();
    let mut last = "";
    let names = output(Command::new("nm").args(["-n", "-S", "-C", "--defined-only"]).arg(program))?;
    // `0000000000371cf0 0000000000001d8f t name`
    for line in names.lines() {
        let mut words = line.splitn(4, ' ');
        let (Some(address), Some(size), Some(kind), Some(name)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        // Several names may be of one function.
        if !matches!(kind, "t" | "T" | "w" | "W") || address == last {
            continue;
        }
        last = address;
        *owners.entry(owner(name)).or_default() += i64::from_str_radix(size, 16).unwrap_or_default();
    }
    Ok(Weight { file: file.cast_signed(), sections, owners })
}

/// The kind of a section. `None` if the file has no bytes for it.
fn kind(section: &str) -> Option<&'static str> {
    Some(match section {
        ".text" | ".plt" | ".init" | ".fini" => "functions",
        ".eh_frame" | ".eh_frame_hdr" | ".gcc_except_table" => "unwind tables",
        ".rela.dyn" | ".rela.plt" | ".data.rel.ro" | ".got" => {
            "relocations, and the tables that they are for"
        }
        ".rodata" => "texts and other constants",
        ".bss" | ".tbss" | ".relro_padding" | "Total" => return None,
        _ => "others",
    })
}

/// Whose function this is: a module of `gmr-runtime`, if it or a type that it was compiled for is
/// of gmr, or else a crate.
fn owner(name: &str) -> String {
    let paths = paths(name);
    if let Some((_, module)) = paths.iter().find(|(root, _)| *root == "gmr_runtime") {
        return format!("gmr-runtime's `{module}`");
    }
    let is_std = |root: &str| matches!(root, "std" | "core" | "alloc");
    match paths.iter().find(|(root, _)| !is_std(root)) {
        Some((root, _)) => root.replace('_', "-"),
        None => "the standard library".to_owned(),
    }
}

/// The first two names of each path in a demangled name: `<alloc[1f]::vec::Vec<a[2e]::b::C>>::push`
/// has `alloc::vec` and `a::b`.
fn paths(name: &str) -> Vec<(&str, &str)> {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let mut paths = Vec::new();
    let mut rest = name;
    while let Some(start) = rest.find(is_part) {
        let follows_path = rest[..start].ends_with("::");
        let end = |text: &str| text.find(|character| !is_part(character)).unwrap_or(text.len());
        let word = &rest[start..start + end(&rest[start..])];
        rest = &rest[start + word.len()..];
        // The crate's hash.
        let after = match rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((_, after)) => after,
            None => rest,
        };
        if let (false, Some(inner)) = (follows_path, after.strip_prefix("::")) {
            paths.push((word, &inner[..end(inner)]));
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_of_gmr_if_it_is_for_its_types() {
        let owner = |name: &str| owner(name);
        let vec = "<alloc[1f]::vec::Vec<gmr_runtime[2e]::model::threads::Thread>>::push";
        assert_eq!(owner(vec), "gmr-runtime's `model`");
        assert_eq!(owner("core[1]::ptr::drop_in_place::<alloc[2]::vec::Vec<u8>>"), "the standard library");
        assert_eq!(owner("<[a_b[1]::C] as core[2]::fmt::Debug>::fmt"), "a-b");
        assert_eq!(owner("main"), "the standard library");
    }

    #[test]
    fn sizes_are_rounded() {
        assert_eq!([2_844_999, 2_845_000, 5_000, 90_000].map(megabytes), ["2.84", "2.85", "0.01", "0.09"]);
    }
}
