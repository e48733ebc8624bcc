//! Stacks as a tree, each function below its caller, as graphs draw them; and as lines, as other tools
//! read them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::samples::{Profile, Weights};

/// A function, called from where its parent is.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) time: Duration,
    /// By name.
    pub(super) called: BTreeMap<String, Node>,
}

/// The times of these stacks, and of each of what has no stack.
pub(super) fn tree(profile: &Profile, weights: &Weights, others: &[(&str, Duration)]) -> Node {
    let mut root = Node::default();
    let mut add = |names: &mut dyn Iterator<Item = &str>, time: Duration| {
        root.time += time;
        let mut node = &mut root;
        for name in names {
            node = node.called.entry(name.to_owned()).or_default();
            node.time += time;
        }
    };
    for ((stack, _), weight) in weights {
        let places = &profile.stacks[*stack].places;
        add(&mut places.iter().map(|place| &*profile.places[*place].function), weight.time);
    }
    for (name, time) in others.iter().filter(|(_, time)| !time.is_zero()) {
        add(&mut std::iter::once(*name), *time);
    }
    root
}

/// A line for each stack: its functions, from the outermost on, and its time in microseconds.
pub(super) fn folded(root: &Node) -> String {
    let mut lines = String::new();
    let mut names: Vec<&str> = Vec::new();
    add_lines(root, &mut names, &mut lines);
    lines
}

fn add_lines<'a>(node: &'a Node, names: &mut Vec<&'a str>, lines: &mut String) {
    let own = own_time(node);
    if !names.is_empty() && !own.is_zero() {
        // A semicolon separates functions, and names can have some: `[u8; 4]`.
        let stack: Vec<String> = names.iter().map(|name| name.replace(';', ",")).collect();
        let _ = writeln!(lines, "{} {}", stack.join(";"), own.as_micros());
    }
    for (name, called) in &node.called {
        names.push(name);
        add_lines(called, names, lines);
        names.pop();
    }
}

/// The time of a function without that of those that it calls.
pub(super) fn own_time(node: &Node) -> Duration {
    node.time.saturating_sub(node.called.values().map(|called| called.time).sum())
}
