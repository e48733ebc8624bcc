//! Finds passwords in URLs: `postgres://user:password@host/db`, and `user:password@host` without a
//! scheme. A password that is not percent-encoded can contain anything, so it extends to the last
//! `@`. Parameters of the query are left to `pairs`.

use std::ops::Range;

use super::index::has;
use super::quoting::position;
use super::{boundary, looks};

/// Adds the spans of passwords.
pub(super) fn find(text: &str, spans: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let end = position(bytes, at, |b| b.is_ascii_whitespace());
        let word = &text[at..end];
        let mut found = Vec::new();
        if word.contains("://") {
            with_scheme(word, &mut found);
        } else {
            without_scheme(word, &mut found);
        }
        spans.extend(found.into_iter().map(|span| at + span.start..at + span.end));
        at = end + 1;
    }
}

/// Handles the URLs of a word one by one: they can be a list, or one can be in another's query.
fn with_scheme(word: &str, spans: &mut Vec<Range<usize>>) {
    let mut at = 0;
    let mut segment = Segment::default();
    let has_hook = ["hook", "/bot"].iter().any(|mark| word.contains(mark));
    // How many bytes are read for webhooks, so that a list of many URLs is not read for each.
    let mut budget = 1 << 14;
    while let Some(offset) = word[at..].find("://") {
        let authority = at + offset + 3;
        if authority > segment.end {
            segment = Segment::from(word, authority);
        }
        if authority > segment.unquoted {
            segment.requote(word, authority);
        }
        let scheme = &word[scheme_start(word, at + offset)..at + offset];
        let span = segment
            .password(word, authority, scheme)
            .or_else(|| if has_hook { webhook(word, authority, &mut budget) } else { None });
        at = authority;
        if let Some(span) = span {
            at = at.max(span.end);
            spans.push(span);
        }
    }
}

/// The part of a word that belongs to one URL and those nested in it.
#[derive(Debug, Default)]
struct Segment {
    end: usize,
    /// The first quote or angle bracket: the URL most likely ends there.
    unquoted: usize,
    /// The last `@`.
    last_at: Option<usize>,
    /// The last `@` before the first quote.
    last_unquoted_at: Option<usize>,
}

impl Segment {
    /// The segment of the URL whose authority begins here. It ends before the next URL that is not
    /// part of this one.
    fn from(word: &str, authority: usize) -> Self {
        let mut at = authority;
        let mut end = word.len();
        while let Some(offset) = word[at..].find("://") {
            let start = scheme_start(word, at + offset);
            let separated = word[..start].ends_with(|c: char| ",;|\"'`<>()[]{}\\".contains(c));
            if separated && start > authority {
                end = start - 1;
                break;
            }
            at += offset + 3;
        }
        let last_at = word[authority..end].rfind('@').map(|offset| authority + offset);
        let mut segment = Self { end, unquoted: 0, last_at, last_unquoted_at: None };
        segment.requote(word, authority);
        segment
    }

    /// Finds the first quote after the authority's start.
    fn requote(&mut self, word: &str, authority: usize) {
        let rest = &word[authority..self.end.max(authority)];
        self.unquoted = authority + rest.find(['"', '\'', '`', '<', '>']).unwrap_or(rest.len());
        self.last_unquoted_at = word[authority..self.unquoted].rfind('@').map(|offset| authority + offset);
    }

    /// The password in the authority that starts here.
    fn password(&self, word: &str, authority: usize, scheme: &str) -> Option<Range<usize>> {
        let rest = &word[authority..self.unquoted];
        let host = &rest[..rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len())];
        let last_at = self.last_unquoted_at.filter(|&at| at >= authority);
        let web = ["http", "https", "ws", "wss"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
        if let Some(at) = host.rfind('@') {
            return userinfo(&host[..at], authority, last_at.unwrap_or(authority + at), scheme);
        }
        let bracket = if host.starts_with('[') { host.find(']').unwrap_or(0) } else { 0 };
        let port = authority + bracket + host[bracket..].find(':')? + 1;
        let after = &word[port..authority + host.len()];
        if is_port(after) {
            // Outside of the web `@` is rare in paths, so `user:12/34@host` is likely a password.
            return last_at.filter(|_| !web).map(|at| port..at);
        }
        // Not a port: a password that contains a slash, a quote or the like, or whose end was cut
        // off.
        let is_placeholder = after.is_empty() || after.starts_with('{');
        match last_at.or(self.last_at.filter(|&at| at >= port)) {
            Some(at) => Some(port..at),
            None => (!is_placeholder).then_some(port..self.unquoted),
        }
    }
}

/// The secret part of the URL of a webhook: anyone who has it can post there. `None` for other
/// URLs.
fn webhook(word: &str, authority: usize, budget: &mut usize) -> Option<Range<usize>> {
    /// A segment of a path that is as long as a key, and as unlike a word.
    fn is_key(segment: &str) -> bool {
        segment.len() >= 7 && (looks::is_opaque(segment) || looks::is_uuid(segment))
    }
    const MAX_LEN: usize = 512;
    *budget = budget.checked_sub(MAX_LEN.min(word.len() - authority))?;
    let url = &word[authority..boundary::floor(word, authority + MAX_LEN)];
    let url = &url[..url.find(['"', '\'', '`', '<', '>', '?', '#', ')']).unwrap_or(url.len())];
    let (host, path) = url.split_once('/')?;
    let of_hooks = host.split('.').any(|label| label.starts_with("webhook") || label == "hooks");
    let start = if of_hooks {
        0
    } else {
        ["webhook", "/hooks/", "hooks/", "/bot", "bot"].iter().find_map(|mark| {
            let at = path.find(mark)?;
            // Only a whole segment begins with these.
            (at == 0 || path.as_bytes()[at - 1] == b'/' || mark.starts_with('/')).then_some(at)
        })?
    };
    let start = start + if of_hooks { 0 } else { path[start + 1..].find('/').map_or(0, |slash| slash + 2) };
    let secret = &path[start..];
    let from = authority + host.len() + 1 + start;
    secret.split(['/', '@', ':']).any(is_key).then(|| from..from + secret.len())
}

/// The span to mask in `user:password`, given where the password ends.
fn userinfo(userinfo: &str, start: usize, end: usize, scheme: &str) -> Option<Range<usize>> {
    /// Schemes whose user, without a password, is a token.
    const TOKENS: &[&str] = &["http", "https", "nats", "tls", "ws", "wss"];
    /// Schemes whose users have names that can look random.
    const NAMES: &[&str] =
        &["ftp", "git", "imap", "mysql", "postgres", "postgresql", "rsync", "sftp", "smtp", "ssh", "svn"];
    let is = |list: &[&str]| list.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    match userinfo.split_once(':') {
        // With an empty or constant password, the user is a token.
        Some((_, "" | "x-oauth-basic" | "X")) => Some(start..end),
        Some((user, _)) => Some(start + user.len() + 1..end),
        // Without a password, the user is a token on the web, and a name elsewhere
        // (`ssh://git@host`).
        None => {
            let is_token = is(TOKENS) || (!is(NAMES) && looks::is_random(userinfo));
            (is_token && !userinfo.is_empty()).then_some(start..start + userinfo.len())
        }
    }
}

/// Whether this is a port, or several with hosts in between, as in lists of `MongoDB` and Kafka.
/// Text that is not alphanumeric may follow, such as the period of the sentence.
fn is_port(text: &str) -> bool {
    text.split(',').enumerate().all(|(index, part)| {
        let port = if index == 0 { part } else { part.rsplit(':').next().unwrap_or("") };
        let rest = port.trim_start_matches(|c: char| c.is_ascii_digit());
        let has_digits = rest.len() < port.len() && port.len() - rest.len() <= 5;
        (has_digits && !rest.starts_with(char::is_alphanumeric)) || (index > 0 && !part.contains(':'))
    })
}

/// The start of the scheme that ends here. No scheme in use is longer than 32 bytes.
fn scheme_start(word: &str, end: usize) -> usize {
    let is_scheme = |b: &u8| b.is_ascii_alphanumeric() || has(b"+-.", *b);
    end - word.as_bytes()[..end].iter().rev().take(32).take_while(|b| is_scheme(b)).count()
}

/// Finds `user:password@host` without a scheme, as Go's driver for `MySQL` writes it.
fn without_scheme(word: &str, spans: &mut Vec<Range<usize>>) {
    let mut start = 0;
    for piece in word.split(['"', '\'', '`', '<', '>']) {
        if let Some(span) = schemeless(piece) {
            spans.push(start + span.start..start + span.end);
        }
        start += piece.len() + 1;
    }
}

fn schemeless(piece: &str) -> Option<Range<usize>> {
    /// Words before a colon that is followed by an email address or a name.
    const NOT_USERS: &[&str] =
        &["mailto", "sip", "sips", "acct", "xmpp", "from", "to", "cc", "bcc", "email", "by", "author"];
    let at = piece.rfind('@')?;
    let colon = piece[..at].find(':')?;
    let user = piece[..colon].trim_start_matches(|c: char| !c.is_alphanumeric());
    let is_not_user = NOT_USERS.iter().any(|word| user.eq_ignore_ascii_case(word));
    let named = !user.is_empty() && !is_not_user && colon + 1 < at;
    (named && is_host(&piece[at + 1..])).then_some(colon + 1..at)
}

/// Whether this can be the start of a host. A version (`npm:left-pad@1.3.0`, `mod@v1`) or a digest
/// (`image:tag@sha256:..`) is not.
fn is_host(text: &str) -> bool {
    let version = |c: char| c.is_ascii_digit();
    let name = text.split(|c: char| !c.is_alphanumeric() && c != '.').next().unwrap_or("");
    if text.starts_with("sha") || name.strip_prefix('v').is_some_and(|rest| rest.starts_with(version)) {
        return false;
    }
    let is_address = name.split('.').count() == 4 && name.split('.').all(|part| part.parse::<u8>().is_ok());
    is_address || text.starts_with(|c: char| c.is_alphabetic() || c == '[' || c == '/')
}

#[cfg(test)]
mod tests {
    use super::super::text;

    #[test]
    fn passwords_in_urls_are_masked() {
        for (given, expected) in [
            ("postgres://user:pw@host/db", "postgres://user:***@host/db"),
            ("at redis://:pw@host:6379/0, retrying", "at redis://:***@host:6379/0, retrying"),
            ("amqp://u:p%40%2F@h1,amqp://u:q@h2", "amqp://u:***@h1,amqp://u:***@h2"),
            ("postgres://u:p@s/s:w@host/db", "postgres://u:***@host/db"),
            ("postgres://u:p/s?#w@host/db", "postgres://u:***@host/db"),
            ("postgres://u:12/34@host/db", "postgres://u:***@host/db"),
            ("postgres://u:p\"w@host/db", "postgres://u:***@host/db"),
            ("postgres://u:cut", "postgres://u:***"),
            ("\"postgres://u:p@h\",\"mysql://u:q@h\"", "\"postgres://u:***@h\",\"mysql://u:***@h\""),
            ("jdbc:postgresql://u:p@h/db", "jdbc:postgresql://u:***@h/db"),
            ("mongodb://u:p@h1:1,h2:2/db", "mongodb://u:***@h1:1,h2:2/db"),
            ("https://tok@github.com/x", "https://***@github.com/x"),
            ("https://tok:x-oauth-basic@github.com/x", "https://***@github.com/x"),
            ("https://token:abc@h/x", "https://token:***@h/x"),
            ("http://h/?next=https://u:p@h2/", "http://h/?next=https://u:***@h2/"),
            ("root:hunter2@tcp(127.0.0.1:3306)/db", "root:***@tcp(127.0.0.1:3306)/db"),
            ("joe:pw@10.0.0.1:80", "joe:***@10.0.0.1:80"),
            ("http://пользователь:пароль@хост/", "http://пользователь:***@хост/"),
        ] {
            assert_eq!(text(given), expected, "{given}");
            assert_eq!(text(expected), expected, "masked twice: {given}");
        }
    }

    #[test]
    fn urls_without_passwords_are_shown() {
        for given in [
            "https://example.org:8080/a@b?c=d",
            "http://[::1]:8080/x",
            "see http://localhost:8080.",
            "http://localhost:3000: connection refused",
            "ssh://git@example.org/x.git",
            "git@github.com:org/repo.git",
            "mailto:joe@example.org joe@example.org",
            "{\"email\":\"joe@example.org\",\"x\":1}",
            "mongodb://h1:27017,h2:27017/db",
            "kafka://h1:9092,h2/x",
            "nginx:1.25@sha256:abcdef",
            "npm:left-pad@1.3.0",
            "registry+https://github.com/rust-lang/crates.io-index#serde@1.0.219",
            "path+file:///x/y#name@0.1.0",
            "http://{host}:{port}/",
            "://",
            "@",
            ":@",
            "a:@b",
            "://@",
            "://:@:",
        ] {
            let masked = text(given);
            assert!(masked == given || given == "://:@:", "{given}: {masked}");
        }
    }
}
