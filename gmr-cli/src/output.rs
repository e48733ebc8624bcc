//! What a subcommand prints: text or JSON on standard output, and text through a pager if that is a
//! terminal. A reader that stops reading, such as `head`, is no error.

use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

pub(crate) use gmr_runtime::__cli::{counted, number};
use gmr_runtime::__cli::{duration, printable};
use serde::Serialize;

/// Writes to standard output.
pub(crate) fn write(bytes: &[u8]) -> Result<(), String> {
    let mut out = io::stdout().lock();
    written(out.write_all(bytes).and_then(|()| out.flush()))
}

fn written(done: io::Result<()>) -> Result<(), String> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.map_err(|error| format!("could not write to standard output: {error}")),
    }
}

/// Writes text, by a pager if standard output is a terminal.
pub(crate) fn show(text: &[u8], pager: bool) -> Result<(), String> {
    let mut stream = Stream::new(pager);
    stream.write(text)?;
    stream.end()
}

/// Text that comes in pieces, on standard output or in the pager.
pub(crate) struct Stream {
    /// Whether the first piece starts a pager.
    wants_pager: bool,
    pager: Option<Pager>,
    is_closed: bool,
}

struct Pager {
    child: Child,
    input: ChildStdin,
    /// What it has got, which is lost if there is no such command.
    given: Vec<u8>,
}

impl Stream {
    /// With a pager only if standard output is a terminal.
    pub(crate) fn new(pager: bool) -> Self {
        Self { wants_pager: pager && io::stdout().is_terminal(), pager: None, is_closed: false }
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.is_closed || bytes.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut self.wants_pager) {
            self.pager = start_pager();
        }
        match &mut self.pager {
            Some(pager) => {
                pager.given.extend_from_slice(bytes);
                if pager.input.write_all(bytes).is_err() { self.end_pager() } else { Ok(()) }
            }
            None => self.write_here(bytes),
        }
    }

    fn write_here(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(())
            }
            done => written(done),
        }
    }

    /// No text follows. Waits for the pager.
    pub(crate) fn end(mut self) -> Result<(), String> {
        self.end_pager()
    }

    fn end_pager(&mut self) -> Result<(), String> {
        let Some(Pager { mut child, input, given }) = self.pager.take() else { return Ok(()) };
        drop(input);
        // The shell's code for a command that it does not find.
        if child.wait().is_ok_and(|status| status.code() == Some(127)) {
            return self.write_here(&given);
        }
        // Who leaves the pager before the end has seen enough.
        self.is_closed = true;
        Ok(())
    }
}

/// `None` if there is none.
fn start_pager() -> Option<Pager> {
    let chosen = env::var("PAGER").ok();
    if chosen.as_deref().is_some_and(|chosen| chosen.is_empty() || chosen == "cat") {
        return None;
    }
    let mut command = match chosen {
        // It can have arguments.
        Some(chosen) => {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(chosen);
            shell
        }
        None => Command::new("less"),
    };
    if env::var_os("LESS").is_none() {
        // Ends by itself if it all fits, shows colours, and leaves the text on the terminal.
        command.env("LESS", "FRX");
    }
    let mut child = command.stdin(Stdio::piped()).spawn().ok()?;
    let input = child.stdin.take()?;
    Some(Pager { child, input, given: Vec::new() })
}

/// Writes JSON, for programs.
pub(crate) fn json(value: &impl Serialize) -> Result<(), String> {
    let mut text = serde_json::to_string_pretty(value).expect("it has names and numbers only");
    text.push('\n');
    write(text.as_bytes())
}

/// Writes a line to standard error. It can quote a file.
pub(crate) fn warn(line: &str) {
    let _ = writeln!(io::stderr(), "gmr: {}", printable(line));
}

/// Says on standard error what could not be read.
pub(crate) fn left_out(reasons: &[String]) {
    for reason in reasons {
        warn(&format!("left out: {reason}"));
    }
}

pub(crate) fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// `999 ms`, `9.3 s`
pub(crate) fn time(time: Duration) -> String {
    duration(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Whether standard output is a terminal that has colours, and `NO_COLOR` is not set.
pub(crate) fn has_colours() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
    io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// How a piece of a line looks on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Heading,
    Error,
    Warning,
}

impl Style {
    /// That of a finding, by its severity.
    pub(crate) fn of_severity(severity: &str) -> Option<Self> {
        match severity {
            "error" => Some(Self::Error),
            "warning" => Some(Self::Warning),
            _ => None,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Heading => "\x1b[1m",
            Self::Error => "\x1b[1;31m",
            Self::Warning => "\x1b[33m",
        }
    }
}

/// Lines of text below headings. Data of reports is shown without anything that a terminal
/// interprets.
pub(crate) struct Page {
    text: String,
    is_coloured: bool,
}

impl Page {
    /// With colours on a terminal that has them, unless `NO_COLOR` is set.
    pub(crate) fn new() -> Self {
        Self::with_colours(has_colours())
    }

    /// Without colours.
    pub(crate) fn plain() -> Self {
        Self::with_colours(false)
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn with_colours(is_coloured: bool) -> Self {
        Self { text: String::new(), is_coloured }
    }

    /// A heading, after an empty line.
    pub(crate) fn heading(&mut self, heading: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.styled(0, Some(Style::Heading), heading, "");
    }

    pub(crate) fn line(&mut self, indent: usize, line: &str) {
        self.styled(indent, None, "", line);
    }

    /// A line that begins with a piece in this style.
    pub(crate) fn styled(&mut self, indent: usize, style: Option<Style>, piece: &str, rest: &str) {
        let (piece, rest) = (printable(piece), printable(rest));
        let style = style.filter(|_| self.is_coloured);
        let (begin, end) = style.map_or(("", ""), |style| (style.code(), "\x1b[0m"));
        let _ = writeln!(self.text, "{:indent$}{begin}{piece}{end}{rest}", "");
    }

    /// Columns, as wide as their widest cell.
    pub(crate) fn table<const N: usize>(&mut self, headings: &[&str; N], rows: &[[String; N]]) {
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([headings[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..N).map(width).collect();
        let line = |cells: [&str; N]| {
            let cells = cells.into_iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.styled(0, Some(Style::Heading), &line(*headings), "");
        for row in rows {
            self.line(0, &line(row.each_ref().map(String::as_str)));
        }
    }

    /// How many entries of a list are left out.
    pub(crate) fn more(&mut self, left_out: usize, noun: &str) {
        if left_out > 0 {
            let count = counted(as_u64(left_out), noun);
            let _ = writeln!(self.text, "  ... {count}; --top shows more");
        }
    }

    pub(crate) fn print(self, pager: bool) -> Result<(), String> {
        show(self.text.as_bytes(), pager)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_control_the_terminal() {
        for (is_coloured, shown) in [(false, "  error: "), (true, "  \x1b[1;31merror: \x1b[0m")] {
            let mut page = Page::with_colours(is_coloured);
            page.styled(2, Some(Style::Error), "error: ", "\x1b[2J\rfine");
            let rest = page.text.strip_prefix(shown).expect(shown);
            assert!(!rest.trim_end().contains(char::is_control) && rest.contains("fine"), "{rest:?}");
        }
    }
}
