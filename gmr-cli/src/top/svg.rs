//! The flame graph: an SVG that any browser shows, without scripts and styles, and a page around it.
//! Where the pointer rests, the browser shows the name and the time of a function.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use quick_xml::escape::escape;

use super::tree::Node;

const WIDTH: f64 = 1_200.0;
const ROW: f64 = 17.0;
const MARGIN: f64 = 10.0;
/// The width of a character of 12 pixels, at most.
const CHARACTER: f64 = 7.3;
/// Narrower boxes are left out: nobody sees them, and there can be very many.
const MIN_WIDTH: f64 = 0.3;
/// Deeper ones, too: a recursion without end has thousands.
const MAX_LEVELS: usize = 256;

/// The drawing, with these lines above it.
pub(super) fn svg(root: &Node, title: &str, notes: &[String]) -> String {
    let levels = 1 + levels(root, root.time, 0);
    let head = MARGIN + ROW * (as_f64(notes.len()) + 2.0);
    let height = head + as_f64(levels) * ROW + MARGIN;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"monospace\" font-size=\"12\" fill=\"#111\">\n<title>{0}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{MARGIN}\" y=\"{1}\" font-size=\"15\">{0}</text>\n",
        escape(title),
        MARGIN + ROW,
    );
    for (index, note) in notes.iter().enumerate() {
        let y = MARGIN + ROW * (as_f64(index) + 2.0);
        let _ = writeln!(text, "<text x=\"{MARGIN}\" y=\"{y}\">{}</text>", escape(note));
    }
    let mut drawing = Drawing { text, all: root.time, base: height - MARGIN - ROW };
    drawing.draw("all", root, 0, MARGIN);
    drawing.text.push_str("</svg>\n");
    drawing.text
}

/// A page that shows the drawing, and may do nothing else.
pub(super) fn page(title: &str, svg: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>{}</title>\n</head>\n<body>\n{svg}</body>\n</html>\n",
        escape(title)
    )
}

fn width(time: Duration, all: Duration) -> f64 {
    if all.is_zero() { 0.0 } else { (WIDTH - 2.0 * MARGIN) * time.as_secs_f64() / all.as_secs_f64() }
}

/// How many levels are drawn below this one.
fn levels(node: &Node, all: Duration, depth: usize) -> usize {
    if depth == MAX_LEVELS {
        return 0;
    }
    let drawn = node.called.values().filter(|called| width(called.time, all) >= MIN_WIDTH);
    drawn.map(|called| 1 + levels(called, all, depth + 1)).max().unwrap_or(0)
}

struct Drawing {
    text: String,
    all: Duration,
    /// Where the lowest row begins.
    base: f64,
}

impl Drawing {
    fn draw(&mut self, name: &str, node: &Node, level: usize, x: f64) {
        let (width, y) = (width(node.time, self.all), self.base - as_f64(level) * ROW);
        let share = if self.all.is_zero() { 0.0 } else { node.time.as_secs_f64() / self.all.as_secs_f64() };
        let _ = write!(
            self.text,
            "<g><title>{}: {:.1} %, {:.3} s</title><rect x=\"{x:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{:.1}\" \
             rx=\"1\" fill=\"{}\"/>",
            escape(name),
            share * 100.0,
            node.time.as_secs_f64(),
            ROW - 1.0,
            colour(name),
        );
        let fits = as_usize((width - 6.0) / CHARACTER);
        if fits >= 3 {
            let shown = if name.chars().count() <= fits {
                name.to_owned()
            } else {
                // The end of a path says more than its beginning.
                let skipped = name.chars().count() + 1 - fits;
                format!("…{}", name.chars().skip(skipped).collect::<String>())
            };
            let _ = write!(
                self.text,
                "<text x=\"{:.2}\" y=\"{:.1}\">{}</text>",
                x + 3.0,
                y + 12.5,
                escape(shown)
            );
        }
        self.text.push_str("</g>\n");
        if level == MAX_LEVELS {
            return;
        }
        let mut x = x;
        for (name, called) in &node.called {
            let width = self::width(called.time, self.all);
            if width >= MIN_WIDTH {
                self.draw(name, called, level + 1, x);
            }
            x += width;
        }
    }
}

/// The same one for the same name, light enough for black text. What is no function is grey.
fn colour(name: &str) -> String {
    if name.starts_with('[') || name == "all" {
        return "#d8d8d8".to_owned();
    }
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let hash = hasher.finish();
    format!("hsl({} 85% {}%)", 12 + hash % 42, 66 + hash / 64 % 12)
}

#[allow(clippy::cast_precision_loss, reason = "it is small")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "of a width; less than nothing is nothing"
)]
fn as_usize(number: f64) -> usize {
    number as usize
}
