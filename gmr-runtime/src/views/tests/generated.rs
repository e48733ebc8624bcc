//! Reports with anything in them, for property tests: each part with hostile strings.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::model::{
    Callsite, Cgroup, Children, Content, Coverage, CutStacks, DescriptorKind, Descriptors, Environment,
    Event, EventCount, EventSpan, Events, Finding, Frame, FutexOwner, GreenThreads, Group, Heading, Ids,
    Label, Level, LogEvent, Memory, Module, ModuleState, Modules, OpenFile, Overdue, Package, Panicked,
    Pressure, Process, Processes, Report, ResourceLimit, Resources, Role, Runtime, Section, Sender, Severity,
    SocketGroup, Span, SpanGroup, SpanThread, Spans, Stack, Stated, Summary, System, Taken, Task, TaskState,
    Thread, Threads, TimedOut, Trigger, UncountedRuntime, Usage, Value, Variable, Waiting, Watched,
};

/// Text that an attacker could choose.
fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        vec(any::<char>(), 0..6).prop_map(|letters| letters.into_iter().collect::<String>()),
        "[a-z_:<>]{1,12}",
        proptest::sample::select(vec![
            "<script>alert(1)</script>",
            "</script>",
            "</style>",
            "<!--",
            "-->",
            "]]>",
            "&amp;",
            "&",
            "\"",
            "'",
            "\\",
            "\u{0}",
            "\u{1b}[2J",
            "\r\n",
            "\n",
            "\t",
            " ",
            "\u{85}",
            "\u{2028}",
            "\u{202e}",
            "\u{fffe}",
            "\u{ffff}",
            "\u{feff}",
            "====",
            "{\"gmr_report\"",
            "null",
            "7",
            ";",
        ])
        .prop_map(str::to_owned),
    ];
    vec(part, 0..4).prop_map(|parts| parts.concat())
}

fn text() -> impl Strategy<Value = Option<String>> {
    of(hostile())
}

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
    let others = (of(children()), text(), text(), of(any::<i32>()));
    (hostile(), text(), futex, descriptors, others).prop_map(
        |(
            call,
            kernel_function,
            (futex, futex_others, futex_owner, requeue_futex, futexes),
            (descriptor, target, descriptors, more_descriptors),
            (children, path, peer, ipc),
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
        },
    )
}

fn thread() -> impl Strategy<Value = Thread> {
    let role = proptest::sample::select(vec![Role::Main, Role::Program, Role::Gmr, Role::Reporter]);
    let times = (of(0..u64::MAX / 1_000_000), of(0..u64::MAX / 1_000_000), text(), of(any::<u32>()));
    (hostile(), role, (text(), text()), times, of(waiting()), stack()).prop_map(
        |(
            name,
            role,
            (state, policy),
            (cpu_user_ms, cpu_system_ms, started_at, last_cpu),
            waiting,
            stack,
        )| Thread {
            // Numbered below.
            tid: 0,
            name,
            role,
            state,
            cpu_user_ms,
            cpu_system_ms,
            started_at,
            policy,
            last_cpu,
            waiting,
            stack,
        },
    )
}

fn threads() -> impl Strategy<Value = Threads> {
    (vec(thread(), 0..6), vec(hostile(), 0..2)).prop_map(|(mut threads, notes)| {
        for (thread, tid) in threads.iter_mut().zip(1..) {
            thread.tid = tid;
        }
        let cut = vec![CutStacks { reason: "none".to_owned(), stacks: 1 }];
        Threads { threads, notes, coverage: Coverage { frames: 7, whole: 2, cut } }
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
    (names, ms(), any::<u64>(), vec(label, 0..3), any::<bool>(), state, vec(stack(), 0..3)).prop_map(
        |((name, spawned_at), age_ms, polls, labels, blocking, state, stacks)| Task {
            // Numbered below.
            id: 0,
            name: name.into(),
            spawned_at: spawned_at.into(),
            age_ms,
            polls,
            labels,
            blocking,
            state,
            stacks: stacks.into(),
        },
    )
}

fn green_threads() -> impl Strategy<Value = GreenThreads> {
    let counts = (0..9_usize, 0..99_usize, of(0..99_usize), 0..9_usize);
    let runtime = (hostile(), counts, any::<bool>(), vec(any::<u64>(), 0..3)).prop_map(
        |(kind, (workers, alive_tasks, untracked_tasks, queued_tasks), may_be_dropped, worker_busy_ms)| {
            Runtime {
                kind,
                workers,
                alive_tasks,
                untracked_tasks,
                may_be_dropped,
                queued_tasks,
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
            }
            GreenThreads { tasks, runtimes, uncounted_runtimes, notes }
        },
    )
}

fn package() -> impl Strategy<Value = Package> {
    let of_build = (text(), text(), text(), text(), text());
    let uptime_and_notes = (of(any::<u64>()), vec(hostile(), 0..2));
    let fact = (hostile(), hostile(), hostile());
    let fact = fact.prop_map(|(name, value, source)| Stated { name, value, source });
    let place = (text(), text(), text(), text(), text(), vec(fact, 0..2));
    let more = (text(), vec(hostile(), 0..3), text(), vec(hostile(), 0..3), place);
    (text(), text(), text(), of_build, text(), uptime_and_notes, more).prop_map(
        |(
            product,
            vendor,
            version,
            (executable, build_id, rustc, target, profile),
            started_at,
            (uptime_ms, notes),
            (
                revision,
                command,
                gmr_version,
                gmr_features,
                (working_directory, host, container_id, kernel, libc, kubernetes),
            ),
        )| {
            Package {
                product,
                vendor,
                version,
                executable,
                build_id,
                rustc,
                target,
                profile,
                started_at,
                uptime_ms,
                notes,
                revision,
                command,
                working_directory,
                host,
                container_id,
                kubernetes,
                kernel,
                libc,
                gmr_version,
                gmr_features,
            }
        },
    )
}

fn number() -> impl Strategy<Value = Option<u64>> {
    of(any::<u64>())
}

fn pressure() -> impl Strategy<Value = Pressure> {
    let percent = || 0.0..100.0_f64;
    (hostile(), percent(), percent(), of(percent()), of(percent())).prop_map(
        |(resource, some_10s, some_60s, full_10s, full_60s)| Pressure {
            resource,
            some_10s,
            some_60s,
            full_10s,
            full_60s,
        },
    )
}

fn cgroup() -> impl Strategy<Value = Cgroup> {
    let event = (hostile(), any::<u64>()).prop_map(|(name, count)| EventCount { name, count });
    let memory = (number(), number(), number(), number(), number(), number(), vec(event, 0..3));
    let cpu = (number(), of(1..u64::MAX), number(), number(), number());
    (hostile(), 1..3_u32, memory, cpu, (number(), number()), vec(pressure(), 0..3)).prop_map(
        |(
            path,
            version,
            (
                memory_bytes,
                memory_peak_bytes,
                memory_max_bytes,
                memory_high_bytes,
                swap_bytes,
                swap_max_bytes,
                memory_events,
            ),
            (cpu_quota_us, cpu_period_us, cpu_periods, throttled_periods, throttled_us),
            (tasks, tasks_max),
            pressure,
        )| Cgroup {
            path,
            version,
            memory_bytes,
            memory_peak_bytes,
            memory_max_bytes,
            memory_high_bytes,
            swap_bytes,
            swap_max_bytes,
            memory_events,
            cpu_quota_us,
            cpu_period_us,
            cpu_periods,
            throttled_periods,
            throttled_us,
            tasks,
            tasks_max,
            pressure,
        },
    )
}

fn resources() -> impl Strategy<Value = Resources> {
    let memory = (number(), number(), number(), number(), number(), number(), number()).prop_map(
        |(
            resident_bytes,
            anonymous_bytes,
            file_bytes,
            peak_resident_bytes,
            swapped_bytes,
            locked_bytes,
            virtual_bytes,
        )| Memory {
            resident_bytes,
            anonymous_bytes,
            file_bytes,
            shared_bytes: None,
            peak_resident_bytes,
            swapped_bytes,
            locked_bytes,
            virtual_bytes,
            main_stack_bytes: file_bytes,
        },
    );
    let usage = (number(), number(), number()).prop_map(|(cpu_user_ms, cpu_system_ms, count)| Usage {
        cpu_user_ms,
        cpu_system_ms,
        minor_faults: count,
        major_faults: count,
        voluntary_switches: count,
        involuntary_switches: count,
    });
    let limit = (hostile(), number(), number(), text()).prop_map(|(name, soft, hard, unit)| ResourceLimit {
        name,
        soft,
        hard,
        unit,
    });
    let system = (number(), of(0.0..1e6_f64), number(), vec(pressure(), 0..3)).prop_map(
        |(processors, load, bytes, pressure)| System {
            processors,
            load_1min: load,
            load_5min: load,
            load_15min: load,
            memory_bytes: bytes,
            available_bytes: bytes,
            pressure,
        },
    );
    let counts = (number(), number());
    (memory, usage, counts, vec(limit, 0..3), vec(cgroup(), 0..2), system, vec(hostile(), 0..2)).prop_map(
        |(memory, usage, (threads, open_descriptors), limits, cgroups, system, notes)| Resources {
            memory,
            usage,
            threads,
            open_descriptors,
            limits,
            cgroups,
            system,
            notes,
        },
    )
}

fn descriptors() -> impl Strategy<Value = Descriptors> {
    let kind = (hostile(), any::<u64>()).prop_map(|(name, count)| DescriptorKind { name, count });
    let names = (hostile(), text(), text(), text());
    let counts = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), number(), any::<i32>());
    let socket = (names, counts).prop_map(
        |(
            (protocol, local, peer, state),
            (count, peers, receive_queue_bytes, send_queue_bytes, accept_queue, descriptor),
        )| SocketGroup {
            protocol,
            local,
            peer,
            state,
            count,
            peers,
            receive_queue_bytes,
            send_queue_bytes,
            accept_queue,
            descriptor,
        },
    );
    let file = (any::<i32>(), any::<u64>(), hostile(), any::<bool>(), number(), number(), text()).prop_map(
        |(descriptor, count, path, deleted, position, size_bytes, access)| OpenFile {
            descriptor,
            count,
            path,
            deleted,
            position,
            size_bytes,
            access,
        },
    );
    let lists = (vec(kind, 0..3), vec(socket, 0..3), any::<u64>(), vec(file, 0..3), any::<u64>());
    (number(), any::<u64>(), number(), lists, vec(hostile(), 0..2)).prop_map(
        |(open, read, limit, (kinds, sockets, more_sockets, files, more_files), notes)| Descriptors {
            open,
            read,
            limit,
            kinds,
            sockets,
            more_sockets,
            files,
            more_files,
            notes,
        },
    )
}

fn modules() -> impl Strategy<Value = Modules> {
    let states = vec![ModuleState::InPlace, ModuleState::Deleted, ModuleState::Replaced];
    let state = proptest::sample::select(states);
    let module = (hostile(), text(), any::<u64>(), any::<u64>(), any::<u64>(), state).prop_map(
        |(path, build_id, start, end, bias, state)| Module { path, build_id, start, end, bias, state },
    );
    (vec(module, 0..3), vec(hostile(), 0..2)).prop_map(|(modules, notes)| Modules { modules, notes })
}

fn environment() -> impl Strategy<Value = Environment> {
    let variable = (hostile(), hostile()).prop_map(|(name, value)| Variable { name, value });
    (vec(variable, 0..3), vec(hostile(), 0..2))
        .prop_map(|(variables, notes)| Environment { variables, notes })
}

fn processes() -> impl Strategy<Value = Processes> {
    let ids = || {
        of((any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(real, effective, saved)| Ids {
            real,
            effective,
            saved,
        }))
    };
    let used = (number(), number());
    let process = (any::<u32>(), 0..3_usize, (text(), text()), ids(), ids(), vec(hostile(), 0..3), used)
        .prop_map(|(pid, depth, (user, state), uids, gids, command, (cpu, resident_bytes))| Process {
            pid,
            parent_pid: 1,
            depth,
            user,
            uids,
            gids,
            state,
            command,
            cpu_user_ms: cpu,
            cpu_system_ms: cpu,
            resident_bytes,
        });
    (vec(process, 0..3), vec(hostile(), 0..2)).prop_map(|(processes, notes)| Processes { processes, notes })
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
    ]
}

fn finding() -> impl Strategy<Value = Finding> {
    let severity = proptest::sample::select(vec![Severity::Error, Severity::Warning, Severity::Info]);
    let about = (vec(0..8_u32, 0..3), vec(0..8_u64, 0..3), text());
    (hostile(), severity, hostile(), about).prop_map(
        |(code, severity, message, (threads, tasks, section))| Finding {
            code,
            severity,
            message,
            threads,
            tasks,
            section,
        },
    )
}

pub(super) fn report() -> impl Strategy<Value = Report> {
    let group = (hostile(), outcome()).prop_map(|(title, content)| Group { title, content });
    let lists = (descriptors(), modules(), environment(), spans(), events());
    let built_in = (package(), resources(), threads(), green_threads(), processes(), lists, vec(group, 0..3));
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
    let registered = vec((hostile(), outcome()), 0..4);
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
