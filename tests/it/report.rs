//! Reads a text report back: a parser written from the look of the report alone, as somebody's log tool would be.

use std::collections::BTreeMap;

/// A report, taken apart.
#[derive(Debug)]
pub(crate) struct Report {
    /// `key = value` of the heading.
    pub(crate) heading: BTreeMap<String, String>,
    /// Titles and bodies, in order.
    pub(crate) sections: Vec<(String, String)>,
    /// The last line, without its frame.
    pub(crate) summary: String,
}

/// One thread of the Threads section.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) tid: u32,
    pub(crate) name: String,
    /// `, main thread` or `, gmr's own` or nothing.
    pub(crate) role: String,
    pub(crate) body: String,
}

const WIDTH: usize = 72;

impl Report {
    pub(crate) fn is_last_line(line: &str) -> bool {
        framed(line).is_some_and(|text| text.starts_with("end of report "))
    }

    /// Panics with the text if it is not exactly one whole report.
    pub(crate) fn parse(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let full = "=".repeat(WIDTH);
        let mut titles: Vec<(usize, String)> = Vec::new();
        for (index, window) in lines.windows(3).enumerate() {
            if window[0] == full && window[2] == full {
                let title = framed(window[1]).unwrap_or_else(|| panic!("a title without its frame:\n{text}"));
                titles.push((index, title.to_owned()));
            }
        }
        assert_eq!(
            titles.first().map(|(line, title)| (*line, title.as_str())),
            Some((0, "Guru Meditation")),
            "{text}"
        );
        assert_eq!(lines[3], "|".repeat(WIDTH), "{text}");
        assert_eq!(
            titles.iter().filter(|(_, title)| title == "Guru Meditation").count(),
            1,
            "interleaved:\n{text}"
        );
        let last = lines.iter().position(|line| Self::is_last_line(line)).expect("a report has a last line");
        assert_eq!(last, lines.len() - 1, "something follows the last line:\n{text}");

        let body = |index: usize, from: usize| {
            let to = titles.get(index + 1).map_or(last, |(line, _)| *line);
            lines[from..to].join("\n").trim_end().to_owned()
        };
        let heading = body(0, 4).lines().filter_map(key_value).collect();
        let sections =
            (1..titles.len()).map(|index| (titles[index].1.clone(), body(index, titles[index].0 + 3)));
        let report =
            Self { heading, sections: sections.collect(), summary: framed(lines[last]).unwrap().to_owned() };
        let count = report.sections.len();
        let noun = if count == 1 { "section" } else { "sections" };
        assert!(
            report.summary.contains(&format!(": {count} {noun}")),
            "the last line counts otherwise:\n{text}"
        );
        report
    }

    pub(crate) fn number(&self) -> u64 {
        self.heading["report"].parse().expect("a number")
    }

    pub(crate) fn titles(&self) -> Vec<&str> {
        self.sections.iter().map(|(title, _)| title.as_str()).collect()
    }

    pub(crate) fn section(&self, title: &str) -> &str {
        let found = self.sections.iter().find(|(other, _)| other == title);
        found.map_or_else(|| panic!("no section `{title}` among {:?}", self.titles()), |(_, body)| body)
    }

    pub(crate) fn threads(&self) -> Vec<Thread> {
        let mut blocks: Vec<(&str, String)> = Vec::new();
        for line in self.section("Threads").lines() {
            if let Some(title) = line.strip_prefix("------").and_then(|rest| rest.strip_suffix("------")) {
                blocks.push((title.trim(), String::new()));
            } else if let Some((_, body)) = blocks.last_mut() {
                body.push_str(line);
                body.push('\n');
            }
        }
        blocks.iter().flat_map(|(title, body)| threads_of(title, body)).collect()
    }

    pub(crate) fn thread(&self, name: &str) -> Thread {
        let mut threads = self.threads();
        let index = threads.iter().position(|thread| thread.name == name);
        threads.swap_remove(index.unwrap_or_else(|| panic!("no thread `{name}` among {threads:?}")))
    }
}

/// `key = value` of a line that has it.
pub(crate) fn key_value(line: &str) -> Option<(String, String)> {
    let (key, value) = line.trim().split_once(" = ")?;
    Some((key.to_owned(), value.to_owned()))
}

/// The thread or the threads of one block, each with the block's body.
fn threads_of(title: &str, body: &str) -> Vec<Thread> {
    if let Some(label) = title.strip_prefix("Thread ") {
        return vec![labelled(label, body)];
    }
    let (count, _) = title.split_once(" thread").unwrap_or_default();
    let count = count.parse().ok();
    let count: usize = count.unwrap_or_else(|| panic!("neither a thread nor threads: {title}"));
    let list: Vec<&str> = body.lines().take_while(|line| !line.starts_with("state = ")).collect();
    let threads: Vec<Thread> =
        list.join(" ").split(", ").map(|label| labelled(label.trim_matches([',', ' ']), body)).collect();
    assert_eq!(threads.len(), count, "{title}\n{body}");
    threads
}

/// `#TID (name), role`
fn labelled(label: &str, body: &str) -> Thread {
    let rest = label.strip_prefix('#').unwrap_or_else(|| panic!("no thread: {label}"));
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (tid, rest) = rest.split_at(digits);
    let (name, role) = match rest.strip_prefix(" (").and_then(|rest| rest.rsplit_once(')')) {
        Some((name, role)) => (name, role),
        None => ("", rest),
    };
    Thread {
        tid: tid.parse().expect("a thread id"),
        name: name.to_owned(),
        role: role.to_owned(),
        body: body.to_owned(),
    }
}

fn framed(line: &str) -> Option<&str> {
    Some(line.strip_prefix("====")?.strip_suffix("====")?.trim()).filter(|_| line.len() >= WIDTH)
}
