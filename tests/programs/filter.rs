//! Has the kernel refuse system calls of this process, by a seccomp filter: limits such as that of
//! threads or a disk quota do not apply to root, or cannot be had on every machine.

use std::ffi::c_int;

/// From now on, these calls fail with this error, in all threads.
pub(crate) fn refuse(calls: &[libc::c_long], error: c_int) {
    let instruction = |code: u32, jump_if_equal: usize, k: u32| libc::sock_filter {
        code: u16::try_from(code).expect("a code has 16 bits"),
        jt: u8::try_from(jump_if_equal).expect("they are few"),
        jf: 0,
        k,
    };
    let number = |number: libc::c_long| u32::try_from(number).expect("it is small");
    let is = |call, skipped| instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, skipped, number(call));
    let answer = |answer| instruction(libc::BPF_RET | libc::BPF_K, 0, answer);
    let mut filter = vec![instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    filter.extend(calls.iter().enumerate().map(|(index, call)| is(*call, calls.len() - index)));
    filter.push(answer(libc::SECCOMP_RET_ALLOW));
    filter.push(answer(libc::SECCOMP_RET_ERRNO | u32::try_from(error).expect("it is small")));
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).expect("it is short"),
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program is valid, and is copied. The filter is for all threads.
    let filtered = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        )
    };
    assert_eq!(filtered, 0, "{}", std::io::Error::last_os_error());
}
