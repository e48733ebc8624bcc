//! The unit tests of gmr-runtime on other targets: for musl on this machine's kernel, and for
//! aarch64 in qemu's user mode, which passes system calls on to the kernel and lacks a few of its
//! features. What is not run is listed here, with the reason. `cargo xtask test-aarch64` runs
//! them, and the integration tests, on a kernel for aarch64.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::cargo::{root, with_arguments};
use crate::process::{on, run};
use crate::targets::Target;

const SAME_EVERYWHERE: &str = "the same on every target";

/// Tests to which neither the processor nor the C library makes a difference, by a part of their
/// paths. Whole modules of them are not compiled either: `gmr_units` leaves them out.
const ON_HOST_ONLY: [(&str, &str); 6] = [
    ("damaged_", SAME_EVERYWHERE),
    ("findings::", SAME_EVERYWHERE),
    ("model::", SAME_EVERYWHERE),
    ("symbols::linux::dwarf::", SAME_EVERYWHERE),
    ("symbols::linux::tests::", SAME_EVERYWHERE),
    ("views::", SAME_EVERYWHERE),
];

/// The modules to which the processor makes a difference. Only their tests run in qemu.
const OF_PROCESSOR: [&str; 4] = ["capture::", "emergency::", "sys::", "threads::linux::syscall_names::"];

const OTHER_MAP: &str = "the kernel's map of qemu shows no code of the program as executable";
const OTHER_PROGRAM: &str = "below a descriptor of /proc, the program is qemu";
const OTHER_REGISTERS: &str = "in the kernel's files, threads have the registers of qemu";

/// The tests that fail in qemu's user mode. It replaces files of `/proc` by its own only if they
/// are opened by their full paths, and gmr opens them below a descriptor of `/proc`.
const NOT_IN_QEMU: [(&str, &str); 12] = [
    ("capture::linux::kept::tests::a_stack_is_kept_while", OTHER_MAP),
    ("capture::linux::session::tests::stacks_read_at_rest_are_those", OTHER_REGISTERS),
    ("capture::linux::unwind::tests::what_is_no_code_is_no_frame", OTHER_MAP),
    ("emergency::raw::code::tests::code_is_found_though_the_map_is_read", OTHER_MAP),
    ("sys::linux::crash_modules::tests::they_are_those_of_reports", OTHER_MAP),
    ("sys::linux::mapping::tests::a_file_is_mapped_as_it_is", "qemu's /proc/self/stat has a length"),
    ("sys::linux::maps::tests::code_is_told_from_data", OTHER_MAP),
    ("sys::linux::modules::tests::a_file_that_is_mapped_to_be_read", OTHER_MAP),
    ("sys::linux::program_attributes::tests::a_thread_of_gmrs", "qemu blocks signals now and then"),
    ("sys::linux::variables::", OTHER_MAP),
    ("sys::proc::tests::this_process_is_listed_and_read", OTHER_PROGRAM),
    ("sys::procfs::tests::files_below_a_directory_are_read", OTHER_PROGRAM),
];

/// Dependencies that debug builds optimize because they read debug information. These tests read
/// none.
const OPTIMIZED: [&str; 6] = ["gimli", "memchr", "miniz_oxide", "object", "rustc-demangle", "ruzstd"];

pub(crate) fn test(target: Target) -> Result<(), String> {
    let (name, wrapper) = with_arguments(&["--cfg", "gmr_units"])?;
    match target {
        // Compiled like the programs for musl, whose build has compiled most of the dependencies.
        Target::Musl => run_tests(target, &[], &[], &[], &[(name, &wrapper)]),
        Target::Aarch64 => {
            let settings = OPTIMIZED.map(|package| format!("profile.dev.package.{package}.opt-level=0"));
            let options: Vec<&str> = settings.iter().flat_map(|setting| ["--config", setting]).collect();
            let preload = add_system_call()?;
            let variables = [
                (name, &*wrapper),
                ("CARGO_PROFILE_DEV_DEBUG", "0"),
                ("QEMU_SET_ENV", &*format!("LD_PRELOAD={}", preload.display())),
            ];
            run_tests(target, &options, &OF_PROCESSOR, &NOT_IN_QEMU, &variables)
        }
    }
}

fn run_tests(
    target: Target,
    options: &[&str],
    modules: &[&str],
    left_out: &[(&str, &str)],
    variables: &[(&str, &str)],
) -> Result<(), String> {
    let mut arguments = vec!["test", "--package", "gmr-runtime", "--lib"];
    arguments.extend(options);
    arguments.extend(["--", "--quiet"]);
    if modules.is_empty() {
        println!("\nnot run for {}:", target.triple());
    } else {
        println!("\nrun for {}: {}, without:", target.triple(), modules.join(", "));
    }
    for (test, reason) in ON_HOST_ONLY.iter().chain(left_out) {
        println!("  {test} ({reason})");
        arguments.extend(["--skip", test]);
    }
    arguments.extend(modules);
    target.cargo(&arguments, variables)
}

/// Compiles a library that replaces the system call with which gmr copies memory, which qemu lacks,
/// and returns its path. It can, because the program's memory has the same addresses in qemu's
/// process.
fn add_system_call() -> Result<PathBuf, String> {
    const SOURCE: &str = "\
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

/* For the own process, with as many local pieces as remote ones, each as long as its remote one.
   A pipe refuses memory that cannot be read; /proc/self/mem would ignore the protection. */
ssize_t process_vm_readv(pid_t pid, const struct iovec *local, unsigned long locals,
                         const struct iovec *remote, unsigned long remotes, unsigned long flags) {
    (void)pid, (void)locals, (void)flags;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return -1;
    ssize_t total = 0;
    int is_cut = 0;
    for (unsigned long piece = 0; piece < remotes && !is_cut; piece++) {
        char *to = local[piece].iov_base, *from = remote[piece].iov_base;
        for (size_t left = remote[piece].iov_len; left && !is_cut;) {
            size_t in_page = 4096 - (size_t)from % 4096;
            size_t wanted = left < in_page ? left : in_page;
            is_cut = write(ends[1], from, wanted) != (ssize_t)wanted ||
                     read(ends[0], to, wanted) != (ssize_t)wanted;
            if (!is_cut)
                from += wanted, to += wanted, left -= wanted, total += wanted;
        }
    }
    close(ends[0]);
    close(ends[1]);
    if (is_cut && total == 0) {
        errno = EFAULT;
        return -1;
    }
    return total;
}
";
    let folder = root().join("target/xtask");
    fs::create_dir_all(&folder).map_err(on("create", &folder))?;
    let (source, library) = (folder.join("copies.c"), folder.join("copies.so"));
    fs::write(&source, SOURCE).map_err(on("write", &source))?;
    let mut gcc = Command::new(Target::aarch64_gcc());
    run(gcc.args(["-O1", "-shared", "-fPIC"]).arg(&source).arg("-o").arg(&library))?;
    library.canonicalize().map_err(on("find", &library))
}
