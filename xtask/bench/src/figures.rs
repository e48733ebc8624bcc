//! Statistics of several measurements, and how they are printed. It measures nothing.

use std::fmt;
use std::time::Duration;

/// Measurements of one thing, in any unit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn add(&mut self, figure: f64) {
        let place = self.0.partition_point(|&other| other <= figure);
        self.0.insert(place, figure);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// None without measurements.
    pub(crate) fn median(&self) -> Option<f64> {
        let middle = self.0.len() / 2;
        match self.0.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(self.0[middle]),
            _ => Some(f64::midpoint(self.0[middle - 1], self.0[middle])),
        }
    }

    /// The smallest measurement that is at least as large as `percent` of all.
    pub(crate) fn percentile(&self, percent: usize) -> Option<f64> {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied()
    }

    /// The median, followed by the smallest and the largest in brackets, each formatted by `shown`.
    pub(crate) fn show<T: fmt::Display>(&self, shown: impl Fn(f64) -> T) -> String {
        match (self.median(), &self.0[..]) {
            (Some(only), [_]) => shown(only).to_string(),
            (Some(median), [least, .., most]) => {
                format!("{} ({} – {})", shown(median), shown(*least), shown(*most))
            }
            _ => "—".to_owned(),
        }
    }
}

impl FromIterator<f64> for Figures {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Self(sorted)
    }
}

/// Seconds, in the unit that leaves one to three digits before the point.
pub(crate) fn time(seconds: f64) -> String {
    // A difference of two times can be below zero.
    let (figure, unit) = match seconds.abs() {
        size if size < 1e-6 => (seconds * 1e9, "ns"),
        size if size < 1e-3 => (seconds * 1e6, "µs"),
        size if size < 1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    format!("{} {unit}", digits(figure))
}

pub(crate) fn duration(duration: Duration) -> String {
    time(duration.as_secs_f64())
}

/// KiB, as MiB.
pub(crate) fn memory(kib: f64) -> String {
    format!("{:.1} MiB", kib / 1024.0)
}

/// A ratio of two times.
pub(crate) fn times(ratio: f64) -> String {
    format!("{} ×", digits(ratio))
}

/// Three significant digits: measurements vary by more than what further digits would say.
fn digits(figure: f64) -> String {
    match figure.abs() {
        less if less < 9.995 => format!("{figure:.2}"),
        less if less < 99.95 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_percentile_are_those_of_the_sorted_measurements() {
        let figures: Figures = (1..=100).rev().map(f64::from).collect();
        assert_eq!(figures.median(), Some(50.5));
        assert_eq!(figures.percentile(99), Some(99.0));
        assert_eq!(Figures::default().percentile(99), None);
        assert_eq!(Figures::default().show(time), "—");
    }

    #[test]
    fn a_figure_has_three_digits() {
        assert_eq!(time(0.001_234_5), "1.23 ms");
        assert_eq!(time(0.000_034_56), "34.6 µs");
        assert_eq!(time(12.345), "12.3 s");
        assert_eq!(time(-0.000_189_5), "-190 µs");
        let mut figures: Figures = [0.2, 0.1].into_iter().collect();
        figures.add(0.3);
        assert_eq!(figures.show(time), "200 ms (100 ms – 300 ms)");
    }
}
