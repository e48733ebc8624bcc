//! What the arguments of each kind of call say, with memory that the tests make up.

use proptest::prelude::*;

use super::*;
use crate::model::{Event, Watched};
use crate::threads::linux::syscalls::parse;
use crate::threads::linux::watched::MAX_DESCRIPTORS;

/// Where the memory of the tests begins.
const BASE: u64 = 0x1000;

/// Memory that ends where no more is mapped.
#[derive(Debug, Default)]
struct Memory {
    bytes: Vec<u8>,
    table_size: Option<u64>,
    kernel_function: Option<&'static str>,
}

impl Source for Memory {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> usize {
        let start = address.checked_sub(BASE).and_then(|start| usize::try_from(start).ok());
        let bytes = start.and_then(|start| self.bytes.get(start..)).unwrap_or_default();
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        count
    }

    fn table_size(&mut self) -> Option<u64> {
        self.table_size
    }

    fn kernel_function(&mut self) -> Option<String> {
        self.kernel_function.map(str::to_owned)
    }
}

impl From<&[u8]> for Memory {
    fn from(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), ..Self::default() }
    }
}

fn call(number: i64, arguments: [u64; 6]) -> Call {
    let arguments = arguments.map(|argument| format!(" {argument:#x}")).concat();
    parse(&format!("{number}{arguments} 0x7ffd 0x7f02")).unwrap()
}

fn described(number: i64, arguments: [u64; 6], memory: &[u8]) -> Waiting {
    describe(call(number, arguments), &mut Memory::from(memory))
}

fn watched(descriptor: i32, events: &[Event]) -> Watched {
    Watched { descriptor, target: None, events: events.to_vec() }
}

#[test]
fn the_first_argument_of_a_read_is_its_descriptor() {
    let read = described(libc::SYS_pread64, [5, 0, 0, 0, 0, 0], &[]);
    assert_eq!((read.call.as_str(), read.descriptor), ("pread", Some(5)));
    let sleep = described(libc::SYS_clock_nanosleep, [1, 0, 0, 0, 0, 0], &[]);
    assert_eq!((sleep.call.as_str(), sleep.descriptor), ("nanosleep", None));
    assert_eq!(described(9_999, [0; 6], &[]).call, "system call 9999");
    for (number, name) in [
        (libc::SYS_preadv2, "preadv2"),
        (libc::SYS_pwritev2, "pwritev2"),
        (libc::SYS_vmsplice, "vmsplice"),
        (libc::SYS_mq_timedsend, "mq_timedsend"),
    ] {
        let waiting = described(number, [7, 0, 0, 0, 0, 0], &[]);
        assert_eq!((waiting.call.as_str(), waiting.descriptor), (name, Some(7)));
    }
    let queue = described(libc::SYS_msgsnd, [3, 0, 0, 0, 0, 0], &[]);
    assert_eq!((queue.ipc, queue.descriptor), (Some(3), None));
}

#[test]
fn only_operations_that_wait_have_a_futex() {
    let futex = |operation: i32| {
        let operation = u64::from((operation | libc::FUTEX_PRIVATE_FLAG).cast_unsigned());
        described(libc::SYS_futex, [BASE, operation, 0, 0, 0x40, 0], &[7, 0, 0, 0x80])
    };
    assert_eq!(futex(libc::FUTEX_WAIT).futex, Some(BASE));
    assert_eq!(futex(libc::FUTEX_WAIT_BITSET).futex_owner, None);
    assert_eq!(futex(libc::FUTEX_WAKE).futex, None);
    let lock = futex(libc::FUTEX_LOCK_PI);
    assert_eq!((lock.futex, lock.futex_owner.unwrap().tid), (Some(BASE), 7));
    assert_eq!(futex(libc::FUTEX_WAIT_REQUEUE_PI).requeue_futex, Some(0x40));
    let free = described(libc::SYS_futex, [BASE, 6, 0, 0, 0, 0], &[0; 4]);
    assert_eq!((free.futex, free.futex_owner), (Some(BASE), None));
}

#[test]
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
fn a_thread_that_is_joined_is_recognized_by_its_control_block() {
    const SHARED: u64 = (libc::FUTEX_WAIT_BITSET | libc::FUTEX_CLOCK_REALTIME) as u64;
    const PRIVATE: u64 = SHARED | libc::FUTEX_PRIVATE_FLAG as u64;
    let joins = |block: [u64; 3], tid: u32, [operation, expected, timeout]: [u64; 3]| {
        let mut memory: Vec<u8> = block.map(u64::to_ne_bytes).concat();
        memory.resize(0x2d0, 0);
        memory.extend(tid.to_ne_bytes());
        let arguments = [BASE + 0x2d0, operation, expected, timeout, 0, 0];
        let waiting = described(libc::SYS_futex, arguments, &memory);
        assert_eq!(waiting.futex, Some(BASE + 0x2d0));
        waiting.joins
    };
    let block = [BASE, 0, BASE];
    assert_eq!(joins(block, 4711, [SHARED, 4711, 0]), Some(4711));
    assert_eq!(joins(block, 4711, [PRIVATE, 4711, 0]), None, "glibc's is shared with the kernel");
    assert_eq!(joins(block, 4711, [SHARED, 4711, 8]), None, "with a timeout");
    assert_eq!(joins(block, 0, [SHARED, 4711, 0]), None, "it has ended");
    assert_eq!(joins(block, 4712, [SHARED, 4711, 0]), None);
    assert_eq!(joins(block, 0, [SHARED, 0, 0]), None);
    assert_eq!(joins([BASE, 0, 0], 4711, [SHARED, 4711, 0]), None, "another word");
    assert_eq!(joins([0, 0, BASE], 4711, [SHARED, 4711, 0]), None);
}

#[test]
#[cfg(target_env = "gnu")]
fn a_robust_mutex_names_its_owner() {
    const WAITERS: u32 = 1 << 31;
    let owner = |words: [u32; 5], expected: u32| {
        let arguments = [BASE, libc::FUTEX_WAIT as u64, expected.into(), 0, 0, 0];
        let waiting = described(libc::SYS_futex, arguments, &words.map(u32::to_ne_bytes).concat());
        waiting.futex_owner.map(|owner| owner.tid)
    };
    let held = WAITERS + 4711;
    for kind in [16, 17, 19, 16 | 128] {
        assert_eq!(owner([held, 1, 4711, 1, kind], held), Some(4711), "{kind}");
    }
    for kind in [0, 1, 2, 32, 48, 128, 15] {
        assert_eq!(owner([held, 1, 4711, 1, kind], held), None, "{kind}");
    }
    assert_eq!(owner([held, 1, 4712, 1, 16], held), None, "it changes hands");
    assert_eq!(owner([held + 1, 1, 4711, 1, 16], held), None, "it has changed hands");
    assert_eq!(owner([held | 1 << 30, 1, 4711, 1, 16], held | 1 << 30), None, "its owner has ended");
    assert_eq!(owner([4711, 1, 4711, 1, 16], 4711), None);
    assert_eq!(owner([WAITERS, 0, 0, 0, 16], WAITERS), None);
}

#[test]
fn one_of_several_futexes_is_a_futex() {
    let waiter = |address: u64| [1, address, 2].map(u64::to_ne_bytes).concat();
    let two = [waiter(16), waiter(32)].concat();
    let several = described(libc::SYS_futex_waitv, [BASE, 2, 0, 0, 0, 0], &two);
    assert_eq!((several.futex, &several.futexes[..]), (None, &[16, 32][..]));
    let one = described(libc::SYS_futex_waitv, [BASE, 1, 0, 0, 0, 0], &two);
    assert_eq!((one.futex, one.futexes.len()), (Some(16), 0));
    let unreadable = described(libc::SYS_futex_waitv, [BASE, 3, 0, 0, 0, 0], &two);
    assert_eq!((unreadable.futex, unreadable.futexes.len()), (None, 0));
}

#[test]
fn a_call_that_goes_on_after_a_signal_is_told_by_the_function_it_sleeps_in() {
    let restarted = |kernel_function: Option<&'static str>| {
        let arguments = [0x7f00, libc::FUTEX_WAIT_BITSET as u64, 0, 0, 0, 0];
        let mut memory = Memory { kernel_function, ..Memory::default() };
        let waiting = describe(call(libc::SYS_restart_syscall, arguments), &mut memory);
        (waiting.call, waiting.futex)
    };
    assert_eq!(restarted(Some("futex_do_wait")), ("futex".to_owned(), Some(0x7f00)));
    assert_eq!(restarted(Some("poll_schedule_timeout.constprop.0")), ("poll".to_owned(), None));
    assert_eq!(restarted(Some("hrtimer_nanosleep")), ("nanosleep".to_owned(), None));
    // The kernel leaves out functions that only call the scheduler.
    assert_eq!(restarted(Some("do_syscall_64")), ("nanosleep".to_owned(), None));
    assert_eq!(restarted(None), ("restart_syscall".to_owned(), None));
}

fn list_of(entries: &[(i32, i16)]) -> Vec<u8> {
    let bytes = |(descriptor, events): &(i32, i16)| {
        [&descriptor.to_ne_bytes()[..], &events.to_ne_bytes(), &[0, 0]].concat()
    };
    entries.iter().flat_map(bytes).collect()
}

#[test]
fn the_descriptors_of_a_poll_are_listed_up_to_a_number() {
    let list =
        list_of(&[(5, libc::POLLIN | libc::POLLRDHUP), (-1, libc::POLLIN), (6, libc::POLLOUT), (7, 0)]);
    let poll = described(libc::SYS_ppoll, [BASE, 4, 0, 0, 0, 0], &list);
    let expected = [watched(5, &[Event::Read, Event::Hangup]), watched(6, &[Event::Write]), watched(7, &[])];
    assert_eq!(
        (poll.call.as_str(), &poll.descriptors[..], poll.more_descriptors),
        ("poll", &expected[..], 0)
    );

    let many: Vec<(i32, i16)> = (0..1_000).map(|descriptor| (descriptor, libc::POLLPRI)).collect();
    let poll = described(libc::SYS_ppoll, [BASE, 1_000, 0, 0, 0, 0], &list_of(&many));
    assert_eq!((poll.descriptors.len(), poll.more_descriptors), (8, 992));
    assert_eq!(poll.descriptors[7], watched(7, &[Event::Priority]));

    for count in [1_001, u64::from(u32::MAX), u64::MAX / 8 + 1] {
        let unreadable = described(libc::SYS_ppoll, [BASE, count, 0, 0, 0, 0], &list_of(&many));
        assert_eq!((unreadable.descriptors.len(), unreadable.more_descriptors), (0, 0), "{count}");
    }
}

#[test]
fn the_descriptors_of_a_select_are_the_bits_of_its_sets() {
    // Three sets of 128 bits: read, write, except.
    let mut sets = [0_u64; 6];
    sets[0] = 1 << 3 | 1 << 63;
    sets[1] = 1 << 6;
    sets[2] = 1 << 3;
    sets[5] = 1 << 1;
    let bytes: Vec<u8> = sets.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let select = |count: u64, table_size| {
        let arguments = [count, BASE, BASE + 16, BASE + 32, 0, 0];
        let mut memory = Memory { table_size, ..Memory::from(&bytes[..]) };
        describe(call(libc::SYS_pselect6, arguments), &mut memory)
    };
    let expected = [
        watched(3, &[Event::Read, Event::Write]),
        watched(63, &[Event::Read]),
        watched(65, &[Event::Priority]),
        watched(70, &[Event::Read]),
    ];
    assert_eq!(select(128, Some(256)).descriptors, expected);
    assert_eq!(select(65, Some(256)).descriptors, expected[..2]);
    // What is beyond the descriptor table is not read: there is no memory.
    assert_eq!(select(1_000_000, Some(128)).descriptors, expected);
    assert_eq!(select(1_000_000, Some(4096)).descriptors, []);
    assert_eq!(select(u64::from(u32::MAX), Some(128)).descriptors, [], "a negative count");
    let only_write = described(libc::SYS_pselect6, [64, 0, BASE, 0, 0, 0], &8_u64.to_ne_bytes());
    assert_eq!(only_write.descriptors, [watched(3, &[Event::Write])]);
}

#[test]
fn a_call_that_moves_data_waits_for_the_side_that_the_kernel_function_tells() {
    let splice = |kernel_function| {
        let mut memory = Memory { kernel_function, ..Memory::default() };
        describe(call(libc::SYS_splice, [5, 0, 6, 0, 0, 0]), &mut memory).descriptors
    };
    let both = [watched(5, &[Event::Read]), watched(6, &[Event::Write])];
    assert_eq!(splice(Some("pipe_wait_readable")), both[..1]);
    assert_eq!(splice(Some("pipe_wait_writable.isra.0")), both[1..]);
    assert_eq!(splice(Some("wait_woken")), both);
    assert_eq!(splice(None), both);
    let sides = |number, arguments| described(number, arguments, &[]).descriptors;
    assert_eq!(sides(libc::SYS_sendfile, [6, 5, 0, 0, 0, 0]), both);
    assert_eq!(sides(libc::SYS_tee, [5, 6, 0, 0, 0, 0]), both);
    assert_eq!(sides(libc::SYS_copy_file_range, [5, 0, 6, 0, 0, 0]), both);
}

#[test]
fn children_are_told_apart_by_the_argument() {
    let children = |number, first: i32, second: i32| {
        let arguments = [first, second, 0, 0, 0, 0].map(|argument| u64::from(argument.cast_unsigned()));
        described(number, arguments, &[]).children
    };
    let one = Some(Children::One { pid: 7, name: None });
    assert_eq!(children(libc::SYS_wait4, 7, 0), one);
    assert_eq!(children(libc::SYS_wait4, -1, 0), Some(Children::Any));
    assert_eq!(children(libc::SYS_wait4, 0, 0), Some(Children::OwnGroup));
    assert_eq!(children(libc::SYS_wait4, -7, 0), Some(Children::Group { id: 7 }));
    assert_eq!(children(libc::SYS_wait4, i32::MIN, 0), Some(Children::Group { id: 1 << 31 }));
    assert_eq!(children(libc::SYS_waitid, 0, 3), Some(Children::Any));
    assert_eq!(children(libc::SYS_waitid, 1, 7), one);
    assert_eq!(children(libc::SYS_waitid, 2, 7), Some(Children::Group { id: 7 }));
    assert_eq!(children(libc::SYS_waitid, 2, 0), Some(Children::OwnGroup));
    let of_descriptor = described(libc::SYS_waitid, [3, 9, 0, 0, 0, 0], &[]);
    assert_eq!((of_descriptor.children, of_descriptor.descriptor), (None, Some(9)));
}

#[test]
fn a_clone_that_waits_is_a_vfork() {
    let flags = libc::CLONE_VFORK as u64;
    assert_eq!(described(libc::SYS_clone, [flags, 0, 0, 0, 0, 0], &[]).call, "vfork");
    assert_eq!(described(libc::SYS_clone, [0; 6], &[]).call, "clone");
    assert_eq!(described(libc::SYS_clone3, [BASE, 88, 0, 0, 0, 0], &flags.to_ne_bytes()).call, "vfork");
    assert_eq!(described(libc::SYS_clone3, [BASE, 88, 0, 0, 0, 0], &[]).call, "clone3");
}

#[test]
fn a_path_is_shown_with_the_directory_it_is_relative_to() {
    let open = |directory: i32, path: &[u8]| {
        let directory = u64::from(directory.cast_unsigned());
        described(libc::SYS_openat, [directory, BASE, 0, 0, 0, 0], path)
    };
    let shown = |waiting: Waiting| (waiting.path, waiting.descriptor);
    assert_eq!(shown(open(libc::AT_FDCWD, b"a fifo\0")), (Some("a fifo".into()), None));
    assert_eq!(shown(open(5, b"a fifo\0rest")), (Some("a fifo".into()), Some(5)));
    assert_eq!(shown(open(5, b"/run/fifo\0")), (Some("/run/fifo".into()), None));
    assert_eq!(shown(open(5, b"\xff\0")), (Some("\u{fffd}".into()), Some(5)));
    assert_eq!(shown(open(5, b"\0")), (None, Some(5)), "the descriptor itself");
    assert_eq!(shown(open(5, b"no end")), (None, None));
    assert_eq!(shown(open(5, &[b'x'; MAX_PATH])), (None, None), "too long");
    let secret = open(libc::AT_FDCWD, b"/mnt/password=hunter2\0");
    assert_eq!(secret.path.as_deref(), Some("/mnt/password=***"));
    let link = described(libc::SYS_symlinkat, [0, 5, BASE, 0, 0, 0], b"link\0");
    assert_eq!(shown(link), (Some("link".into()), Some(5)));
}

/// Memory that records how far it was read.
struct Reached(Memory, u64);

impl Source for Reached {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> usize {
        self.1 = self.1.max(address + buffer.len() as u64);
        self.0.read(address, buffer)
    }

    fn table_size(&mut self) -> Option<u64> {
        None
    }

    fn kernel_function(&mut self) -> Option<String> {
        None
    }
}

#[test]
fn no_page_behind_a_path_is_read() {
    const PAGE: u64 = 4 << 10;
    let read = |start: u64, length: usize| {
        let mut bytes = vec![b'x'; 3 * MAX_PATH];
        bytes[usize::try_from(start).unwrap() + length] = 0;
        let mut memory = Reached(Memory::from(&bytes[..]), 0);
        let path = path(BASE + start, &mut memory);
        (path.map(|path| path.len()), memory.1 - BASE)
    };
    assert_eq!(read(PAGE - 6, 5), (Some(5), PAGE));
    assert_eq!(read(PAGE - 6, 6), (Some(6), 2 * PAGE - 6));
    assert_eq!(read(8, MAX_PATH - 1), (Some(MAX_PATH - 1), PAGE + 8));
    assert_eq!(read(8, MAX_PATH), (None, PAGE + 8), "too long");
}

#[test]
fn the_peer_of_a_connect_is_read_from_its_address() {
    let connect = |family: i32, rest: &[u8]| {
        let family = u16::try_from(family).unwrap().to_ne_bytes();
        let bytes = [&family[..], rest].concat();
        described(libc::SYS_connect, [5, BASE, bytes.len() as u64, 0, 0, 0], &bytes).peer
    };
    let is = |peer: &str| Some(peer.to_owned());
    assert_eq!(connect(libc::AF_INET, &[0, 80, 10, 0, 0, 1]), is("10.0.0.1:80"));
    let loopback = [&[0, 80, 0, 0, 0, 0][..], &Ipv6Addr::LOCALHOST.octets()].concat();
    assert_eq!(connect(libc::AF_INET6, &loopback), is("[::1]:80"));
    assert_eq!(connect(libc::AF_UNIX, b"/run/shop.sock\0rest"), is("/run/shop.sock"));
    assert_eq!(connect(libc::AF_UNIX, b"\0shop"), is("@shop"));
    assert_eq!(connect(libc::AF_UNIX, b""), None);
    let numbers = |numbers: [u32; 2]| [&[0, 0][..], &numbers.map(u32::to_ne_bytes).concat()].concat();
    assert_eq!(connect(libc::AF_NETLINK, &numbers([7, 0])), is("netlink port 7"));
    assert_eq!(connect(libc::AF_VSOCK, &numbers([80, 2])), is("vsock 2:80"));
    for (family, rest) in [(libc::AF_INET, &[0, 80][..]), (libc::AF_INET6, &[0; 8]), (99, &[0; 8])] {
        assert_eq!(connect(family, rest), None);
    }
    let send = described(libc::SYS_sendto, [5, 0, 0, 0, 0, 16], &[]);
    assert_eq!((send.peer, send.descriptor), (None, Some(5)));
}

proptest! {
    #[test]
    fn any_arguments_and_memory_are_described_without_panics(
        number in 0..500_i64,
        arguments in proptest::array::uniform6(prop_oneof![
            Just(BASE), 0..200_u64, Just(u64::from(u32::MAX)), any::<u64>(),
        ]),
        bytes in proptest::collection::vec(any::<u8>(), 0..6_000),
        table_size in proptest::option::of(any::<u64>()),
    ) {
        let mut memory = Memory { bytes, table_size, kernel_function: None };
        let waiting = describe(call(number, arguments), &mut memory);
        prop_assert!(!waiting.call.is_empty());
        prop_assert!(waiting.descriptors.len() <= MAX_DESCRIPTORS);
    }
}
