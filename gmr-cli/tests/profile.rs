//! A profile in pprof's format, by the numbers of `profile.proto`, with a reader of protocol buffers
//! that the command does not use.

use std::io::Read as _;

use flate2::read::GzDecoder;
use prost::Message as _;

/// What tests read of it.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(int64, tag = "14")]
    default_sample_type: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    r#type: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    label: Vec<Label>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Label {
    #[prost(int64, tag = "1")]
    key: i64,
    #[prost(int64, tag = "2")]
    str: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

impl Profile {
    /// Reads it, and checks that all that it refers to is there, that its times are of this kind, and
    /// that each belongs to a thread or a task, as this label says.
    pub(crate) fn read(compressed: &[u8], kind: &str, label: &str) -> Self {
        let mut bytes = Vec::new();
        GzDecoder::new(compressed).read_to_end(&mut bytes).expect("gzip");
        let profile = Self::decode(&*bytes).expect("a profile");
        assert_eq!(profile.string_table[0], "");
        let types = profile.sample_type.iter().map(|of| (profile.text(of.r#type), profile.text(of.unit)));
        assert!(types.eq([("samples", "count"), (kind, "nanoseconds")]));
        assert_eq!(profile.text(profile.default_sample_type), kind);
        // How much of the time was seen depends on what else the machine does.
        assert!(profile.duration_nanos > 0);
        for sample in &profile.sample {
            assert!(sample.label.iter().all(|found| profile.text(found.key) == label));
            assert!(sample.label.iter().all(|found| !profile.text(found.str).is_empty()));
        }
        let has_lines = profile.location.iter().any(|location| location.line[0].line > 0);
        let mut files = profile.function.iter().map(|function| profile.text(function.filename));
        let has_files = files.any(|name| name.ends_with("service.rs"));
        // A release build has none of both.
        assert_eq!((has_lines, has_files), (cfg!(debug_assertions), cfg!(debug_assertions)));
        profile
    }

    fn text(&self, index: i64) -> &str {
        &self.string_table[usize::try_from(index).expect("an index")]
    }

    /// Functions, innermost first, and values.
    pub(crate) fn stacks(&self) -> impl Iterator<Item = (Vec<&str>, [u64; 2])> {
        self.labelled_stacks().map(|(stack, values, _)| (stack, values))
    }

    /// The same with the name of the thread or task.
    pub(crate) fn labelled_stacks(&self) -> impl Iterator<Item = (Vec<&str>, [u64; 2], Option<&str>)> {
        let function =
            |id: u64| self.function.iter().find(|function| function.id == id).expect("it is there");
        let name = move |id: &u64| {
            let location = self.location.iter().find(|location| location.id == *id).expect("it is there");
            self.text(function(location.line[0].function_id).name)
        };
        self.sample.iter().map(move |sample| {
            let [count, time] = sample.value[..] else { panic!("{sample:?}") };
            let number = |value| u64::try_from(value).expect("no less than 0");
            let label = sample.label.first().map(|label| self.text(label.str));
            (sample.location_id.iter().map(name).collect(), [number(count), number(time)], label)
        })
    }
}
