//! The process that an argument names: by its id, its service, or its executable. It only looks.

use gmr_runtime::__cli::Mark;

use crate::processes::{Process, not_looked_at};
use crate::progress::Progress;

/// A process with gmr, as the list of several has it.
struct Found {
    process: Process,
    mark: Mark,
    executable: Option<String>,
}

pub(crate) fn find(argument: &str) -> Result<Process, String> {
    if !argument.is_empty() && argument.bytes().all(|byte| byte.is_ascii_digit()) {
        return match argument.parse() {
            Ok(pid @ 1..) => Ok(Process::new(pid)),
            _ => Err(format!("{argument} is no id of a process")),
        };
    }
    let _progress = Progress::new(format!("looking for `{argument}`"));
    let all = Process::all().map_err(|error| format!("could not list /proc: {error}"))?;
    let (mut found, mut unreadable) = (Vec::new(), 0);
    for process in all {
        match process.marks() {
            Ok(marks) => {
                let Some(mark) = marks.into_iter().next() else { continue };
                let executable = executable(process);
                if [&mark.service, &executable].into_iter().flatten().any(|name| name == argument) {
                    found.push(Found { process, mark, executable });
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => unreadable += 1,
            // It has ended.
            Err(_) => {}
        }
    }
    match &found[..] {
        [only] => Ok(only.process),
        [] => Err(none(argument, unreadable)),
        several => Err(list(argument, several)),
    }
}

/// The name of the file that it runs.
fn executable(process: Process) -> Option<String> {
    let path = process.link("exe").ok()?;
    // An update may have replaced it.
    let path = path.strip_suffix(" (deleted)").unwrap_or(&path);
    Some(path.rsplit('/').next().unwrap_or(path).to_owned())
}

fn none(argument: &str, unreadable: u64) -> String {
    let others = match unreadable {
        0 => String::new(),
        _ => format!("; {}", not_looked_at(unreadable)),
    };
    format!(
        "no process with gmr has the service or the executable `{argument}`{others}. `gmr list` lists those \
         that have gmr"
    )
}

fn list(argument: &str, several: &[Found]) -> String {
    let one = |found: &Found| {
        let Mark { service, version, .. } = &found.mark;
        let names = [service, version, &found.executable];
        let names: Vec<&str> = names.into_iter().flatten().map(|name| &**name).collect();
        format!("{} ({})", found.process.pid(), names.join(", "))
    };
    let all: Vec<String> = several.iter().map(one).collect();
    format!("{} processes are named `{argument}`; name one by its id: {}", several.len(), all.join(", "))
}
