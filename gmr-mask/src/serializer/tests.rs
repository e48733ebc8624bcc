//! Tests of the serializer: all shapes of serde's data model, compared with `serde_json`; what is
//! masked and what is not; values that are too large; and secrets planted at random.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::*;
use crate::Secret;

/// What a value becomes, as JSON, which is easy to write and compare.
fn shown<T: Serialize + ?Sized>(value: &T) -> serde_json::Value {
    serde_json::to_value(to_value(value).unwrap()).unwrap()
}

#[derive(Serialize)]
struct Unit;
#[derive(Serialize)]
struct Newtype(u16);
#[derive(Serialize)]
struct Pair(i8, &'static str);
#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Nothing,
    One(i32),
    Two(bool, char),
    Fields { x: i64 },
}
#[derive(Serialize)]
#[serde(tag = "kind")]
enum Tagged {
    Disk { path: &'static str },
}
#[derive(Serialize)]
struct Inner {
    a: u8,
    b: Option<f64>,
}

#[derive(Serialize)]
struct Everything {
    zebra: Unit,
    newtype: Newtype,
    pair: Pair,
    shapes: Vec<Shape>,
    tagged: Tagged,
    none: Option<u8>,
    #[expect(clippy::option_option, reason = "a shape of its own")]
    some: Option<Option<&'static str>>,
    unit: (),
    tuple: (u8, f64, char),
    #[serde(skip)]
    _skipped: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    absent: Option<u8>,
    #[serde(flatten)]
    inner: Inner,
    #[serde(flatten)]
    more: BTreeMap<String, i32>,
    numbers: BTreeMap<i32, &'static str>,
    flags: BTreeMap<bool, u64>,
    letters: BTreeMap<char, i16>,
    variants: BTreeMap<Shape, u8>,
    empty: (Vec<u8>, BTreeMap<String, u8>, String),
    extremes: (i64, u64, u32),
}

fn everything() -> Everything {
    Everything {
        zebra: Unit,
        newtype: Newtype(7),
        pair: Pair(-1, "x"),
        shapes: vec![Shape::Nothing, Shape::One(1), Shape::Two(true, 'é'), Shape::Fields { x: -5 }],
        tagged: Tagged::Disk { path: "/var" },
        none: None,
        some: Some(Some("y")),
        unit: (),
        tuple: (1, 0.5, 'c'),
        _skipped: 0,
        absent: None,
        inner: Inner { a: 1, b: Some(2.5) },
        more: BTreeMap::from([("m".into(), 1)]),
        numbers: BTreeMap::from([(-1, "minus one")]),
        flags: BTreeMap::from([(true, 1)]),
        letters: BTreeMap::from([('l', 1)]),
        variants: BTreeMap::from([(Shape::Nothing, 1)]),
        empty: (vec![], BTreeMap::new(), String::new()),
        extremes: (i64::MIN, u64::MAX, 0),
    }
}

#[test]
fn shapes_are_those_of_serde_json() {
    assert_eq!(shown(&everything()), serde_json::to_value(everything()).unwrap());
}

#[test]
fn fields_keep_their_order() {
    let Value::Map(entries) = to_value(&everything()).unwrap() else { panic!("no map") };
    let keys: Vec<_> = entries.iter().map(|(key, _)| key.as_str()).take(3).collect();
    assert_eq!(keys, ["zebra", "newtype", "pair"]);
    assert!(entries.iter().all(|(key, _)| key != "_skipped" && key != "absent"));
}

#[test]
fn numbers_keep_their_value() {
    assert_eq!(to_value(&-7).unwrap(), Value::Signed(-7));
    assert_eq!(to_value(&7).unwrap(), Value::Unsigned(7));
    assert_eq!(to_value(&i64::MIN).unwrap(), Value::Signed(i64::MIN));
    assert_eq!(to_value(&u64::MAX).unwrap(), Value::Unsigned(u64::MAX));
    assert_eq!(to_value(&i128::MIN).unwrap(), Value::Text(i128::MIN.to_string()));
    assert_eq!(to_value(&u128::MAX).unwrap(), Value::Text(u128::MAX.to_string()));
    assert_eq!(to_value(&0.1_f32).unwrap(), Value::Float(0.1));
    assert_eq!(to_value(&f32::INFINITY).unwrap(), Value::Text("inf".into()));
    assert_eq!(to_value(&f64::NAN).unwrap(), Value::Text("NaN".into()));
}

#[derive(Serialize)]
struct Database {
    host: &'static str,
    password: Option<&'static str>,
    port: u16,
}

#[test]
fn secrets_are_masked_by_their_keys() {
    let config = json!({
        "db": { "user": "joe", "password": "hunter2", "url": "postgres://joe:hunter2@db/x" },
        "apiKey": "hunter2", "pin": 1234, "token": 42, "secrets": { "a": { "b": "hunter2" } }, "tokens": ["hunter2"],
        "use_password": true, "password_min_length": 8, "max_tokens": 100, "token_ttl": "15m",
        "password_file": "/run/secrets/db", "key_path": "/x", "tokenizer_model": "bert", "author": "joe",
        "auth_token": null, "admin_pass": "", "primary_key": "id", "note": "password=hunter2",
        "env": [{ "name": "DB_PASSWORD", "value": "hunter2" }, { "name": "DB_HOST", "value": "db" }],
        "command": ["app", "--password", "hunter2", "-v"], "token_limits": { "max": 3, "name": "hunter2" },
        "paths": ["/a", "/b"], "signing_key_files": ["/a.pem", "hunter2"],
    });
    let expected = json!({
        "db": { "user": "joe", "password": "***", "url": "postgres://joe:***@db/x" },
        "apiKey": "***", "pin": "***", "token": "***", "secrets": "***", "tokens": "***",
        "use_password": true, "password_min_length": 8, "max_tokens": 100, "token_ttl": "15m",
        "password_file": "/run/secrets/db", "key_path": "/x", "tokenizer_model": "bert", "author": "joe",
        "auth_token": null, "admin_pass": "", "primary_key": "id", "note": "password=***",
        "env": [{ "name": "DB_PASSWORD", "value": "***" }, { "name": "DB_HOST", "value": "db" }],
        "command": ["app", "--password", "***", "-v"], "token_limits": "***",
        "paths": ["/a", "/b"], "signing_key_files": ["/a.pem", "***"],
    });
    assert_eq!(shown(&config), expected);
    let database = |password| Database { host: "db", password, port: 1 };
    assert_eq!(shown(&database(Some("x"))), json!({ "host": "db", "password": "***", "port": 1 }));
    assert_eq!(shown(&database(None)), json!({ "host": "db", "password": null, "port": 1 }));
}

#[derive(Serialize)]
struct ApiKey(String);
#[derive(Serialize)]
struct Credentials {
    user: &'static str,
}
#[derive(Serialize)]
enum Login {
    Password(String),
    Token { inner: &'static str },
    Both(&'static str, u8),
    Anonymous,
}
#[derive(Serialize)]
struct AuthConfig {
    url: &'static str,
}
#[derive(Serialize)]
struct Foreign {
    #[serde(serialize_with = "crate::masked")]
    key: (),
}

#[test]
fn secrets_are_masked_by_their_types() {
    assert_eq!(shown(&[ApiKey("x".into())]), json!(["***"]));
    assert_eq!(shown(&Credentials { user: "x" }), json!("***"));
    assert_eq!(shown(&Login::Password("x".into())), json!({ "Password": "***" }));
    assert_eq!(shown(&Login::Token { inner: "x" }), json!({ "Token": "***" }));
    assert_eq!(shown(&Login::Both("x", 1)), json!({ "Both": ["x", 1] }));
    assert_eq!(shown(&BTreeMap::from([("auth", Login::Anonymous)])), json!({ "auth": "Anonymous" }));
    assert_eq!(shown(&AuthConfig { url: "x" }), json!({ "url": "x" }));
    assert_eq!(shown(&Foreign { key: () }), json!({ "key": "***" }));
    assert_eq!(shown(&(Secret::new("x"), Some(Secret::new(1)))), json!(["***", "***"]));
}

/// Serializes as bytes, like `serde_bytes`.
struct Bytes(Vec<u8>);
impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

#[test]
fn bytes_are_counted_and_not_shown() {
    assert_eq!(shown(&Bytes(vec![1; 32])), json!("<32 bytes>"));
    assert_eq!(shown(&BTreeMap::from([("secret", Bytes(vec![1; 32]))])), json!({ "secret": "***" }));
    assert_eq!(shown(&vec![1_u8; 32]), json!("<32 bytes>"));
    assert_eq!(shown(&[1_u8; 32]), json!(["<32 bytes>"]));
    assert_eq!(shown(&vec![1_u8; 1_000_000]), json!("<1000000 bytes>"));
    assert_eq!(shown(&[1_u8; 6]), json!([1, 1, 1, 1, 1, 1]));
    assert_eq!(shown(&[1_u16; 8]), json!([1, 1, 1, 1, 1, 1, 1, 1]));
    let mixed = ("a", 1_u8, 1_u8, 1_u8, 1_u8, 1_u8, 1_u8, 1_u8, "b");
    assert_eq!(shown(&mixed), json!(["a", "<7 bytes>", "b"]));
    assert_eq!(shown(&BTreeMap::from([(vec![1_u8; 8], 1)])), json!({ "<8 bytes>": 1 }));
}

#[test]
fn keys_become_text_and_are_masked() {
    let tuples = BTreeMap::from([((1, "a"), 1)]);
    assert_eq!(shown(&tuples), json!({ "(1, a)": 1 }));
    assert_eq!(shown(&BTreeMap::from([((1, "password"), "x")])), json!({ "(1, password)": "***" }));
    assert_eq!(shown(&BTreeMap::from([("ghp_0123456789", 1)])), json!({ "***": 1 }));
    assert_eq!(shown(&BTreeMap::from([(BTreeMap::from([("a", 1)]), 1)])), json!({ "***": 1 }));
    assert_eq!(shown(&BTreeMap::from([(Some(Shape::One(1)), 1)])), json!({ "***": 1 }));
    assert_eq!(shown(&BTreeMap::from([(Some("a"), 1), (None, 2)])), json!({ "null": 2, "a": 1 }));
    assert_eq!(
        shown(&vec![("authorization", "x"), ("accept", "y")]),
        json!([["authorization", "***"], ["accept", "y"]])
    );
}

struct Failing(&'static str);
impl Serialize for Failing {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom(self.0))
    }
}

#[test]
fn errors_are_masked() {
    let error = to_value(&[Failing("no postgres://u:hunter2@h/")]).unwrap_err();
    assert_eq!(error.to_string(), "no postgres://u:***@h/");
}

/// Continues although a part has failed.
struct IgnoresErrors;
impl Serialize for IgnoresErrors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        let _ = seq.serialize_element(&BTreeMap::from([("a", vec![Failing("x")])]));
        seq.serialize_element("b")?;
        seq.end()
    }
}

#[test]
fn a_part_that_failed_leaves_nothing_open() {
    assert_eq!(shown(&IgnoresErrors), json!([{ "a": [] }, "b"]));
}

/// Endless values of each kind.
enum Endless {
    List,
    Bytes,
    Map,
    Secrets,
    Deep,
    Some,
    Key,
    Texts,
    Shown,
}
impl Serialize for Endless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Endless::List => serializer.collect_seq(std::iter::repeat(1)),
            Endless::Bytes => serializer.collect_seq(std::iter::repeat(1_u8)),
            Endless::Map => serializer.collect_map(std::iter::repeat(("a", 1))),
            Endless::Secrets => serializer.collect_map([("password", EndlessList)]),
            Endless::Deep => serializer.collect_seq([Endless::Deep]),
            Endless::Some => serializer.serialize_some(&Endless::Some),
            Endless::Key => serializer.collect_map([(Endless::Key, 1), (Endless::Deep, 2)]),
            Endless::Texts => serializer.collect_seq(std::iter::repeat("ab ".repeat(100_000))),
            Endless::Shown => serializer.collect_str(&EndlessText),
        }
    }
}

/// An endless list.
struct EndlessList;
impl Serialize for EndlessList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(std::iter::repeat("x"))
    }
}

struct EndlessText;
impl Display for EndlessText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        loop {
            f.write_str("some words ")?;
        }
    }
}

#[test]
fn endless_values_are_cut_with_a_note() {
    let all = [
        Endless::List,
        Endless::Bytes,
        Endless::Map,
        Endless::Secrets,
        Endless::Deep,
        Endless::Some,
        Endless::Texts,
        Endless::Shown,
        Endless::Key,
    ];
    for (index, endless) in all.iter().enumerate() {
        let text = shown(&("before", endless)).to_string();
        assert!(text.starts_with("[\"before\""), "{index}");
        assert!(text.contains("… (cut ") || matches!(endless, Endless::Key), "{index}");
        assert!(text.len() < 16 << 20, "{index}: {}", text.len());
    }
}

#[test]
fn text_is_not_cut_within_a_secret() {
    let long = format!("{} postgres://u:hunter2@h", "x ".repeat((4 << 20) / 2 - 8));
    let text = shown(&long).to_string();
    assert!(text.contains("cut here") && !text.contains("hunter"), "{}", &text[text.len() - 100..]);
}

/// A random number generator with a fixed sequence (Knuth's MMIX).
struct Random(u64);
impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

const NEEDLE: &str = "Sw0rdfish";

/// Text with the secret in a position where it must be recognized.
fn planted(random: &mut Random) -> String {
    let key = random.of(&[
        "password",
        "DB_PASS",
        "apiKey",
        "x-auth-token",
        "client_secret",
        "Passphrase",
        "session-id",
    ]);
    let noise = |random: &mut Random| {
        random.of(&["", "a ", "host=db ", "see: ", "\n", "é ", "x, ", "(", "{", "[1, 2] "])
    };
    let tail = random.of(&["%", ".", "", "+/=", "äö", "!!", "-_-"]);
    let secret = format!("{NEEDLE}{tail}");
    let before = noise(random);
    let after = random.of(&["", " b", "\nc", " x=1", ", y: 2", "; z"]);
    let position = match random.below(13) {
        0 => format!("{key}={secret}"),
        1 => format!("{key}: {secret}"),
        2 => format!("\"{key}\": \"a {secret} b\""),
        3 => format!("'{key}' => 'a {secret}'"),
        4 => format!("postgres://user:{secret}@host/db"),
        5 => format!("https://host/path?a=b&{key}={secret}&c=d"),
        6 => format!("<{key}>{secret}</{key}>"),
        7 => format!("Authorization: Basic {secret}"),
        8 => format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----"),
        9 => format!("ghp_{secret}"),
        10 => format!("Config {{ {key}: Some(\"a {secret}\"), b: 1 }}"),
        11 => format!("cmd --{key} {secret}"),
        _ => format!("eyJhbGciOiJI.{NEEDLE}.{NEEDLE}"),
    };
    format!("{before}{position}{after}")
}

/// A value with the secret somewhere inside.
fn planted_value(random: &mut Random, depth: usize) -> serde_json::Value {
    let key = random.of(&["a", "b.c", "Name", "value", "user", "paths"]);
    match random.below(if depth == 0 { 3 } else { 6 }) {
        0 => json!(planted(random)),
        1 => json!({ random.of(&["password", "authToken", "pin", "credentials"]): NEEDLE }),
        2 => json!({ planted(random): 1 }),
        3 => json!([1, planted_value(random, depth - 1), null]),
        4 => {
            json!({ random.of(&["secrets", "cookies"]): { key: [NEEDLE, planted_value(random, depth - 1)] } })
        }
        _ => json!({ key: planted_value(random, depth - 1), "z": true }),
    }
}

#[test]
fn a_planted_secret_is_never_shown() {
    let mut random = Random(2);
    for round in 0..20_000 {
        let value = planted_value(&mut random, 3);
        let out = format!("{:?}", to_value(&value).unwrap());
        assert!(!out.contains(NEEDLE), "round {round}: {value}\nbecame {out}");
    }
}
