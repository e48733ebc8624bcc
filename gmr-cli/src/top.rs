//! `gmr top`: what a process spends its time on, from many looks at it. The process is asked for one
//! look at a time; a thread that waits notices nothing of them.
//!
//! A thread's processor time counts for the stack at a look only if the thread ran there. What is not
//! known is counted, and said.

mod page;
mod pprof;
mod samples;
mod svg;
mod tree;

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::args::{self, ProfileFormat, profile_format_of};
use crate::out::Out;
use crate::output::{counted, warn};
use crate::progress::Progress;
use crate::report::Looker;
use samples::{Profile, Weights};

/// How long no look may come, before there is no more to wait for.
const SILENT_FOR: Duration = Duration::from_secs(20);

/// How it went.
struct Taken {
    profile: Profile,
    /// How many looks were due and not taken.
    missed: u64,
    /// Why it ended before its time, if it is not because of the operator.
    ended: Option<String>,
}

pub(crate) fn run(args: &args::Top, pager: bool) -> Result<ExitCode, String> {
    let format = profile_format_of(args.format, args.output.as_deref());
    let is_text = format == ProfileFormat::Text;
    if format == ProfileFormat::Pprof && args.output.is_none() && io::stdout().is_terminal() {
        return Err("pprof's format is not text: name a file, by `-o FILE`".to_owned());
    }
    let mut out = Out::new(args.output.clone(), pager && is_text)?;
    let looker = Looker::new(&args.process, !args.tasks)?;
    let pid = looker.target().pid();
    let period = Duration::from_secs(1) / args.hz;
    let what = format!("profiling process {pid} for {} s, Ctrl-C ends it early", args.seconds);
    let progress = Progress::new(&*what);
    let seen = |looks| progress.say(|| format!("{what}: {}", counted(looks, "look")));
    let taken = take(looker, Duration::from_secs(args.seconds), period, seen);
    drop(progress);
    let taken = taken?;
    let written = rendered(&taken, args, format, pid, period).and_then(|bytes| out.write(&bytes));
    out.end(written, false)?;
    let Some(reason) = taken.ended else { return Ok(ExitCode::SUCCESS) };
    warn(&format!("{reason}; the profile has what was seen before"));
    Ok(ExitCode::FAILURE)
}

/// Looks until the time is up, the operator has had enough, or the process has ended. Tells `seen` how
/// many looks there have been.
///
/// # Errors
/// There was not one look.
fn take(mut looker: Looker, time: Duration, period: Duration, seen: impl Fn(u64)) -> Result<Taken, String> {
    let is_told_to_end = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // The second one ends it at once. It may be waiting for a look.
        flag::register_conditional_default(signal, Arc::clone(&is_told_to_end))
            .and_then(|_| flag::register(signal, Arc::clone(&is_told_to_end)))
            .map_err(|error| format!("could not handle signals: {error}"))?;
    }
    let mut taken = Taken { profile: Profile::default(), missed: 0, ended: None };
    // What was not known before is read for the first look, which takes longer.
    let first = looker.look()?;
    drop(first);
    let began = Instant::now();
    let (mut due, mut last) = (began, began);
    let mut jitter = Jitter::new();
    while !is_told_to_end.load(Ordering::SeqCst) && began.elapsed() < time {
        let at = Instant::now();
        match looker.look() {
            Ok(report) => {
                taken.profile.add(&report, at - began, period);
                seen(taken.profile.totals.looks);
                last = at;
            }
            Err(reason) => {
                if looker.target().has_ended() {
                    let after = page::seconds(began.elapsed());
                    taken.ended = Some(format!("process {} has ended after {after}", looker.target().pid()));
                    break;
                }
                if last.elapsed() > SILENT_FOR {
                    taken.ended = Some(reason);
                    break;
                }
                taken.missed += 1;
            }
        }
        due += jitter.of(period);
        let now = Instant::now();
        while due < now {
            // It cannot be made up for.
            taken.missed += 1;
            due += jitter.of(period);
        }
        sleep(&looker, due.min(began + time), &is_told_to_end);
    }
    Ok(taken)
}

/// Until then, or until the process or the operator ends it.
fn sleep(looker: &Looker, until: Instant, is_told_to_end: &AtomicBool) {
    const AT_ONCE: Duration = Duration::from_millis(50);
    while !is_told_to_end.load(Ordering::SeqCst) && !looker.target().has_ended() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        looker.target().wait(left.min(AT_ONCE));
    }
}

/// Times between looks that are not always the same: a program that does something at regular times
/// could be seen always, or never, doing it.
struct Jitter(u64);

impl Jitter {
    fn new() -> Self {
        Self(RandomState::new().hash_one(0) | 1)
    }

    /// From half of the period to one and a half.
    fn of(&mut self, period: Duration) -> Duration {
        // Xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        period / 2 + period * u32::try_from(self.0 >> 48).expect("16 bits") / (1 << 16)
    }
}

fn rendered(
    taken: &Taken,
    args: &args::Top,
    format: ProfileFormat,
    pid: u32,
    period: Duration,
) -> Result<Vec<u8>, String> {
    let profile = &taken.profile;
    let title = format!("gmr top: {}, process {pid}", args.process);
    let mut notes = vec![about(taken)];
    let (weights, others, kind) = shown(profile, args);
    if !args.tasks {
        notes.extend(page::processor_time(profile));
    }
    let tree = || tree::tree(profile, weights, &others);
    let drawn = || svg::svg(&tree(), &format!("{title}: {}", kind.name), &notes);
    Ok(match format {
        ProfileFormat::Text => page::page(profile, &title, &notes).into_text().into_bytes(),
        ProfileFormat::Folded => tree::folded(&tree()).into_bytes(),
        ProfileFormat::Svg => drawn().into_bytes(),
        ProfileFormat::Html => svg::page(&title, &drawn()).into_bytes(),
        ProfileFormat::Pprof => pprof::pprof(profile, weights, &others, &kind, period, &notes)?,
    })
}

/// `10.00 s, 197 looks at up to 42 threads; 3 missed, 1 late`
fn about(taken: &Taken) -> String {
    let totals = &taken.profile.totals;
    let mut text = format!(
        "{}, {} at up to {}",
        page::seconds(totals.time),
        counted(totals.looks, "look"),
        counted(totals.threads, "thread")
    );
    if totals.tasks > 0 {
        let _ = write!(text, " and {}", counted(totals.tasks, "task"));
    }
    for (count, what) in [(taken.missed, "missed"), (totals.late, "late")] {
        if count > 0 {
            let _ = write!(text, "; {count} {what}");
        }
    }
    text
}

/// What is asked for: stacks, times without stacks, and what the times are.
fn shown<'a>(
    profile: &'a Profile,
    args: &args::Top,
) -> (&'a Weights, Vec<(&'static str, Duration)>, pprof::Kind) {
    let totals = &profile.totals;
    if args.tasks {
        return (&profile.of_tasks, Vec::new(), pprof::Kind { name: "wall", label: "task" });
    }
    if args.off_cpu {
        return (&profile.off_cpu, Vec::new(), pprof::Kind { name: "off-cpu", label: "thread" });
    }
    let others = vec![
        ("[ran between two looks: not seen]", totals.not_seen),
        ("[ran without a stack]", totals.without_stack),
        ("[ran before a late look]", totals.before_late),
    ];
    (&profile.on_cpu, others, pprof::Kind { name: "cpu", label: "thread" })
}
