//! Finds where a value in text ends: at its closing quote (escaped any number of times), its
//! closing bracket, the end of a line, or the next pair. In doubt, the value continues: masking too
//! much is a nuisance, masking too little is a leak. It reads each byte once, and does not know
//! what values mean.

use std::ops::Range;

use super::index::has;

/// How far an unquoted value extends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// To the end of its word.
    Word,
    /// To the end of its line, or to the next `key=` on it.
    Line,
    /// To the end of its line, or to the quote that opened before its key.
    Header(Option<u8>),
    /// To the next parameter or the end of the URL.
    Query,
    /// To the tag that closes the element.
    Element,
}

/// The longest key recognized after a value: long enough for the keys that people write, and short
/// enough to read these bytes again for every word.
pub(super) const MAX_KEY_LEN: usize = 64;

/// The value that begins at `start`, without its quotes.
pub(super) fn value(bytes: &[u8], start: usize, extent: Extent) -> Range<usize> {
    let until =
        |stops: &[u8]| start..position(bytes, start, |b| b.is_ascii_whitespace() || stops.contains(&b));
    match extent {
        Extent::Query => until(b"&#\"'`<>\\"),
        Extent::Element => start..element_end(bytes, start),
        Extent::Word | Extent::Line => quoted(bytes, start).unwrap_or_else(|| unquoted(bytes, start, extent)),
        Extent::Header(around) => quoted(bytes, start).unwrap_or_else(|| {
            let end = position(bytes, start, |b| b == b'\n' || Some(b) == around);
            start..trimmed(bytes, start, end)
        }),
    }
}

/// The quote that closes the one at `start`, with backslashes as in most languages; or the end.
pub(super) fn quoted_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != bytes[start] {
        at += 1 + usize::from(bytes[at] == b'\\');
    }
    at.min(bytes.len())
}

/// The end of an element's content: the next tag, or the end of what is quoted as character data.
pub(super) fn element_end(bytes: &[u8], start: usize) -> usize {
    let next = position(bytes, start, |b| b == b'<');
    if bytes[next..].starts_with(b"<![CDATA[") {
        let rest = bytes[next..].windows(3).position(|end| end == b"]]>");
        return rest.map_or(bytes.len(), |at| next + at);
    }
    next
}

/// The position of the first byte at or after `start` that fits, or the end.
pub(super) fn position(bytes: &[u8], start: usize, fits: impl Fn(u8) -> bool) -> usize {
    bytes[start..].iter().position(|&b| fits(b)).map_or(bytes.len(), |offset| start + offset)
}

/// Whether this byte can be part of a key. All bytes beyond ASCII can: what is not a key classifies
/// as plain.
pub(super) fn is_key_byte(byte: u8) -> bool {
    KEY_BYTES[usize::from(byte)]
}

/// A table, since most of the work on long text is to ask this for each byte.
static KEY_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 255;
    while byte > 0 {
        let is_mark = byte == b'_' || byte == b'-' || byte == b'.';
        table[byte as usize] = byte.is_ascii_alphanumeric() || is_mark || !byte.is_ascii();
        byte -= 1;
    }
    table
};

pub(super) fn is_quote(byte: u8) -> bool {
    has(b"\"'`", byte)
}

/// A quotation mark with the backslashes before it.
#[derive(Debug, Clone, Copy)]
struct Quote {
    backslashes: usize,
    mark: u8,
}

impl Quote {
    fn at(bytes: &[u8], start: usize) -> Option<Self> {
        let end = position(bytes, start, |b| b != b'\\');
        let mark = *bytes.get(end).filter(|&&b| is_quote(b))?;
        Some(Self { backslashes: end - start, mark })
    }

    fn len(self) -> usize {
        self.backslashes + 1
    }

    /// The end of the quoted content that begins at `start`, and the end of its closing quote. Each
    /// time a text is quoted again, n backslashes before a quote become 2n + 1. A quote after any
    /// other number of backslashes is part of the content, unless it belongs to an outer level.
    fn closing(self, bytes: &[u8], start: usize) -> (usize, usize) {
        let mut run = 0;
        for (at, &byte) in bytes.iter().enumerate().skip(start) {
            if byte == b'\\' {
                run += 1;
                continue;
            }
            let n = self.backslashes;
            if byte == self.mark && (run < n || (run - n).is_multiple_of(2 * (n + 1))) {
                return (at - run.min(n), at + 1);
            }
            run = 0;
        }
        (bytes.len(), bytes.len())
    }
}

/// The content of the quotes that open at `start`, if it is the whole value.
fn quoted(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    let quote = Quote::at(bytes, start)?;
    let content = start + quote.len();
    let (end, after) = quote.closing(bytes, content);
    // A quote right after closes one that opened before the key, unless more of the value follows
    // (`'a'"b"`), or this was the first third of the `"""` of TOML and Python.
    let is_whole_value = match Quote::at(bytes, after) {
        Some(next) => content < end && ends_here(bytes, after + next.len()),
        None => ends_here(bytes, after) || bytes[after..].starts_with(b"/>"),
    };
    is_whole_value.then_some(content..end)
}

/// Whether a value that ended just before this position is complete.
fn ends_here(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_none_or(|&b| b.is_ascii_whitespace() || has(b",;&|)]}<>:\\", b) || is_quote(b))
}

/// Finds the end of a value that is not entirely quoted.
struct UnquotedScan<'a> {
    bytes: &'a [u8],
    start: usize,
    at: usize,
    extent: Extent,
    /// How many brackets are open.
    depth: usize,
    /// Whether the open brackets span several lines.
    multiline: bool,
    /// Where the line begins.
    line: usize,
}

fn unquoted(bytes: &[u8], start: usize, extent: Extent) -> Range<usize> {
    let multiline = bytes.get(start).is_some_and(|&b| is_open(b));
    let mut scan = UnquotedScan { bytes, start, at: start, extent, depth: 0, multiline, line: start };
    while scan.step() {}
    start..trimmed(bytes, start, scan.at)
}

fn is_open(byte: u8) -> bool {
    has(b"([{", byte)
}

impl UnquotedScan<'_> {
    /// Advances by one byte or one quoted part. `false` at the end of the value.
    fn step(&mut self) -> bool {
        // No byte of a key ends a value.
        self.at = position(self.bytes, self.at, |b| !is_key_byte(b));
        let Some(&byte) = self.bytes.get(self.at) else { return false };
        if let Some(quote) = Quote::at(self.bytes, self.at) {
            return self.quote(quote);
        }
        let goes_on = match byte {
            // Backslashes that precede no quote are skipped together, so that each is counted once.
            b'\\' => {
                self.at = position(self.bytes, self.at, |b| b != b'\\');
                return true;
            }
            b'\n' => self.line_feed(),
            _ if self.depth > 0 => {
                self.depth += usize::from(is_open(byte));
                self.depth -= usize::from(has(b")]}", byte));
                true
            }
            b if is_open(b) => {
                self.depth += 1;
                true
            }
            b')' | b']' | b'}' => !ends_here(self.bytes, self.at + 1),
            b'<' => self.bytes.get(self.at + 1) != Some(&b'/'),
            b if b.is_ascii_whitespace() => return self.whitespace(),
            b',' | b';' | b'&' => self.delimiter(),
            _ => true,
        };
        self.at += usize::from(goes_on);
        goes_on
    }

    /// A quote inside the value opens a quoted part, closes a quote from before the value, or is an
    /// apostrophe.
    fn quote(&mut self, quote: Quote) -> bool {
        let after = self.at + quote.len();
        let prefix = &self.bytes[self.start..self.at];
        // `b"..."`, `r#"..."#`, `'a'"b"`, `x="..."`
        let opens = prefix.iter().all(|b| has(b"bBcCfFrRuU$", *b))
            || prefix.last().is_some_and(|&b| has(b"=#,:", b) || is_quote(b));
        if self.depth > 0 || opens {
            self.at = quote.closing(self.bytes, after).1;
            return true;
        }
        let goes_on = !ends_here(self.bytes, after);
        if goes_on {
            self.at = after;
        }
        goes_on
    }

    /// A value continues on the next line if this one ends with an opening bracket.
    fn line_feed(&mut self) -> bool {
        // A blank line changes nothing, and no line is read twice.
        let line = std::mem::replace(&mut self.line, self.at);
        let before = self.bytes[line..self.at].iter().rev().find(|b| !b.is_ascii_whitespace());
        self.multiline |= before.is_some_and(|&b| is_open(b) || b == b',');
        self.depth > 0 && self.multiline
    }

    /// Skips the whitespace before the next word if that word belongs to the value.
    fn whitespace(&mut self) -> bool {
        let next = position(self.bytes, self.at, |b| b == b'\n' || !b.is_ascii_whitespace());
        // `Password { .. }`, from a derived `Debug`.
        let goes_on = match self.bytes.get(next) {
            Some(b'{') => true,
            _ => self.extent == Extent::Line && !is_pair(self.bytes, next, b"="),
        };
        if goes_on {
            self.at = next;
        }
        goes_on
    }

    fn delimiter(&self) -> bool {
        let next = position(self.bytes, self.at + 1, |b| b != b' ');
        let blank = next > self.at + 1;
        let last = self.bytes.get(next).is_none_or(u8::is_ascii_whitespace);
        let ends = is_pair(self.bytes, next, b"=:") || last || (blank && self.extent != Extent::Line);
        !ends && !self.bytes.get(next).is_some_and(|&b| has(b")]}", b))
    }
}

/// Whether a key followed by one of these separators starts here.
pub(super) fn is_pair(bytes: &[u8], start: usize, separators: &[u8]) -> bool {
    let window = &bytes[start..bytes.len().min(start + MAX_KEY_LEN)];
    let decoration = |b: u8| is_quote(b) || b == b'\\';
    let key = position(window, 0, |b| !decoration(b));
    let end = position(window, key, |b| !is_key_byte(b) && !has(b"[]", b));
    let separator = position(window, end, |b| !decoration(b) && b != b' ');
    end > key && window.get(separator).is_some_and(|b| separators.contains(b))
}

/// The end of a value without trailing whitespace.
fn trimmed(bytes: &[u8], start: usize, end: usize) -> usize {
    end - bytes[start..end].iter().rev().take_while(|b| b.is_ascii_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(text: &str, extent: Extent) -> &str {
        &text[value(text.as_bytes(), 0, extent)]
    }

    #[test]
    fn quotes_close_at_the_level_that_opened_them() {
        for (text, expected) in [
            (r#""a b", c"#, "a b"),
            (r#""a\"b" c"#, r#"a\"b"#),
            (r#""a\\" c"#, r"a\\"),
            (r#"\"a\", c"#, "a"),
            (r#"\"a\\\"b\", c"#, r#"a\\\"b"#),
            (r#"\"cut off" c"#, "cut off"),
            (r#"\\\"a b\\\", c"#, "a b"),
            ("'a b' c", "a b"),
            ("`a b`", "a b"),
            (r#""no end"#, "no end"),
            (r#""a"b c"#, r#""a"b"#),
            ("'a b'\"c d\" e", "'a b'\"c d\""),
            (r#""""a b""" c"#, r#""""a b""""#),
            (r#"b"a b" c"#, r#"b"a b""#),
            ("r#\"a b\"# c", "r#\"a b\"#"),
            ("", ""),
        ] {
            assert_eq!(value_of(text, Extent::Word), expected, "{text}");
        }
    }

    #[test]
    fn words_end_before_the_next_token() {
        for (text, expected) in [
            ("a b", "a"),
            ("a, b", "a"),
            ("a,b c", "a,b"),
            ("a;b=c", "a"),
            ("a;b:c", "a"),
            ("a;bc", "a;bc"),
            ("a)", "a"),
            ("a) b", "a"),
            ("a)b", "a)b"),
            ("a\" b", "a"),
            ("don't do", "don't"),
            ("a</b>", "a"),
            ("Some(\"a b\"), c: d", "Some(\"a b\")"),
            ("Some(\n    \"a b\",\n), c", "Some(\n    \"a b\",\n)"),
            ("[a, b], c", "[a, b]"),
            ("[a,\n b\n]\nc", "[a,\n b\n]"),
            ("{ a: {b: c} } d", "{ a: {b: c} }"),
            ("Token { a: b } c", "Token { a: b }"),
            ("a(b c\nd", "a(b c"),
            ("[a, b\nc", "[a, b\nc"),
        ] {
            assert_eq!(value_of(text, Extent::Word), expected, "{text}");
        }
    }

    #[test]
    fn lines_end_with_the_line_or_the_next_pair() {
        for (text, expected) in [
            ("a b c  \nd", "a b c"),
            ("a b c=d", "a b"),
            ("a b c: d", "a b c: d"),
            ("a, b; c=d", "a, b"),
            ("a, b", "a, b"),
            ("a, b,\nc", "a, b"),
        ] {
            assert_eq!(value_of(text, Extent::Line), expected, "{text}");
        }
    }

    #[test]
    fn the_other_extents() {
        assert_eq!(value_of("Basic a=b; c='d'\nx", Extent::Header(None)), "Basic a=b; c='d'");
        assert_eq!(value_of("Basic a' x", Extent::Header(Some(b'\''))), "Basic a");
        assert_eq!(value_of("a;b)&c=d", Extent::Query), "a;b)");
        assert_eq!(value_of("a b\nc</x>", Extent::Element), "a b\nc");
    }
}
