//! The questions: for each, the SQL that answers it, and who shows the answer. `DuckDB` reads the same
//! SQL. It is never put together: what a user gives is a variable.

use arrow::array::RecordBatch;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::args::{By, Diff, Of, Plain, Side, Sql, Stacks, Trend};
use crate::engine::{Engine, Variables};
use crate::rows::{Row, Value, Writer};
use crate::shown;
use crate::store::Location;

pub(crate) const VERSIONS: &str = include_str!("sql/versions.sql");
pub(crate) const STACKS: &str = include_str!("sql/stacks.sql");
pub(crate) const STACKS_BY_VERSION: &str = include_str!("sql/stacks-by-version.sql");
const STACKS_BY_HOST: &str = include_str!("sql/stacks-by-host.sql");
pub(crate) const FINDINGS: &str = include_str!("sql/findings.sql");
pub(crate) const FINDINGS_BY_VERSION: &str = include_str!("sql/findings-by-version.sql");
/// What there is instead of a side that has no reports: texts in a column `name`.
const HOSTS: &str = "SELECT DISTINCT host AS name FROM latest WHERE host IS NOT NULL ORDER BY host";
const KNOWN_VERSIONS: &str =
    "SELECT DISTINCT version AS name FROM latest WHERE version IS NOT NULL ORDER BY version";
const TIMES: &str = "SELECT to_char(made_at, '%Y-%m-%dT%H:%M:%SZ') AS name FROM ( \
    SELECT min(made_at) AS made_at FROM reports UNION ALL SELECT max(made_at) FROM reports \
    ) WHERE made_at IS NOT NULL ORDER BY made_at";
const SIDES: &str = include_str!("sql/sides.sql");
const DIFF: &str = include_str!("sql/diff.sql");
const OUTLIERS: &str = include_str!("sql/outliers.sql");
const TREND: &str = include_str!("sql/trend.sql");

pub(crate) fn stacks(args: &Stacks) -> Result<(), String> {
    let engine = Engine::open(&args.from, Variables::new())?;
    if args.shown.json {
        let sql = match args.by {
            None => STACKS,
            Some(By::Version) => STACKS_BY_VERSION,
            Some(By::Host) => STACKS_BY_HOST,
        };
        return json(&engine, sql);
    }
    let versions: Vec<shown::Running> = rows(&engine, VERSIONS)?;
    let places = rows(&engine, STACKS)?;
    let parts = match args.by {
        Some(By::Host) => shown::Parts::Hosts(rows(&engine, STACKS_BY_HOST)?),
        // One version is in the first line.
        None if versions.len() < 2 => shown::Parts::None,
        None | Some(By::Version) => shown::Parts::Versions(rows(&engine, STACKS_BY_VERSION)?),
    };
    shown::stacks(&versions, &places, parts, args.shown.top).print()
}

pub(crate) fn findings(args: &Plain) -> Result<(), String> {
    let engine = Engine::open(&args.from, Variables::new())?;
    if args.shown.json {
        return json(&engine, FINDINGS);
    }
    shown::findings(&rows(&engine, VERSIONS)?, &rows(&engine, FINDINGS)?, args.shown.top).print()
}

pub(crate) fn diff(args: &Diff) -> Result<(), String> {
    let mut variables = Variables::new();
    set(&mut variables, &args.older, ["older_version", "older_host", "older_from", "older_to"]);
    set(&mut variables, &args.newer, ["newer_version", "newer_host", "newer_from", "newer_to"]);
    let engine = Engine::open(&args.from, variables)?;
    let sides: Vec<shown::Sides> = rows(&engine, SIDES)?;
    let sides = sides.first().ok_or("the engine has not counted the reports")?;
    for (side, reports) in [(&args.older, sides.older), (&args.newer, sides.newer)] {
        if reports == 0 {
            return Err(missing(&engine, side, &args.from.tables)?);
        }
    }
    if args.shown.json {
        return json(&engine, DIFF);
    }
    let names = [&*args.older.text, &*args.newer.text];
    shown::diff(names, sides, &rows(&engine, DIFF)?, args.shown.top).print()
}

fn set(variables: &mut Variables, side: &Side, names: [&'static str; 4]) {
    let [version, host, from, to] = names;
    match side.of.clone() {
        Of::Version(value) => drop(variables.insert(version, value)),
        Of::Host(value) => drop(variables.insert(host, value)),
        Of::Time(begin, end) => variables.extend([(from, begin), (to, end)]),
    }
}

/// That a side has no reports, and what there is.
fn missing(engine: &Engine, side: &Side, tables: &Location) -> Result<String, String> {
    const MAX_NAMED: usize = 10;
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let names = |sql| -> Result<Vec<String>, String> {
        Ok(rows(engine, sql)?.into_iter().map(|named: Named| named.name).collect())
    };
    let listed = |what: &str, names: &[String]| match names.len().checked_sub(MAX_NAMED) {
        _ if names.is_empty() => format!("no report has {what}"),
        None | Some(0) => format!("there are {}", names.join(", ")),
        Some(more) => format!("there are {} and {more} more", names[..MAX_NAMED].join(", ")),
    };
    let there = match side.of {
        Of::Version(_) => listed("a version", &names(KNOWN_VERSIONS)?),
        Of::Host(_) => listed("a host", &names(HOSTS)?),
        Of::Time(..) => match &names(TIMES)?[..] {
            [first, last] => format!("they are from {first} to {last}"),
            _ => "no report has a time".to_owned(),
        },
    };
    Ok(format!("there is no report with {} in {tables}; {there}", side.text))
}

pub(crate) fn outliers(args: &Plain) -> Result<(), String> {
    let engine = Engine::open(&args.from, Variables::new())?;
    if args.shown.json {
        return json(&engine, OUTLIERS);
    }
    shown::outliers(&rows(&engine, OUTLIERS)?, args.shown.top).print()
}

pub(crate) fn trend(args: Trend) -> Result<(), String> {
    let has_place = args.place.is_some();
    let seconds = ("seconds", args.every.as_secs().to_string());
    let place = args.place.map(|place| ("place", place));
    let engine = Engine::open(&args.from, [seconds].into_iter().chain(place).collect())?;
    if args.shown.json {
        return json(&engine, TREND);
    }
    shown::trend(&rows(&engine, TREND)?, has_place, args.shown.top).print()
}

pub(crate) fn sql(args: &Sql) -> Result<(), String> {
    let engine = Engine::open(&args.from, Variables::new())?;
    if args.shown.json {
        return json(&engine, &args.query);
    }
    let (mut names, mut shown, mut count) = (Vec::new(), Vec::new(), 0);
    engine.ask(&args.query, |batch| {
        names = batch.schema_ref().fields().iter().map(|field| field.name().clone()).collect();
        count += batch.num_rows();
        for index in 0..batch.num_rows().min(args.shown.top - shown.len()) {
            shown.push(cells(batch, index)?);
        }
        Ok(true)
    })?;
    shown::table(&names, &shown, count).print()
}

/// A row as text.
fn cells(batch: &RecordBatch, index: usize) -> Result<Vec<String>, String> {
    let text = |value| match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text,
        value => value.to_string(),
    };
    let cell = |column| serde_json::to_value(Value { array: column, index }).map(text);
    let cells = batch.columns().iter().map(|column| cell(column)).collect::<Result<_, _>>();
    cells.map_err(|error| error.to_string())
}

/// Prints all rows.
fn json(engine: &Engine, sql: &str) -> Result<(), String> {
    let mut writer = Writer::new();
    engine.ask(sql, |batch| writer.write(batch))?;
    writer.end()
}

/// All rows.
pub(crate) fn rows<T: DeserializeOwned>(engine: &Engine, sql: &str) -> Result<Vec<T>, String> {
    let mut rows = Vec::new();
    engine.ask(sql, |batch| {
        for index in 0..batch.num_rows() {
            let row = serde_json::to_value(Row { batch, index }).and_then(serde_json::from_value);
            rows.push(row.map_err(|error| format!("the tables have an unexpected value: {error}"))?);
        }
        Ok(true)
    })?;
    Ok(rows)
}
