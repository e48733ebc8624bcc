//! The command line of `cargo xtask bench`.

pub(crate) const USAGE: &str = "usage: cargo xtask bench [OPTION]...

Measures what a report costs, beside what other tools cost on this machine:
time, memory, time in the signal handler, single parts, masking, throughput.

  --only PART,...    some of threads, tasks, memory, handler, micro, masking, throughput
  --threads N,...    numbers of threads, one for each row [1,100,1000,8000]
  --depth N          frames of each thread [30]
  --runs N           runs of gmr [5]
  --slow-runs N      runs of the other tools [3]
  --rounds N         rounds of the throughput, with fresh processes [10]
  --seconds N        seconds of load in a round, for each of four servers [3]
  --write            write docs/benchmarks.md; measures everything
  --help             print this";

/// The parts of a benchmark, in the order in which they are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Threads,
    Tasks,
    Memory,
    Handler,
    Micro,
    Masking,
    Throughput,
}

impl Part {
    const ALL: [(&str, Part); 7] = [
        ("threads", Part::Threads),
        ("tasks", Part::Tasks),
        ("memory", Part::Memory),
        ("handler", Part::Handler),
        ("micro", Part::Micro),
        ("masking", Part::Masking),
        ("throughput", Part::Throughput),
    ];
}

#[derive(Debug)]
pub(crate) struct Options {
    parts: Vec<Part>,
    pub(crate) threads: Vec<usize>,
    pub(crate) depth: usize,
    pub(crate) runs: usize,
    pub(crate) slow_runs: usize,
    pub(crate) rounds: usize,
    pub(crate) seconds: usize,
    pub(crate) write: bool,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            parts: Part::ALL.map(|(_, part)| part).to_vec(),
            threads: vec![1, 100, 1000, 8000],
            depth: 30,
            runs: 5,
            slow_runs: 3,
            rounds: 10,
            seconds: 3,
            write: false,
        };
        let mut arguments = arguments.iter();
        while let Some(option) = arguments.next() {
            if option == "--write" {
                options.write = true;
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("`{option}` needs a value, or is unknown"))?;
            match option.as_str() {
                "--only" => options.parts = value.split(',').map(part).collect::<Result<_, _>>()?,
                "--threads" => options.threads = value.split(',').map(number).collect::<Result<_, _>>()?,
                "--depth" => options.depth = number(value)?,
                "--runs" => options.runs = number(value)?,
                "--slow-runs" => options.slow_runs = number(value)?,
                "--rounds" => options.rounds = number(value)?,
                "--seconds" => options.seconds = number(value)?,
                _ => return Err(format!("unknown option `{option}`")),
            }
        }
        if options.write && options.parts.len() < Part::ALL.len() {
            return Err("`--write` measures everything, so it can't be combined with `--only`".to_owned());
        }
        Ok(options)
    }

    pub(crate) fn wants(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&number| number > 0).ok_or_else(|| format!("`{text}` is not a number above 0"))
}

fn part(name: &str) -> Result<Part, String> {
    let found = Part::ALL.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, part)| part).ok_or_else(|| {
        format!("unknown part `{name}`; expected one of: {}", Part::ALL.map(|(name, _)| name).join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_parsed() {
        let options = parse("--only memory,micro --threads 1,7 --runs 2").unwrap();
        assert_eq!((options.threads, options.runs), (vec![1, 7], 2));
        assert_eq!(options.parts, [Part::Memory, Part::Micro]);
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(
            parse("--only wine").unwrap_err(),
            "unknown part `wine`; expected one of: threads, tasks, memory, handler, micro, masking, throughput"
        );
        assert_eq!(parse("--runs 0").unwrap_err(), "`0` is not a number above 0");
        assert!(parse("--write --only micro").is_err());
        assert!(parse("--faster").is_err());
    }
}
