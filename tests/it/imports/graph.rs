//! The import graph of a crate, read from its sources: which file names items of which other file.
//!
//! Every path in code is followed: `use` declarations, types, expressions, macro arguments that are
//! paths of this crate. Code of tests does not count. A re-export within a module's own folder is a
//! name, not a dependency: code that uses the name depends on the file that defines the item.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Item, Meta, UseTree, Visibility};

/// Names of modules, from the crate's root: `["views", "text"]`.
type Module = Vec<String>;

/// Which file depends on which other ones. Files are named by their modules: `views::text`.
pub(super) type Graph = BTreeMap<String, BTreeSet<String>>;

/// One source file.
struct Source {
    module: Module,
    items: Vec<Item>,
    /// What a name leads to: imports and re-exports.
    names: BTreeMap<String, Module>,
}

/// Reads the sources below `root`, the folder of `lib.rs`.
pub(super) fn read(root: &Path) -> Graph {
    let mut sources = BTreeMap::new();
    read_folder(root, &Vec::new(), &mut sources);
    for source in sources.values_mut() {
        let mut names = BTreeMap::new();
        for item in &source.items {
            if let Item::Use(item) = item {
                leaves(&item.tree, &Vec::new(), &mut |path, name| drop(names.insert(name, path)));
            }
        }
        source.names = names;
    }
    let mut graph = Graph::new();
    for source in sources.values() {
        let mut finder = Finder { sources: &sources, source, found: BTreeSet::new() };
        source.items.iter().for_each(|item| finder.visit_item(item));
        let mut found = finder.found;
        found.remove(&source.module);
        let found = found.iter().filter(|module| !module.is_empty()).map(|module| module.join("::"));
        // The root declares modules and re-exports.
        if !source.module.is_empty() {
            graph.insert(source.module.join("::"), found.collect());
        }
    }
    graph
}

fn read_folder(folder: &Path, module: &Module, sources: &mut BTreeMap<Module, Source>) {
    for entry in fs::read_dir(folder).expect("the folder can be read").flatten() {
        let path = entry.path();
        let name = path.file_stem().expect("an entry has a name").to_string_lossy().into_owned();
        if path.is_dir() {
            let inner: Module = module.iter().cloned().chain([name]).collect();
            read_folder(&path, &inner, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && name != "tests"
            && !name.ends_with("_tests")
        {
            let module: Module = match name.as_str() {
                "lib" | "mod" => module.clone(),
                _ => module.iter().cloned().chain([name]).collect(),
            };
            let text = fs::read_to_string(&path).expect("a source file can be read");
            let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let items = file.items.into_iter().filter(|item| !is_of_tests(item)).collect();
            sources.insert(module.clone(), Source { module, items, names: BTreeMap::new() });
        }
    }
}

fn is_of_tests(item: &Item) -> bool {
    let attributes = match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => {
            let tokens = list.tokens.to_string();
            list.path.is_ident("cfg") && (tokens == "test" || tokens.starts_with("all (test"))
        }
        _ => false,
    })
}

/// Each path of a `use` declaration, and the name that it gets.
fn leaves(tree: &UseTree, prefix: &Module, each: &mut dyn FnMut(Module, String)) {
    let with = |name: &syn::Ident| -> Module { prefix.iter().cloned().chain([name.to_string()]).collect() };
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &with(&path.ident), each),
        UseTree::Name(name) if name.ident == "self" => {
            each(prefix.clone(), prefix.last().cloned().unwrap_or_default());
        }
        UseTree::Name(name) => each(with(&name.ident), name.ident.to_string()),
        UseTree::Rename(rename) if rename.ident == "self" => each(prefix.clone(), rename.rename.to_string()),
        UseTree::Rename(rename) => each(with(&rename.ident), rename.rename.to_string()),
        UseTree::Glob(_) => each(prefix.clone(), String::from("*")),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, prefix, each)),
    }
}

struct Finder<'a> {
    sources: &'a BTreeMap<Module, Source>,
    source: &'a Source,
    found: BTreeSet<Module>,
}

impl Finder<'_> {
    fn follow(&mut self, path: &[String]) {
        if let Some(module) = self.resolve(&self.source.module, path, 0) {
            self.found.insert(module);
        }
    }

    /// Whether the path names a module rather than an item of one.
    fn is_module(&self, from: &Module, path: &[String]) -> bool {
        let last = path.last().map(String::as_str);
        // A path to an item ends at the file that the item is in.
        self.resolve(from, path, 0).is_some_and(|module| {
            module.last().map(String::as_str) == last || matches!(last, Some("super" | "self" | "crate"))
        })
    }

    /// The file that a path in `from` leads to; none for another crate's.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        if depth > 32 {
            return None;
        }
        match first.as_str() {
            "crate" => self.descend(Vec::new(), rest, depth),
            "self" => self.descend(from.clone(), rest, depth),
            "super" => {
                let (_, parent) = from.split_last()?;
                let mut path = vec![String::from("self")];
                path.extend_from_slice(rest);
                if rest.first().is_some_and(|next| next == "super") {
                    return self.resolve(&parent.to_vec(), rest, depth + 1);
                }
                self.resolve(&parent.to_vec(), &path, depth + 1)
            }
            // A name of this file's, or another crate.
            name => {
                let child: Module = from.iter().cloned().chain([name.to_owned()]).collect();
                if self.sources.contains_key(&child) || self.sources.get(from)?.names.contains_key(name) {
                    return self.descend(from.clone(), path, depth);
                }
                None
            }
        }
    }

    fn descend(&self, at: Module, path: &[String], depth: usize) -> Option<Module> {
        let Some((name, rest)) = path.split_first() else {
            return self.sources.contains_key(&at).then_some(at);
        };
        let child: Module = at.iter().cloned().chain([name.clone()]).collect();
        if self.sources.contains_key(&child) {
            return self.descend(child, rest, depth);
        }
        let source = self.sources.get(&at)?;
        if let Some(target) = source.names.get(name).filter(|target| **target != [name.clone()]) {
            let target: Vec<String> = target.iter().chain(rest).cloned().collect();
            return self.resolve(&at, &target, depth + 1);
        }
        Some(at)
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_of_tests(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_reexport = !matches!(item.vis, Visibility::Inherited);
        let own = self.source.module.clone();
        let mut paths = Vec::new();
        leaves(&item.tree, &Vec::new(), &mut |path, _| paths.push(path));
        for path in paths {
            let Some(module) = self.resolve(&own, &path, 0) else { continue };
            // An imported module is only a name: what is used of it is an expression or a type.
            let is_name = self.is_module(&own, &path) || is_reexport && module.starts_with(&own);
            if !is_name {
                self.found.insert(module);
            }
        }
    }

    /// `pub(super)` depends on nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.follow(&segments);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        // A macro's input is tokens: paths in it are recognized by their shape.
        let text = item.tokens.to_string().replace(" :: ", "::");
        for word in text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == ':')) {
            if word.contains("::") {
                let segments: Vec<String> = word.trim_matches(':').split("::").map(str::to_owned).collect();
                self.follow(&segments);
            }
        }
        visit::visit_macro(self, item);
    }
}

/// The groups of files that depend on one another.
pub(super) fn circles(graph: &Graph) -> Vec<Vec<&str>> {
    let reachable = |from: &str| {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut next: Vec<&str> = graph.get(from).into_iter().flatten().map(String::as_str).collect();
        while let Some(file) = next.pop() {
            if seen.insert(file) {
                next.extend(graph.get(file).into_iter().flatten().map(String::as_str));
            }
        }
        seen
    };
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        graph.keys().map(|file| (file.as_str(), reachable(file))).collect();
    let mut circles: Vec<Vec<&str>> = Vec::new();
    for (&file, seen) in &reach {
        if seen.contains(file) && !circles.iter().any(|circle| circle.contains(&file)) {
            circles.push(seen.iter().copied().filter(|other| reach[other].contains(file)).collect());
        }
    }
    circles
}
