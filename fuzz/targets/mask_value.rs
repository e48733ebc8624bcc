//! Masking of values of any shape: it neither panics nor takes long, and a planted secret does not
//! survive it, under its name or as the field of a label.

#![no_main]

#[path = "shared/node.rs"]
mod node;

use gmr_mask::{field, to_value};
use libfuzzer_sys::fuzz_target;
use node::Node;

/// Unlikely to be in the input.
const SECRET: &str = "pl4nted-s3cr3t-7f2c";

fuzz_target!(|text: &str| {
    let mut node = Node::parse(text);
    if let Some((name, value)) = text.split_once('\n') {
        let _ = field(name, value);
    }
    if text.contains("pl4nted") {
        let _ = to_value(&node);
        return;
    }
    let pair = |name: &str| (name.to_owned(), Node::Text(SECRET.to_owned()));
    if let Node::Map(entries) = &mut node {
        entries.push(pair("password"));
        entries.push(("x".to_owned(), Node::List(vec![Node::Map(vec![pair("db_token"), pair("api-key")])])));
        entries.push((format!("{text}_password"), Node::Text(SECRET.to_owned())));
    }
    let shown = format!("{:?}", to_value(&node).expect("it serializes"));
    assert!(!shown.contains(SECRET), "{node:?} became {shown}");
});
