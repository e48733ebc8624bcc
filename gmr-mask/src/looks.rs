//! Whether a word looks like a secret or like a word of a language. It is asked only where the
//! place already suggests a secret: reports are full of hashes, build ids and trace ids, which look
//! as random as keys.

use super::index::has;

/// Longer text is no single key or password.
pub(super) const MAX_LEN: usize = 128;

/// What a word consists of.
#[derive(Debug, Default)]
struct Look {
    lower: usize,
    upper: usize,
    digits: usize,
    /// How often a letter and a digit are neighbours.
    changes: usize,
    /// How often a capital follows a small letter.
    humps: usize,
}

fn look(word: &str) -> Look {
    let mut look = Look::default();
    let mut before = b' ';
    for byte in word.bytes() {
        look.lower += usize::from(byte.is_ascii_lowercase());
        look.upper += usize::from(byte.is_ascii_uppercase());
        look.digits += usize::from(byte.is_ascii_digit());
        let both = before.is_ascii_alphanumeric() && byte.is_ascii_alphanumeric();
        look.changes += usize::from(both && before.is_ascii_digit() != byte.is_ascii_digit());
        look.humps += usize::from(before.is_ascii_lowercase() && byte.is_ascii_uppercase());
        before = byte;
    }
    look
}

/// Whether this can be a password or a key: one word of letters and digits, and not a path, an
/// address, a version, a measure, an identifier with a number at its end, or a UUID.
pub(super) fn is_opaque(word: &str) -> bool {
    const MIN_LEN: usize = 6;
    if !(MIN_LEN..=MAX_LEN).contains(&word.len()) {
        return false;
    }
    let plain = |b: u8| b.is_ascii_graphic() && !has(b"\"'`(){}[]<>|;,:\\", b);
    if !word.bytes().all(plain) || word.starts_with(['/', '.', '~', '-']) {
        return false;
    }
    let Look { lower, upper, digits, changes, humps } = look(word);
    // `worker2`, `node_12`, `sha256`, `ed25519`
    let numbered = (digits <= 3 || word.len() <= 8)
        && word.trim_end_matches(|c: char| c.is_ascii_digit()).bytes().all(|b| !b.is_ascii_digit());
    // `app.example2.org`, `10.0.0.1`, `1.2.3-rc4`, `key2.pem`; a random text has a period at most
    // where it has many changes, too.
    let dotted = word.contains('.') && changes + humps < 4;
    let path = word.contains('/') && !is_random(word);
    lower + upper > 0
        && digits > 0
        && !numbered
        && !dotted
        && !path
        && !is_uuid(word)
        && !word.starts_with("0x")
}

/// Whether this is random beyond doubt: letters of both kinds and digits, often changing.
pub(super) fn is_random(word: &str) -> bool {
    const MIN_LEN: usize = 12;
    if !(MIN_LEN..=MAX_LEN).contains(&word.len())
        || !word.bytes().all(|b| b.is_ascii_alphanumeric() || has(b"+/=_-~!", b))
    {
        return false;
    }
    let Look { lower, upper, digits, changes, humps } = look(word);
    // In words, a run of one kind is longer.
    let short_runs = word.len() * 2 <= (changes + humps + 1) * 9;
    lower > 0 && upper > 0 && digits > 1 && changes > 1 && short_runs && !is_uuid(word)
}

/// Whether this has all that rules for passwords ask for: letters of both kinds, digits, and a mark
/// that names of accounts do not have. Those of machines end with `$`, those of guests have `#`.
pub(super) fn is_by_password_rules(word: &str) -> bool {
    const MIN_LEN: usize = 8;
    let Look { lower, upper, digits, .. } = look(word);
    (MIN_LEN..=MAX_LEN).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_graphic())
        && word.bytes().any(|b| has(b"!%^&*?~=", b))
        && lower > 0
        && upper > 0
        && digits > 0
}

/// Whether a run of letters and digits is as random as a token. Lower-case hexadecimal digits alone
/// are more often a hash of something public.
pub(super) fn is_token_body(word: &str) -> bool {
    let Look { lower, upper, digits, changes, humps } = look(word);
    let beyond_hex = word.bytes().any(|b| b.is_ascii_alphabetic() && !matches!(b, b'a'..=b'f'));
    let mixed = changes * 8 >= word.len() || (upper > 0 && lower > 0 && (changes + humps) * 6 >= word.len());
    digits > 0 && beyond_hex && changes > 2 && mixed
}

pub(super) fn is_uuid(word: &str) -> bool {
    let groups = [8, 4, 4, 4, 12];
    word.len() == 36
        && word.split('-').map(str::len).eq(groups)
        && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_keys_are_told_from_words() {
        for word in ["zebra7412", "x9-kilo-44", "Qr82kLm0", "t0pS3cret!", "9f86d081884c7d659a2feaa0c55ad015"]
        {
            assert!(is_opaque(word), "{word}");
        }
        for word in [
            "region",
            "user_name",
            "worker2",
            "sha256",
            "/etc/k8s/x1",
            "10.0.0.1",
            "db1.example.org",
            "1.2.3-rc4",
            "user:42:x",
            "0x7f3a22b1",
            "key2.pem",
            "123456",
            "52175300-cf89-cae8-df6a-e600d438d7ac",
            "",
            "a1",
        ] {
            assert!(!is_opaque(word), "{word}");
        }
    }

    #[test]
    fn what_follows_the_rules_for_passwords_is_no_name_of_an_account() {
        for word in ["Winter2024!", "zEbra_7412?", "a1B2=c3d"] {
            assert!(is_by_password_rules(word), "{word}");
        }
        for word in [
            "Shop7Admin",
            "CORP\\Web01$",
            "jo_example.org#EXT#@Corp1.example",
            "Jo.Doe+7@example.org",
            "winter2024!",
            "Wi2!",
            "Who is 7?",
        ] {
            assert!(!is_by_password_rules(word), "{word}");
        }
    }

    #[test]
    fn random_is_more_than_a_number_in_a_name() {
        for word in ["kQ7pZx20LmWd", "I7A81vUi6h8m6xqKwwgmK6hsaWFW8Q", "a1B2c3D4e5F6"] {
            assert!(is_random(word), "{word}");
        }
        for word in [
            "Users42Profiles",
            "9f86d081884c7d659a2feaa0c55ad015",
            "uploads/2024/img",
            "zebra7412",
            "CamelCaseName12",
        ] {
            assert!(!is_random(word), "{word}");
        }
        assert!(is_token_body("8c4jdop79q22xh1b89ub"));
        assert!(!is_token_body("4b825dc642cb6eb9a060e54bf8d69288fbee4904"));
        assert!(!is_token_body("averylongwordwithout1"));
    }
}
