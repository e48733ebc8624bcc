//! The wording of what a thread waits for.

use crate::model::{Children, Event, Waiting, Watched};
use crate::views::escape::clean;

/// What a thread waits for.
pub(in crate::views) fn wait(waiting: &Waiting) -> String {
    let about = about(waiting);
    match &waiting.kernel_function {
        Some(function) => format!("in uninterruptible sleep in {}, waiting {about}", clean(function)),
        None => format!("waiting {about}"),
    }
}

fn about(waiting: &Waiting) -> String {
    if let Some(tid) = waiting.joins {
        return format!("for thread #{tid} to end");
    }
    if waiting.futex.is_some() || !waiting.futexes.is_empty() {
        return futexes(waiting);
    }
    if let Some(children) = &waiting.children {
        return format!("for {}", child(children));
    }
    let call = clean(&waiting.call);
    let object = if let Some(id) = waiting.ipc {
        format!(" on {} {id}", if call.starts_with("msg") { "message queue" } else { "semaphore set" })
    } else if !waiting.descriptors.is_empty() {
        descriptors(waiting)
    } else if let Some(path) = &waiting.path {
        let directory = waiting.descriptor.map(|descriptor| {
            format!(", relative to fd {}", described(descriptor, waiting.target.as_deref()))
        });
        format!(" of {}{}", clean(path), directory.unwrap_or_default())
    } else if let Some(descriptor) = waiting.descriptor {
        let preposition = preposition(&call);
        format!(" {preposition} fd {}", described(descriptor, waiting.target.as_deref()))
    } else {
        String::new()
    };
    // The target of a socket that is connecting can name the peer already.
    let target = waiting.target.as_deref().unwrap_or_default();
    let peer = waiting.peer.as_ref().filter(|peer| !target.contains(&***peer));
    let peer = peer.map(|peer| format!(", to {}", clean(peer))).unwrap_or_default();
    format!("in {call}{object}{peer}")
}

/// `5: pipe:[17]`
fn described(descriptor: i32, target: Option<&str>) -> String {
    match target {
        Some(target) => format!("{descriptor}: {}", clean(target)),
        None => descriptor.to_string(),
    }
}

fn preposition(call: &str) -> &'static str {
    match call {
        "read" | "readv" | "pread" | "preadv" | "preadv2" | "recvfrom" | "recvmsg" | "recvmmsg"
        | "mq_timedreceive" => "from",
        "write" | "writev" | "pwrite" | "pwritev" | "pwritev2" | "vmsplice" | "mq_timedsend" => "to",
        _ => "on",
    }
}

/// `on futex 0x7f01 (with 3 others), held by #42 (worker)`
fn futexes(waiting: &Waiting) -> String {
    /// Further ones are counted.
    const MAX_SHOWN: usize = 4;
    let others = match waiting.futex_others {
        0 => String::new(),
        1 => " (with 1 other)".to_owned(),
        count => format!(" (with {count} others)"),
    };
    let Some(futex) = waiting.futex else {
        let shown = waiting.futexes.iter().take(MAX_SHOWN).map(|futex| format!("{futex:#x}"));
        let shown: Vec<String> = shown.collect();
        return format!(
            "on futexes {}{}{others}",
            shown.join(", "),
            and_more(waiting.futexes.len() - shown.len())
        );
    };
    let requeue = waiting.requeue_futex.map(|futex| format!(", then on {futex:#x}")).unwrap_or_default();
    let owner = waiting.futex_owner.as_ref().map(|owner| match &owner.name {
        Some(name) if !name.is_empty() => format!(", held by #{} ({})", owner.tid, clean(name)),
        _ => format!(", held by #{}", owner.tid),
    });
    format!("on futex {futex:#x}{others}{requeue}{}", owner.unwrap_or_default())
}

/// ` on fd 5 (read): pipe:[17]; fd 6 (read, write): pipe:[18] and 3 more`
fn descriptors(waiting: &Waiting) -> String {
    let all = waiting.descriptors.iter().map(watched).collect::<Vec<_>>();
    format!(" on {}{}", all.join("; "), and_more(waiting.more_descriptors))
}

fn watched(watched: &Watched) -> String {
    let events = watched.events.iter().map(|event| match event {
        Event::Read => "read",
        Event::Write => "write",
        Event::Priority => "priority",
        Event::Hangup => "hangup",
    });
    let events = events.collect::<Vec<_>>().join(", ");
    let events = if events.is_empty() { events } else { format!(" ({events})") };
    let target = watched.target.as_ref().map(|target| format!(": {}", clean(target))).unwrap_or_default();
    format!("fd {}{events}{target}", watched.descriptor)
}

fn and_more(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" and {count} more") }
}

fn child(children: &Children) -> String {
    match children {
        Children::Any => "any child process".to_owned(),
        Children::One { pid, name: Some(name) } => format!("child process {pid} ({})", clean(name)),
        Children::One { pid, name: None } => format!("child process {pid}"),
        Children::Group { id } => format!("any child process in process group {id}"),
        Children::OwnGroup => "any child process in its own process group".to_owned(),
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;
    use crate::model::FutexOwner;

    fn in_call(call: &str) -> Waiting {
        Waiting { call: call.into(), ..Waiting::default() }
    }

    #[test]
    fn a_wait_names_the_call_and_its_object() {
        let futex = Waiting { futex: Some(0x7f01), futex_others: 3, ..in_call("futex") };
        assert_eq!(wait(&futex), "waiting on futex 0x7f01 (with 3 others)");
        let join = Waiting { joins: Some(42), ..futex };
        assert_eq!(wait(&join), "waiting for thread #42 to end");
        let read = Waiting { descriptor: Some(5), target: Some("pipe:[17]".into()), ..in_call("read") };
        assert_eq!(wait(&read), "waiting in read from fd 5: pipe:[17]");
        let stuck = Waiting { kernel_function: Some("nfs_wait".into()), ..read };
        assert_eq!(
            wait(&stuck),
            "in uninterruptible sleep in nfs_wait, waiting in read from fd 5: pipe:[17]"
        );
        assert_eq!(wait(&in_call("nanosleep")), "waiting in nanosleep");
        let queue = Waiting { ipc: Some(7), ..in_call("msgrcv") };
        assert_eq!(wait(&queue), "waiting in msgrcv on message queue 7");
        assert_eq!(wait(&Waiting { call: "semop".into(), ..queue }), "waiting in semop on semaphore set 7");
    }

    #[test]
    fn locks_that_know_their_owner_name_it() {
        let owner = FutexOwner { tid: 42, name: Some("worker".into()) };
        let lock = Waiting { futex: Some(0x7f01), futex_owner: Some(owner), ..in_call("futex") };
        assert_eq!(wait(&lock), "waiting on futex 0x7f01, held by #42 (worker)");
        let foreign = FutexOwner { tid: 42, name: None };
        let lock = Waiting { futex_owner: Some(foreign), futex_others: 1, ..lock };
        assert_eq!(wait(&lock), "waiting on futex 0x7f01 (with 1 other), held by #42");
        let condition = Waiting { futex: Some(16), requeue_futex: Some(32), ..in_call("futex") };
        assert_eq!(wait(&condition), "waiting on futex 0x10, then on 0x20");
        let several =
            Waiting { futexes: vec![16, 32, 48, 64, 80], futex_others: 2, ..in_call("futex_waitv") };
        assert_eq!(wait(&several), "waiting on futexes 0x10, 0x20, 0x30, 0x40 and 1 more (with 2 others)");
    }

    #[test]
    fn several_descriptors_are_listed_with_what_they_are_waited_for() {
        let watched = |descriptor, events: &[Event], target: Option<&str>| Watched {
            descriptor,
            events: events.to_vec(),
            target: target.map(str::to_owned),
        };
        let descriptors = vec![
            watched(5, &[Event::Read, Event::Hangup], Some("pipe:[17]")),
            watched(6, &[Event::Write], None),
            watched(7, &[], None),
        ];
        let poll = Waiting { descriptors, ..in_call("poll") };
        assert_eq!(wait(&poll), "waiting in poll on fd 5 (read, hangup): pipe:[17]; fd 6 (write); fd 7");
        let poll = Waiting { more_descriptors: 3, ..poll };
        assert!(wait(&poll).ends_with("; fd 7 and 3 more"), "{}", wait(&poll));
    }

    #[test]
    fn children_are_named() {
        let words = |children| wait(&Waiting { children: Some(children), ..in_call("wait") });
        assert_eq!(words(Children::Any), "waiting for any child process");
        let named = Children::One { pid: 7, name: Some("sleep".into()) };
        assert_eq!(words(named), "waiting for child process 7 (sleep)");
        assert_eq!(words(Children::One { pid: 7, name: None }), "waiting for child process 7");
        assert_eq!(words(Children::Group { id: 9 }), "waiting for any child process in process group 9");
    }

    #[test]
    fn paths_and_peers_are_shown() {
        let open = Waiting { path: Some("/run/fifo".into()), ..in_call("open") };
        assert_eq!(wait(&open), "waiting in open of /run/fifo");
        let relative = Waiting { path: Some("fifo".into()), descriptor: Some(5), ..in_call("open") };
        let relative = Waiting { target: Some("/run".into()), ..relative };
        assert_eq!(wait(&relative), "waiting in open of fifo, relative to fd 5: /run");
        let connect = Waiting { descriptor: Some(5), peer: Some("/run/a".into()), ..in_call("connect") };
        let connect = Waiting { target: Some("Unix socket [17]".into()), ..connect };
        assert_eq!(wait(&connect), "waiting in connect on fd 5: Unix socket [17], to /run/a");
        let target = "TCP 10.0.0.1:4711 -> 10.0.0.2:80, syn sent";
        let connect = Waiting { target: Some(target.into()), peer: Some("10.0.0.2:80".into()), ..connect };
        assert_eq!(wait(&connect), format!("waiting in connect on fd 5: {target}"));
    }
}
