//! Finds `key=value` in text, in all its forms (`key: value`, `"key": "value"`, `<key>value</key>`,
//! `--key value`, `Key("value")`, `?key=value`, and what is nested below `key:` in YAML), and
//! classifies the value by its key. It returns spans and masks nothing itself. `spoken` has the
//! forms without a separator, `markup` those of XML.

mod code;
mod markup;
mod memo;
mod spoken;

use std::ops::Range;

use self::memo::Memo;
use super::index::{Present, has};
use super::keys::{self, Sensitivity};
use super::quoting::{self, Extent, MAX_KEY_LEN, is_key_byte, is_quote, position};
use super::{boundary, looks};

/// The longest value shown under a key that is not plain. Such a value is scanned again for pairs
/// inside of it, so this also bounds how often a byte is read.
const MAX_SHOWN_LEN: usize = 512;

/// Adds the spans of the values that are secret by their keys.
pub(super) fn find(text: &str, present: &Present, spans: &mut Vec<Range<usize>>) {
    let mut scan = Scan {
        text,
        bytes: text.as_bytes(),
        at: 0,
        previous: None,
        phrase: 0,
        at_line_start: true,
        named: Sensitivity::Plain,
        named_end: 0,
        long_until: 0,
        inner: Sensitivity::Plain,
        memo: Memo::of(text),
        is_jwk: present.all(b"\"kty") && text.contains("\"kty\""),
        is_manifest: present.all(b":\n") && text.contains("kind: Secret\n"),
        is_netrc: present.any(b" ") && (text.contains("machine ") || text.contains("setenv ")),
    };
    while let Some(word) = scan.word() {
        scan.pair(word, spans);
    }
}

#[expect(clippy::struct_excessive_bools, reason = "facts about the text, each looked up once")]
struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// The previous word, if only spaces separate it from this one.
    previous: Option<Range<usize>>,
    /// Where the run of words with single spaces begins that the previous word is part of.
    phrase: usize,
    /// Whether there has been no word on this line.
    at_line_start: bool,
    /// The sensitivity of the last `name: x`, for the `value: y` that may follow.
    named: Sensitivity,
    /// Where that `x` ends.
    named_end: usize,
    /// All values that begin before this are too long for a key.
    long_until: usize,
    /// The sensitivity of the last type whose fields follow: `Password { inner: "x" }`.
    inner: Sensitivity,
    memo: Memo<'a>,
    /// Whether the text has a JSON Web Key, whose secret parts have names of one letter.
    is_jwk: bool,
    /// Whether names and values are separated by a space: netrc, the C shell.
    is_netrc: bool,
    /// Whether the text has a Secret of Kubernetes, whose data is secret.
    is_manifest: bool,
}

/// Names of the only field of a type that holds a secret.
const INNER: &[&str] = &["0", "bytes", "data", "inner", "raw", "text", "value"];

/// Names of the secret parts of a JSON Web Key.
const JWK_PARTS: &[&str] = &["d", "dp", "dq", "k", "p", "q", "qi"];

/// What separates a key from its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    Equals,
    Colon,
    Element,
    Call,
    Space,
}

impl Scan<'_> {
    /// The next word, which may be a key.
    fn word(&mut self) -> Option<Range<usize>> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if is_key_byte(byte) {
                let start = self.at;
                self.at = position(self.bytes, start, |b| !is_key_byte(b));
                return Some(start..self.at);
            }
            self.at_line_start |= byte == b'\n';
            if byte != b' ' {
                self.previous = None;
            }
            self.at += 1;
        }
        None
    }

    /// Classifies the pair whose key is this word, if it is one.
    fn pair(&mut self, word: Range<usize>, spans: &mut Vec<Range<usize>>) {
        let at_line_start = self.at_line_start;
        let name = &self.text[word.clone()];
        self.at_line_start &= name == "export" || !name.contains(char::is_alphanumeric);
        let previous = self.previous.replace(word.clone());
        if previous.is_none() {
            self.phrase = word.start;
        }
        if self.bytes.get(word.end) == Some(&b' ') && self.bytes.get(word.end + 1) == Some(&b'{') {
            self.inner = if keys::is_secret_type(name) { Sensitivity::Secret } else { Sensitivity::Plain };
        }
        if self.element_of_name(&word, spans) {
            return;
        }
        let Some((separator, start)) = self.separator(&word) else {
            // A usage message: `--password <PASSWORD>`.
            if name.starts_with("--") && self.bytes[word.end..].starts_with(b" <") {
                let end = position(self.bytes, word.end + 2, |b| !b.is_ascii_alphanumeric() && b != b'_');
                if self.bytes.get(end) == Some(&b'>') {
                    self.at = end;
                }
                return;
            }
            return self.spoken(&word, previous, at_line_start, spans);
        };
        let query = separator == Separator::Equals && self.byte_before(&word).is_some_and(|b| has(b"?&", b));
        let extent = self.extent(&word, separator, at_line_start, query);
        let sensitivity = match self.sensitivity(&word, previous, query) {
            Sensitivity::Plain if matches!(name, "name" | "key") => {
                // Within `name=name=~name=`, each would be read again.
                let is_apart = |b: u8| b.is_ascii_whitespace() || has(b"\"'`,;&{([<", b);
                if word.start < self.named_end && !self.byte_before(&word).is_some_and(is_apart) {
                    return;
                }
                let end = boundary::floor(self.text, start + MAX_KEY_LEN);
                let value = quoting::value(&self.bytes[..end], start, extent);
                self.named = self.named_by(value.clone());
                self.named_end = value.end;
                self.value_of_name(name, separator, value, spans);
                return;
            }
            // `<input type="password" value="x">`
            Sensitivity::Plain if name == "type" && self.text[start..].starts_with("\"password\"") => {
                self.named = Sensitivity::Secret;
                return;
            }
            Sensitivity::Plain if name == "value" => std::mem::replace(&mut self.named, Sensitivity::Plain),
            Sensitivity::Plain if name == "stringData" || (name == "data" && self.is_manifest) => {
                Sensitivity::Secret
            }
            Sensitivity::Plain if INNER.contains(&name) => self.inner,
            Sensitivity::Plain if self.is_jwk && JWK_PARTS.contains(&name) => Sensitivity::Secret,
            sensitivity => sensitivity,
        };
        if sensitivity == Sensitivity::Plain {
            return;
        }
        let is_random = matches!(sensitivity, Sensitivity::Key | Sensitivity::Identity);
        let is_compound = || self.bytes.get(start).is_some_and(|b| has(b"{[(<", *b));
        if is_random && (is_compound() || self.is_too_long(start)) {
            self.at = start;
            return;
        }
        // A key whose value is too long is not masked, so no more of the text is read for it.
        let end =
            if is_random { boundary::floor(self.text, start + looks::MAX_LEN + 2) } else { self.bytes.len() };
        let value = match self.block(&word, separator, start, at_line_start) {
            Some(block) => block,
            None => quoting::value(&self.bytes[..end], start, extent),
        };
        let is_long = value.len() > MAX_SHOWN_LEN;
        let text = &self.text[value.clone()];
        if !is_long
            && (sensitivity.allows(text)
                || self.is_no_secret(name, &word, at_line_start, text, value.start > start))
        {
            self.at = start;
        } else {
            self.at = value.end.max(start);
            spans.push(value);
        }
    }

    /// Whether a value is longer than any key that looks random. In `a_key=a_key=`, each value goes
    /// on to the end, and it is looked for once.
    fn is_too_long(&mut self, start: usize) -> bool {
        if start < self.long_until {
            return true;
        }
        let ends = |b: u8| b.is_ascii() && (!b.is_ascii_graphic() || has(b"\"'`(){}[]<>|;,:\\&#", b));
        let length = position(self.bytes, start, ends) - start;
        self.long_until = start + length.saturating_sub(looks::MAX_LEN);
        length > looks::MAX_LEN
    }

    /// Whether a value under the name of a secret is none: a count, or an expression of a program.
    fn is_no_secret(
        &self,
        name: &str,
        word: &Range<usize>,
        at_line_start: bool,
        value: &str,
        is_quoted: bool,
    ) -> bool {
        let digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        };
        let is_identifier = |value: &str| {
            value.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
                && value.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
        };
        let first = value.split(' ').next().unwrap_or("");
        let rest = &self.bytes[word.end..];
        let are_numbers = || value.split(", ").all(|number| digits(number, 9));
        // `tokens: 42`, `pins: 3, 4`, `pass: 3`
        (keys::is_plural(name) && are_numbers())
            || (keys::is_pass_or_pin(name) && digits(first, 3))
            // `password == other`
            || (rest.trim_ascii_start().starts_with(b"==") && is_identifier(first))
            // `src/auth.rs:42:13`, `token = parse(input)?`, `token: Option<String>`
            || code::is_place(name, rest)
            || (!is_quoted && (code::is_call(value) || code::is_type(value)))
            // `login(password: password)`
            || (rest.starts_with(b": ") && value == name && self.byte_before(word) == Some(b'('))
            // `INFO auth: session opened`, of a log
            || (name == "auth" && rest.starts_with(b": ") && !at_line_start && is_identifier(value))
    }

    /// Masks what belongs to a name in the value of `name=` or `key=`, or that value itself if it
    /// looks like a key.
    fn value_of_name(
        &mut self,
        name: &str,
        separator: Separator,
        value: Range<usize>,
        spans: &mut Vec<Range<usize>>,
    ) {
        if self.named != Sensitivity::Plain && separator == Separator::Equals {
            self.content_of_named(value.end, spans);
        } else if name == "key" && looks::is_random(&self.text[value.clone()]) {
            self.at = value.end;
            spans.push(value);
        }
    }

    fn sensitivity(
        &mut self,
        word: &Range<usize>,
        previous: Option<Range<usize>>,
        query: bool,
    ) -> Sensitivity {
        let name = &self.text[word.clone()];
        let sensitivity =
            if query { keys::classify_parameter(name) } else { self.memo.classify(word.clone()) };
        let phrase = || {
            previous.is_some_and(|previous| {
                let start = boundary::ceil(self.text, self.phrase.max(previous.end.saturating_sub(40)));
                keys::is_secret_phrase(&self.text[previous.clone()], name)
                    || keys::is_foreign_phrase(&self.text[start..previous.end], name)
            })
        };
        let is_known = !matches!(sensitivity, Sensitivity::Plain | Sensitivity::Key | Sensitivity::Identity);
        if !is_known && phrase() { Sensitivity::Secret } else { sensitivity }
    }

    /// The sensitivity of `x` in `name: PASSWORD, value: x`, given where `PASSWORD` is.
    fn named_by(&self, value: Range<usize>) -> Sensitivity {
        let name = &self.text[value];
        // Not `name=a=b`.
        if name.contains(['=', '"', ':']) { Sensitivity::Plain } else { keys::classify(name) }
    }

    fn extent(&self, word: &Range<usize>, separator: Separator, at_line_start: bool, query: bool) -> Extent {
        let named = matches!(separator, Separator::Equals | Separator::Colon);
        if query {
            Extent::Query
        } else if separator == Separator::Element {
            Extent::Element
        } else if named && keys::is_header(&self.text[word.clone()]) {
            Extent::Header(self.byte_before(word).filter(|&b| is_quote(b)))
        } else if named && at_line_start {
            Extent::Line
        } else {
            Extent::Word
        }
    }

    fn byte_before(&self, word: &Range<usize>) -> Option<u8> {
        word.start.checked_sub(1).map(|at| self.bytes[at])
    }

    /// The separator after the word, and where the value begins.
    fn separator(&self, word: &Range<usize>) -> Option<(Separator, usize)> {
        let closed = position(self.bytes, self.after_index(word.end), |b| !is_quote(b) && !has(b"\\]*", b));
        let at = self.after_spaces(closed);
        let is_closed = self.bytes[word.end..closed].iter().any(|&b| is_quote(b));
        let next = |offset: usize| self.bytes.get(at + offset).copied();
        let (separator, end) = match next(0)? {
            // Also `==`, `=>` and `=~`.
            b'=' => (Separator::Equals, position(self.bytes, at, |b| !has(b"=>~", b))),
            b':' if next(1) == Some(b'=') => (Separator::Equals, at + 2),
            // Not `Token::new`, not `https://`, and not `user:password` in a URL.
            b':' if next(1) == Some(b':') || self.bytes[at..].starts_with(b"://") || self.is_user(word) => {
                return None;
            }
            // `const API_KEY: &str = "x"`
            b':' => match code::typed(self.bytes, at + 1) {
                Some(value) => (Separator::Equals, value),
                None => (Separator::Colon, at + 1),
            },
            b'-' if next(1) == Some(b'>') => (Separator::Colon, at + 2),
            // A pair of Lisp, and a key of YAML on a line of its own.
            b'.' if next(1) == Some(b' ') && self.is_quoted(at + 2) => (Separator::Colon, at + 1),
            b'\n' if next(1) == Some(b':') && self.bytes[..word.start].ends_with(b"? ") => {
                (Separator::Colon, at + 2)
            }
            // The value includes the tag's attributes, one of which may hold the secret.
            _ if self.is_element(word) => (Separator::Element, at + usize::from(self.bytes[at] == b'>')),
            // `{:password, "x"}`, `{password, <<"x">>}`
            b',' if matches!(self.bytes[..word.start], [.., b'{'] | [.., b'{', b':']) => {
                let value = self.after_spaces(at + 1);
                let value = value + 2 * usize::from(self.bytes[value..].starts_with(b"<<"));
                if !self.is_item(value) {
                    return None;
                }
                (Separator::Space, value)
            }
            b'(' if self.is_quoted(at + 1) => (Separator::Call, at + 1),
            // `("password", "x")`, and `"--password" "x"` from the `Debug` of a `Command`.
            b',' if is_closed && self.is_item(self.after_spaces(at + 1)) => (Separator::Space, at + 1),
            _ if is_closed && at > closed && self.is_item(at) => (Separator::Space, at),
            _ if at > word.end && closed == word.end && self.is_flag(word, at) => (Separator::Space, at),
            _ => return None,
        };
        Some((separator, self.after_spaces(end)))
    }

    fn is_quoted(&self, at: usize) -> bool {
        self.bytes.get(at).is_some_and(|&b| is_quote(b) || b == b'\\')
    }

    /// Whether a quoted string starts here that is not itself a key.
    fn is_item(&self, at: usize) -> bool {
        // serde's errors put the names they expected in backquotes.
        self.is_quoted(at) && self.bytes[at] != b'`' && !quoting::is_pair(self.bytes, at, b":=")
    }

    /// The position after the index of `key[0]`.
    fn after_index(&self, start: usize) -> usize {
        let digits = self.bytes[start..]
            .strip_prefix(b"[")
            .map_or(0, |rest| rest.iter().take_while(|b| b.is_ascii_digit()).count() + 1);
        start + digits
    }

    fn after_spaces(&self, start: usize) -> usize {
        position(self.bytes, start, |b| b != b' ' && b != b'\t')
    }

    fn is_user(&self, word: &Range<usize>) -> bool {
        self.bytes[..word.start].ends_with(b"://")
    }

    /// Whether a space separates the key from a value: `--password x`, and SQL's `PASSWORD 'x'`.
    fn is_flag(&self, word: &Range<usize>, value: usize) -> bool {
        let name = &self.text[word.clone()];
        let quoted = self.bytes.get(value).is_some_and(|&b| is_quote(b));
        match self.bytes.get(value) {
            // `--password <PASSWORD>`, of a usage message
            None | Some(b'\n' | b'-' | b'<') => false,
            Some(_) => name.starts_with("--") || (quoted && keys::is_password(name)),
        }
    }

    /// The lines nested below a key of YAML, or the block of text after it.
    fn block(
        &self,
        word: &Range<usize>,
        separator: Separator,
        start: usize,
        at_line_start: bool,
    ) -> Option<Range<usize>> {
        // Only for the first key of a line, or a line of many keys would be scanned once for each.
        if !(at_line_start && separator == Separator::Colon) {
            return None;
        }
        let line_end = position(self.bytes, start, |b| b == b'\n');
        let is_block = || self.bytes[start..line_end].iter().all(|b| has(b"|>+-0123456789 \r", *b));
        let opens = line_end == start || b"|>\r".contains(&self.bytes[start]);
        if !(opens && is_block()) {
            return None;
        }
        let line = self.bytes[..word.start].iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let end = self.nested_end(line_end, word.start - line);
        (end > line_end).then_some(start..end)
    }

    /// The end of the lines after `end` that are indented by more than `indent`, or are list items.
    fn nested_end(&self, mut end: usize, indent: usize) -> usize {
        let mut at = end;
        while at < self.bytes.len() {
            let first = position(self.bytes, at + 1, |b| b != b' ' && b != b'\t');
            let next = position(self.bytes, first, |b| b == b'\n');
            let depth = first - (at + 1);
            let is_item = depth == indent && self.bytes[first..].starts_with(b"- ");
            let is_blank = self.bytes[first..next].trim_ascii().is_empty();
            if !is_blank && depth <= indent && !is_item {
                break;
            }
            if !is_blank {
                end = next;
            }
            at = next;
        }
        end
    }
}

#[cfg(test)]
mod tests;
