//! Finding `key=value` in text in the shapes that people and programs give it (`key: value`, `"key":
//! "value"`, `<key>value</key>`, `--key value`, `Key("value")`, `?key=value`, and what is nested below `key:`
//! in YAML), and judging it by its key. What to mask is handed over as spans; nothing is masked here.

use std::ops::Range;

use super::boundary;
use super::keys::{self, Verdict};
use super::quoting::{self, Extent, LONGEST_KEY, find as position, is_key_byte, is_quote};

/// Nothing longer is shown under a key that was judged to need a look at its value. Such a value is scanned
/// once more from within, so this also bounds how often a byte is looked at.
const LONGEST_SHOWN: usize = 512;

/// Adds the spans of the values that are secret by their keys.
pub(super) fn find(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut scan =
        Scan { text, bytes: text.as_bytes(), at: 0, before: None, fresh: true, named: Verdict::Plain };
    while let Some(word) = scan.word() {
        scan.pair(word, spans);
    }
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// The word before, if there is nothing but blanks in between.
    before: Option<Range<usize>>,
    /// Whether no word has been seen on this line.
    fresh: bool,
    /// The verdict on the last `name: x`, for the `value: y` that may follow.
    named: Verdict,
}

/// How a key and its value are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    Equals,
    Colon,
    Element,
    Call,
    Blank,
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
            self.fresh |= byte == b'\n';
            if byte != b' ' {
                self.before = None;
            }
            self.at += 1;
        }
        None
    }

    /// Judges the pair that the word is the key of, if it is one.
    fn pair(&mut self, word: Range<usize>, spans: &mut Vec<Range<usize>>) {
        let fresh = self.fresh;
        let name = &self.text[word.clone()];
        self.fresh &= name == "export" || !name.contains(char::is_alphanumeric);
        let before = self.before.replace(word.clone());
        let Some((joint, start)) = self.joint(&word) else { return };
        let query = joint == Joint::Equals && self.byte_before(&word).is_some_and(|b| b"?&".contains(&b));
        let extent = self.extent(&word, joint, fresh, query);
        let verdict = match self.verdict(name, before, query) {
            Verdict::Plain if matches!(name, "name" | "key") => return self.named = self.name(start, extent),
            Verdict::Plain if name == "value" => std::mem::replace(&mut self.named, Verdict::Plain),
            verdict => verdict,
        };
        if verdict == Verdict::Plain {
            return;
        }
        let value = match self.block(&word, joint, start, fresh) {
            Some(block) => block,
            None => quoting::value(self.bytes, start, extent),
        };
        if value.len() <= LONGEST_SHOWN && verdict.shows(&self.text[value.clone()]) {
            self.at = start;
        } else {
            self.at = value.end.max(start);
            spans.push(value);
        }
    }

    fn verdict(&self, name: &str, before: Option<Range<usize>>, query: bool) -> Verdict {
        let verdict = if query { keys::judge_parameter(name) } else { keys::judge(name) };
        let phrase = || before.is_some_and(|before| keys::is_secret_phrase(&self.text[before], name));
        if verdict == Verdict::Plain && phrase() { Verdict::Secret } else { verdict }
    }

    /// The verdict on what is called so: `name: PASSWORD`, before `value: x`.
    fn name(&self, start: usize, extent: Extent) -> Verdict {
        let end = boundary::floor(&self.text, start + LONGEST_KEY);
        keys::judge(&self.text[quoting::value(&self.bytes[..end], start, extent)])
    }

    fn extent(&self, word: &Range<usize>, joint: Joint, fresh: bool, query: bool) -> Extent {
        let named = matches!(joint, Joint::Equals | Joint::Colon);
        if query {
            Extent::Query
        } else if joint == Joint::Element {
            Extent::Element
        } else if named && keys::is_header(&self.text[word.clone()]) {
            Extent::Header(self.byte_before(word).filter(|&b| is_quote(b)))
        } else if named && fresh {
            Extent::Line
        } else {
            Extent::Word
        }
    }

    fn byte_before(&self, word: &Range<usize>) -> Option<u8> {
        word.start.checked_sub(1).map(|at| self.bytes[at])
    }

    /// What joins the word to a value, and where the value begins.
    fn joint(&self, word: &Range<usize>) -> Option<(Joint, usize)> {
        let closed =
            position(self.bytes, self.after_index(word.end), |b| !is_quote(b) && !b"\\]".contains(&b));
        let at = self.after_blanks(closed);
        let is_closed = self.bytes[word.end..closed].iter().any(|&b| is_quote(b));
        let next = |offset: usize| self.bytes.get(at + offset).copied();
        let (joint, end) = match next(0)? {
            // `==`, `=>`, `=~` as well.
            b'=' => (Joint::Equals, position(self.bytes, at, |b| !b"=>~".contains(&b))),
            b':' if next(1) == Some(b'=') => (Joint::Equals, at + 2),
            // Neither `Token::new` nor `https://`, nor the user of a URL, which is not the key of its
            // password.
            b':' if next(1) == Some(b':') || self.bytes[at..].starts_with(b"://") || self.is_user(word) => {
                return None;
            }
            b':' => (Joint::Colon, at + 1),
            b'-' if next(1) == Some(b'>') => (Joint::Colon, at + 2),
            // With the attributes, one of which may be the value.
            _ if self.byte_before(word) == Some(b'<') => {
                (Joint::Element, at + usize::from(self.bytes[at] == b'>'))
            }
            b'(' if self.is_quoted(at + 1) => (Joint::Call, at + 1),
            // `("password", "x")`, and `"--password" "x"`, as `Debug` shows a `Command`.
            b',' if is_closed && self.is_item(self.after_blanks(at + 1)) => (Joint::Blank, at + 1),
            _ if is_closed && at > closed && self.is_item(at) => (Joint::Blank, at),
            _ if at > word.end && closed == word.end && self.is_flag(word, at) => (Joint::Blank, at),
            _ => return None,
        };
        Some((joint, self.after_blanks(end)))
    }

    fn is_quoted(&self, at: usize) -> bool {
        self.bytes.get(at).is_some_and(|&b| is_quote(b) || b == b'\\')
    }

    /// Whether something in quotes stands here that is not a key itself.
    fn is_item(&self, at: usize) -> bool {
        // Backquotes are around the names that serde would have liked to see instead.
        self.is_quoted(at) && self.bytes[at] != b'`' && !quoting::is_pair(self.bytes, at, b":=")
    }

    /// Past the index in `key[0]`.
    fn after_index(&self, start: usize) -> usize {
        let digits = self.bytes[start..]
            .strip_prefix(b"[")
            .map_or(0, |rest| rest.iter().take_while(|b| b.is_ascii_digit()).count() + 1);
        start + digits
    }

    fn after_blanks(&self, start: usize) -> usize {
        position(self.bytes, start, |b| b != b' ' && b != b'\t')
    }

    fn is_user(&self, word: &Range<usize>) -> bool {
        self.bytes[..word.start].ends_with(b"://")
    }

    /// Whether a value follows after a blank alone: `--password x`, and `PASSWORD 'x'`, as SQL has it.
    fn is_flag(&self, word: &Range<usize>, value: usize) -> bool {
        let name = &self.text[word.clone()];
        let quoted = self.bytes.get(value).is_some_and(|&b| is_quote(b));
        match self.bytes.get(value) {
            None | Some(b'\n' | b'-') => false,
            Some(_) => name.starts_with("--") || (quoted && keys::is_password(name)),
        }
    }

    /// What is nested below a key of YAML, or follows it as a block of text.
    fn block(&self, word: &Range<usize>, joint: Joint, start: usize, fresh: bool) -> Option<Range<usize>> {
        // Once a line, or a text of a single line with many keys would be gone over once for each.
        if !(fresh && joint == Joint::Colon) {
            return None;
        }
        let line_end = position(self.bytes, start, |b| b == b'\n');
        let is_block = || self.bytes[start..line_end].iter().all(|b| b"|>+-0123456789 \r".contains(b));
        let opens = line_end == start || b"|>\r".contains(&self.bytes[start]);
        if !(opens && is_block()) {
            return None;
        }
        let line = self.bytes[..word.start].iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let end = self.nested_end(line_end, word.start - line);
        (end > line_end).then_some(start..end)
    }

    /// The end of the lines after `end` that are indented by more than `indent`, or are items of a list.
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
mod tests {
    use super::super::text;

    /// Given, expected.
    fn check(cases: &[(&str, &str)]) {
        for (given, expected) in cases {
            assert_eq!(text(given), *expected, "{given}");
            assert_eq!(text(expected), *expected, "masked twice: {given}");
        }
    }

    #[test]
    fn pairs_are_judged_by_their_keys() {
        check(&[
            ("host=db password=hunter2", "host=db password=***"),
            ("password=hunter2 host=db", "password=*** host=db"),
            ("host = db password = 'a b' port=1", "host = db password = '***' port=1"),
            ("Server=x;Pwd=y;Database=z", "Server=x;Pwd=***;Database=z"),
            ("Server=x;Pwd=y;", "Server=x;Pwd=***;"),
            ("EndpointName=x;SharedAccessKey=y", "EndpointName=x;SharedAccessKey=***"),
            (
                r#"{"user": "joe", "password": "a\"b", "x": 1}"#,
                r#"{"user": "joe", "password": "***", "x": 1}"#,
            ),
            (r#"{"user":"joe","pin":1234,"x":1}"#, r#"{"user":"joe","pin":***,"x":1}"#),
            (r#"{"tokens":["a","b"],"x":1}"#, r#"{"tokens":***,"x":1}"#),
            (r#"{\"password\": \"a b\", \"x\": 1}"#, r#"{\"password\": \"***\", \"x\": 1}"#),
            (r#"Config { token: Some("a b"), x: 1 }"#, "Config { token: ***, x: 1 }"),
            (r#"Config { token: Token { a: "a b" }, x: 1 }"#, "Config { token: ***, x: 1 }"),
            (r#"x: Password("a b"), y"#, r#"x: Password("***"), y"#),
            ("<user>a</user><password>b c</password>", "<user>a</user><password>***</password>"),
            ("ran mysql --password hunter2 -h db", "ran mysql --password *** -h db"),
            ("ran mysql --password=hunter2 -h db", "ran mysql --password=*** -h db"),
            ("ALTER USER joe PASSWORD 'a b' LOGIN", "ALTER USER joe PASSWORD '***' LOGIN"),
            ("my API key: abc", "my API key: ***"),
            ("'password' => 'a b',", "'password' => '***',"),
            ("users[password]=a", "users[password]=***"),
            ("x = pass:hunter2", "x = pass:***"),
            ("passwords[0]=a, passwords[1]=b, x[0]=c", "passwords[0]=***, passwords[1]=***, x[0]=c"),
            (r#"[("password", "a b"), ("x", "y")]"#, r#"[("password", "***"), ("x", "y")]"#),
            (r#""mysql" "--password" "a b" "-v""#, r#""mysql" "--password" "***" "-v""#),
            ("password -> a, x -> b", "password -> ***"),
            (r#"{"name":"password","value":"a b","x":1}"#, r#"{"name":"password","value":"***","x":1}"#),
            ("<password type='x'>a b</password>", "<password ***</password>"),
            ("<add key=\"Password\" value=\"a b\"/>", "<add key=\"Password\" value=\"***\"/>"),
            (
                "- name: DB_PASS\n  value: a b\n- name: X\n  value: c",
                "- name: DB_PASS\n  value: ***\n- name: X\n  value: c",
            ),
        ]);
    }

    #[test]
    fn secrets_that_go_over_a_line() {
        check(&[
            ("password: correct horse battery\nuser: joe", "password: ***\nuser: joe"),
            ("export PASSWORD=a\\ b", "export PASSWORD=***"),
            (
                "key: |\n  a\nprivate_key: |\n  abc\n\n  def\nuser: joe",
                "key: |\n  a\nprivate_key: ***\nuser: joe",
            ),
            ("a:\n  passwords:\n  - b\n  - c\n  d: e", "a:\n  passwords:***\n  d: e"),
            (
                "{\n  \"secrets\": {\n    \"a\": \"b\"\n  },\n  \"x\": 1\n}",
                "{\n  \"secrets\": ***,\n  \"x\": 1\n}",
            ),
            ("password = \"\"\"a b\nc\"\"\"\nx = 1", "password = ***\nx = 1"),
        ]);
    }

    #[test]
    fn headers_go_to_the_end_of_their_line() {
        check(&[
            ("GET /\nAuthorization: Bearer a b\nHost: c", "GET /\nAuthorization: ***\nHost: c"),
            ("got Cookie: a=b; c=d\nx", "got Cookie: ***\nx"),
            ("curl -H 'Authorization: Basic a' -v", "curl -H 'Authorization: ***' -v"),
            (r#"{"authorization": "Basic a b", "x": "y"}"#, r#"{"authorization": "***", "x": "y"}"#),
        ]);
    }

    #[test]
    fn queries_have_parameters() {
        check(&[
            ("GET https://h/p?page=2&token=a;b&q=c#d", "GET https://h/p?page=2&token=***&q=c#d"),
            ("https://h/?sig=a%2Fb&se=1", "https://h/?sig=***&se=1"),
            ("\"https://h/?key=a\", x", "\"https://h/?key=***\", x"),
        ]);
    }

    #[test]
    fn what_is_no_secret_stays() {
        for given in [
            "",
            "use_password=true",
            "password: null, x: 1",
            "password=",
            "max_tokens=100 token_ttl = 15m",
            "password_file=/run/secrets/db",
            "author: joe",
            "Token::new(1)",
            "https://token.example.org/x",
            "the password is wrong",
            "primary_key=id",
            "cannot open key.pem: no such file",
            "12:30:45 key=5",
            "the token expired: 3 s ago",
            "name: joe, value: 3",
            "unknown field `x`, expected one of `password`, `port`",
            "Vec<Option<u8>>, x<y",
            "cookies accepted",
        ] {
            assert_eq!(text(given), given);
        }
    }
}
