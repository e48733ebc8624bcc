//! Threads with a page of memory that a userfaultfd has to provide, and does not until the test
//! says so. The page is part of the stack at the stack pointer, of the stack further up (of a
//! thread that waits, and of one that runs), or of the list that a `poll` waits for. One more
//! thread has all of its memory.

use std::ffi::{c_int, c_void};
use std::hint::{black_box, spin_loop};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// The size of a thread's stack.
const STACK: usize = 256 << 10;
/// How many functions deep the threads are. Each function has an array of 1 KiB.
const DEPTH: usize = 24;

static PIPE: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
/// How far the thread that runs has got.
static PROGRESS: AtomicU64 = AtomicU64::new(0);
/// The id of the thread that was started last.
static TID: AtomicU32 = AtomicU32::new(0);
/// An address in the innermost frame of the thread that runs.
static RUNNING_AT: AtomicUsize = AtomicUsize::new(0);
/// The list of the `poll`.
static LIST: AtomicUsize = AtomicUsize::new(0);

#[inline(never)]
fn descend(depth: usize, then: fn()) -> usize {
    let array = black_box([depth.to_ne_bytes()[0]; 1024]);
    if depth == 0 {
        TID.store(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs(), Ordering::Release);
        then();
    } else {
        descend(depth - 1, then);
    }
    black_box(usize::from(array[depth]))
}

#[inline(never)]
fn wait_in_pipe() {
    let reader = PIPE[0].load(Ordering::Relaxed).cast_signed();
    // SAFETY: it reads one byte, if any, to a local variable.
    black_box(unsafe { libc::read(reader, (&raw mut *black_box(&mut 0_u8)).cast(), 1) });
}

#[inline(never)]
fn run_on() {
    let here = black_box(0_u8);
    RUNNING_AT.store(&raw const here as usize, Ordering::Release);
    loop {
        PROGRESS.fetch_add(1, Ordering::Relaxed);
        spin_loop();
    }
}

#[inline(never)]
fn poll_list() {
    let list = LIST.load(Ordering::Relaxed) as *mut libc::pollfd;
    // SAFETY: there is a list of one descriptor, which is used by nothing else meanwhile.
    black_box(unsafe { libc::ppoll(list, 1, std::ptr::null(), std::ptr::null()) });
}

/// What the threads do once they have descended.
extern "C" fn wait_deep(name: *mut c_void) -> *mut c_void {
    begin(name, wait_in_pipe)
}

extern "C" fn run_deep(name: *mut c_void) -> *mut c_void {
    begin(name, run_on)
}

extern "C" fn poll_deep(name: *mut c_void) -> *mut c_void {
    begin(name, poll_list)
}

fn begin(name: *mut c_void, then: fn()) -> *mut c_void {
    // SAFETY: the name ends with a zero, and is not longer than the kernel takes.
    unsafe { libc::prctl(libc::PR_SET_NAME, name) };
    black_box(descend(DEPTH, then));
    null_mut()
}

/// Memory whose missing pages a userfaultfd has to provide.
struct Memory {
    start: usize,
    length: usize,
}

impl Memory {
    /// New memory, all pages of which are present.
    fn new(length: usize) -> Self {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, which is written to before anything else uses it.
        unsafe {
            let start = libc::mmap(null_mut(), length, access, kind, -1, 0);
            assert_ne!(start, libc::MAP_FAILED);
            libc::memset(start, 0x5a, length);
            Self { start: start as usize, length }
        }
    }

    /// Starts a thread with this memory as its stack.
    fn start(
        &self,
        name: &'static std::ffi::CStr,
        function: extern "C" fn(*mut c_void) -> *mut c_void,
    ) -> u32 {
        TID.store(0, Ordering::Relaxed);
        let (mut attributes, mut thread) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: the memory lives for as long as the process, and is used for this thread alone.
        // The attributes are initialised before they are used.
        unsafe {
            libc::pthread_attr_init(attributes.as_mut_ptr());
            let stack = self.start as *mut c_void;
            assert_eq!(libc::pthread_attr_setstack(attributes.as_mut_ptr(), stack, self.length), 0);
            let name = name.as_ptr().cast_mut().cast();
            let started = libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), function, name);
            assert_eq!(started, 0);
        }
        loop {
            match TID.load(Ordering::Acquire) {
                0 => std::thread::yield_now(),
                tid => return tid,
            }
        }
    }
}

/// The stack pointer of a thread, once it is in this system call.
fn stack_pointer(tid: u32, call: i64) -> usize {
    loop {
        let line = std::fs::read_to_string(format!("/proc/self/task/{tid}/syscall")).unwrap_or_default();
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if let [number, .., sp, _] = words[..]
            && number.parse() == Ok(call)
        {
            return usize::from_str_radix(sp.trim_start_matches("0x"), 16).expect("a number");
        }
        std::thread::yield_now();
    }
}

/// A userfaultfd, and the contents of the pages that it has to provide.
struct Server {
    descriptor: c_int,
    pages: Vec<(usize, Vec<u8>)>,
}

impl Server {
    /// # Errors
    /// The kernel refuses a userfaultfd for faults in the kernel.
    fn new() -> std::io::Result<Self> {
        /// `UFFDIO_API`, and its `struct uffdio_api`: the version, and two words that are returned.
        const API: u64 = 0xc018_aa3f;
        const VERSION: u64 = 0xaa;
        // SAFETY: it makes a descriptor.
        let descriptor = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
        let descriptor = c_int::try_from(descriptor).expect("a descriptor, or -1");
        let mut api = [VERSION, 0, 0];
        let server = Self { descriptor, pages: Vec::new() };
        server.ask(API, &mut api).map(|()| server)
    }

    fn ask<const N: usize>(&self, request: u64, argument: &mut [u64; N]) -> std::io::Result<()> {
        // SAFETY: the argument has the size and layout of the request's.
        let result = unsafe { libc::ioctl(self.descriptor, request as _, argument.as_mut_ptr()) };
        if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    }

    /// Lets the kernel ask it for missing pages of this memory, and drops the page at an address.
    fn drop_page(&mut self, memory: &Memory, address: usize) {
        /// `UFFDIO_REGISTER`, and its `struct uffdio_register`: a range, a mode, and what is
        /// returned.
        const REGISTER: u64 = 0xc020_aa00;
        const MISSING: u64 = 1;
        self.ask(REGISTER, &mut [memory.start as u64, memory.length as u64, MISSING, 0]).expect("registered");
        let size = rustix::param::page_size();
        let page = address - address % size;
        assert!((memory.start..memory.start + memory.length).contains(&page));
        let mut contents = vec![0; size];
        // SAFETY: the page is mapped. The thread that uses it waits meanwhile, or does not write to
        // it.
        unsafe {
            std::ptr::copy_nonoverlapping(page as *const u8, contents.as_mut_ptr(), size);
            assert_eq!(libc::madvise(page as *mut c_void, size, libc::MADV_DONTNEED), 0);
        }
        self.pages.push((page, contents));
    }

    /// Provides all pages.
    fn serve(&mut self) {
        /// `UFFDIO_COPY`, and its `struct uffdio_copy`: to, from, length, mode, and what is
        /// returned.
        const COPY: u64 = 0xc028_aa03;
        for (page, contents) in self.pages.drain(..).collect::<Vec<_>>() {
            let mut copy = [page as u64, contents.as_ptr() as u64, contents.len() as u64, 0, 0];
            self.ask(COPY, &mut copy).expect("provided");
        }
    }
}

pub(crate) fn run() {
    let mut server = match Server::new() {
        Ok(server) => server,
        Err(error) => return gmr_tests::say(&format!("no userfaultfd: {error}")),
    };
    let (reader, writer) = std::io::pipe().expect("a pipe");
    for (place, end) in PIPE.iter().zip([&reader as &dyn std::os::fd::AsRawFd, &writer]) {
        place.store(end.as_raw_fd().unsigned_abs(), Ordering::Relaxed);
    }
    let list = Memory::new(rustix::param::page_size());
    let descriptor =
        libc::pollfd { fd: PIPE[0].load(Ordering::Relaxed).cast_signed(), events: libc::POLLIN, revents: 0 };
    // SAFETY: it is memory of this size, which nothing else uses yet.
    unsafe { (list.start as *mut libc::pollfd).write(descriptor) };
    LIST.store(list.start, Ordering::Relaxed);

    let stacks: [Memory; 5] = std::array::from_fn(|_| Memory::new(STACK));
    let [at_pointer, further_up, runs, polls, whole] = &stacks;
    let tid = at_pointer.start(c"at pointer", wait_deep);
    server.drop_page(at_pointer, stack_pointer(tid, libc::SYS_read));
    let tid = further_up.start(c"further up", wait_deep);
    server.drop_page(further_up, stack_pointer(tid, libc::SYS_read) + 3 * rustix::param::page_size());
    runs.start(c"runs", run_deep);
    while PROGRESS.load(Ordering::Relaxed) == 0 {
        std::thread::yield_now();
    }
    server.drop_page(runs, RUNNING_AT.load(Ordering::Acquire) + 3 * rustix::param::page_size());
    let tid = polls.start(c"polls", poll_deep);
    stack_pointer(tid, libc::SYS_ppoll);
    server.drop_page(&list, list.start);
    stack_pointer(whole.start(c"whole", wait_deep), libc::SYS_read);
    gmr_tests::converse(|question| match question {
        "serve" => {
            server.serve();
            "served".to_owned()
        }
        _ => PROGRESS.load(Ordering::Relaxed).to_string(),
    });
}
