//! Reports with anything in them, for property tests: each part with hostile strings.

mod process;
mod strings;

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use self::process::{descriptors, environment, modules, package, processes, resources};
use self::strings::{hostile, text};
use crate::model::{
    Callsite, Certainty, Children, Content, Coverage, CutStacks, Event, EventSpan, Events, Evidence, Finding,
    Frame, FutexOwner, GreenThreads, Group, Heading, Holder, Label, Level, Lock, LockKind, LogEvent, Overdue,
    Panicked, Report, Role, Runtime, Section, Sender, Severity, Span, SpanGroup, SpanThread, Spans, Stack,
    Summary, Taken, Task, TaskSpan, TaskState, Thread, Threads, TimedOut, Trigger, UncountedRuntime, Value,
    Waiter, Waiting, Watched,
};

fn value() -> impl Strategy<Value = Value> {
    let float = any::<f64>().prop_filter("finite", |number| number.is_finite());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (i64::MIN..0).prop_map(Value::Signed),
        any::<u64>().prop_map(Value::Unsigned),
        float.prop_map(Value::Float),
        hostile().prop_map(Value::Text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            vec((hostile(), inner), 0..4).prop_map(Value::Map),
        ]
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    let place = (text(), of(any::<u64>()), text());
    let source = (text(), text(), of(1..10_000_u32), text(), any::<bool>());
    (any::<u64>(), source, place).prop_map(
        |(address, (function, file, line, source, inlined), (module, module_offset, build_id))| Frame {
            address,
            function,
            file,
            line,
            source,
            inlined,
            module,
            module_offset,
            build_id,
        },
    )
}

/// Number of frames of a report.
const FRAMES: u32 = 12;

fn stack() -> impl Strategy<Value = Stack> {
    let frames = vec(0..FRAMES, 0..5);
    let taken = of(proptest::sample::select(vec![Taken::AtRest, Taken::BySignal]));
    (frames, text(), taken).prop_map(|(frames, incomplete, taken)| Stack {
        frames: frames.into(),
        incomplete,
        taken,
    })
}

fn watched() -> impl Strategy<Value = Watched> {
    let events = [Event::Read, Event::Write, Event::Priority, Event::Hangup];
    let events = proptest::sample::subsequence(events.to_vec(), 0..=events.len());
    (any::<i32>(), text(), events).prop_map(|(descriptor, target, events)| Watched {
        descriptor,
        target,
        events,
    })
}

fn children() -> impl Strategy<Value = Children> {
    prop_oneof![
        Just(Children::Any),
        (any::<u32>(), text()).prop_map(|(pid, name)| Children::One { pid, name }),
        any::<u32>().prop_map(|id| Children::Group { id }),
        Just(Children::OwnGroup),
    ]
}

fn waiting() -> impl Strategy<Value = Waiting> {
    let owner = (any::<u32>(), text()).prop_map(|(tid, name)| FutexOwner { tid, name });
    let futex = (of(any::<u64>()), 0..9_usize, of(owner), of(any::<u64>()), vec(any::<u64>(), 0..3));
    let descriptors = (of(any::<i32>()), text(), vec(watched(), 0..3), 0..9_usize);
    let others = (of(children()), text(), text(), of(any::<i32>()), of(any::<u32>()));
    (hostile(), text(), futex, descriptors, others).prop_map(
        |(
            call,
            kernel_function,
            (futex, futex_others, futex_owner, requeue_futex, futexes),
            (descriptor, target, descriptors, more_descriptors),
            (children, path, peer, ipc, joins),
        )| Waiting {
            call,
            descriptor,
            target,
            futex,
            futex_others,
            kernel_function,
            futex_owner,
            requeue_futex,
            futexes,
            descriptors,
            more_descriptors,
            children,
            path,
            peer,
            ipc,
            joins,
        },
    )
}

fn thread() -> impl Strategy<Value = Thread> {
    let role = proptest::sample::select(vec![Role::Main, Role::Program, Role::Gmr, Role::Reporter]);
    let times = (of(0..u64::MAX / 1_000_000), of(0..u64::MAX / 1_000_000), text(), of(any::<u32>()));
    let waits = (of(waiting()), of(any::<u64>()), of(any::<u64>()));
    (hostile(), role, (text(), text()), times, waits, stack()).prop_map(
        |(
            name,
            role,
            (state, policy),
            (cpu_user_ms, cpu_system_ms, started_at, last_cpu),
            (waiting, at_rest_ms, cpu_us),
            stack,
        )| Thread {
            // Numbered below.
            tid: 0,
            name,
            role,
            state,
            cpu_user_ms,
            cpu_system_ms,
            cpu_us,
            started_at,
            policy,
            last_cpu,
            waiting: waiting.map(Box::new),
            at_rest_ms,
            stack,
        },
    )
}

fn lock() -> impl Strategy<Value = Lock> {
    let kinds =
        vec![LockKind::Mutex, LockKind::RwLock, LockKind::Once, LockKind::PthreadMutex, LockKind::Owned];
    let waiter = (any::<u32>(), of(0..FRAMES)).prop_map(|(tid, frame)| Waiter { tid, frame });
    let holder = (any::<u32>(), of(0..FRAMES)).prop_map(|(tid, frame)| Holder {
        tid,
        frame,
        certainty: Certainty::Probable,
    });
    (any::<u64>(), proptest::sample::select(kinds), vec(waiter, 0..3), vec(holder, 0..2))
        .prop_map(|(address, kind, waiters, holders)| Lock { address, kind, waiters, holders })
}

fn threads() -> impl Strategy<Value = Threads> {
    (vec(thread(), 0..6), vec(hostile(), 0..2), vec(lock(), 0..3)).prop_map(|(mut threads, notes, locks)| {
        for (thread, tid) in threads.iter_mut().zip(1..) {
            thread.tid = tid;
        }
        let cut = vec![CutStacks { reason: "none".to_owned(), stacks: 1 }];
        Threads { threads, notes, coverage: Coverage { frames: 7, whole: 2, cut }, locks }
    })
}

fn task() -> impl Strategy<Value = Task> {
    let ms = || 0..u64::MAX / 4;
    let state = prop_oneof![
        (any::<u32>(), text(), ms()).prop_map(|(tid, thread, polling_ms)| TaskState::Polling {
            tid,
            thread,
            polling_ms
        }),
        (ms(), ms()).prop_map(|(woken_ms, waiting_ms)| TaskState::Woken { woken_ms, waiting_ms }),
        ms().prop_map(|waiting_ms| TaskState::Waiting { waiting_ms }),
        Just(TaskState::New),
    ];
    let label = (hostile(), hostile()).prop_map(|(key, value)| Label { key, value });
    let names = (hostile(), hostile());
    let span = (any::<u64>(), hostile()).prop_map(|(id, name)| TaskSpan { id, name: name.into() });
    let kind = (any::<bool>(), of(0..9_usize), of(0..9_usize), of(span));
    (names, ms(), any::<u64>(), vec(label, 0..3), kind, state, vec(stack(), 0..3)).prop_map(
        |((name, spawned_at), age_ms, polls, labels, (blocking, runtime, wakers, span), state, stacks)| {
            Task {
                // Numbered below.
                id: 0,
                name: name.into(),
                spawned_at: spawned_at.into(),
                age_ms,
                polls,
                labels,
                blocking,
                runtime,
                wakers,
                span,
                state,
                stacks: stacks.into(),
            }
        },
    )
}

fn green_threads() -> impl Strategy<Value = GreenThreads> {
    let counts = (0..9_usize, 0..99_usize, of(0..99_usize), 0..9_usize, of(0..9_usize));
    let runtime = (hostile(), counts, any::<bool>(), vec(any::<u64>(), 0..3)).prop_map(
        |(kind, counts, may_be_dropped, worker_busy_ms)| {
            let (workers, alive_tasks, untracked_tasks, queued_tasks, stuck_workers) = counts;
            Runtime {
                kind,
                workers,
                alive_tasks,
                untracked_tasks,
                may_be_dropped,
                queued_tasks,
                stuck_workers,
                worker_busy_ms,
            }
        },
    );
    let uncounted =
        (hostile(), 1..9_usize).prop_map(|(library, threads)| UncountedRuntime { library, threads });
    let runtimes = (vec(runtime, 0..2), vec(uncounted, 0..2));
    (vec(task(), 0..4), runtimes, vec(hostile(), 0..2)).prop_map(
        |(mut tasks, (runtimes, uncounted_runtimes), notes)| {
            for (task, id) in tasks.iter_mut().zip(1..) {
                task.id = id;
                task.runtime = task.runtime.filter(|&runtime| runtime < runtimes.len());
            }
            GreenThreads { tasks, runtimes, uncounted_runtimes, notes }
        },
    )
}

fn callsite() -> impl Strategy<Value = Arc<Callsite>> {
    let levels = vec![Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
    let level = proptest::sample::select(levels);
    (hostile(), hostile(), level, text(), of(any::<u32>()))
        .prop_map(|(name, target, level, file, line)| Arc::new(Callsite { name, target, level, file, line }))
}

fn span() -> impl Strategy<Value = Span> {
    let ms = || 0..u64::MAX / 4;
    let place = (0..9_u64, of(0..9_u64), 0..100_usize);
    let thread = (any::<u32>(), ms(), of(any::<u64>())).prop_map(|(tid, inside_ms, task)| SpanThread {
        tid,
        inside_ms,
        task,
    });
    let inside = (vec(thread, 0..4), 0..9_usize, of(ms()), of(any::<u64>()));
    let times = (ms(), ms(), ms());
    (place, callsite(), value(), text(), times, inside, of(callsite())).prop_map(
        |((id, parent, depth), callsite, fields, trace_id, times, inside, follows)| {
            let (age_ms, busy_ms, idle_ms) = times;
            let (threads, other_threads, left_ms, left_by) = inside;
            Span {
                id,
                parent,
                depth,
                callsite,
                fields,
                trace_id,
                age_ms,
                busy_ms,
                idle_ms,
                threads,
                other_threads,
                left_ms,
                left_by,
                follows,
            }
        },
    )
}

fn group() -> impl Strategy<Value = SpanGroup> {
    let counts = (any::<u64>(), any::<u64>(), 0..u64::MAX / 4, 0..u64::MAX / 4);
    (of(0..9_u64), 0..100_usize, callsite(), counts).prop_map(
        |(within, depth, callsite, (count, entered, oldest_ms, youngest_ms))| SpanGroup {
            within,
            depth,
            callsite,
            count,
            entered,
            oldest_ms,
            youngest_ms,
        },
    )
}

fn spans() -> impl Strategy<Value = Spans> {
    let notes = vec(hostile(), 0..2);
    (any::<u64>(), any::<u64>(), vec(span(), 0..4), vec(group(), 0..3), notes)
        .prop_map(|(open, entered, spans, more, notes)| Spans { open, entered, spans, more, notes })
}

fn events() -> impl Strategy<Value = Events> {
    let span = (any::<u64>(), callsite(), value()).prop_map(|(id, callsite, fields)| EventSpan {
        id,
        callsite,
        fields,
    });
    let event =
        (hostile(), of(callsite()), text(), value(), text(), of(span), (any::<u32>(), of(any::<u64>())))
            .prop_map(|(time, callsite, message, fields, trace_id, span, (tid, task))| LogEvent {
                time,
                callsite,
                message,
                fields,
                trace_id,
                span,
                tid,
                task,
            });
    (vec(event, 0..4), any::<u64>(), any::<u64>(), vec(hostile(), 0..2))
        .prop_map(|(events, warnings, others, notes)| Events { events, warnings, others, notes })
}

/// The content of a registered section or a configuration group.
fn outcome() -> impl Strategy<Value = Content> {
    let overdue = || {
        (any::<u32>(), any::<u64>(), stack()).prop_map(|(tid, running_ms, stack)| Overdue {
            tid,
            running_ms,
            stack,
        })
    };
    prop_oneof![
        value().prop_map(Content::Fields),
        hostile().prop_map(Content::Text),
        Just(Content::Nothing),
        hostile().prop_map(Content::Error),
        (hostile(), text(), stack()).prop_map(|(message, location, stack)| Content::Panicked(Panicked {
            message,
            location,
            stack
        })),
        (0..u64::MAX / 1_000, overdue())
            .prop_map(|(deadline_ms, overdue)| Content::TimedOut(TimedOut { deadline_ms, overdue })),
        overdue().prop_map(Content::StillRunning),
        hostile().prop_map(Content::Skipped),
    ]
}

fn trigger() -> impl Strategy<Value = Trigger> {
    let sender = (any::<u32>(), any::<u32>(), text(), text()).prop_map(|(pid, uid, user, command)| Sender {
        pid,
        uid,
        user,
        command,
    });
    prop_oneof![
        Just(Trigger::Api),
        (hostile(), of(sender), any::<u64>()).prop_map(|(name, sender, coalesced)| Trigger::Signal {
            name,
            sender,
            coalesced
        }),
        (hostile(), any::<u64>()).prop_map(|(path, coalesced)| Trigger::File { path, coalesced }),
        (hostile(), hostile(), any::<u64>()).prop_map(|(name, cause, coalesced)| Trigger::Automatic {
            name,
            cause,
            coalesced
        }),
    ]
}

fn finding() -> impl Strategy<Value = Finding> {
    let severity = proptest::sample::select(vec![Severity::Error, Severity::Warning, Severity::Info]);
    let certainty =
        proptest::sample::select(vec![Certainty::Certain, Certainty::Probable, Certainty::Possible]);
    let evidence = (hostile(), of(0..8_u32), of(0..8_u64), of(0..FRAMES))
        .prop_map(|(message, thread, task, frame)| Evidence { message, thread, task, frame });
    let about = (vec(0..8_u32, 0..3), vec(0..8_u64, 0..3), text());
    let why = (certainty, vec(evidence, 0..3), text());
    (hostile(), severity, hostile(), about, why).prop_map(
        |(code, severity, message, (threads, tasks, section), (certainty, evidence, next))| Finding {
            code,
            severity,
            message,
            threads,
            tasks,
            section,
            certainty,
            evidence,
            next,
        },
    )
}

pub(crate) fn report() -> impl Strategy<Value = Report> {
    let group = (hostile(), outcome()).prop_map(|(title, content)| Group { title, content });
    // On the heap: together they are larger than the stack of a test's thread.
    let lists = (descriptors().boxed(), modules(), environment(), spans().boxed(), events().boxed()).boxed();
    let (threads, green_threads) = (threads().boxed(), green_threads().boxed());
    let (package, resources, processes) = (package().boxed(), resources().boxed(), processes().boxed());
    let built_in = (package, resources, threads, green_threads, processes, lists, vec(group, 0..3)).boxed();
    let built_in =
        built_in.prop_map(|(package, resources, threads, green_threads, processes, lists, groups)| {
            let (descriptors, modules, environment, spans, events) = lists;
            vec![
                ("Package".to_owned(), Content::Package(Box::new(package))),
                ("Resources".to_owned(), Content::Resources(Box::new(resources))),
                ("Threads".to_owned(), Content::Threads(threads)),
                ("Green Threads".to_owned(), Content::GreenThreads(green_threads)),
                ("Processes".to_owned(), Content::Processes(processes)),
                ("Descriptors".to_owned(), Content::Descriptors(Box::new(descriptors))),
                ("Modules".to_owned(), Content::Modules(modules)),
                ("Environment".to_owned(), Content::Environment(environment)),
                ("Configuration".to_owned(), Content::Configuration(groups)),
                ("Spans in Flight".to_owned(), Content::Spans(spans)),
                ("Recent Events".to_owned(), Content::Events(events)),
            ]
        });
    let built_in = built_in.boxed();
    let registered = vec((hostile(), outcome()).boxed(), 0..4);
    let heading = (any::<u64>(), hostile(), any::<u32>(), trigger(), vec(hostile(), 0..2))
        .prop_map(|(number, made_at, pid, trigger, notes)| Heading { number, made_at, pid, trigger, notes });
    let frames = vec(frame(), FRAMES as usize);
    let findings = vec(finding(), 0..3);
    (heading, findings, built_in, registered, frames, any::<u64>()).prop_map(
        |(heading, findings, mut parts, registered, frames, took_us)| {
            parts.extend(registered);
            let sections: Vec<Section> = parts
                .into_iter()
                .map(|(title, content)| Section { title, took_us: took_us / 2, content })
                .collect();
            let summary =
                Summary { number: heading.number, sections: sections.len(), failed: 0, threads: 0, took_us };
            Report { heading, findings, sections, frames, summary }
        },
    )
}
