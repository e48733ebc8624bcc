//! The threads of this process, as the kernel describes them.

use std::io;
use std::path::{Path, PathBuf};

use crate::procfs::{self, Stat};
use crate::stack::Task;

/// Every thread. One that exits while it is being read is left out: it is none any more.
pub(crate) fn tasks() -> io::Result<Vec<Task>> {
    let directory = Path::new("/proc/self/task");
    let tids = procfs::ids("/proc/self/task")?;
    Ok(tids.into_iter().filter_map(|tid| read(tid, directory.join(tid.to_string()))).collect())
}

fn read(tid: u32, directory: PathBuf) -> Option<Task> {
    match Stat::read(&directory) {
        Ok(stat) => Some(Task {
            tid,
            state: Some(stat.state_in_words()),
            cpu_user_ms: Some(procfs::ticks_to_ms(stat.user_ticks)),
            cpu_system_ms: Some(procfs::ticks_to_ms(stat.system_ticks)),
            name: stat.name,
        }),
        Err(error) if has_ended(&error) => None,
        // It is there, and cannot be described: no descriptor left, for example. It keeps its place.
        Err(_) => {
            Some(Task { tid, name: String::new(), state: None, cpu_user_ms: None, cpu_system_ms: None })
        }
    }
}

fn has_ended(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}
