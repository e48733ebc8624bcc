//! The machine and the versions of the tools that the figures were measured with. It prints neither
//! a host name nor a path.

use std::fs;
use std::process::Command;

use super::setting::{root, version};

/// Lines of a Markdown list.
pub(crate) fn describe() -> Vec<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let mut lines = vec![
        format!("date: {}", output("date", &["--utc", "+%Y-%m-%d"])),
        format!("commit: {}", output("git", &["describe", "--always", "--dirty", "--exclude", "*"])),
        format!("processor: {}, {cores} cores", model.unwrap_or("unknown")),
        format!("kernel: {}, load average before: {load}", kernel.trim()),
    ];
    let tools = [
        ("rustc", "--version"),
        ("gdb", "--version"),
        ("eu-stack", "--version"),
        ("python3", "--version"),
        ("java", "--version"),
        ("go", "version"),
        ("node", "--version"),
    ];
    lines.extend(tools.map(|(tool, argument)| {
        format!("{tool}: {}", version(tool, argument).unwrap_or_else(|| "not installed".to_owned()))
    }));
    lines
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
