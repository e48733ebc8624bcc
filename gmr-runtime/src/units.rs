//! Formats numbers with their units for people. Nothing here knows what a number means.

/// `1 thread`, `2 threads`, `2 processes`, `2 batches`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", ending(count == 1, noun))
}

/// The same with separators, for commands: `1,940 threads`.
#[cfg(feature = "__cli")]
pub(crate) fn many(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", separated(count), ending(count == 1, noun))
}

fn ending(is_one: bool, noun: &str) -> &'static str {
    if is_one {
        ""
    } else if noun.ends_with('s') || noun.ends_with("ch") {
        "es"
    } else {
        "s"
    }
}

/// `1,940`
#[cfg(feature = "__cli")]
pub(crate) fn separated(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds as `999 ms`; from one second on, as `9.3 s`.
pub(crate) fn duration(ms: u64) -> String {
    match as_shown(ms) {
        shown @ 0..1_000 => format!("{shown} ms"),
        shown => format!("{}.{} s", shown / 1_000, shown % 1_000 / 100),
    }
}

/// What [`duration`] shows of so many milliseconds. Which of several times is the longest is told by
/// this: of those that look the same, the longest is chance.
pub(crate) fn as_shown(ms: u64) -> u64 {
    match ms {
        0..1_000 => ms,
        // Rounds without overflow.
        _ => (ms / 100 + u64::from(ms % 100 >= 50)) * 100,
    }
}

/// Microseconds as `1.2 ms`, `34 ms` or `9.3 s`: with a decimal below 10 ms, and in seconds from
/// 1 s on.
pub(crate) fn milliseconds(microseconds: u64) -> String {
    match microseconds {
        0..10_000 => format!("{}.{} ms", microseconds / 1000, microseconds % 1000 / 100),
        _ => duration(microseconds / 1000),
    }
}

/// A number of bytes as `512 B`, `8.0 KiB`, `84.1 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Rounds down, so that less than a whole unit never looks like one.
    let (mut unit, mut shift) = (UNITS[0], 10);
    for next in &UNITS[1..] {
        if bytes >> shift >= 1024 {
            (unit, shift) = (next, shift + 10);
        }
    }
    let tenths = (u128::from(bytes) * 10) >> shift;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// A configured duration in milliseconds: `2 s`, or `1500 ms` if it is not in whole seconds.
pub(crate) fn limit(ms: u64) -> String {
    if ms > 0 && ms.is_multiple_of(1_000) { format!("{} s", ms / 1_000) } else { format!("{ms} ms") }
}

/// `3 d 4 h 5 min 6 s`, from the first unit that is not zero.
pub(crate) fn uptime(ms: u64) -> String {
    let seconds = ms / 1000;
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    parts[first..].iter().map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_magnitude_has_its_unit() {
        assert_eq!(milliseconds(1_249), "1.2 ms");
        assert_eq!(milliseconds(34_999), "34 ms");
        assert_eq!(milliseconds(9_279_999), "9.3 s");
        assert_eq!((duration(999), duration(1_000)), ("999 ms".into(), "1.0 s".into()));
        assert_eq!((duration(9_280), duration(9_999)), ("9.3 s".into(), "10.0 s".into()));
        assert_eq!(duration(u64::MAX), "18446744073709551.6 s");
        for (one, other) in [(998, 999), (999, 1_000), (1_000, 1_049), (1_049, 1_050), (14_950, 15_049)] {
            let look_the_same = duration(one) == duration(other);
            assert_eq!(as_shown(one) == as_shown(other), look_the_same, "{one}, {other}");
        }
        assert_eq!((limit(2_000), limit(1_500), limit(0)), ("2 s".into(), "1500 ms".into(), "0 ms".into()));
        assert_eq!([0, 1023, 1024].map(bytes), ["0 B", "1023 B", "1.0 KiB"]);
        assert_eq!([(1 << 20) - 1, 88_186_290, u64::MAX].map(bytes), ["1023.9 KiB", "84.1 MiB", "15.9 EiB"]);
        assert_eq!(uptime(93_784_000), "1 d 2 h 3 min 4 s");
    }

    #[test]
    fn what_is_counted_is_singular_or_plural() {
        let nouns = ["thread", "process", "batch"];
        assert_eq!(nouns.map(|noun| counted(1, noun)), ["1 thread", "1 process", "1 batch"]);
        assert_eq!(nouns.map(|noun| counted(2, noun)), ["2 threads", "2 processes", "2 batches"]);
        assert_eq!(counted(0, "thread"), "0 threads");
    }

    #[cfg(feature = "__cli")]
    #[test]
    fn large_numbers_have_separators() {
        let shown = [0, 999, 1_000, 1_234_567].map(separated);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([many(1, "process"), many(1_940, "batch")], ["1 process", "1,940 batches"]);
    }
}
