//! Threads: every thread, what the kernel says of it, and its stack.

use crate::model::{Content, Role, Stack, Thread, Threads};
use crate::own_thread;
use crate::stack::{self, Modules, Task};

pub(super) fn generate() -> Content {
    match stack::tasks() {
        Ok(tasks) => Content::Threads(describe(tasks)),
        Err(error) => Content::Error(format!("the threads could not be listed: {error}")),
    }
}

fn describe(mut tasks: Vec<Task>) -> Threads {
    let own = own_thread::tids();
    tasks.sort_by_key(|task| (place(role(task, &own)), task.tid));
    let tids: Vec<u32> = tasks.iter().map(|task| task.tid).collect();
    let modules = Modules::load();
    let traces = stack::trace(&tids, &modules);
    let (stacks, notes) = stack::symbolize(traces, &modules);
    let threads = tasks.into_iter().zip(stacks).map(|(task, stack)| thread(task, stack, &own)).collect();
    Threads { threads, notes }
}

fn thread(task: Task, stack: Stack, own: &[u32]) -> Thread {
    Thread {
        role: role(&task, own),
        tid: task.tid,
        name: task.name,
        state: task.state,
        cpu_user_ms: task.cpu_user_ms,
        cpu_system_ms: task.cpu_system_ms,
        stack,
    }
}

/// On Linux the main thread is the one that has the process's id.
fn role(task: &Task, own: &[u32]) -> Role {
    if task.tid == std::process::id() {
        Role::Main
    } else if own.contains(&task.tid) {
        Role::Gmr
    } else {
        Role::Program
    }
}

/// The main thread is looked for first, gmr's own are looked for by nobody.
fn place(role: Role) -> u8 {
    match role {
        Role::Main => 0,
        Role::Program => 1,
        Role::Gmr => 2,
    }
}
