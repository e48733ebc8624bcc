//! Properties of masking that hold for any input: it never panics, it never shows a planted secret,
//! and masking again shows nothing more.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{MASK, arguments, text, to_value};

/// A secret that no rule recognizes by itself.
const NEEDLE: &str = "Sw0rdfish";

/// What the rules look for, so that random text reaches all of their branches.
const FRAGMENTS: &[&str] = &[
    "password",
    "token",
    "secret_path",
    "token_ttl",
    "api key",
    "name",
    "value",
    "user",
    "x",
    "a b",
    "é",
    "/etc",
    "mysql",
    "curl",
    "export ",
    "true",
    "1",
    "$",
    "%",
    "#",
    "=",
    "==",
    ": ",
    ":",
    "->",
    "=>",
    ",",
    ";",
    "&",
    "?",
    "|",
    "\"",
    "\\\"",
    "\"\"\"",
    "'",
    "`",
    "\\",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "<",
    ">",
    "</",
    " ",
    "  ",
    "\t",
    "\r",
    "\n",
    "-",
    "- ",
    "--",
    "-p",
    "-u",
    "-c",
    "@",
    "://",
    "http",
    "/",
    "Some(",
    "Bearer ",
    "Basic ",
    "Authorization",
    "eyJhbGciOiJI",
    "ghp_",
    "sk-",
    "AKIA",
    "0123456789ABCDEF",
    "-----BEGIN",
    "PRIVATE KEY",
    "-----END",
    MASK,
];

/// Words that mean nothing to the rules.
const PROSE: &[&str] = &["cannot", "reach", "db1", "after", "3", "s", "(again)", "é", "\n"];

fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        8 => select(FRAGMENTS).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    vec(fragment, 0..16).prop_map(|fragments| fragments.concat())
}

fn prose() -> impl Strategy<Value = String> {
    vec(select(PROSE), 0..6).prop_map(|words| words.join(" "))
}

/// A pair in the forms that people and programs give it.
fn pair() -> impl Strategy<Value = String> {
    select(vec![
        format!("password={NEEDLE}"),
        format!("password: {NEEDLE}"),
        format!("{{\"password\": \"{NEEDLE} {NEEDLE}\"}}"),
        format!("'password' => '{NEEDLE}'"),
        format!("<password>{NEEDLE}</password>"),
        format!("postgres://joe:{NEEDLE}@db/x"),
        format!("https://db/?a=b&password={NEEDLE}&c=d"),
        format!("--password {NEEDLE}"),
        format!("Config {{ password: Some(\"{NEEDLE}\"), port: 1 }}"),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_planted_password_never_survives_in_text(before in fragments(), after in fragments()) {
        let planted = format!("{before} password={NEEDLE}{after}");
        let masked = text(&planted);
        prop_assert!(!masked.contains(NEEDLE), "{:?} became {:?}", planted, masked);
    }

    #[test]
    fn a_planted_password_never_survives_in_arguments(
        before in vec(fragments(), 0..4),
        flag in select(vec!["--password=", "--db-password=", "DB_PASSWORD=", "password="]),
        tail in fragments(),
        after in vec(fragments(), 0..4),
    ) {
        // `run` keeps a flag in `before` from taking the planted argument as its value.
        let planted = [before, vec!["run".to_owned(), format!("{flag}{NEEDLE}{tail}")], after].concat();
        let masked = arguments(&planted);
        prop_assert_eq!(masked.len(), planted.len());
        prop_assert!(!masked.concat().contains(NEEDLE), "{:?} became {:?}", planted, masked);
    }

    #[test]
    fn a_planted_password_never_survives_in_a_value(key in fragments(), value in fragments()) {
        let planted = format!("{value} password={NEEDLE}");
        let map = BTreeMap::from([(key, vec![planted.clone()]), (planted, vec![value])]);
        let shown = format!("{:?}", to_value(&map).unwrap());
        prop_assert!(!shown.contains(NEEDLE), "{:?} became {}", map, shown);
    }

    #[test]
    fn masking_a_pair_in_prose_again_changes_nothing(before in prose(), pair in pair(), after in prose()) {
        let masked = text(&format!("{before} {pair} {after}")).into_owned();
        prop_assert!(masked.contains(MASK) && !masked.contains(NEEDLE), "{}", masked);
        prop_assert_eq!(text(&masked), masked.as_str());
    }

    /// Among the remains of what was masked, one more pair can show up. A second pass masks that.
    #[test]
    fn masking_any_text_again_settles(given in fragments()) {
        let passes = std::iter::successors(Some(given), |given| {
            let masked = text(given);
            (masked != *given).then(|| masked.into_owned())
        });
        prop_assert!(passes.take(10).count() < 10);
    }

    #[test]
    fn masking_any_arguments_again_settles(given in vec(fragments(), 0..6)) {
        let passes = std::iter::successors(Some(given), |given| {
            let masked = arguments(given);
            (masked != *given).then_some(masked)
        });
        prop_assert!(passes.take(10).count() < 10);
    }
}
