//! What `#[gmr::main]` does before `main`: has the report signal noted until gmr is installed, so
//! that it does not end the process.
//!
//! This runs as an initializer of the program, before std has started. It starts nothing, prints
//! nothing, and does not panic.

/// Has the signal noted from now on that will request reports: that of `GMR_SIGNAL`, or else the
/// program's. Generated code calls it. Not part of the public interface.
pub fn arm_before_main(programs: &str) {
    #[cfg(target_os = "linux")]
    {
        use crate::env;
        use crate::sys::early_signal::arm;
        use crate::trigger::signals_by_name::{is_none, usable};
        let chosen = env::signal();
        if chosen.as_deref().is_some_and(is_none) {
            return;
        }
        // Where the operator's cannot be handled, `install` takes the program's, too.
        let operators = chosen.and_then(|text| usable(&text));
        if operators.is_none_or(|signal| !arm(signal))
            && let Some(signal) = usable(programs)
        {
            arm(signal);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = programs;
}

/// Gives the signal that was noted its default action back, unless gmr handles it now. Returns how
/// many signals were noted and get no report.
pub(super) fn disarm() -> u64 {
    #[cfg(target_os = "linux")]
    return crate::sys::early_signal::disarm();
    #[cfg(not(target_os = "linux"))]
    return 0;
}

/// An initializer of the program that calls [`arm_before_main`].
///
/// An attribute can't expand to this itself: a program may forbid what the compiler counts as
/// unsafe code, such as the section of a static. For the expansion of a macro of another crate, that
/// is not reported.
///
/// The number is the initializer's priority. This is the first one after those that are reserved
/// for the compiler and the C library. Test binaries have a `main` of their own.
#[doc(hidden)]
#[macro_export]
#[cfg(target_os = "linux")]
macro_rules! before_main {
    ($signal:expr) => {
        #[cfg(not(any(test, miri)))]
        const _: () = {
            extern "C" fn __gmr_before_main() {
                $crate::__private::arm_before_main($signal);
            }
            #[used]
            #[unsafe(link_section = ".init_array.00101")]
            static __GMR_BEFORE_MAIN: extern "C" fn() = __gmr_before_main;
        };
    };
}

/// Nothing: on this platform, the signal is handled from the installation on.
#[doc(hidden)]
#[macro_export]
#[cfg(not(target_os = "linux"))]
macro_rules! before_main {
    ($signal:expr) => {};
}
