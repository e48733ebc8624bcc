//! A report in JSON, read by a parser that shares no code with gmr: fields by name, frames by
//! number.
//!
//! The accessors follow `docs/report-schema.md`. They ignore fields they don't know, as every
//! reader of a report must, and they don't depend on the wording of any view.

use std::fmt;

use serde_json::Value;

/// The titles of the sections that every report has by default, in their order.
pub(crate) const BASE_SECTIONS: [&str; 8] = [
    "Package",
    "Resources",
    "Threads",
    "Green Threads",
    "Processes",
    "Descriptors",
    "Modules",
    "Configuration",
];

/// One whole report.
pub(crate) struct Report(Value);

/// One thread of the Threads section.
#[derive(Clone, Copy)]
pub(crate) struct Thread<'a> {
    report: &'a Report,
    fields: &'a Value,
}

/// A stack: its frames, innermost first, and why it is missing or ends early.
pub(crate) struct Stack<'a> {
    pub(crate) frames: Vec<Frame<'a>>,
    pub(crate) incomplete: Option<&'a str>,
    /// How it was taken.
    pub(crate) taken: Option<&'a str>,
}

/// One frame of a stack.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'a>(&'a Value);

impl Report {
    /// Panics with the text if it is not exactly one report whose parts agree with one another.
    pub(crate) fn parse(text: &str) -> Self {
        assert!(!text.is_empty(), "standard error was closed before the report");
        let report = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in:\n{text}"));
        Self::new(report)
    }

    pub(crate) fn new(value: Value) -> Self {
        let report = Self(value);
        let version = report.0["schema_version"].as_str().unwrap_or_default();
        assert!(version.starts_with("1."), "a schema that these tests don't know: {report}");
        let summary = &report.0["summary"];
        assert_eq!(summary["number"], report.0["heading"]["number"], "{report}");
        assert_eq!(summary["sections"], report.sections().len(), "{report}");
        if report.titles().contains(&"Threads") && report.content("Threads")["kind"] == "threads" {
            assert_eq!(summary["threads"], report.threads().len(), "{report}");
        }
        report
    }

    pub(crate) fn number(&self) -> u64 {
        self.0["heading"]["number"].as_u64().expect("a number")
    }

    pub(crate) fn heading(&self) -> &Value {
        &self.0["heading"]
    }

    pub(crate) fn trigger(&self) -> &Value {
        &self.0["heading"]["trigger"]
    }

    /// How many sections failed.
    pub(crate) fn failed(&self) -> u64 {
        self.0["summary"]["failed"].as_u64().expect("a number")
    }

    pub(crate) fn schema_version(&self) -> &str {
        text(&self.0["schema_version"])
    }

    pub(crate) fn findings(&self) -> &[Value] {
        list(&self.0["findings"])
    }

    /// A frame, by its index.
    pub(crate) fn frame_at(&self, index: &Value) -> &Value {
        let index = index.as_u64().and_then(|index| usize::try_from(index).ok()).expect("an index");
        &self.0["frames"][index]
    }

    pub(crate) fn sections(&self) -> &[Value] {
        list(&self.0["sections"])
    }

    pub(crate) fn titles(&self) -> Vec<&str> {
        self.sections().iter().map(|section| text(&section["title"])).collect()
    }

    /// The content of a section, with its `kind`.
    pub(crate) fn content(&self, title: &str) -> &Value {
        let found = self.sections().iter().find(|section| section["title"] == title);
        &found.unwrap_or_else(|| panic!("no section `{title}` among {:?}", self.titles()))["content"]
    }

    /// The data of a section that is of this kind.
    pub(crate) fn data(&self, title: &str, kind: &str) -> &Value {
        let content = self.content(title);
        assert_eq!(content["kind"], kind, "{title}: {content}");
        &content["data"]
    }

    pub(crate) fn package(&self) -> &Value {
        self.data("Package", "package")
    }

    /// The content of a group of the configuration.
    pub(crate) fn group(&self, title: &str) -> &Value {
        let groups = list(self.data("Configuration", "configuration"));
        let found = groups.iter().find(|group| group["title"] == title);
        &found.unwrap_or_else(|| panic!("no group `{title}` among {groups:?}"))["content"]
    }

    pub(crate) fn threads(&self) -> Vec<Thread<'_>> {
        let threads = list(&self.data("Threads", "threads")["threads"]);
        threads.iter().map(|fields| Thread { report: self, fields }).collect()
    }

    pub(crate) fn thread(&self, name: &str) -> Thread<'_> {
        let found = self.threads().into_iter().find(|thread| thread.name() == name);
        found.unwrap_or_else(|| panic!("no thread `{name}` in\n{self}"))
    }

    /// Whether the symbolizer has named all frames in time: otherwise a note says that it has not.
    pub(crate) fn has_all_names(&self) -> bool {
        let threads = self.content("Threads");
        threads["kind"] == "threads" && list(&threads["data"]["notes"]).is_empty()
    }

    /// Whether every thread of the program has its whole stack, and all frames have their names. On
    /// a machine that does other work, a thread may get no CPU time before the report's deadline,
    /// and a deep stack takes two attempts.
    pub(crate) fn is_complete(&self) -> bool {
        let is_programs = |thread: &Thread<'_>| matches!(thread.role(), "main" | "program");
        let is_whole = |thread: &Thread<'_>| !is_programs(thread) || thread.stack().is_whole();
        self.has_all_names() && self.threads().iter().all(is_whole)
    }

    pub(crate) fn tasks(&self) -> &[Value] {
        list(&self.data("Green Threads", "green_threads")["tasks"])
    }

    /// A stack of this report, its frames looked up by their numbers.
    pub(crate) fn stack<'a>(&'a self, stack: &'a Value) -> Stack<'a> {
        let all = list(&self.0["frames"]);
        let frame = |number: &Value| {
            let index = number.as_u64().and_then(|number| usize::try_from(number).ok());
            Frame(index.and_then(|index| all.get(index)).unwrap_or_else(|| panic!("no frame {number}")))
        };
        let frames = list(&stack["frames"]).iter().map(frame).collect();
        Stack { frames, incomplete: stack["incomplete"].as_str(), taken: stack["taken"].as_str() }
    }
}

impl<'a> Thread<'a> {
    pub(crate) fn tid(self) -> u64 {
        self.fields["tid"].as_u64().expect("a thread id")
    }

    pub(crate) fn name(self) -> &'a str {
        text(&self.fields["name"])
    }

    /// `main`, `program`, `reporter` or `gmr`.
    /// What it waits for; null if it was running.
    pub(crate) fn waiting(self) -> &'a Value {
        &self.fields["waiting"]
    }

    pub(crate) fn role(self) -> &'a str {
        text(&self.fields["role"])
    }

    /// As the kernel calls it.
    pub(crate) fn state(self) -> Option<&'a str> {
        self.fields["state"].as_str()
    }

    /// A field without an accessor.
    pub(crate) fn field(self, name: &str) -> &'a Value {
        &self.fields[name]
    }

    pub(crate) fn stack(self) -> Stack<'a> {
        self.report.stack(&self.fields["stack"])
    }
}

impl<'a> Stack<'a> {
    /// The names of the functions, innermost first; empty where there is none.
    pub(crate) fn functions(&self) -> impl Iterator<Item = &'a str> {
        self.frames.iter().map(|frame| frame.function())
    }

    /// The innermost frame of this function.
    pub(crate) fn frame(&self, function: &str) -> Option<Frame<'a>> {
        self.frames.iter().copied().find(|frame| frame.function() == function)
    }

    /// Panics with the stack if the function is not in it.
    pub(crate) fn expect(&self, function: &str) -> Frame<'a> {
        self.frame(function).unwrap_or_else(|| panic!("no {function} in\n{self}"))
    }

    pub(crate) fn has(&self, function: &str) -> bool {
        self.frame(function).is_some()
    }

    /// How many frames are of this function.
    pub(crate) fn count(&self, function: &str) -> usize {
        self.functions().filter(|name| *name == function).count()
    }

    /// Whether any function's name contains this.
    pub(crate) fn mentions(&self, part: &str) -> bool {
        self.functions().any(|name| name.contains(part))
    }

    /// Whether the symbolizer has named the frames in time. Those of C libraries may have no name
    /// at all.
    pub(crate) fn has_names(&self) -> bool {
        let is_library = |module: &str| module.contains(".so");
        let has_name = |frame: &Frame<'_>| frame.0["function"].is_string();
        self.frames.iter().all(|frame| has_name(frame) || frame.0["module"].as_str().is_none_or(is_library))
    }

    /// Whether it goes on to the thread's first function.
    pub(crate) fn is_whole(&self) -> bool {
        !self.is_missing() && self.incomplete.is_none()
    }

    /// A stack that was not taken: it has no frames, but a reason.
    pub(crate) fn is_missing(&self) -> bool {
        if self.frames.is_empty() {
            assert!(
                self.incomplete.is_some_and(|reason| !reason.is_empty()),
                "it is missing without a reason"
            );
        }
        self.frames.is_empty()
    }
}

impl<'a> Frame<'a> {
    pub(crate) fn function(self) -> &'a str {
        self.0["function"].as_str().unwrap_or_default()
    }

    pub(crate) fn file(self) -> &'a str {
        self.0["file"].as_str().unwrap_or_default()
    }

    pub(crate) fn line(self) -> Option<u64> {
        self.0["line"].as_u64()
    }

    pub(crate) fn source(self) -> &'a str {
        self.0["source"].as_str().unwrap_or_default()
    }

    /// All fields, for those without an accessor.
    pub(crate) fn fields(self) -> &'a Value {
        self.0
    }
}

/// For messages of failed assertions.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// For messages of failed assertions: a line for each frame.
impl fmt::Display for Stack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for frame in &self.frames {
            let line = frame.line().unwrap_or_default();
            let [module, offset] = ["module", "module_offset"].map(|field| &frame.0[field]);
            writeln!(f, "  {} at {}:{line}, {module} + {offset}", frame.function(), frame.file())?;
        }
        writeln!(f, "  incomplete: {:?}", self.incomplete)
    }
}

/// Panics if it is not a string.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no string: {value}"))
}

/// Panics if it is not a list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}
