//! How many of several things, as an argument has it: a number, or a percentage.

use std::str::FromStr;

/// A part of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AtMost {
    /// So many.
    Number(usize),
    /// Such a part, up to 100.
    Percent(f64),
}

impl FromStr for AtMost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.strip_suffix('%') {
            Some(percent) => {
                percent.parse().ok().filter(|percent| *percent > 0.0 && *percent <= 100.0).map(Self::Percent)
            }
            None => text.parse().ok().filter(|number| *number > 0).map(Self::Number),
        };
        parsed.ok_or_else(|| "expected a number, or a percentage as in `5%`".to_owned())
    }
}

impl AtMost {
    /// At least one, if there is one.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a percentage of a list in memory"
    )]
    pub(crate) fn of(self, all: usize) -> usize {
        match self {
            Self::Number(number) => number.min(all),
            Self::Percent(percent) => ((all as f64 * percent / 100.0).round() as usize).max(1).min(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_a_number_or_a_percentage() {
        let of = |text: &str, all| text.parse::<AtMost>().map(|at_most| at_most.of(all));
        assert_eq!(of("5%", 1_000), Ok(50));
        assert_eq!(of("0.1%", 100), Ok(1), "at least one");
        assert_eq!(of("100%", 7), Ok(7));
        assert_eq!(of("3", 1_000), Ok(3));
        assert_eq!(of("3", 2), Ok(2));
        assert_eq!(of("3", 0), Ok(0));
        for wrong in ["", "%", "0", "0%", "-1", "101%", "NaN%", "inf%", "five"] {
            assert!(of(wrong, 10).is_err(), "{wrong}");
        }
    }
}
