//! How many have answered, on a terminal that shows nothing else meanwhile.

use std::io::{self, IsTerminal as _, Write as _};

pub(crate) struct Progress {
    of: usize,
    done: usize,
    is_shown: bool,
}

impl Progress {
    pub(crate) fn new(of: usize) -> Self {
        Self { of, done: 0, is_shown: io::stderr().is_terminal() && !io::stdout().is_terminal() }
    }

    pub(crate) fn step(&mut self) {
        self.done += 1;
        if self.is_shown {
            let _ = write!(io::stderr(), "\r{} of {}", self.done, self.of);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
