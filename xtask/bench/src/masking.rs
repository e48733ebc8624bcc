//! The slowest text to mask. Each of the fragments that the rules look for is repeated to 64 KiB,
//! alone, with each of the others, and once before each of the others, and the slowest of these
//! texts are measured again. Masking is linear, so that what is slow in a short text is slow in a
//! long one.

use std::fmt;
use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};

use super::figures::{Figures, time};
use super::table::Table;

/// The text of a report that is bounded: the longest that the aim is about.
const LENGTH: usize = 64 << 10;
/// All texts are this long at first: there are tens of thousands.
const SHORT: usize = 2 << 10;
/// How many of them are measured at full length.
const SLOWEST: usize = 400;
/// How many of those are measured several times and printed.
const SHOWN: usize = 12;
const RUNS: usize = 9;

/// What the rules look for, between bars: names and words, separators, quotes, brackets, and the
/// beginnings of all that is known by its form.
const FRAGMENTS: &[&str] = &[
    "password¦password=¦password: ¦password:¦password ¦password\t¦password\n¦\"password\"¦password=(¦password=[\n¦",
    "password=a,b=¦password=a{\n,¦password:\n ¦password: |\n¦passwords¦pass:¦--password ¦--password=¦-password¦",
    "token¦token=¦token: ¦token x ¦token[0¦token(\"¦Token(\"a\",¦Token { a: ¦Some(\"¦tokens: 1,¦token_ttl=¦x_ttl=¦",
    "secret_path=/¦secret_path:./ ¦secret=¦api key ¦api_key=¦a_key=¦a_key: {¦a_key=b ¦host_key=a1b2c3 ¦key a1B2c3D4e5F6 ¦",
    "key=¦key: ¦name=¦name: ¦name: value: ¦value=¦value: ¦\"name\":\"password\",\"value\":\"¦auth=¦auth: ¦cookie: ¦",
    "Authorization: ¦bearer ¦Basic ¦basic(\"x\",¦mot de passe ¦de passe: x ¦contrase\u{f1}a=¦\u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c}=¦\u{5bc6}\u{7801}¦",
    "kind: Secret\n¦data:\n  x: ¦stringData:¦\"kty\"¦\"d\":\"¦machine ¦login x password y ¦setenv ¦IDENTIFIED BY '¦requirepass ¦",
    "-----BEGIN¦-----BEGIN PRIVATE KEY¦-----BEGIN PRIVATE KEY-----¦-----END¦BEGIN PRIVATE KEY¦Private-Lines:¦Private-Lines: 1\n¦",
    "PuTTY-User-Key-File-3: ¦eyJ¦eyJ-¦eyJaaaaaaaaaaaaaaa.¦eyJhbGciOiJIUzI1NiJ9.¦ghp_¦ghp_0123456789abcdef ¦sk-¦sk_live_¦AKIA¦AKIAIOSFODNN7EXAMPLE ¦",
    "xoxb-¦glpat-¦abc-¦abc_def-¦s.abcdefghij0123456789abcd ¦dapi¦123456:AA¦1234567:AAabcdefghij0123456789abcdefghij¦.atlasv1.¦Q~¦_mmk¦pat¦",
    "$a$¦$2y$10$¦$¦$1$abc$¦{SSHA}¦{¦}¦aad3b435b51404eeaad3b435b51404ee:¦:::¦://¦a://b:¦a://b:c,¦a:b://c@d\"¦a:b@¦http://a\"://b@¦",
    "postgres://u:p@h/d ¦https://hooks.slack.com/services/¦hook/¦/bot¦https://h/?a=b&¦?token=¦?token¦a?b&¦&sig=¦@¦@h¦://@¦",
    "mysql -p¦mysql -pX1 ¦\"mysql\" \"-p\" ¦curl -u a:b ¦sh -c 'mysql -p¦-p ¦-u a:b ¦--a ¦-- ¦- ¦-¦redis-cli -a ¦mysql ¦AUTH x ¦'-c' ¦sudo ¦",
    "' for '--password¦'x' for key `password`¦ for ¦'x' for '¦invalid value '¦`¦\"¦'¦\\¦\\\"¦\\\\\"¦\"\"\"¦''¦a\",\"¦x\" \"¦token\", \"¦a 'b¦\"a\":\"b\",¦",
    "%41¦%3A¦%2F¦%3D%26¦\\u0061¦\\u00¦cGFzc3dvcmQ9emVicmE5¦cGFzc3dvcmQ9emVicmE5 ¦70617373776f72643d7a6562726139 ¦QUFBQUFBQUFBQUFB¦61616161616161616161¦",
    "<a ¦<a>¦</a>¦<password>¦<ns:password>¦<a key=\"password\">¦<key>password</key><s>¦<![CDATA[¦]]>¦</¦<¦>¦/>¦¦ password ¦ x ¦\n¦¦¦¦",
    "a=¦=¦==¦:=¦=>¦->¦-> ¦: ¦:¦, ¦,¦; ¦;¦&¦?¦.¦..¦*¦**¦#¦~¦^¦a: b\n¦a:\n b:\n¦- a\n¦? a\n: ¦[¦]¦(¦)¦()¦{}¦[]¦{\"¦{\"a\":¦a{¦a {¦",
    " ¦  ¦\t¦\n¦\r\n¦\n ¦\n\n¦a¦a ¦a\n¦A¦aA¦a1¦1¦1 ¦0¦\u{e9}¦\u{1f600}=¦\u{ff1a}¦\u{3000}¦\u{2192}¦\u{200b}¦a_¦a-¦a.¦a/¦/a¦C:\\¦a_b_c_d_e_f ¦aBcDeF1¦",
    "export ¦export A=¦true¦null¦***¦*** ¦password=*** ¦<redacted>¦key¦apikey¦keykey¦ceph¦cephkey¦passpass¦x_pass_pass_pass=¦secretsecretsecret=¦auth.auth.auth.auth=¦",
    "(\"password\", \"¦[\"password\",\"¦login(\"a\",\"b\")¦password == a¦password password password ¦http¦https¦h:1,¦u:1/2@h ¦mailto:a@b ¦[::1]:1¦",
];

pub(crate) struct Row {
    text: String,
    /// Seconds of processor time.
    pub(crate) took: Figures,
}

/// The slowest texts, the slowest of all first.
pub(crate) fn measure() -> Vec<Row> {
    println!("the slowest text to mask");
    let fragments: Vec<&'static str> =
        FRAGMENTS.iter().flat_map(|line| line.split('¦')).filter(|fragment| !fragment.is_empty()).collect();
    let mut texts = Vec::new();
    for once in std::iter::once("").chain(fragments.iter().copied()) {
        for &again in &fragments {
            for is_repeated in [false, true] {
                if !(once.is_empty() && is_repeated) {
                    let mut candidate = Candidate { once, again, is_repeated, seconds: 0.0 };
                    candidate.seconds = seconds(&candidate.text(SHORT));
                    texts.push(candidate);
                }
            }
        }
    }
    println!("{} texts of {} fragments", texts.len(), fragments.len());
    keep_slowest(&mut texts, SLOWEST);
    for candidate in &mut texts {
        candidate.seconds = seconds(&candidate.text(LENGTH));
    }
    keep_slowest(&mut texts, SHOWN);
    let runs = |candidate: &Candidate| {
        let text = candidate.text(LENGTH);
        (0..RUNS).map(|_| seconds(&text)).collect()
    };
    let mut rows: Vec<Row> =
        texts.iter().map(|candidate| Row { text: candidate.to_string(), took: runs(candidate) }).collect();
    rows.sort_by(|one, other| {
        other.took.median().unwrap_or(0.0).total_cmp(&one.took.median().unwrap_or(0.0))
    });
    rows
}

fn keep_slowest(texts: &mut Vec<Candidate>, count: usize) {
    texts.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    texts.truncate(count);
}

/// How a text is made.
#[derive(Clone, Copy)]
struct Candidate {
    /// What it begins with.
    once: &'static str,
    /// What follows as often as it fits.
    again: &'static str,
    /// Whether the beginning is repeated as well.
    is_repeated: bool,
    seconds: f64,
}

impl Candidate {
    fn text(&self, length: usize) -> String {
        let unit = format!("{}{}", if self.is_repeated { self.once } else { "" }, self.again);
        let begin = if self.is_repeated { "" } else { self.once };
        begin.to_owned() + &unit.repeat(length.saturating_sub(begin.len()) / unit.len())
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { once, again, .. } = self;
        match (once.is_empty(), self.is_repeated) {
            (true, _) => write!(f, "{again:?}"),
            (false, true) => write!(f, "{:?}", format!("{once}{again}")),
            (false, false) => write!(f, "{once:?} and {again:?}"),
        }
    }
}

/// Seconds of processor time to mask a text: other programs run at the same time.
fn seconds(text: &str) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        #[expect(clippy::cast_precision_loss, reason = "a few seconds have few enough nanoseconds")]
        let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
        seconds
    };
    let start = now();
    black_box(gmr_mask::text(black_box(text)));
    now() - start
}

pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&["64 KiB of", "masked in"]);
    for row in rows {
        table.row([format!("`{}`", row.text.replace('|', "\\|")), row.took.show(time)]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_made_of_fragments() {
        let text = |once, again, is_repeated| Candidate { once, again, is_repeated, seconds: 0.0 }.text(7);
        assert_eq!(text("ab", "c", true), "abcabc");
        assert_eq!(text("ab", "c", false), "abccccc");
        assert_eq!(text("", "cd", false), "cdcdcd");
    }
}
