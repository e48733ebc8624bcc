//! Parses `/proc/PID/task/TID/syscall`: which system call a thread is in, and with which arguments.

/// The system call that a thread is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) number: i64,
    pub(super) arguments: [u64; 6],
}

/// Parses `number arg0 .. arg5 sp pc`, all hexadecimal but the number. `None` for a thread that is
/// running, or blocked outside of a system call (`-1`).
pub(super) fn parse(text: &str) -> Option<Call> {
    let mut words = text.split_ascii_whitespace();
    let number = words.next()?.parse().ok().filter(|number| *number >= 0)?;
    let mut arguments = [0; 6];
    for argument in &mut arguments {
        *argument = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    }
    Some(Call { number, arguments })
}

impl Call {
    /// Whether it waits for signals synchronously, and would consume ours.
    pub(super) fn waits_for_signals(self) -> bool {
        self.number == libc::SYS_rt_sigtimedwait
    }

    /// Whether another program is about to replace this one. It has no handler for our signal.
    pub(super) fn replaces_the_program(self) -> bool {
        [libc::SYS_execve, libc::SYS_execveat].contains(&self.number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sys::mutation::damaged_text;

    const LINE: &str = "202 0x5 0x7f01 0x1 0x0 0x0 0x0 0x7ffd 0x7f02\n";

    #[test]
    fn a_call_has_its_number_and_arguments() {
        let call = parse(LINE).unwrap();
        assert_eq!((call.number, call.arguments), (202, [5, 0x7f01, 1, 0, 0, 0]));
        let call = |number: i64| parse(&LINE.replace("202", &number.to_string())).unwrap();
        assert!(call(libc::SYS_rt_sigtimedwait).waits_for_signals());
        assert!(call(libc::SYS_execve).replaces_the_program());
        assert!(!call(libc::SYS_read).waits_for_signals());
    }

    proptest! {
        #[test]
        fn a_damaged_line_is_parsed_without_panics(text in damaged_text(LINE)) {
            prop_assert!(parse(&text).is_none_or(|call| call.number >= 0));
        }
    }

    #[test]
    fn a_running_thread_is_in_no_call() {
        for text in ["running\n", "-1 0x7ffd 0x7f02\n", "", "0 0x5"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
