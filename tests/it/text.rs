//! A report as text, parsed by its layout alone, as a log tool that knows only the framed lines
//! would do it.
//!
//! Only tests of what is particular to text use this: that it is written section by section, whole
//! and never interleaved. What a report says is tested in JSON, so that its wording can change
//! freely.

use crate::program::Program;

/// A report, taken apart.
#[derive(Debug)]
pub(crate) struct Text {
    /// The lines of the heading.
    pub(crate) heading: Vec<String>,
    /// Titles and bodies, in order.
    pub(crate) sections: Vec<(String, String)>,
    /// The last line, without its frame.
    pub(crate) last: String,
}

const WIDTH: usize = 72;

impl Text {
    /// Panics with the text if it is not exactly one whole report.
    pub(crate) fn parse(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let titles: Vec<(usize, &str)> = lines
            .windows(3)
            .enumerate()
            .filter(|(_, window)| is_full(window[0]) && is_full(window[2]))
            .map(|(line, window)| (line, framed(window[1]).unwrap_or_else(|| panic!("no title:\n{text}"))))
            .collect();
        assert_eq!(titles.first(), Some(&(0, "Guru Meditation")), "{text}");
        assert_eq!(lines[3], "|".repeat(WIDTH), "{text}");
        let openings = titles.iter().filter(|(_, title)| *title == "Guru Meditation").count();
        assert_eq!(openings, 1, "interleaved:\n{text}");
        let is_last = |line: usize| ends_report(lines[line - 1], lines[line]);
        let last = (1..lines.len()).find(|line| is_last(*line)).expect("a report has a last line");
        assert_eq!(last, lines.len() - 1, "something follows the last line:\n{text}");

        let body = |index: usize, from: usize| {
            let to = titles.get(index + 1).map_or(last, |(line, _)| *line);
            &lines[from..to]
        };
        let section = |index: usize| {
            let (line, title) = titles[index];
            (title.to_owned(), body(index, line + 3).join("\n").trim_end().to_owned())
        };
        Self {
            heading: body(0, 4).iter().map(|line| (*line).to_owned()).collect(),
            sections: (1..titles.len()).map(section).collect(),
            last: framed(lines[last]).expect("it is framed").to_owned(),
        }
    }

    /// Reads standard error up to the end of the next report in text, with the text before it.
    pub(crate) fn read(program: &mut Program) -> String {
        let mut text = String::new();
        let mut before = String::new();
        loop {
            let line = program.next_error_line();
            assert!(!line.is_empty(), "standard error was closed before the report's end:\n{text}");
            text.push_str(&line);
            if ends_report(&before, line.trim_end()) {
                return text;
            }
            line.trim_end().clone_into(&mut before);
        }
    }

    pub(crate) fn titles(&self) -> Vec<&str> {
        self.sections.iter().map(|(title, _)| title.as_str()).collect()
    }

    pub(crate) fn section(&self, title: &str) -> &str {
        let found = self.sections.iter().find(|(other, _)| other == title);
        found.map_or_else(|| panic!("no section `{title}` among {:?}", self.titles()), |(_, body)| body)
    }

    /// The report's number, which both its heading and its last line have.
    pub(crate) fn number(&self) -> u64 {
        let in_heading = self.heading.iter().find_map(|line| line.strip_prefix("report = "));
        let number = in_heading.expect("a heading has the number").parse().expect("a number");
        let numbers = self.last.split(|letter: char| !letter.is_ascii_digit());
        assert!(numbers.into_iter().any(|other| other.parse() == Ok(number)), "{self:?}");
        number
    }

    /// The part of a section about one thread, or about the group that it is in: from under a line
    /// like `------ Thread #42 (worker) ------` to the next. Its label is in that line, or in the
    /// list under it.
    pub(crate) fn block(&self, section: &str, label: &str) -> &str {
        let body = self.section(section);
        let blocks = body.split("\n------").skip(1);
        let names = |block: &&str| block.split("\n\n").next().is_some_and(|head| head.contains(label));
        blocks.into_iter().find(names).unwrap_or_else(|| panic!("no `{label}` in\n{body}"))
    }
}

/// Whether the frames of this program all have their names. On a machine that does other work, the
/// symbolizer may not be done before the report's deadline; then they are the module and an offset.
/// A function of which only the name is known has these too, before its name.
pub(crate) fn has_names(text: &str, program: &str) -> bool {
    let place = format!("/{program}+0x");
    text.lines().all(|line| !line.contains(&place) || line.contains(" in "))
}

/// A report ends with a framed line that is not a title: a title follows a full line. The full line
/// may follow the rest of an earlier report that was cut off.
pub(crate) fn ends_report(before: &str, line: &str) -> bool {
    framed(line).is_some() && !before.ends_with(&"=".repeat(WIDTH))
}

fn is_full(line: &str) -> bool {
    line.len() == WIDTH && line.bytes().all(|byte| byte == b'=')
}

fn framed(line: &str) -> Option<&str> {
    let text = line.strip_prefix("====")?.strip_suffix("====")?.trim();
    (line.len() >= WIDTH && !is_full(line)).then_some(text)
}
