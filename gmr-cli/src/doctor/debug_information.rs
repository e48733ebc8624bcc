//! What the executable of a process has for the names and lines of its stacks. It reads the running
//! file, which `/proc/PID/exe` refers to even if it was deleted.

use std::fs::File;

use super::check::Check;
use crate::image::{Image, image};
use crate::processes::Process;

const ABOUT: &str = "debug information";

pub(super) fn check(process: Process) -> Vec<Check> {
    let mut checks = Vec::new();
    if process.link("exe").is_ok_and(|path| path.ends_with(" (deleted)")) {
        checks.push(Check::note(
            "executable",
            "its file has been deleted or replaced; names come from the running one, which is still readable",
        ));
    }
    let image = match File::open(process.path("exe")) {
        Ok(file) => image(file),
        Err(error) => return vec![Check::unknown(ABOUT, &error)],
    };
    let Some(image) = image else {
        checks.push(Check::note(ABOUT, "the executable could not be parsed"));
        return checks;
    };
    checks.push(judge(process, &image));
    checks
}

fn judge(process: Process, image: &Image) -> Check {
    const REMEDY: &str = "set `debug = 1` in [profile.release], and do not strip";
    let id = image.build_id.as_ref().map(|id| format!(" (build-id {id})")).unwrap_or_default();
    if image.has_lines {
        return Check::good(ABOUT, format!("the executable has it{id}"));
    }
    let separate = image.build_id.as_ref().filter(|id| id.len() > 2).map(|id| {
        let (first, rest) = id.split_at(2);
        format!("root/usr/lib/debug/.build-id/{first}/{rest}.debug")
    });
    if separate.is_some_and(|path| process.path(&path).exists()) {
        return Check::good(ABOUT, format!("a separate file has it{id}"));
    }
    if image.has_link {
        return Check::note(ABOUT, format!("the executable names another file that has it{id}"));
    }
    if image.has_symbols {
        return Check::problem(
            ABOUT,
            format!("there is none: stacks have functions, but no lines{id}"),
            REMEDY,
        );
    }
    Check::problem(ABOUT, format!("the executable is stripped: stacks have addresses only{id}"), REMEDY)
}
