//! The dry run on values of any shape: it does not panic, it lists a planted secret, and it never
//! says what that is.

#![no_main]

#[path = "shared/node.rs"]
mod node;

use gmr_mask::explain;
use libfuzzer_sys::fuzz_target;
use node::Node;

/// Unlikely to be in the input.
const SECRET: &str = "pl4nted-s3cr3t-7f2c";

fuzz_target!(|text: &str| {
    let mut node = Node::parse(text);
    let can_plant = !text.contains("pl4nted");
    if can_plant && let Node::Map(entries) = &mut node {
        entries.push(("db_password".to_owned(), Node::Text(SECRET.to_owned())));
        entries.push(("url".to_owned(), Node::Text(format!("postgres://u:{SECRET}@h/d"))));
    }
    let lines = explain(&node).expect("it serializes");
    if can_plant {
        assert!(!lines.iter().any(|line| line.contains(SECRET)), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("db_password:")), "{node:?}: {lines:?}");
    }
});
