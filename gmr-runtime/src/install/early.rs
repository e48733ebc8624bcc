//! What `#[gmr::main]` does before `main`: has the report signal noted until gmr is installed, so
//! that it does not end the process.
//!
//! This runs as an initializer of the program, before std has started. It starts nothing, prints
//! nothing, and does not panic.

/// Where the attribute is: what the compiler knows about the crate.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The path of the module.
    pub module: &'static str,
    /// `CARGO_BIN_NAME`, which cargo sets for programs only.
    pub binary: Option<&'static str>,
    /// `CARGO_CRATE_NAME`, which cargo sets for every crate.
    pub krate: Option<&'static str>,
}

impl Place {
    /// Whether the function can be the program's `main`. In a library, or in a module of a program
    /// that is called by several names, the initializer runs whether or not the function is called.
    fn is_main(self) -> bool {
        !self.module.contains("::") && (self.binary.is_some() || self.krate.is_none())
    }
}

/// Has the signal noted from now on that will request reports: that of `GMR_SIGNAL`, or else the
/// program's. Generated code calls it. Not part of the public interface.
pub fn arm_before_main(programs: &str, place: Place) {
    #[cfg(target_os = "linux")]
    if place.is_main() {
        use crate::sys::early_signal::{arm, chosen};
        use crate::trigger::signals_by_name::{is_none, usable};
        let chosen = chosen();
        if chosen.is_some_and(is_none) {
            return;
        }
        // Where the operator's cannot be handled, `install` takes the program's, too.
        if chosen.and_then(usable).is_none_or(|signal| !arm(signal))
            && let Some(signal) = usable(programs)
        {
            arm(signal);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (programs, place);
}

/// gmr's reporter has started. Gives the signal that was noted its default action back, unless gmr
/// handles it now. Returns how many signals get no report.
pub(super) fn installed() -> u64 {
    #[cfg(target_os = "linux")]
    crate::sys::early_signal::reporter_has_started();
    disarm()
}

/// Gives the signal that was noted its default action back, unless gmr handles it now. Returns how
/// many signals get no report.
pub(super) fn disarm() -> u64 {
    #[cfg(target_os = "linux")]
    return crate::sys::early_signal::disarm();
    #[cfg(not(target_os = "linux"))]
    return 0;
}

/// An initializer of the program that calls [`arm_before_main`].
///
/// An attribute can't expand to this itself: a program may forbid what the compiler counts as
/// unsafe code, such as the section of a static. For the expansion of a macro of another crate,
/// that is not reported.
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
                $crate::__private::arm_before_main(
                    $signal,
                    $crate::__private::Place {
                        module: ::core::module_path!(),
                        binary: ::core::option_env!("CARGO_BIN_NAME"),
                        krate: ::core::option_env!("CARGO_CRATE_NAME"),
                    },
                );
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

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn only_the_main_of_a_program_has_the_signal_noted() {
        let is_main = |module, binary, krate| Place { module, binary, krate }.is_main();
        assert!(is_main("shop", Some("shop"), Some("shop")));
        assert!(is_main("shop", None, None), "built without cargo");
        assert!(!is_main("shop", None, Some("shop")), "a library");
        assert!(!is_main("shop::tools", Some("shop"), Some("shop")), "one of several");
    }
}
