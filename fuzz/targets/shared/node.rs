//! A value of any shape, read from text so that a fuzzer can change it line by line. It is no
//! format for anyone else.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, SerializeTuple, Serializer};

/// What serde knows, without what differs only in size.
#[derive(Debug)]
pub enum Node {
    Map(Vec<(String, Node)>),
    List(Vec<Node>),
    /// A tuple: pairs in it are names and values.
    Tuple(Vec<Node>),
    Text(String),
    Number(u64),
    Byte(u8),
    Bytes(Vec<u8>),
    Some(Box<Node>),
    None,
    Newtype(&'static str, Box<Node>),
    Variant(&'static str, Box<Node>),
    Unit(&'static str),
}

/// Names of types and variants have to be in the program.
const NAMES: [&str; 8] =
    ["Password", "SecretString", "Config", "Basic", "Login", "Tcp", "Token", "AuthConfig"];

impl Node {
    /// The first character of a line says what it adds: `{`, `[` and `(` open a map, a list and a
    /// tuple, and `)` closes it; the others are values, with a name before the first `=`.
    pub fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        Self::within(&mut lines, '{')
    }

    fn within(lines: &mut std::str::Lines<'_>, open: char) -> Self {
        let mut entries: Vec<(String, Node)> = Vec::new();
        while let Some(line) = lines.next() {
            let (kind, rest) = line.split_at(line.chars().next().map_or(0, char::len_utf8));
            if kind == ")" {
                break;
            }
            let (name, value) = rest.split_once('=').unwrap_or(("", rest));
            let text = || Node::Text(value.to_owned());
            let named = NAMES[value.len() % NAMES.len()];
            let node = match kind {
                "{" | "[" | "(" => Self::within(lines, kind.chars().next().unwrap_or('{')),
                "#" => Node::Number(value.len() as u64 * 0x9E37_79B9),
                "b" => Node::Byte(value.len() as u8),
                "B" => Node::Bytes(value.as_bytes().to_vec()),
                "?" => Node::Some(Box::new(text())),
                "0" => Node::None,
                "N" => Node::Newtype(named, Box::new(text())),
                "V" => Node::Variant(named, Box::new(text())),
                "T" => Node::Variant(named, Box::new(Node::Tuple(vec![text(), text()]))),
                "U" => Node::Unit(named),
                _ => text(),
            };
            entries.push((name.to_owned(), node));
        }
        let items = |entries: Vec<(String, Node)>| entries.into_iter().map(|(_, node)| node).collect();
        match open {
            '[' => Node::List(items(entries)),
            '(' => Node::Tuple(items(entries)),
            _ => Node::Map(entries),
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Node::Map(entries) => {
                let mut map = serializer.serialize_map(None)?;
                entries.iter().try_for_each(|(name, node)| map.serialize_entry(name, node))?;
                map.end()
            }
            Node::List(items) => {
                let mut list = serializer.serialize_seq(None)?;
                items.iter().try_for_each(|node| list.serialize_element(node))?;
                list.end()
            }
            Node::Tuple(items) => {
                let mut tuple = serializer.serialize_tuple(items.len())?;
                items.iter().try_for_each(|node| tuple.serialize_element(node))?;
                tuple.end()
            }
            Node::Text(text) => serializer.serialize_str(text),
            Node::Number(number) => serializer.serialize_u64(*number),
            Node::Byte(byte) => serializer.serialize_u8(*byte),
            Node::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Node::Some(node) => serializer.serialize_some(node),
            Node::None => serializer.serialize_none(),
            Node::Newtype(name, node) => serializer.serialize_newtype_struct(name, node),
            Node::Variant(name, node) => serializer.serialize_newtype_variant("Fuzzed", 0, name, node),
            Node::Unit(name) => serializer.serialize_unit_variant("Fuzzed", 0, name),
        }
    }
}
