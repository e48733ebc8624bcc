//! Runs a program as Docker does in a container without capabilities: system calls that its default
//! seccomp profile does not allow fail as they do there. The arguments are the program and its own.
//!
//! The profile names what is allowed; these are the calls of Linux that it leaves out. Source:
//! `seccomp/default.json` of <https://github.com/moby/profiles>, as of 2025-08. It looks at the
//! arguments of `clone`, `personality` and `socket` as well, which this one does not.

#![allow(unsafe_code, reason = "a filter for system calls is what safe Rust does not offer")]

mod filter;

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// They fail with `EPERM`.
const REFUSED: [libc::c_long; 52] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_get_mempolicy,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mbind,
    libc::SYS_migrate_pages,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_set_mempolicy,
    libc::SYS_set_mempolicy_home_node,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

fn main() {
    // The C library then uses `clone`.
    filter::refuse(&[libc::SYS_clone3], libc::ENOSYS);
    filter::refuse(&REFUSED, libc::EPERM);
    let mut arguments = env::args_os().skip(1);
    let error = Command::new(arguments.next().expect("a program")).args(arguments).exec();
    panic!("{error}");
}
