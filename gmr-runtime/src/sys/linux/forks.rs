//! Code that runs in each forked child. Only the thread that called `fork` exists there. What other
//! threads had begun, such as an update under a lock, never ends. So this code may do very little.

#![allow(unsafe_code)]

unsafe extern "C" {
    /// The oldest version of `libc` that gmr accepts does not declare it.
    fn pthread_atfork(
        prepare: Option<unsafe extern "C" fn()>,
        parent: Option<unsafe extern "C" fn()>,
        child: Option<unsafe extern "C" fn()>,
    ) -> libc::c_int;
}

/// Calls `run` in each process that is forked from now on, on its only thread, before `fork`
/// returns there. It must not allocate or lock. Programs that are started otherwise, by `vfork` or
/// `posix_spawn`, do not run it. `prepare` is called by the thread that forks, before it does:
/// memory that `run` needs has to exist by then, also that of a variable of the thread, which a
/// library allocates at its first use.
pub(crate) fn in_children(prepare: extern "C" fn(), run: extern "C" fn()) {
    // SAFETY: the functions do not unwind, since they have a C calling convention. `run` does only
    // what is allowed in a signal handler, as the caller makes sure. Without memory for them,
    // nothing is registered.
    unsafe { pthread_atfork(Some(prepare), None, Some(run)) };
}
