//! The screen of `gmr watch`: what is drawn, and what keys do. It knows nothing of the process but the
//! last look at it. What comes from the process is drawn without anything that a terminal interprets.

mod lines;

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use gmr_runtime::__cli::{duration, printable};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::keys::Key as Pressed;
use super::looks::{Group, Look, Whole, total};
use crate::output::{as_u64, counted};
use crate::places::{Key, Kind};
use lines::{KEYS, columns, fitting, row, short, wrapped};

/// What a key asks for that the screen can't do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    None,
    Quit,
    Save,
    /// Stop the command, as Ctrl-Z does.
    Suspend,
    /// Draw all of it again: something else has written to the terminal.
    Redraw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Count,
    /// What is new or has changed first.
    Changes,
    Cpu,
    Still,
}

impl Sort {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Changes => "changes",
            Self::Cpu => "CPU",
            Self::Still => "time still",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Count => Self::Changes,
            Self::Changes => Self::Cpu,
            Self::Cpu => Self::Still,
            Self::Still => Self::Count,
        }
    }
}

/// What keys are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    List,
    /// The text of the filter.
    Filter,
    /// The keys are listed instead.
    Keys,
}

/// A line of the list: the first one of a group, or one of its stack.
struct Row<'a> {
    key: &'a Key,
    /// Which line of the group it is.
    at: usize,
    line: Line<'static>,
}

pub(super) struct Screen {
    look: Look,
    /// When it came.
    at: Instant,
    whole: Whole,
    /// When that came.
    whole_at: Instant,
    interval: Duration,
    has_colours: bool,
    sort: Sort,
    filter: String,
    mode: Mode,
    shows_idle: bool,
    is_frozen: bool,
    /// Why the last look has not come.
    trouble: Option<String>,
    said: Option<String>,
    /// The groups whose stacks are shown.
    unfolded: HashSet<Key>,
    /// The group that keys are about, and the line of it. It stays the same one wherever it moves.
    selected: Option<(Key, usize)>,
    /// The first line of the list that is shown.
    top: usize,
    /// How wide the screen was when it was drawn.
    width: usize,
    /// How many lines of the list it had.
    height: usize,
}

impl Screen {
    /// With the first report, which came `at` that time.
    pub(super) fn new(look: Look, whole: Whole, at: Instant, interval: Duration, has_colours: bool) -> Self {
        Self {
            look,
            at,
            whole,
            whole_at: at,
            interval,
            has_colours,
            sort: Sort::Count,
            filter: String::new(),
            mode: Mode::List,
            shows_idle: false,
            is_frozen: false,
            trouble: None,
            said: None,
            unfolded: HashSet::new(),
            selected: None,
            top: 0,
            width: 80,
            height: 10,
        }
    }

    pub(super) fn look(&self) -> &Look {
        &self.look
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.is_frozen
    }

    pub(super) fn show(&mut self, look: Look, at: Instant) {
        self.look = look;
        self.at = at;
        self.trouble = None;
    }

    pub(super) fn show_whole(&mut self, whole: Whole, at: Instant) {
        self.whole = whole;
        self.whole_at = at;
    }

    /// Says something until the next key.
    pub(super) fn say(&mut self, said: String) {
        self.said = Some(said);
    }

    /// No look has come, for this reason. The last one stays.
    pub(super) fn fail(&mut self, reason: String) {
        self.trouble = Some(reason);
    }

    pub(super) fn press(&mut self, key: Pressed) -> Action {
        self.said = None;
        match key {
            Pressed::Control('c') => return Action::Quit,
            Pressed::Control('z') => return Action::Suspend,
            Pressed::Control('l') => return Action::Redraw,
            Pressed::Control(_) => return Action::None,
            key if self.mode == Mode::Filter => {
                self.edit_filter(key);
                return Action::None;
            }
            Pressed::Char('q') => return Action::Quit,
            // Any other key leaves the list of keys.
            _ if self.mode == Mode::Keys => {
                self.mode = Mode::List;
                return Action::None;
            }
            Pressed::Char('w') => return Action::Save,
            Pressed::Char('?' | 'h') | Pressed::F1 => self.mode = Mode::Keys,
            Pressed::Char('/') => self.mode = Mode::Filter,
            Pressed::Escape => self.filter.clear(),
            Pressed::Char('s') => self.sort = self.sort.next(),
            Pressed::Char('i') => self.shows_idle = !self.shows_idle,
            Pressed::Char('p' | ' ') => self.is_frozen = !self.is_frozen,
            Pressed::Char('a') => self.unfold_all(),
            Pressed::Enter => self.fold(None),
            Pressed::Right => self.fold(Some(false)),
            Pressed::Left => self.fold(Some(true)),
            Pressed::Down | Pressed::Char('j') => self.select(1),
            Pressed::Up | Pressed::Char('k') => self.select(-1),
            Pressed::PageDown => self.select(self.page()),
            Pressed::PageUp => self.select(-self.page()),
            Pressed::Home | Pressed::Char('g') => self.select(isize::MIN),
            Pressed::End | Pressed::Char('G') => self.select(isize::MAX),
            Pressed::Char(_) | Pressed::Backspace => {}
        }
        Action::None
    }

    fn edit_filter(&mut self, key: Pressed) {
        match key {
            Pressed::Enter => self.mode = Mode::List,
            Pressed::Escape => (self.mode, self.filter) = (Mode::List, String::new()),
            Pressed::Backspace => drop(self.filter.pop()),
            Pressed::Char(c) => self.filter.push(c),
            _ => {}
        }
    }

    /// The groups that are shown, in order.
    fn groups(&self) -> Vec<&Group> {
        let filter = self.filter.to_lowercase();
        let has = |group: &Group| {
            let mut texts = group.stack.iter().chain(&group.members).chain([&group.state, &group.states]);
            filter.is_empty() || texts.any(|text| text.to_lowercase().contains(&filter))
        };
        let groups = self.look.groups.iter();
        let mut shown: Vec<&Group> =
            groups.filter(|group| (self.shows_idle || !group.is_idle) && has(group)).collect();
        // The same order in each look: groups must not jump.
        shown.sort_by(|a, b| (Reverse(a.count), &a.key).cmp(&(Reverse(b.count), &b.key)));
        match self.sort {
            Sort::Count => {}
            Sort::Changes => shown.sort_by_key(|group| !group.has_changed()),
            Sort::Cpu => {
                shown.sort_by(|a, b| b.cpu.unwrap_or_default().total_cmp(&a.cpu.unwrap_or_default()));
            }
            Sort::Still => shown.sort_by_key(|group| Reverse(group.still_ms)),
        }
        shown
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let mut rows = Vec::new();
        for group in self.groups() {
            let style = match (group.count, group.has_changed()) {
                (0, _) => Style::new().add_modifier(Modifier::DIM),
                (_, true) => self.colour(Color::Green),
                _ => Style::new(),
            };
            let mut lines = vec![Line::styled(row(group, self.width), style)];
            if self.unfolded.contains(&group.key) {
                lines.extend(lines::unfolded(group, self.width).into_iter().map(Line::raw));
            }
            let rows_of = lines.into_iter().enumerate().map(|(at, line)| Row { key: &group.key, at, line });
            rows.extend(rows_of);
        }
        rows
    }

    /// Which of the rows is selected.
    fn place(&self, rows: &[Row<'_>]) -> Option<usize> {
        let (key, at) = self.selected.as_ref()?;
        // The last one that there is, if its stack has become shorter.
        rows.iter().rposition(|row| row.key == key && row.at <= *at)
    }

    fn select(&mut self, by: isize) {
        let rows = self.rows();
        let last = rows.len().saturating_sub(1);
        let place = match self.place(&rows) {
            Some(place) => place.saturating_add_signed(by).min(last),
            // The first key selects an end.
            None if by == isize::MAX => last,
            None => 0,
        };
        self.selected = rows.get(place).map(|row| (row.key.clone(), row.at));
    }

    /// Hides the stack of the selected group, or shows it, or what it is not.
    fn fold(&mut self, folded: Option<bool>) {
        let rows = self.rows();
        let Some(row) = rows.get(self.place(&rows).unwrap_or(0)) else { return };
        let key = row.key.clone();
        if folded.unwrap_or(self.unfolded.contains(&key)) {
            self.unfolded.remove(&key);
        } else {
            self.unfolded.insert(key.clone());
        }
        self.selected = Some((key, 0));
    }

    /// By how many lines a key for a page moves: the last one stays in sight.
    fn page(&self) -> isize {
        isize::try_from(self.height.saturating_sub(1).max(1)).unwrap_or(1)
    }

    fn unfold_all(&mut self) {
        if self.unfolded.is_empty() {
            self.unfolded = self.groups().into_iter().map(|group| group.key.clone()).collect();
        } else {
            self.unfolded.clear();
        }
    }

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>, now: Instant) {
        let area = frame.area();
        self.width = area.width.into();
        // What is on top leaves room for the list.
        let quarter = usize::from(area.height / 4);
        let mut above = self.title(now);
        above.extend(self.trouble(quarter.min(4)));
        above.extend(self.findings(quarter));
        if area.height >= 16 {
            above.push(Line::raw(""));
        }
        above.push(Line::styled(self.heading(), Style::new().add_modifier(Modifier::BOLD)));
        let heights = [
            Constraint::Length(u16::try_from(above.len()).unwrap_or(u16::MAX)),
            Constraint::Min(0),
            Constraint::Length(1),
        ];
        let [top, list, bottom] = Layout::vertical(heights).areas(area);
        self.height = list.height.into();
        frame.render_widget(Paragraph::new(above), top);
        let lines = if self.mode == Mode::Keys { key_lines() } else { self.list() };
        frame.render_widget(Paragraph::new(lines), list);
        frame.render_widget(Paragraph::new(self.footer()), bottom);
    }

    /// The lines of the list that are shown.
    fn list(&mut self) -> Vec<Line<'static>> {
        let height = self.height;
        let rows = self.rows();
        let selected = self.place(&rows);
        let mut top = self.top.min(rows.len().saturating_sub(height));
        if let Some(selected) = selected {
            top = top.clamp((selected + 1).saturating_sub(height), selected);
        }
        let shown = rows.into_iter().enumerate().skip(top).take(height);
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        let lines =
            shown.map(
                |(index, row)| {
                    if selected == Some(index) { row.line.patch_style(reversed) } else { row.line }
                },
            );
        let lines = lines.collect();
        self.top = top;
        lines
    }

    fn colour(&self, colour: Color) -> Style {
        if self.has_colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn title(&self, now: Instant) -> Vec<Line<'static>> {
        let Look { made_at, groups } = &self.look;
        let Whole { process, number, .. } = &self.whole;
        let [threads, tasks] =
            [Kind::Thread, Kind::Task].map(|kind| counted(total(groups, kind), kind.noun()));
        let ago = |at| short(as_ms(now.saturating_duration_since(at)));
        let (state, style) = match (&self.trouble, self.is_frozen) {
            (Some(_), _) => (format!("last look, {} ago: ", ago(self.at)), self.colour(Color::Red)),
            (None, true) => (format!("frozen, {} ago: ", ago(self.at)), self.colour(Color::Yellow)),
            (None, false) => (String::new(), Style::new()),
        };
        // The day is in the report, and nobody reads as fast as fractions of seconds change.
        let clock = made_at.split_once('T').map_or(&**made_at, |(_, time)| time);
        let clock = clock.split('.').next().unwrap_or(clock).trim_end_matches('Z');
        let every = duration(as_ms(self.interval));
        // In fractions of a second, it would only flicker.
        let age = short(as_ms(now.saturating_duration_since(self.whole_at)).max(1_000));
        let text =
            format!("{threads}, {tasks} at {clock}Z; every {every}; findings of report {number}, {age} ago");
        vec![
            Line::styled(printable(process).into_owned(), Style::new().add_modifier(Modifier::BOLD)),
            Line::from(vec![Span::styled(state, style), Span::raw(printable(&text).into_owned())]),
        ]
    }

    fn trouble(&self, most: usize) -> Vec<Line<'static>> {
        let Some(reason) = &self.trouble else { return Vec::new() };
        let lines = wrapped(reason, self.width, most.max(1)).into_iter();
        lines.map(|line| Line::styled(line, self.colour(Color::Red))).collect()
    }

    /// As many findings as there are lines for, two at most for each. The others are counted.
    fn findings(&self, most: usize) -> Vec<Line<'static>> {
        let (mut lines, mut shown) = (Vec::new(), 0);
        for (finding, is_new) in &self.whole.findings {
            let style = match &*finding.severity {
                "error" => self.colour(Color::Red),
                "warning" => self.colour(Color::Yellow),
                _ => Style::new(),
            };
            let severity = format!("{}: ", printable(&finding.severity));
            let text = wrapped(&format!("{severity}{}", finding.text()), self.width.saturating_sub(2), 2);
            let is_last = shown + 1 == self.whole.findings.len();
            if lines.len() + text.len() + usize::from(!is_last) > most {
                break;
            }
            shown += 1;
            for (index, line) in text.into_iter().enumerate() {
                let mark = if *is_new && index == 0 { "+ " } else { "  " };
                let begin = if index == 0 && line.starts_with(&severity) { severity.len() } else { 0 };
                let (severity, text) = line.split_at(begin);
                let (severity, text) = (severity.to_owned(), text.to_owned());
                lines.push(Line::from(vec![Span::raw(mark), Span::styled(severity, style), Span::raw(text)]));
            }
        }
        let more = self.whole.findings.len() - shown;
        if more > 0 {
            let noun = if shown == 0 { "finding" } else { "more finding" };
            lines.push(Line::raw(format!("  {}; w saves the report", counted(as_u64(more), noun))));
        }
        lines
    }

    fn heading(&self) -> String {
        let mut heading = format!("{}PLACE, by {}", columns(self.width), self.sort.name());
        if !self.filter.is_empty() {
            let _ = write!(heading, "; with \"{}\"", printable(&self.filter));
        }
        let idle: u64 = self.look.groups.iter().filter(|group| group.is_idle).map(|group| group.count).sum();
        if idle > 0 && !self.shows_idle {
            let _ = write!(heading, "; {} hidden", counted(idle, "idle thread"));
        }
        heading
    }

    fn footer(&self) -> Line<'static> {
        if self.mode == Mode::Filter {
            return Line::raw(format!("filter: {}_  Enter: done, Esc: none", printable(&self.filter)));
        }
        if self.mode == Mode::Keys {
            return Line::raw("any key: back");
        }
        if let Some(said) = &self.said {
            return Line::raw(printable(said).into_owned());
        }
        Line::raw(fitting(KEYS, self.width))
    }
}

fn as_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn key_lines() -> Vec<Line<'static>> {
    KEYS.iter().map(|(key, _, what)| Line::raw(format!("{key:>6}  {what}"))).collect()
}

#[cfg(test)]
mod tests;
