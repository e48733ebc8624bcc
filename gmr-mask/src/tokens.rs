//! Finds secrets by their form alone: private keys in PEM, JSON Web Tokens, credentials after
//! `Bearer` and `Basic`, and tokens with an issuer's prefix. It does not measure entropy: reports
//! are full of hashes, build ids and trace ids, which look as random as keys.

use std::ops::Range;

use super::boundary;
use super::index::{Present, beginning, has};
use super::looks;
use super::providers::{BEGINNINGS, BY_FIRST_BYTE, Form, PREFIXES};
use super::quoting::{is_quote, position};

/// Adds the spans of such secrets.
pub(super) fn find(text: &str, present: &Present, spans: &mut Vec<Range<usize>>) {
    /// The shortest with a mark.
    const MIN_MARKED: usize = 24;
    if present.all(b"BEGIN PRIVATE") {
        pem(text, spans);
    }
    if present.all(b"Private-Lines:") {
        putty(text, spans);
    }
    if text.len() >= MIN_MARKED {
        marked(text, present, spans);
    }
    let bytes = text.as_bytes();
    // A run of base64 that is not a JSON Web Token is not checked again from its middle.
    let mut no_jwt_before = 0;
    let mut start = position(bytes, 0, |b| b.is_ascii_alphanumeric());
    while start < bytes.len() {
        let run = position(bytes, start, |b| !b.is_ascii_alphanumeric());
        let found = prefixed(bytes, start).or_else(|| match bytes[start] {
            b'0'..=b'9' => bot(bytes, start, run),
            b'M' | b'N' | b'O' => discord(bytes, start, run),
            b'p' => airtable(bytes, start),
            b'e' if start >= no_jwt_before => jwt(bytes, start, &mut no_jwt_before),
            b'B' | b'b' => credentials(text, start),
            _ => None,
        });
        let found = found.or_else(|| mail(bytes, start, run));
        let end = match found.or_else(|| generic(text, start, run)) {
            Some(span) => {
                let end = span.end;
                spans.push(span);
                position(bytes, end, |b| !b.is_ascii_alphanumeric())
            }
            None => run,
        };
        start = position(bytes, end, |b| b.is_ascii_alphanumeric());
    }
}

/// Finds blocks from `-----BEGIN .. PRIVATE KEY-----` to the matching end, or to the end of the
/// text if there is none. Line feeds may be escaped.
fn pem(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some((begin, after)) = label(text, "BEGIN", at) {
        let end = label(text, "END", after).map_or(text.len(), |(_, after)| after);
        spans.push(begin..end);
        at = end;
    }
}

/// Finds the lines of a private key in the format of `PuTTY`.
fn putty(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(offset) = text[at..].find("Private-Lines:") {
        let begin = at + offset + "Private-Lines:".len();
        at = text[begin..].find("Private-MAC").map_or(text.len(), |end| begin + end);
        let first = text[begin..at].find('\n').map_or(at, |line| begin + line + 1);
        spans.push(first..at);
    }
}

/// The next label of a private key, including its dashes.
fn label(text: &str, word: &str, mut at: usize) -> Option<(usize, usize)> {
    /// The longest in use is `ENCRYPTED PRIVATE KEY` after the name of an algorithm.
    const MAX_LEN: usize = 64;
    let bytes = text.as_bytes();
    let dash = |b: &&u8| **b == b'-' || **b == b' ';
    loop {
        let found = at + text[at..].find(word)?;
        at = found + word.len();
        let window = &text[at..boundary::floor(text, at + MAX_LEN)];
        let name = window.split(['-', '\n', '\\']).next().unwrap_or("");
        if name.contains("PRIVATE KEY") && bytes[..found].trim_ascii_end().ends_with(b"-") {
            // A PEM label has five dashes, an SSH2 label four and a space. More are not part of it.
            let before = bytes[..found].iter().rev().take(5).take_while(dash).count();
            let after = bytes[at + name.len()..].iter().take(5).take_while(|b| **b == b'-').count();
            return Some((found - before, at + name.len() + after));
        }
    }
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// A JSON Web Token: a header that begins with `{"` in base64, a period, and the rest as far as it
/// has not been cut off.
fn jwt(bytes: &[u8], start: usize, no_jwt_before: &mut usize) -> Option<Range<usize>> {
    /// `{"alg":"x"}` is 16 characters long.
    const MIN_LEN: usize = 10;
    /// An object that is encoded alone, such as an API key of Grafana.
    const MIN_OBJECT_LEN: usize = 40;
    if !bytes[start..].starts_with(b"eyJ") {
        return None;
    }
    let header = position(bytes, start, |b| !is_base64url(b));
    let follows = bytes.get(header) == Some(&b'.') && bytes.get(header + 1).is_some_and(|&b| is_base64url(b));
    if !follows && header - start >= MIN_OBJECT_LEN {
        return Some(start..header);
    }
    if !follows || header - start < MIN_LEN {
        *no_jwt_before = header;
        return None;
    }
    Some(start..position(bytes, header, |b| !is_base64url(b) && b != b'.'))
}

fn prefixed(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = &bytes[start..];
    if !BEGINNINGS.begin(rest) {
        return None;
    }
    let rows = beginning(PREFIXES, &BY_FIRST_BYTE, rest[0]);
    let (prefix, _) = rows.iter().find(|(prefix, form)| {
        rest.starts_with(prefix.as_bytes()) && has_form(&rest[prefix.len()..], *form)
    })?;
    let end = position(bytes, start + prefix.len(), |b| !is_base64url(b) && !has(b".=+/~%", b));
    Some(start..end)
}

/// Whether this can be the rest of a token after its prefix. It reads few enough bytes to be called
/// at every position.
fn has_form(rest: &[u8], form: Form) -> bool {
    let all = |shortest: usize, fits: fn(u8) -> bool| {
        rest.get(..shortest).filter(|head| head.iter().all(|&b| fits(b)))
    };
    let mixed = |shortest: usize, fits: fn(u8) -> bool| {
        all(shortest, fits)
            .is_some_and(|head| head.iter().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase()))
    };
    let numbered = |shortest: usize, fits: fn(u8) -> bool| {
        all(shortest, fits).is_some_and(|head| head.iter().any(u8::is_ascii_digit))
    };
    match form {
        Form::Any => all(4, |b| is_base64url(b) || b == b'.').is_some(),
        Form::Mixed => mixed(16, |b| is_base64url(b) || has(b".=", b)),
        Form::Alphanumeric => mixed(20, |b| b.is_ascii_alphanumeric()),
        Form::Uppercase => mixed(12, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-'),
        Form::Hex(shortest) => all(shortest, |b| b.is_ascii_hexdigit()).is_some(),
        Form::Letters(shortest) => numbered(shortest, |b| b.is_ascii_alphanumeric()),
        Form::Words(shortest) => numbered(shortest, is_base64url),
        Form::Uuid => {
            rest.get(..36).and_then(|rest| std::str::from_utf8(rest).ok()).is_some_and(looks::is_uuid)
        }
    }
}

/// A token of an issuer that is not in the table, by the form that most of them have: words in
/// lower case, and after a dash or an underscore at least 20 random letters and digits.
fn generic(text: &str, start: usize, mut end: usize) -> Option<Range<usize>> {
    const MAX_PREFIX: usize = 24;
    const MIN_BODY: usize = 20;
    let bytes = text.as_bytes();
    // Once for each run of words.
    if start > 0 && has(b"-_", bytes[start - 1]) {
        return None;
    }
    let mut at = start;
    loop {
        let body = &text[at..end];
        if at > start + 1 && body.len() >= MIN_BODY && looks::is_token_body(body) {
            return Some(start..position(bytes, end, |b| !is_base64url(b)));
        }
        let is_word = at > start || body.bytes().all(|b| b.is_ascii_lowercase());
        if !is_word || end - start > MAX_PREFIX || !bytes.get(end).is_some_and(|b| has(b"-_", *b)) {
            return None;
        }
        at = end + 1;
        end = position(bytes, at, |b| !b.is_ascii_alphanumeric());
    }
}

/// Tokens that are known by their middle or their end.
fn marked(text: &str, present: &Present, spans: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    // Terraform; Azure; MaxMind; New Relic.
    for (mark, before, after) in [(".atlasv1.", 14, 20), ("Q~", 4, 24), ("_mmk", 24, 0), ("FFFFNRAL", 32, 0)]
    {
        if !present.all(mark.as_bytes()) {
            continue;
        }
        let mut at = 0;
        while let Some(offset) = text[at..].find(mark) {
            let found = at + offset;
            at = found + mark.len();
            let fits = |b: &&u8| is_base64url(**b) || (mark == "Q~" && has(b".~", **b));
            let run_before = |most: usize| bytes[..found].iter().rev().take(most).take_while(fits).count();
            let run_after =
                |most: usize| bytes[at..].iter().take(most).take_while(|b| fits(b) || **b == b'=').count();
            // Only of a token, all is read.
            if run_before(before) >= before && run_after(after) >= after {
                let (start, end) = (found - run_before(64), at + run_after(512));
                spans.push(start..end);
                at = end;
            }
        }
    }
}

/// A personal token of Airtable: `pat`, 14 letters and digits, a period, and hexadecimal digits.
fn airtable(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = bytes[start..].strip_prefix(b"pat")?;
    let (name, secret) = (rest.get(..14)?, rest.get(15..31)?);
    let is_token = rest[14] == b'.'
        && name.iter().all(u8::is_ascii_alphanumeric)
        && secret.iter().all(u8::is_ascii_hexdigit);
    is_token.then(|| start..position(bytes, start + 18, |b| !b.is_ascii_hexdigit()))
}

/// A bot's token of Discord: its number in base64, six characters of a time, and the signature.
fn discord(bytes: &[u8], start: usize, run: usize) -> Option<Range<usize>> {
    let length = |from: usize, most: usize| {
        bytes.get(from..).map_or(0, |rest| rest.iter().take(most).take_while(|b| is_base64url(**b)).count())
    };
    let is_token = (23..=28).contains(&(run - start))
        && bytes.get(run) == Some(&b'.')
        && length(run + 1, 7) == 6
        && bytes.get(run + 7) == Some(&b'.')
        && length(run + 8, 27) == 27;
    is_token.then(|| start..position(bytes, run + 8, |b| !is_base64url(b)))
}

/// A key for sending mail: 32 hexadecimal digits and a data center (Mailchimp), or 8 and 8 more of
/// them (Mailgun).
fn mail(bytes: &[u8], start: usize, run: usize) -> Option<Range<usize>> {
    let is_hex = |from: usize, to: usize| {
        bytes.get(from..to).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if run - start != 32 || bytes.get(run) != Some(&b'-') || !is_hex(start, run) {
        return None;
    }
    let is_place = bytes[run + 1..].starts_with(b"us") && bytes.get(run + 3).is_some_and(u8::is_ascii_digit);
    let is_mailgun =
        is_hex(run + 1, run + 9) && bytes.get(run + 9) == Some(&b'-') && is_hex(run + 10, run + 18);
    (is_place || is_mailgun).then(|| start..position(bytes, run, |b| !b.is_ascii_alphanumeric() && b != b'-'))
}

/// A bot's token of Telegram, after the number of the bot: `123456:AA..`.
fn bot(bytes: &[u8], start: usize, colon: usize) -> Option<Range<usize>> {
    let is_token = (5..=17).contains(&(colon - start))
        && bytes[start..colon].iter().all(u8::is_ascii_digit)
        && bytes[colon..].starts_with(b":A")
        && bytes.get(colon + 1..colon + 31).is_some_and(|rest| rest.iter().all(|&b| is_base64url(b)));
    is_token.then(|| start..position(bytes, colon + 1, |b| !is_base64url(b)))
}

/// The credentials after `Bearer` or `Basic`.
fn credentials(text: &str, start: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let is = |name: &str| {
        bytes[start..].get(..name.len()).is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    };
    let (name, is_secret): (_, fn(&str) -> bool) = if is("bearer ") {
        ("bearer ", is_bearer)
    } else if is("basic ") {
        ("basic ", is_basic)
    } else {
        return None;
    };
    let from = position(bytes, start + name.len(), |b| b != b' ');
    let to = position(bytes, from, |b| b.is_ascii_whitespace() || is_quote(b) || has(b"\\<>,", b));
    is_secret(&text[from..to]).then_some(from..to)
}

/// Whether a word after "Bearer" is a token. It is, except for the words of prose about tokens.
fn is_bearer(word: &str) -> bool {
    const PROSE: &[&str] = &[
        "",
        "and",
        "auth",
        "authentication",
        "authorization",
        "error",
        "for",
        "from",
        "has",
        "header",
        "in",
        "is",
        "missing",
        "must",
        "not",
        "of",
        "or",
        "required",
        "scheme",
        "schemes",
        "to",
        "token",
        "tokens",
        "was",
        "with",
    ];
    let plain = word.trim_matches(|c: char| c.is_ascii_punctuation());
    !PROSE.iter().any(|prose| plain.eq_ignore_ascii_case(prose)) && !word.starts_with("realm=")
}

/// Whether a word after "Basic" can be a user and a password in base64. Those have capitals or
/// digits.
fn is_basic(word: &str) -> bool {
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || has(b"+/=-_", b);
    let is_mixed = |b: u8| b.is_ascii_digit() || b.is_ascii_uppercase() || b == b'=';
    word.len() >= 4 && word.bytes().all(is_base64) && word.bytes().skip(1).any(is_mixed)
}

#[cfg(test)]
mod tests {
    use super::super::text;

    #[test]
    fn secrets_are_recognized_by_their_form() {
        for (given, expected) in [
            ("a -----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- b", "a *** b"),
            ("-----BEGIN RSA PRIVATE KEY-----\\nMIIE\\n-----END RSA PRIVATE KEY-----\\n", "***\\n"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nMIIE", "***"),
            ("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nMIIE", "***"),
            ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nMIIE\n-----END CERTIFICATE-----\nMIIE", "***"),
            (
                "-----BEGIN EC PRIVATE KEY-----MIIE-----END EC PRIVATE KEY----------BEGIN EC PRIVATE KEY-----M",
                "***",
            ),
            ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-_x, retrying", "got ***, retrying"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzd", "***"),
            ("sent Bearer abc.def, got 401", "sent Bearer ***, got 401"),
            ("bearer hunter2", "bearer ***"),
            ("Basic am9lOmh1bnRlcjI=", "Basic ***"),
            ("x ghp_0123456789abcdef y", "x *** y"),
            ("https://h/github_pat_11AAAA_bbbb/", "https://h/***"),
            ("xoxb-123-456-abc", "***"),
            ("sk_live_abcdef", "***"),
            ("(sk-abcdefABCDEF0123456789)", "(***)"),
            ("id AKIAIOSFODNN7EXAMPLE.", "id ***"),
            ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "***"),
            ("npm_abcdefghij0123456789ABCDEF", "***"),
        ] {
            assert_eq!(text(given), expected, "{given}");
            assert_eq!(text(expected), expected, "masked twice: {given}");
        }
    }

    #[test]
    fn text_of_a_similar_form_is_shown() {
        for given in [
            "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
            "-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----",
            "THE BEGINNING OF A PRIVATE KEY",
            "eyJust.a.word",
            "eyJ",
            "the Bearer token is missing",
            "Basic health check",
            "basic auth",
            "task-force-one-two-three-four-five",
            "sk-learn",
            "npm_config_user_agent",
            "npm_package_json_path_and_more",
            "AKIA",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "ghp_",
            "é-----BEGINé",
        ] {
            assert_eq!(text(given), given);
        }
    }
}
