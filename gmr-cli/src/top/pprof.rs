//! The format of pprof: a message of protocol buffers, compressed by gzip. Six kinds of messages with
//! numbers and strings are written here, which takes less than a library that also reads them:
//! `proto/profile.proto` of github.com/google/pprof gives the numbers of the fields.

use std::collections::HashMap;
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::samples::{Profile, Weights};

/// A message: fields with their numbers.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).expect("seven bits"));
    }

    /// A field with a number, unless that is 0, which is the same as none.
    fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.varint(field << 3);
            self.varint(value);
        }
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u64, fill: impl FnOnce(&mut Message)) {
        let mut inner = Message::default();
        fill(&mut inner);
        self.bytes(field, &inner.0);
    }

    fn numbers(&mut self, field: u64, values: impl Iterator<Item = u64>) {
        let mut inner = Message::default();
        values.for_each(|value| inner.varint(value));
        self.bytes(field, &inner.0);
    }
}

/// The strings of a profile, the first of which is empty.
struct Strings {
    all: Vec<String>,
    known: HashMap<String, u64>,
}

impl Strings {
    fn index(&mut self, text: &str) -> u64 {
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let index = self.all.len() as u64;
        self.all.push(text.to_owned());
        self.known.insert(text.to_owned(), index);
        index
    }
}

/// What the values of the samples are: `cpu`, `off-cpu`, or `wall`.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// The label that has the name of the thread or task.
    pub(super) label: &'static str,
}

/// The profile, with comments. `others` are times without a stack.
pub(super) fn pprof(
    profile: &Profile,
    weights: &Weights,
    others: &[(&str, Duration)],
    kind: &Kind,
    period: Duration,
    comments: &[String],
) -> Result<Vec<u8>, String> {
    let mut strings = Strings { all: Vec::new(), known: HashMap::new() };
    strings.index("");
    let mut all = Message::default();
    for (name, unit) in [("samples", "count"), (kind.name, "nanoseconds")] {
        let (name, unit) = (strings.index(name), strings.index(unit));
        all.message(1, |value_type| {
            value_type.number(1, name);
            value_type.number(2, unit);
        });
    }
    // Functions, and a location for each of their lines. Ids begin with 1.
    let mut functions: HashMap<(&str, Option<&str>), u64> = HashMap::new();
    let mut locations: Vec<(u64, u64)> = Vec::new();
    for place in &profile.places {
        let next = functions.len() as u64 + 1;
        let function = *functions.entry((&place.function, place.file.as_deref())).or_insert(next);
        locations.push((function, u64::from(place.line.unwrap_or(0))));
    }
    let label = strings.index(kind.label);
    let mut ordered: Vec<_> = weights.iter().collect();
    ordered.sort_unstable_by_key(|(key, _)| **key);
    for ((stack, name), weight) in ordered {
        let name = strings.index(&profile.names[*name]);
        all.message(2, |sample| {
            let places = profile.stacks[*stack].places.iter().rev();
            sample.numbers(1, places.map(|place| *place as u64 + 1));
            sample.numbers(2, [weight.samples, nanoseconds(weight.time)].into_iter());
            sample.message(3, |of_name| {
                of_name.number(1, label);
                of_name.number(2, name);
            });
        });
    }
    let mut marks = Vec::new();
    for (name, time) in others.iter().filter(|(_, time)| !time.is_zero()) {
        let function = functions.len() as u64 + 1 + marks.len() as u64;
        locations.push((function, 0));
        marks.push((function, *name));
        let location = locations.len() as u64;
        all.message(2, |sample| {
            sample.numbers(1, std::iter::once(location));
            sample.numbers(2, [0, nanoseconds(*time)].into_iter());
        });
    }
    for (id, (function, line)) in (1..).zip(&locations) {
        all.message(4, |location| {
            location.number(1, id);
            location.message(4, |of_line| {
                of_line.number(1, *function);
                of_line.number(2, *line);
            });
        });
    }
    let named = functions.iter().map(|((name, file), id)| (*id, *name, *file));
    let mut named: Vec<_> = named.chain(marks.iter().map(|(id, name)| (*id, *name, None))).collect();
    named.sort_unstable();
    for (id, name, file) in named {
        let (name, file) = (strings.index(name), file.map_or(0, |file| strings.index(file)));
        all.message(5, |function| {
            function.number(1, id);
            function.number(2, name);
            // Without the name in the symbol table (3): if both are the same, `go tool pprof` takes them for
            // C++ and removes what is in angle brackets, which is most of `<Vec<T> as Clone>::clone`.
            function.number(4, file);
        });
    }
    let began =
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(profile.totals.time);
    all.number(9, nanoseconds(began));
    all.number(10, nanoseconds(profile.totals.time));
    let (wall, unit) = (strings.index("wall"), strings.index("nanoseconds"));
    all.message(11, |period_type| {
        period_type.number(1, wall);
        period_type.number(2, unit);
    });
    all.number(12, nanoseconds(period));
    let comments: Vec<u64> = comments.iter().map(|comment| strings.index(comment)).collect();
    all.numbers(13, comments.into_iter());
    let default = strings.index(kind.name);
    all.number(14, default);
    // Last: all of them are known now.
    for text in &strings.all {
        all.bytes(6, text.as_bytes());
    }
    let mut compressed = GzEncoder::new(Vec::new(), Compression::default());
    let done = compressed.write_all(&all.0).and_then(|()| compressed.finish());
    done.map_err(|error| format!("could not compress the profile: {error}"))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
