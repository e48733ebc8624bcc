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

fn describe(tasks: Vec<Task>) -> Threads {
    let (pid, own) = (std::process::id(), own_thread::all());
    let mut tasks: Vec<(Role, Task)> = tasks.into_iter().map(|task| (role(&task, pid, &own), task)).collect();
    tasks.sort_by_key(|(role, task)| (place(*role), task.tid));
    let (roles, tasks): (Vec<Role>, Vec<Task>) = tasks.into_iter().unzip();
    let modules = Modules::load();
    let traces = stack::trace(&tasks, &modules);
    let (stacks, notes) = stack::symbolize(&traces, &modules, stack::SYMBOLS_DEADLINE);
    let described = roles.into_iter().zip(tasks).zip(stacks);
    Threads { threads: described.map(|((role, task), stack)| thread(role, task, stack)).collect(), notes }
}

fn thread(role: Role, task: Task, stack: Stack) -> Thread {
    Thread {
        role,
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
fn role(task: &Task, pid: u32, own: &[(u32, &str)]) -> Role {
    if task.tid == pid {
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
