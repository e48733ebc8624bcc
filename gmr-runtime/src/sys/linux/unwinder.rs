//! The calling thread's stack by the unwinder that std links for panics. It can take a lock of the
//! loader, so it is for a thread that has panicked, and not for reports.

#![allow(unsafe_code)]

/// The return addresses of the calling functions, innermost first, at most this many.
#[cfg(not(miri))]
pub(crate) fn return_addresses(most: usize) -> Vec<u64> {
    imp::return_addresses(most)
}

/// Miri has no unwinder to call.
#[cfg(miri)]
pub(crate) fn return_addresses(_most: usize) -> Vec<u64> {
    Vec::new()
}

#[cfg(not(miri))]
mod imp {
    use std::ffi::{c_int, c_void};

    /// `_URC_NO_REASON`: go on.
    const GO_ON: c_int = 0;

    /// `_URC_NORMAL_STOP`: any other code than [`GO_ON`] ends the walk.
    const STOP: c_int = 4;

    #[repr(C)]
    struct Context {
        opaque: [u8; 0],
    }

    type Each = extern "C" fn(*mut Context, *mut c_void) -> c_int;

    // Every program with std has the unwinder: std itself is compiled with unwinding, also for a
    // program that aborts. These functions are a part of its interface on every platform of `linux`
    // (Itanium C++ ABI, exception handling).
    unsafe extern "C" {
        fn _Unwind_Backtrace(each: Each, data: *mut c_void) -> c_int;
        safe fn _Unwind_GetIP(context: &mut Context) -> usize;
    }

    pub(super) fn return_addresses(most: usize) -> Vec<u64> {
        let mut addresses = Vec::with_capacity(most);
        let data: *mut Vec<u64> = &raw mut addresses;
        // SAFETY: the unwinder calls `add` with this pointer, and only during this call, in which
        // nothing else uses the list.
        unsafe { _Unwind_Backtrace(add, data.cast()) };
        addresses.truncate(most);
        addresses
    }

    extern "C" fn add(context: *mut Context, data: *mut c_void) -> c_int {
        // SAFETY: the unwinder passes on the pointer that it was given, to a list that nothing else
        // uses meanwhile.
        let addresses = unsafe { &mut *data.cast::<Vec<u64>>() };
        // SAFETY: the context is the unwinder's, and valid during this call.
        let context = unsafe { &mut *context };
        // It must neither panic nor allocate.
        if addresses.len() == addresses.capacity() {
            return STOP;
        }
        addresses.push(_Unwind_GetIP(context) as u64);
        GO_ON
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[inline(never)]
        fn descend(depth: usize, most: usize) -> Vec<u64> {
            let addresses = if depth == 0 { return_addresses(most) } else { descend(depth - 1, most) };
            std::hint::black_box(addresses)
        }

        #[test]
        fn callers_are_found_and_no_more_than_wanted() {
            let all = descend(20, 1_000);
            let repeated =
                all.iter().filter(|address| all.iter().filter(|other| other == address).count() >= 15);
            assert!(repeated.count() >= 15, "the calls of the recursion return to one address: {all:x?}");
            assert_eq!(descend(20, 7).len(), 7);
        }
    }
}
