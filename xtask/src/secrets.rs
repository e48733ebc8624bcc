//! `cargo xtask secrets`: how many planted secrets gmr shows, by family, beside oslo.utils and
//! detect-secrets. The lines are in `secrets/corpus.tsv`; all values are made up.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cargo::root;
use crate::process::on;

const CORPUS: &str = include_str!("secrets/corpus.tsv");
const OTHERS: &str = include_str!("secrets/others.py");

/// What is planted: as people choose passwords, and as programs make keys.
const VALUES: [&str; 3] = ["zebra7412kilo", "Qr82-kLm0-xT91", "correct-horse-42"];

/// Lines around the table in the page.
const MARKS: (&str, &str) = ("<!-- cargo xtask secrets --write -->\n", "<!-- end -->");

/// One planted line.
struct Case {
    family: &'static str,
    how: &'static str,
    key: &'static str,
    value: String,
    /// What must not be shown; empty if all must be.
    secret: String,
}

impl Case {
    /// The line as a log or a configuration file would have it, for tools that see only text.
    fn line(&self) -> String {
        match self.how {
            "field" => format!("{} = {}", self.key, self.value),
            "arguments" => self.value.replace('|', " "),
            _ => self.value.clone(),
        }
    }

    fn shown_by_gmr(&self) -> String {
        match self.how {
            "field" => format!("{} = {}", self.key, gmr_mask::field(self.key, &self.value)),
            "arguments" => {
                let arguments: Vec<String> = self.value.split('|').map(str::to_owned).collect();
                gmr_mask::arguments(&arguments).join(" ")
            }
            "json" => {
                let value: Value = serde_json::from_str(&self.value).expect("the corpus has valid JSON");
                let shown = gmr_mask::to_value(&value).expect("JSON can be serialized");
                serde_json::to_string(&shown).expect("it is JSON again")
            }
            _ => gmr_mask::text(&self.value).into_owned(),
        }
    }

    /// Whether the tool that leaves this is wrong: a secret is shown, or something else is not.
    fn is_wrong(&self, left: &str) -> bool {
        if self.secret.is_empty() { left != self.line() } else { left.contains(&self.secret) }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for line in CORPUS.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default();
        let (family, how, key, template) = (next(), next(), next(), next());
        let template = template.replace("\\n", "\n").replace("\\t", "\t");
        if template.contains("{}") {
            cases.extend(VALUES.iter().map(|secret| Case {
                family,
                how,
                key,
                value: template.replace("{}", secret),
                secret: (*secret).to_owned(),
            }));
        } else {
            // The whole token is planted: its end is the part that must not be shown.
            let secret = if family == "harmless" { "" } else { "0123456789" };
            let secret = if template.contains(secret) { secret } else { &template[template.len() - 10..] };
            cases.push(Case { family, how, key, secret: secret.to_owned(), value: template });
        }
    }
    cases
}

pub(crate) fn run(write: bool) -> Result<(), String> {
    let table = table(&cases())?;
    println!("{table}");
    if !write {
        return Ok(());
    }
    let page = root().join("docs/secrets.md");
    let text = fs::read_to_string(&page).map_err(on("read", &page))?;
    let (before, rest) = text.split_once(MARKS.0).ok_or("docs/secrets.md has no place for the table")?;
    let (_, after) = rest.split_once(MARKS.1).ok_or("docs/secrets.md has no end of the table")?;
    let text = format!("{before}{}{table}{}{after}", MARKS.0, MARKS.1);
    fs::write(&page, text).map_err(on("write", &page))
}

fn table(cases: &[Case]) -> Result<String, String> {
    let others = others(cases)?;
    let mut families: Vec<&str> = Vec::new();
    let mut wrong: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for (case, [oslo, detected]) in cases.iter().zip(&others) {
        if !families.contains(&case.family) {
            families.push(case.family);
        }
        let counts = wrong.entry(case.family).or_default();
        counts[0] += 1;
        counts[1] += usize::from(case.is_wrong(&case.shown_by_gmr()) && !is_same_json(case));
        counts[2] += usize::from(case.is_wrong(oslo));
        counts[3] += usize::from(case.is_wrong(detected));
    }
    let mut table =
        "| family | lines | gmr | oslo.utils | detect-secrets |\n|---|---|---|---|---|\n".to_owned();
    for family in families {
        let [all, gmr, oslo, detected] = wrong[family];
        let what = if family == "harmless" { "masked: " } else { "" };
        let _ = writeln!(table, "| {what}{family} | {all} | {gmr} | {oslo} | {detected} |");
    }
    Ok(table)
}

/// JSON that is harmless can come out in another order.
fn is_same_json(case: &Case) -> bool {
    case.secret.is_empty()
        && case.how == "json"
        && serde_json::from_str::<Value>(&case.shown_by_gmr()).ok() == serde_json::from_str(&case.value).ok()
}

/// What the other tools leave of each line.
fn others(cases: &[Case]) -> Result<Vec<[String; 2]>, String> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let start =
        || Command::new(&python).args(["-c", OTHERS]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = start().map_err(|error| format!("cannot start {python}: {error}"))?;
    let mut input = String::new();
    for case in cases {
        let _ = writeln!(input, "{}", Value::String(case.line()));
    }
    let mut stdin = child.stdin.take().ok_or("no standard input")?;
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(|error| format!("{python}: {error}"))?;
    let _ = writer.join();
    if !output.status.success() {
        return Err(format!(
            "{python} needs the packages oslo.utils and detect-secrets: make a virtual environment with \
             them, and name its Python in the variable PYTHON"
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let pairs: Result<Vec<[String; 2]>, _> = text.lines().map(serde_json::from_str).collect();
    pairs.map_err(|error| format!("{python}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A word with a number at its end, such as `correct-horse-42`, looks like the name of
    /// something, and is shown where nothing but its look could tell.
    #[test]
    fn few_lines_are_judged_wrongly() {
        let cases = cases();
        assert!(cases.len() > 150, "{}", cases.len());
        let wrong = cases.iter().filter(|case| case.is_wrong(&case.shown_by_gmr()) && !is_same_json(case));
        let wrong: Vec<_> = wrong.filter(|case| case.family != "nothing says so").collect();
        let lines: Vec<_> = wrong.iter().map(|case| case.line()).collect();
        assert!(wrong.iter().all(|case| case.family != "harmless"), "{lines:#?}");
        assert!(lines.len() * 20 <= cases.len(), "{lines:#?}");
    }
}
