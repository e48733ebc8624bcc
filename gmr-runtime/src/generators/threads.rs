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
    let own = own_thread::all();
    tasks.sort_by_key(|task| (place(role(task, &own)), task.tid));
    let modules = Modules::load();
    let traces = stack::trace(&tasks, &modules);
    let (stacks, notes) = stack::symbolize(traces, &modules);
    let threads = tasks.into_iter().zip(stacks).map(|(task, stack)| thread(task, stack, &own)).collect();
    Threads { threads, notes }
}

fn thread(task: Task, stack: Stack, own: &[(u32, &str)]) -> Thread {
    Thread {
        role: role(&task, own),
        tid: task.tid,
        name: task.name,
        state: task.state,
        cpu_user_ms: task.cpu_user_ms,
        cpu_system_ms: task.cpu_system_ms,
        started_at: task.started_at,
        policy: task.policy,
        last_cpu: task.last_cpu,
        waiting: task.waiting,
        stack,
    }
}

/// On Linux the main thread is the one that has the process's id.
fn role(task: &Task, own: &[(u32, &str)]) -> Role {
    if task.tid == std::process::id() {
        return Role::Main;
    }
    match own.iter().find(|(tid, _)| *tid == task.tid) {
        None => Role::Program,
        // The reporter, which waits for this very function, and the thread that runs it.
        Some((tid, name)) if *name == own_thread::REPORTER || *tid == stack::current_tid() => Role::Reporter,
        Some(_) => Role::Gmr,
    }
}

/// The main thread is looked for first. A thread that runs a section which is stuck is as good as the program's; those that make the report are looked for by nobody.
fn place(role: Role) -> u8 {
    match role {
        Role::Main => 0,
        Role::Program => 1,
        Role::Gmr => 2,
        Role::Reporter => 3,
    }
}
