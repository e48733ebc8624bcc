//! Processes: this process and its descendants, from `/proc`. Nothing here touches another process.

use std::io;
use std::sync::Mutex;
use std::time::Instant;

use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions};

use crate::model::{Content, Ids, Process, Processes};
use crate::sys::procfs::{self, Directory, Stat, Status};
use crate::sys::sorted_map::SortedMap;
use crate::sys::users::UserNames;
use crate::sys::{proc, thread_ids};

pub(super) fn generate() -> Content {
    match own_id().and_then(|own| Ok((own, table(own)?))) {
        Ok((own, table)) => Content::Processes(family(own, &table)),
        Err(error) => Content::Error(format!("could not list processes: {error}")),
    }
}

/// The id of this process in `/proc`, by which it is compared with others there. In the `/proc` of
/// another PID namespace, it is not the one that this process knows.
fn own_id() -> io::Result<u32> {
    let link = proc::link("self")?;
    let id = link.to_str().and_then(|id| id.parse().ok());
    id.ok_or_else(|| io::Error::other("/proc does not show this process"))
}

/// All visible processes, by parent. One that ends while it is being read is left out.
type Table = SortedMap<u32, Vec<(u32, Stat)>>;

fn table(own: u32) -> io::Result<Table> {
    let mut table = Table::new();
    let mut directory = Directory::open(".")?;
    // A process without children has no descendants, and there may be hundreds of other processes.
    let pids = if may_have_children() { proc::ids("")? } else { vec![own] };
    for pid in pids {
        // The main thread's has its own times only.
        let stat = if pid == own { Stat::read("self") } else { Stat::below(&mut directory, pid) };
        // Without this one, there is no tree. Another one may have ended.
        let stat = if pid == own { Some(stat?) } else { stat.ok() };
        if let Some(stat) = stat {
            let parent = if pid == own { ROOT } else { stat.parent_pid };
            table.entry(parent).push((pid, stat));
        }
    }
    Ok(table)
}

/// False if the kernel says that this process has no children. A child that has exited is not
/// reaped: the program can still wait for it.
fn may_have_children() -> bool {
    const ANY: WaitIdOptions = WaitIdOptions::from_bits_retain(libc::__WALL.cast_unsigned());
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT | ANY;
    !matches!(rustix::process::waitid(WaitId::All, options), Err(Errno::CHILD))
}

/// A process that has ended, and that its parent has not waited for.
#[derive(Debug, Clone, Copy)]
struct Ended {
    pid: u32,
    /// Distinguishes it from another process with the same id.
    start_ticks: u64,
    /// When a report saw it for the first time.
    since: Instant,
}

/// Those that the last report has seen.
static ENDED: Mutex<Vec<Ended>> = Mutex::new(Vec::new());
/// For how many it is kept. A process can have thousands.
const MAX_ENDED: usize = 1_024;

/// Processes that have ended: those of the last report, and those that this one sees.
struct AllEnded {
    before: Vec<Ended>,
    now: Instant,
    seen: Vec<Ended>,
}

impl AllEnded {
    fn take() -> Self {
        // The lock is held by another thread only if the process was forked at that moment.
        let before = ENDED.try_lock().map(|mut last| std::mem::take(&mut *last)).unwrap_or_default();
        Self { before, now: Instant::now(), seen: Vec::new() }
    }

    /// For how long it has been known that a process has ended. `None` if it has not: where only
    /// the main thread has, there are others.
    fn ended_for_ms(&mut self, pid: u32, stat: &Stat) -> Option<u64> {
        if stat.state != 'Z' || stat.threads > 1 {
            return None;
        }
        let start_ticks = stat.start_ticks;
        let is_it = |ended: &&Ended| (ended.pid, ended.start_ticks) == (pid, start_ticks);
        let since = self.before.iter().find(is_it).map_or(self.now, |ended| ended.since);
        if self.seen.len() < MAX_ENDED {
            self.seen.push(Ended { pid, start_ticks, since });
        }
        u64::try_from(self.now.duration_since(since).as_millis()).ok()
    }

    fn keep(self) {
        if let Ok(mut last) = ENDED.try_lock() {
            *last = self.seen;
        }
    }
}

/// The key of this process in the table, in place of its parent's id. No process has this id.
const ROOT: u32 = u32::MAX;

/// This process and its descendants, each process before its children.
fn family(own: u32, table: &Table) -> Processes {
    let mut family = Processes::default();
    let depth_of_namespace = thread_ids::depth();
    let users = UserNames::default();
    let mut ended = AllEnded::take();
    // The kernel's tree has no cycles, but the table is read while the tree changes, and a parent's
    // id may be reused meanwhile. This still ends: each entry has one parent, and this process has
    // none but `ROOT`, so each is visited at most once.
    let mut pending: Vec<(usize, &(u32, Stat))> = children(ROOT, 0, table);
    while let Some((depth, (pid, stat))) = pending.pop() {
        // Once the main thread has ended, the kernel shows no arguments of this process below its
        // own directory.
        let directory = if *pid == own { "thread-self" } else { &pid.to_string() };
        let (mut process, problem) = describe(directory, *pid, stat, depth, depth_of_namespace, &users);
        process.ended_for_ms = ended.ended_for_ms(*pid, stat).filter(|_| depth > 0);
        family.notes.extend(problem.map(|error| {
            format!("the ids or the command line of process {} could not be read: {error}", process.pid)
        }));
        family.processes.push(process);
        if *pid != own || depth == 0 {
            pending.extend(children(*pid, depth + 1, table));
        }
    }
    ended.keep();
    family.notes.extend(users.error().map(|error| {
        format!("the names of users are missing, because /etc/passwd could not be read: {error}")
    }));
    family
}

/// The children of a process, the last one first.
fn children(parent: u32, depth: usize, table: &Table) -> Vec<(usize, &(u32, Stat))> {
    table.get(&parent).into_iter().flatten().rev().map(|entry| (depth, entry)).collect()
}

fn describe(
    directory: &str,
    pid: u32,
    stat: &Stat,
    depth: usize,
    depth_of_namespace: usize,
    users: &UserNames,
) -> (Process, Option<io::Error>) {
    let (status, command_line) = (Status::read(directory), procfs::command_line(directory));
    let has_ended = |error: &io::Error| matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH));
    let problem = [status.as_ref().err(), command_line.as_ref().err()].into_iter().flatten().next();
    let problem = problem.filter(|error| !has_ended(error)).map(|error| io::Error::from(error.kind()));
    let status = status.unwrap_or_default();
    let arguments = gmr_mask::arguments(&command_line.unwrap_or_default());
    // The ids that this process knows. The parent of this process may be outside its namespace.
    let inner = |outer: u32| {
        let ids = thread_ids::ids_of(&outer.to_string()).unwrap_or_default();
        ids.get(depth_of_namespace).copied().unwrap_or(0)
    };
    let (pid, parent_pid) = match depth_of_namespace {
        0 => (pid, stat.parent_pid),
        _ if depth == 0 => (std::process::id(), std::os::unix::process::parent_id()),
        _ => (inner(pid), inner(stat.parent_pid)),
    };
    let process = Process {
        pid,
        parent_pid,
        depth,
        user: status.uids.and_then(|[real, ..]| users.name(real)),
        uids: status.uids.map(ids),
        gids: status.gids.map(ids),
        state: Some(procfs::state_in_words(stat.state)),
        cpu_user_ms: Some(procfs::ticks_to_ms(stat.user_ticks)),
        cpu_system_ms: Some(procfs::ticks_to_ms(stat.system_ticks)),
        resident_bytes: status.resident,
        ended_for_ms: None,
        command: if arguments.is_empty() { vec![format!("[{}]", stat.name)] } else { arguments },
    };
    (process, problem)
}

fn ids([real, effective, saved, _]: [u32; 4]) -> Ids {
    Ids { real, effective, saved }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(parent_pid: u32) -> Stat {
        Stat::parse(&format!("1 (x) S {parent_pid} {}", "0 ".repeat(48))).unwrap()
    }

    #[test]
    fn each_process_comes_before_its_children() {
        // 10 has 20 and 40; 20 has 30. 99 is not a descendant of 10.
        let table = Table::from_iter([
            (ROOT, vec![(10, stat(1))]),
            (10, vec![(20, stat(10)), (40, stat(10))]),
            (20, vec![(30, stat(20))]),
            (1, vec![(99, stat(1))]),
        ]);
        let family = family(10, &table).processes;
        let family: Vec<_> = family.iter().map(|process| (process.pid, process.depth)).collect();
        assert_eq!(family, [(10, 0), (20, 1), (30, 2), (40, 1)]);
    }

    #[test]
    fn since_when_a_process_has_ended_is_kept_while_it_is_there() {
        let ended = |start_ticks| Stat { state: 'Z', threads: 1, start_ticks, ..stat(1) };
        let now = Instant::now();
        let later = |seconds| now + std::time::Duration::from_secs(seconds);
        let mut first = AllEnded { before: Vec::new(), now, seen: Vec::new() };
        assert_eq!(first.ended_for_ms(7, &ended(5)), Some(0));
        assert_eq!(first.ended_for_ms(8, &stat(1)), None, "it runs");
        assert_eq!(first.ended_for_ms(9, &Stat { threads: 2, ..ended(5) }), None, "its threads run");
        let mut second = AllEnded { before: first.seen, now: later(3), seen: Vec::new() };
        assert_eq!(second.ended_for_ms(7, &ended(5)), Some(3_000));
        assert_eq!(second.ended_for_ms(7, &ended(6)), Some(0), "another one with this id");
        assert_eq!(second.seen.len(), 2);
    }

    #[test]
    fn a_child_of_this_process_is_found_with_its_arguments() {
        // The child runs until its standard input is closed.
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "read line", "sh", "--token=abc"]).stdin(std::process::Stdio::piped());
        let Ok(mut child) = command.spawn() else { return eprintln!("skipped: there is no `sh` here") };
        // Before the child executes the shell, its arguments are those of this test.
        while !procfs::command_line(&child.id().to_string()).unwrap().contains(&"--token=abc".to_owned()) {
            std::thread::yield_now();
        }
        let content = generate();
        drop(child.stdin.take());
        // It has exited as soon as it can be waited for.
        let is_waitable = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::waitid(WaitId::Pid(pid), is_waitable).unwrap();
        assert!(may_have_children());
        child.wait().expect("its status is still there");
        let Content::Processes(processes) = content else { panic!("{content:?}") };
        let found = processes.processes.iter().find(|process| process.pid == child.id()).unwrap();
        assert_eq!((found.parent_pid, found.depth), (std::process::id(), 1));
        assert!(found.uids.is_some() && found.state.is_some());
        assert!(found.cpu_user_ms.is_some() && found.resident_bytes > Some(0));
        assert_eq!(found.command.last().map(String::as_str), Some("--token=***"));
    }
}
