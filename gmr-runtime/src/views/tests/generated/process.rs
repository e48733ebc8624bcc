//! The sections about the process, with anything in them.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::strings::{hostile, text};
use crate::model::{
    Cgroup, DescriptorKind, Descriptors, Environment, EphemeralPorts, EventCount, Ids, Memory, Module,
    ModuleState, Modules, OpenFile, Package, PortsOfPeer, Pressure, Process, Processes, ResourceLimit,
    Resources, SocketGroup, Stated, System, Usage, Variable,
};

pub(super) fn package() -> impl Strategy<Value = Package> {
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
            memory_reclaimable_bytes: swap_bytes,
        },
    )
}

pub(super) fn resources() -> impl Strategy<Value = Resources> {
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

pub(super) fn descriptors() -> impl Strategy<Value = Descriptors> {
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
            accept_queue_max: accept_queue,
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
            disk_bytes: size_bytes,
            disk_free_bytes: position,
            disk_inodes: position,
            disk_free_inodes: size_bytes,
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
            highest: limit.and_then(|limit| i32::try_from(limit).ok()),
            listen_overflows: open,
            ephemeral_ports: open.map(|used| EphemeralPorts {
                peers: vec![PortsOfPeer { used, ..PortsOfPeer::default() }],
                ..EphemeralPorts::default()
            }),
        },
    )
}

pub(super) fn modules() -> impl Strategy<Value = Modules> {
    let states = vec![ModuleState::InPlace, ModuleState::Deleted, ModuleState::Replaced];
    let state = proptest::sample::select(states);
    let module = (hostile(), text(), any::<u64>(), any::<u64>(), any::<u64>(), state).prop_map(
        |(path, build_id, start, end, bias, state)| Module { path, build_id, start, end, bias, state },
    );
    (vec(module, 0..3), vec(hostile(), 0..2)).prop_map(|(modules, notes)| Modules { modules, notes })
}

pub(super) fn environment() -> impl Strategy<Value = Environment> {
    let variable = (hostile(), hostile()).prop_map(|(name, value)| Variable { name, value });
    (vec(variable, 0..3), vec(hostile(), 0..2))
        .prop_map(|(variables, notes)| Environment { variables, notes })
}

pub(super) fn processes() -> impl Strategy<Value = Processes> {
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
            ended_for_ms: cpu,
        });
    (vec(process, 0..3), vec(hostile(), 0..2)).prop_map(|(processes, notes)| Processes { processes, notes })
}
