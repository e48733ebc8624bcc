//! How the kernel restricts the system calls of a thread (seccomp(2)), as its `status` file shows
//! it.

/// How the system calls of a thread are restricted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seccomp {
    mode: Mode,
    /// How many filters it has. Before Linux 5.9, the kernel tells only whether it has any, which
    /// counts as one.
    filters: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disabled,
    /// Nothing but `read`, `write`, `_exit` and `sigreturn` is allowed.
    Strict,
    Filter,
}

impl Seccomp {
    /// From the text of a `status` file. A kernel without seccomp has no lines about it.
    pub(crate) fn parse(status: &str) -> Option<Self> {
        let value = |key| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let mode = match value("Seccomp:") {
            None | Some("0") => Mode::Disabled,
            Some("1") => Mode::Strict,
            Some("2") => Mode::Filter,
            Some(_) => return None,
        };
        let filters = match value("Seccomp_filters:") {
            Some(filters) => filters.parse().ok()?,
            None => u64::from(mode == Mode::Filter),
        };
        Some(Self { mode, filters })
    }

    /// Whether it restricts anything.
    pub(crate) fn restricts(self) -> bool {
        self.mode != Mode::Disabled
    }

    /// How many filters there are.
    pub(crate) fn filters(self) -> u64 {
        self.filters
    }

    /// Whether it has filters that a thread with `own` filters does not have. A thread has those of
    /// the one that started it. So if it has as many, they are the same, unless both have set their
    /// own.
    pub(crate) fn has_others(self, own: u64) -> bool {
        self.mode == Mode::Strict || self.filters > own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seccomp(status: &str) -> Option<(Mode, u64)> {
        Seccomp::parse(status).map(|seccomp| (seccomp.mode, seccomp.filters))
    }

    #[test]
    fn the_mode_and_the_number_of_filters_are_lines_of_the_status() {
        let filtered = "NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n";
        assert_eq!(seccomp(filtered), Some((Mode::Filter, 3)));
        assert_eq!(seccomp("Seccomp:\t2\n"), Some((Mode::Filter, 1)), "before Linux 5.9");
        assert_eq!(seccomp("Seccomp:\t0\nSeccomp_filters:\t0\n"), Some((Mode::Disabled, 0)));
        assert_eq!(seccomp("NoNewPrivs:\t0\n"), Some((Mode::Disabled, 0)), "a kernel without seccomp");
        assert_eq!(seccomp("Seccomp:\t1\n"), Some((Mode::Strict, 0)));
        assert_eq!((seccomp("Seccomp:\tx\n"), seccomp("Seccomp_filters:\tx\n")), (None, None));
    }

    #[test]
    fn a_thread_with_more_filters_has_others() {
        let of = |status: &str, own| Seccomp::parse(status).unwrap().has_others(own);
        let two = "Seccomp:\t2\nSeccomp_filters:\t2\n";
        assert_eq!([1, 2, 3].map(|own| of(two, own)), [true, false, false]);
        assert!(of("Seccomp:\t1\n", 1), "strict mode");
        assert!(!of("Seccomp:\t0\n", 0) && !of("Seccomp:\t2\n", 1));
    }
}
