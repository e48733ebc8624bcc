//! Tests of names, identities and times.

use super::*;

#[test]
fn white_space_does_not_change_the_identity() {
    let id = id_of(r#"{"a b":"x \" y\\","c":[1.5,{}]}"#);
    assert_eq!(id_of("{\n \"a b\": \"x \\\" y\\\\\",\r\n\t\"c\": [ 1.5, {} ] }\n"), id);
    assert_ne!(id_of(r#"{"ab":"x \" y\\","c":[1.5,{}]}"#), id, "within a text, it counts");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
}

#[test]
fn a_name_is_one_part_of_a_path() {
    for same in ["shop", "shop-2.0", "a_b"] {
        assert_eq!(part_of_path(same), same);
    }
    let long = "x".repeat(300);
    let names = [
        "",
        ".",
        "..",
        "../../etc",
        "a/b",
        "a\\b",
        "a=b",
        "a b",
        "a\nb",
        "größe",
        "?",
        "a'b",
        "~",
        ".x",
        &long,
    ];
    let parts: HashSet<String> = names.iter().map(|name| part_of_path(name)).collect();
    assert_eq!(parts.len(), names.len());
    for part in parts {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_~".contains(c);
        assert!(part.chars().all(is_plain) && part.len() < 80, "{part}");
    }
}

#[test]
fn times_are_milliseconds() {
    for (text, in_seconds) in [("2026-01-02T03:04:05.678Z", false), ("2026-01-02T03:04:05Z", true)] {
        assert_eq!(format_time(time(text).expect("a time"), in_seconds), text);
    }
    assert_eq!(time("1969-12-31T23:59:59Z"), None);
    assert_eq!(time("yesterday"), None);
}
