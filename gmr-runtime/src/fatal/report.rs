//! Makes the report, step by step: the signal, the thread that crashes, the other threads, the
//! modules. Each step is written to standard error before the next one begins.

mod describe;
mod json;
mod output;
mod stack;
mod text;
mod threads;
mod view;

use std::fmt::{self, Write as _};
use std::io;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use self::output::Output;
use self::threads::Others;
use self::view::{Head, Note, ThreadHead, View};
use crate::capture::crash::{CrashRegisters, CrashStacks};
use crate::sinks::{LogDir, Stderr};
use crate::sys::linux::crash_modules::CrashModules;
use crate::sys::linux::fatal_signal::{self, Crash, Report};
use crate::sys::linux::mapping::MappedBuffer;
use crate::views::Format;

/// How long all writes may take.
const WRITE: Duration = Duration::from_millis(200);

/// Has fatal signals reported from now on, in this format if there is a short report in it, and
/// else as text; also to a file in the directory.
///
/// # Errors
/// Why they are not reported.
pub(crate) fn install(format: Format, log_dir: Option<Arc<LogDir>>) -> Result<(), String> {
    let is_json = matches!(format.extension(), "json" | "jsonl");
    let installed =
        Fatal::new(is_json, log_dir).and_then(|fatal| fatal_signal::install(Box::leak(Box::new(fatal))));
    installed.map_err(|error| error.to_string())
}

/// Fatal signals are not reported from now on.
pub(crate) fn uninstall() {
    fatal_signal::uninstall();
}

/// All that a report needs, allocated and mapped beforehand.
struct Fatal {
    is_json: bool,
    log_dir: Option<Arc<LogDir>>,
    stderr: Stderr,
    output: MappedBuffer,
    modules: CrashModules,
    stacks: CrashStacks,
    file: Box<[u8; 8 << 10]>,
    entries: Box<[MaybeUninit<u8>; 8 << 10]>,
}

impl Fatal {
    fn new(is_json: bool, log_dir: Option<Arc<LogDir>>) -> io::Result<Self> {
        Ok(Self {
            is_json,
            log_dir,
            stderr: Stderr::new(),
            output: MappedBuffer::new(output::SIZE)?,
            modules: CrashModules::new()?,
            stacks: CrashStacks::new()?,
            file: Box::new([0; 8 << 10]),
            entries: Box::new([MaybeUninit::uninit(); 8 << 10]),
        })
    }
}

impl Report for Fatal {
    fn make(&mut self, crash: &Crash) {
        let Self { is_json, log_dir, stderr, output, modules, stacks, file, entries } = self;
        stderr.begin();
        let mut output = Output::new(stderr, output, Instant::now() + WRITE);
        let (mut text, mut json) = (text::Text::default(), json::Json::default());
        let view: &mut dyn View = if *is_json { &mut json } else { &mut text };
        let mut notes = [const { None }; 3];
        if let Err(error) = modules.read() {
            notes[0] = Some(Note::NoModules(error.raw_os_error()));
        }
        let mut others = Others::new(crash.tid, &mut file[..]);
        // The output returns no errors.
        let _ = head(view, &mut output, crash, modules);
        output.flush();
        let _ = crashed(view, &mut output, crash, (modules, stacks), &mut others);
        output.flush();
        match others.write(view, &mut output, (modules, stacks), &mut entries[..]) {
            Ok(0) => {}
            Ok(omitted) => notes[1] = Some(Note::ThreadsOmitted(omitted)),
            Err(error) => notes[1] = Some(Note::NoThreads(error.raw_os_error())),
        }
        let _ = modules.all().iter().try_for_each(|module| view.module(&mut output, module));
        if modules.omitted > 0 {
            notes[2] = Some(Note::ModulesOmitted(modules.omitted));
        }
        let _ = view.end(&mut output, &notes);
        output.flush();
        if let Some(log_dir) = log_dir {
            match log_dir.write_in_handler(output.all(), if *is_json { "json" } else { "txt" }) {
                Ok(name) => {
                    let _ = writeln!(
                        output,
                        "gmr: this report is also in the directory of reports: {}",
                        name.as_str().trim_end_matches('\0')
                    );
                }
                Err((what, error)) => {
                    let error = error.raw_os_error();
                    let _ =
                        writeln!(output, "gmr: could not {what} the directory of reports (error {error})");
                }
            }
            output.flush();
        }
    }
}

fn head(view: &mut dyn View, output: &mut Output<'_>, crash: &Crash, modules: &CrashModules) -> fmt::Result {
    let made_at = Some(SystemTime::now()).filter(|now| *now > SystemTime::UNIX_EPOCH);
    let next = crash.next.map(|next| stack::place(next as u64, modules));
    view.head(output, &Head { crash, made_at, next })
}

/// The thread that crashes.
fn crashed(
    view: &mut dyn View,
    output: &mut Output<'_>,
    crash: &Crash,
    (modules, stacks): (&CrashModules, &mut CrashStacks),
    others: &mut Others<'_>,
) -> fmt::Result {
    let registers = CrashRegisters::of(crash);
    stacks.copy(&registers);
    let thread = ThreadHead {
        tid: crash.tid,
        name: others.name(crash.tid),
        state: None,
        system_call: None,
        taken: Some("crash"),
        registers: Some(registers),
        reason: "",
    };
    view.thread(output, &thread)?;
    stack::write(view, output, &registers, modules, stacks)
}
