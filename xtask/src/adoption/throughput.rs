//! Two builds of a server compared: the processor time that it takes for the same requests, in
//! pairs of runs, so that what else the machine does is the same for both.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::load::{Process, connect, free_port};
use crate::process::is_in_path;

/// Requests of each kind in a run.
const REQUESTS: usize = 200_000;

/// The least that gmr-tokio may reach of tokio's requests per second.
const LEAST: f64 = 0.98;

/// One run: the server's processor time in ticks, and the requests per second.
struct Run {
    ticks: f64,
    per_second: f64,
}

pub(super) fn compare(plain: &Path, adopted: &Path, pairs: usize) -> Result<(), String> {
    if !is_in_path("redis-benchmark") {
        return Err("redis-benchmark is missing: install Debian's package redis-tools".to_owned());
    }
    let (mut time, mut rate) = (Vec::new(), Vec::new());
    for number in 0..pairs {
        // Each is first in half of the pairs.
        let (plain, adopted) = if number % 2 == 0 {
            let plain = run(plain)?;
            (plain, run(adopted)?)
        } else {
            let adopted = run(adopted)?;
            (run(plain)?, adopted)
        };
        let ratio = adopted.ticks / plain.ticks;
        println!(
            "{:2}: processor time {} and {} ticks, {ratio:.3}; requests per second {:.0} and {:.0}",
            number + 1,
            plain.ticks,
            adopted.ticks,
            plain.per_second,
            adopted.per_second
        );
        time.push(ratio);
        rate.push(adopted.per_second / plain.per_second);
    }
    let (time, rate) = (median(&mut time), median(&mut rate));
    println!(
        "\nmedian of {pairs} pairs, gmr-tokio to tokio: processor time {time:.3}, requests per second {rate:.3}"
    );
    if rate < LEAST { Err(format!("it is below {LEAST}")) } else { Ok(()) }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values {
        [] => f64::NAN,
        values if values.len() % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        values => values[middle],
    }
}

fn run(program: &Path) -> Result<Run, String> {
    let port = free_port()?.to_string();
    let server = Process::start(program, &["--port", &port])?;
    connect(port.parse().unwrap_or_default())?;
    let requests = REQUESTS.to_string();
    let mut benchmark = Command::new("redis-benchmark");
    benchmark.args(["-p", &port, "-t", "set,get", "-n", &requests, "-c", "50", "-P", "16", "--csv"]);
    let before = ticks(server.id())?;
    let output = benchmark.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot start redis-benchmark: {error}"))?;
    let ticks = ticks(server.id())? - before;
    // `"SET","123456.78",..`
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rates: Vec<f64> =
        text.lines().filter_map(|line| line.split(',').nth(1)?.trim_matches('"').parse().ok()).collect();
    if rates.len() != 2 || !output.status.success() {
        return Err(format!("redis-benchmark printed {text}"));
    }
    Ok(Run { ticks, per_second: rates.iter().sum::<f64>() / 2.0 })
}

/// The processor time of a process so far.
fn ticks(id: u32) -> Result<f64, String> {
    let path = format!("/proc/{id}/stat");
    let stat = fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let (_, after_name) = stat.rsplit_once(") ").ok_or("it has no name")?;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let field = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    field(11).zip(field(12)).map(|(user, system)| user + system).ok_or_else(|| format!("{path} has no times"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn processor_time_is_read() {
        assert!(ticks(std::process::id()).is_ok());
        assert!(ticks(u32::MAX).is_err());
    }
}
