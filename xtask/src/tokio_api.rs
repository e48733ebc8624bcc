//! `cargo xtask tokio-api`: compares the interface of the locked tokio with that of gmr-tokio, by
//! what rustdoc writes as JSON, and keeps the list of its items that `tests/facade` compiles.
//!
//! rustdoc writes JSON only where unstable options are allowed, so the task sets `RUSTC_BOOTSTRAP`
//! for a target directory of its own. What it compares is read from the JSON alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cargo::{cargo, root};
use crate::metadata::{self, text};
use crate::process::on;

/// The list that `tests/facade` compiles.
const LIST: &str = "tests/facade/src/api.rs";

/// What gmr-tokio replaces: functions, and types with all of their methods.
const FUNCTIONS: [&str; 3] = ["spawn", "spawn_local", "spawn_blocking"];
const TYPES: [&str; 2] = ["JoinSet", "LocalSet"];

/// tokio's features that gmr-tokio does not have.
const LEFT_OUT: [(&str, &str); 10] = [
    ("bytes", "a dependency, which is not meant as a feature"),
    ("libc", "a dependency, which is not meant as a feature"),
    ("mio", "a dependency, which is not meant as a feature"),
    ("schedule-latency", "later than tokio 1.49, the oldest that gmr-tokio accepts"),
    ("signal-hook-registry", "a dependency, which is not meant as a feature"),
    ("slab", "a dependency, which is not meant as a feature"),
    ("socket2", "a dependency, which is not meant as a feature"),
    ("tokio-macros", "a dependency, which is not meant as a feature"),
    ("windows-sys", "a dependency, which is not meant as a feature"),
    ("backtrace", "a dependency, which is not meant as a feature"),
];

/// Compares, and writes the list instead of comparing it if `write` is set.
pub(crate) fn run(write: bool) -> Result<(), String> {
    let metadata = metadata::load()?;
    let tokio = package(&metadata, "tokio")?;
    let version = text(tokio, "version");
    let mut problems = features(tokio, package(&metadata, "gmr-tokio")?);

    let folder = document(version)?;
    let [tokio, ours] = ["tokio", "gmr_runtime"].map(|name| Documentation::read(&folder, name));
    let (tokio, ours) = (tokio?, ours?);
    let list = list(&tokio, version);
    let path = root().join(LIST);
    if write {
        fs::write(&path, &list).map_err(on("write", &path))?;
    } else if fs::read_to_string(&path).map_err(on("read", &path))? != list {
        problems.push(format!("{LIST} is not that of tokio {version}: run `cargo xtask tokio-api --write`"));
    }
    for name in FUNCTIONS {
        let [tokio, ours] = [&tokio, &ours].map(|documentation| documentation.function(name));
        differences(name, &tokio, &ours, &mut problems);
    }
    for name in TYPES {
        let [tokio, ours] = [&tokio, &ours].map(|documentation| documentation.members(name));
        differences(name, &tokio, &ours, &mut problems);
    }
    if problems.is_empty() {
        println!("\ngmr-tokio has all of tokio {version}: {} items", list.matches("\nuse ").count());
        return Ok(());
    }
    Err(problems.join("\n"))
}

fn package<'a>(metadata: &'a Value, name: &str) -> Result<&'a Value, String> {
    let found = metadata::packages(metadata).find(|package| text(package, "name") == name);
    found.ok_or_else(|| format!("there is no package {name}"))
}

/// Features that only one of them has, without a reason.
fn features(tokio: &Value, ours: &Value) -> Vec<String> {
    let names = |package: &Value| -> BTreeSet<String> {
        package["features"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    let (tokio, ours) = (names(tokio), names(ours));
    let left_out = |name: &str| LEFT_OUT.iter().any(|(other, _)| *other == name);
    let missing = tokio.difference(&ours).filter(|name| !left_out(name));
    let missing = missing.map(|name| format!("gmr-tokio lacks tokio's feature `{name}`"));
    let other = ours.difference(&tokio).map(|name| format!("tokio has no feature `{name}`"));
    missing.chain(other).collect()
}

/// Documents tokio and gmr-runtime as JSON, and returns the folder of the files.
fn document(version: &str) -> Result<PathBuf, String> {
    let folder = root().join("target/tokio-api");
    let manifest = folder.join("Cargo.toml");
    let source = folder.join("src");
    fs::create_dir_all(&source).map_err(on("create", &source))?;
    let runtime = root().join("gmr-runtime");
    let text = format!(
        "[package]\nname = \"tokio-api\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\ngmr-runtime = {{ path = '{}', features = [\"tokio\"] }}\n\
         tokio = {{ version = \"={version}\", features = [\"full\"] }}\n",
        runtime.display()
    );
    fs::write(&manifest, text).map_err(on("write", &manifest))?;
    let library = source.join("lib.rs");
    fs::write(&library, "").map_err(on("write", &library))?;
    let locked = folder.join("Cargo.lock");
    fs::copy(root().join("Cargo.lock"), &locked).map_err(on("write", &locked))?;
    let manifest = manifest.display().to_string();
    let arguments =
        ["doc", "--no-deps", "--manifest-path", &manifest, "--package", "tokio", "--package", "gmr-runtime"];
    let variables = [("RUSTC_BOOTSTRAP", "1"), ("RUSTDOCFLAGS", "-Zunstable-options --output-format=json")];
    cargo(&arguments, &variables)?;
    Ok(folder.join("target/doc"))
}

/// One crate, as rustdoc describes it.
struct Documentation(Value);

impl Documentation {
    fn read(folder: &Path, name: &str) -> Result<Self, String> {
        let path = folder.join(format!("{name}.json"));
        let bytes = fs::read(&path).map_err(on("read", &path))?;
        let value = serde_json::from_slice(&bytes);
        value.map(Self).map_err(|error| format!("{} is not JSON: {error}", path.display()))
    }

    fn item(&self, id: &Value) -> Option<&Value> {
        self.0["index"].get(id.to_string().trim_matches('"'))
    }

    /// The kind of an item, and what it has.
    fn inner(item: &Value) -> Option<(&str, &Value)> {
        item["inner"].as_object()?.iter().next().map(|(kind, inner)| (kind.as_str(), inner))
    }

    /// The paths of all public items.
    fn paths(&self) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        if let Some(module) = self.item(&self.0["root"]) {
            self.add(module, "tokio", &mut paths);
        }
        paths
    }

    fn add(&self, module: &Value, path: &str, paths: &mut BTreeSet<String>) {
        let items = module["inner"]["module"]["items"].as_array().into_iter().flatten();
        for item in items.filter_map(|id| self.item(id)) {
            let Some((kind, inner)) = Self::inner(item) else { continue };
            let (name, target) = match kind {
                "use" => (text(inner, "name"), self.item(&inner["id"])),
                "impl" => continue,
                _ => (text(item, "name"), Some(item)),
            };
            let is_glob = kind == "use" && inner["is_glob"] == true;
            let path = if is_glob { path.to_owned() } else { format!("{path}::{name}") };
            if !is_glob {
                paths.insert(path.clone());
            }
            if let Some(target) = target.filter(|target| target["inner"]["module"].is_object()) {
                self.add(target, &path, paths);
            }
        }
    }

    fn named<'a>(&'a self, kind: &'a str, name: &'a str) -> impl Iterator<Item = &'a Value> {
        let items = self.0["index"].as_object().into_iter().flatten().map(|(_, item)| item);
        // Those of other crates are in the index, too.
        items.filter(move |item| {
            item["crate_id"] == 0 && text(item, "name") == name && item["inner"][kind].is_object()
        })
    }

    /// A free function in the module `task`, by its name.
    fn function(&self, name: &str) -> BTreeMap<String, Value> {
        let is_free = |item: &&Value| {
            let inputs = item["inner"]["function"]["sig"]["inputs"].as_array();
            inputs.is_some_and(|inputs| inputs.first().is_none_or(|input| input[0] != "self"))
        };
        // Methods are functions, too.
        let found = self.named("function", name).filter(is_free).find(|item| item["visibility"] == "public");
        found.map(|item| (name.to_owned(), signature(item))).into_iter().collect()
    }

    /// The methods of a type, by name, and the traits that it implements.
    fn members(&self, name: &str) -> BTreeMap<String, Value> {
        let mut members = BTreeMap::new();
        let Some(of) = self.named("struct", name).next() else { return members };
        let impls = of["inner"]["struct"]["impls"].as_array().into_iter().flatten();
        for found in impls.filter_map(|id| self.item(id)).map(|item| &item["inner"]["impl"]) {
            let of_trait = text(&found["trait"], "path");
            let items = found["items"].as_array().into_iter().flatten().filter_map(|id| self.item(id));
            if found["trait"].is_null() {
                let public = items.filter(|item| item["visibility"] == "public");
                members.extend(public.map(|item| (text(item, "name").to_owned(), signature(item))));
            } else if found["blanket_impl"].is_null() {
                let is_negative = found["is_negative"] == true;
                let not = if is_negative { "!" } else { "" };
                let generics = plain(&found["generics"]);
                members.insert(format!("{not}{}", last(of_trait)), generics);
            }
        }
        members
    }
}

fn last(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

/// The signature of a function, without the names of its parameters, and whether it has its
/// caller's location.
fn signature(item: &Value) -> Value {
    let function = &item["inner"]["function"];
    let mut signature = plain(function);
    if let Some(inputs) = signature["sig"]["inputs"].as_array_mut() {
        for input in inputs {
            input[0] = Value::Null;
        }
    }
    signature["has_caller"] = item["attrs"].to_string().contains("track_caller").into();
    signature
}

/// The value without what says where something is defined, and with bounds in alphabetical order.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(values) => {
            let mut values: Vec<Value> = values.iter().map(plain).collect();
            let is_bound = |value: &Value| {
                ["trait_bound", "outlives", "bound_predicate"].iter().any(|kind| !value[*kind].is_null())
            };
            if values.iter().all(is_bound) {
                values.sort_by_key(ToString::to_string);
            }
            Value::Array(values)
        }
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(name, _)| *name != "id" && *name != "has_body");
            let fields = fields.map(|(name, value)| match value {
                Value::String(path) if name == "path" => (name.clone(), last(path).into()),
                // The same whether there is no field or nothing in it.
                Value::Array(empty) if empty.is_empty() => (name.clone(), Value::Null),
                value => (name.clone(), plain(value)),
            });
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

/// What tokio's has and ours has not, or has in another form.
fn differences(
    name: &str,
    tokio: &BTreeMap<String, Value>,
    ours: &BTreeMap<String, Value>,
    problems: &mut Vec<String>,
) {
    if tokio.is_empty() {
        problems.push(format!("tokio has no `{name}`"));
    }
    for (member, expected) in tokio {
        // Ours contains tokio's, whose `Drop` runs.
        if member == "Drop" {
            continue;
        }
        match ours.get(member) {
            None => problems.push(format!("gmr-tokio lacks `{member}` of `{name}`")),
            Some(found) if found != expected => problems.push(format!(
                "`{member}` of `{name}` has another signature\n  tokio: {expected}\n  gmr-tokio: {found}"
            )),
            Some(_) => {}
        }
    }
}

/// The file that uses all items.
fn list(tokio: &Documentation, version: &str) -> String {
    let mut text = format!(
        "//! Every item of tokio {version} with the feature `full`, by its path. Written by\n\
         //! `cargo xtask tokio-api --write`.\n\n#![allow(unused_imports, deprecated)]\n\n"
    );
    for path in tokio.paths() {
        let _ = writeln!(text, "use {path} as _;");
    }
    text
}
