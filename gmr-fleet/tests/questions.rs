//! `gmr fleet`: its answers, which are compared with those of `DuckDB` and `ClickHouse`, and what it
//! says if it has none.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::clickhouse;
use crate::documents::Documents;
use crate::duckdb::{asked, question};
use crate::planted::{self, HOSTILE, section};
use crate::program::{Done, column, file, files, fleet, folder, reports, ship};
use crate::service::reports_of;

/// Asks the tables.
fn ask(question: &str, tables: &Path, arguments: &[&str]) -> Done {
    let tables = tables.display().to_string();
    fleet(&[&["fleet", question, &tables], arguments].concat())
}

/// The rows of an answer.
#[track_caller]
pub(crate) fn rows(question: &str, tables: &Path, arguments: &[&str]) -> Vec<Value> {
    let output = ask(question, tables, &[arguments, &["--json"]].concat()).well();
    serde_json::from_str(&output).expect("a list")
}

/// The bytes of all files below a folder.
fn contents(tables: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = files(tables).into_values().flatten();
    paths.map(|path| (path.clone(), fs::read(path).expect("it is there"))).collect()
}

/// On a loaded machine, a process has some.
fn without_findings(report: &str) -> String {
    let mut report: Value = serde_json::from_str(report).expect("JSON");
    report["findings"] = json!([]);
    report.to_string()
}

/// Nothing in it is a command to a terminal.
#[track_caller]
fn is_printable(text: &str) {
    assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text:?}");
}

#[test]
fn the_answers_are_those_that_were_planted_and_those_of_duckdb() {
    let tables = planted::tables(&folder("planted"));
    let before = contents(&tables);
    let stacks = rows("stacks", &tables, &[]);
    let place = planted::packing(&stacks)["place_id"].as_str().expect("an id").to_owned();
    let answers = [
        stacks,
        rows("stacks", &tables, &["--by", "version"]),
        rows("stacks", &tables, &["--by", "host"]),
        rows("findings", &tables, &[]),
        rows("diff", &tables, &["version=1.0", "version=1.1"]),
        rows("outliers", &tables, &[]),
        rows("trend", &tables, &["--place", &place[..12]]),
    ];
    planted::check(&answers);
    // Each version has an hour of its own.
    let times = rows("diff", &tables, &["time=2026-01-02T03", "time=2026-01-02T04:00..2026-01-02T04:59"]);
    assert_eq!(times, answers[4]);
    assert!(contents(&tables) == before, "it has changed the tables");

    let variables = json!({
        "older_version": "1.0", "newer_version": "1.1", "seconds": "3600", "place": place[..12],
    });
    let names = [
        "stacks",
        "stacks-by-version",
        "stacks-by-host",
        "findings",
        "diff",
        "outliers",
        "trend",
        "versions",
        "findings-by-version",
    ];
    let Some(of_duckdb) = asked(&tables, &variables, &names) else { return };
    let others = ["versions", "findings-by-version"].map(|name| {
        let sql = fs::read_to_string(question(name)).expect("the file");
        rows("sql", &tables, &[&sql])
    });
    for ((answer, theirs), name) in answers.iter().chain(&others).zip(&of_duckdb).zip(names) {
        assert_eq!(answer, theirs, "{name}");
    }
    planted::check(&of_duckdb[..7]);
    let variables = json!({
        "older_from": "2026-01-01T00:00:00Z", "older_to": "2026-01-02T00:00:00Z", "newer_host": "host31",
    });
    let of_duckdb = asked(&tables, &variables, &["diff"]).expect("it is there");
    let mixed = rows("diff", &tables, &["time=2026-01-01", "host=host31"]);
    assert_eq!((mixed.len(), &mixed), (1, &of_duckdb[0]));
}

#[test]
fn the_text_has_what_matters_first() {
    let folder = folder("text");
    let tables = folder.join("[a-z] *?");
    fs::rename(planted::tables(&folder), &tables).expect("renamed");
    let stacks = ask("stacks", &tables, &["--top", "3"]).well();
    assert!(stacks.starts_with("40 processes on 40 hosts: 20 shop 1.0, 20 shop 1.1\n\nPlaces\n"), "{stacks}");
    assert!(stacks.contains(" threads; 20 of 20 shop 1.0, 20 of 20 shop 1.1 (place "), "{stacks}");
    assert!(stacks.contains("; --top shows more\n"), "{stacks}");
    let hosts = ask("stacks", &tables, &["--by", "host", "--service", "shop"]).well();
    assert!(hosts.contains("; 1 host0, 1 host1, 1 host10, 1 host11, 36 more (place "), "{hosts}");
    let findings = ask("findings", &tables, &[]).well();
    assert!(findings.contains("  error: 0 orders are lost; DROP TABLE reports\n"), "{findings}");
    assert!(findings.contains("      in 10 of 40 processes on 10 hosts with other numbers\n"), "{findings}");
    let diff = ask("diff", &tables, &["version=1.0", "version=1.1"]).well();
    assert!(diff.starts_with("version=1.0: 20 processes\nversion=1.1: 20 processes\n"), "{diff}");
    assert!(diff.contains("  20 of 20 processes, now 10 of 20 processes: threads (place "), "{diff}");
    let outliers = ask("outliers", &tables, &[]).well();
    assert!(
        outliers.contains("  host7, shop 1.0: at a place of 1 of 20: shop::'; SELECT 1; --"),
        "{outliers}"
    );
    assert!(outliers.contains("  host7, shop 1.0: 100 threads; the median is "), "{outliers}");
    let waits = "  host12, shop 1.0: a task checkout has been waiting for 600000 ms; the median is ";
    assert!(outliers.contains(waits), "{outliers}");
    let report = column(&tables, "reports", "report_id").into_iter().flatten();
    assert!(
        report.filter(|id| outliers.contains(&format!("      report {id}\n"))).count() == 2,
        "{outliers}"
    );
    let trend = ask("trend", &tables, &["--top", "2"]).well();
    assert!(!trend.contains("2026-01-01") && trend.contains("\n2026-01-02T03:00:00Z "), "{trend}");
    assert!(trend.ends_with("  ... 1 earlier step; --top shows more\n"), "{trend}");
    let sql = ask("sql", &tables, &["SELECT host, pid, NULL AS none FROM latest ORDER BY pid", "--top", "2"]);
    assert_eq!(
        sql.well(),
        "host   pid  none\nhost0  100\nhost1  101\n  ... 38 more rows; --top shows more\n"
    );
    for text in [stacks, hosts, findings, diff, outliers, trend] {
        is_printable(&text);
    }
}

#[test]
fn what_is_in_reports_and_arguments_is_data() {
    let folder = folder("hostile");
    let (from, to) = (folder.join("in"), folder.join("out"));
    fs::create_dir(&from).expect("a folder");
    let (mut documents, report) = (Documents::new(7), reports_of("1.0", 1, 4).remove(0));
    let [older, newer] = ["'; DROP TABLE reports; --", "<script>alert(1)</script>"];
    for index in 0..40 {
        file(&from, &format!("{index}.json"), documents.next().to_string());
        // What a process has sent, and somebody has edited.
        let version = if index % 2 == 0 { older } else { newer };
        let mut edited: Value = serde_json::from_str(&report).expect("JSON");
        edited["heading"]["pid"] = index.into();
        edited["frames"][index]["function"] = HOSTILE.into();
        section(&mut edited, "package")["version"] = version.into();
        file(&from, &format!("edited-{index}.json"), edited.to_string());
    }
    ship(&from, &to);
    let names = ["stacks", "stacks-by-version", "stacks-by-host", "findings", "diff", "outliers", "trend"];
    let sides = [format!("version={older}"), format!("version={newer}")];
    let sides = [&*sides[0], &*sides[1]];
    let asked_for: [(&str, &[&str]); 7] = [
        ("stacks", &[]),
        ("stacks", &["--by", "version"]),
        ("stacks", &["--by", "host"]),
        ("findings", &[]),
        ("diff", &sides),
        ("outliers", &[]),
        ("trend", &["--every", "1d"]),
    ];
    let answers = asked_for.map(|(question, arguments)| rows(question, &to, arguments));
    assert!(
        answers.iter().zip(names).all(|(rows, name)| name == "outliers" || !rows.is_empty()),
        "{answers:?}"
    );
    for (question, arguments) in asked_for {
        is_printable(&ask(question, &to, arguments).well());
    }
    is_printable(&ask("sql", &to, &["SELECT * FROM reports, threads LIMIT 100", "--top", "100"]).well());
    // Nothing of what is given is SQL.
    for version in ["x' OR '1'='1", "x'; COPY reports TO '/tmp/x'; --", HOSTILE] {
        let side = format!("version={version}");
        let error = ask("diff", &to, &[&side, sides[1]]).failed(1);
        assert!(error.contains("there is no report with version="), "{error}");
        is_printable(&error);
    }
    // What there is instead is said.
    for (side, said) in [
        ("version=none of them", "; there are "),
        ("host=none of them", "; there are "),
        ("time=2010-01-01", "; they are from 20"),
    ] {
        let error = ask("diff", &to, &[side, sides[1]]).failed(1);
        assert!(error.contains(&format!("there is no report with {side} in ")), "{error}");
        assert!(error.contains(said), "{error}");
        is_printable(&error);
    }
    let error = ask("stacks", &to, &["--service", "x' OR '1'='1"]).failed(1);
    assert!(error.contains("no such reports"), "{error}");
    assert!(ask("trend", &to, &["--place", "' OR 1=1"]).failed(2).contains("place_id"));
    assert!(ask("stacks", &to, &["--date", "2026-01-01' OR '1'='1"]).failed(2).contains("expected a date"));
    let variables = json!({ "older_version": older, "newer_version": newer, "seconds": "86400" });
    let Some(of_duckdb) = asked(&to, &variables, &names) else { return };
    let parameters = [("older", sides[0]), ("newer", sides[1]), ("seconds", "86400"), ("place", "")];
    let of_clickhouse = clickhouse::asked(&to, &parameters, &names).expect("it is there");
    for theirs in [of_duckdb, of_clickhouse] {
        for ((answer, theirs), name) in answers.iter().zip(&theirs).zip(names) {
            assert_eq!(answer, theirs, "{name}");
        }
    }
}

#[test]
fn sql_only_reads_and_only_the_tables() {
    let folder = folder("sql");
    let (from, to) = (folder.join("in"), folder.join("out"));
    fs::create_dir(&from).expect("a folder");
    file(&from, "0.json", without_findings(&reports_of("1.0", 1, 4)[0]));
    ship(&from, &to);
    let before = contents(&to);
    let target = folder.join("target").display().to_string();
    let other = files(&to)["reports"][0].display().to_string();
    for statement in [
        format!("COPY reports TO '{target}' STORED AS CSV"),
        format!("COPY (SELECT 1) TO '{target}' STORED AS PARQUET"),
        format!("EXPLAIN ANALYZE COPY reports TO '{target}' STORED AS CSV"),
        format!("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{other}'"),
        "CREATE TABLE t AS SELECT 1".to_owned(),
        "CREATE OR REPLACE VIEW reports AS SELECT 1".to_owned(),
        "INSERT INTO reports SELECT * FROM reports".to_owned(),
        "INSERT INTO all_places SELECT * FROM all_places".to_owned(),
        "EXPLAIN ANALYZE INSERT INTO all_places SELECT * FROM all_places".to_owned(),
        "DELETE FROM reports".to_owned(),
        "UPDATE reports SET pid = 1".to_owned(),
        "DROP VIEW latest".to_owned(),
        "SET datafusion.execution.batch_size = 1".to_owned(),
        "SELECT 1; SELECT 2".to_owned(),
        format!("SELECT * FROM '{other}'"),
        "SELECT * FROM '/etc/passwd'".to_owned(),
        "SELECT * FROM nothing".to_owned(),
        "SELECT \u{1b}[2J".to_owned(),
        String::new(),
    ] {
        let error = ask("sql", &to, &[&statement]).failed(1);
        assert!(error.starts_with("gmr-fleet: ") && error.lines().count() == 1, "{statement}: {error}");
        is_printable(&error);
    }
    for (sql, name) in [("SELECT * FROM nothing", "'nothing'"), ("SELECT pit FROM reports", "pit")] {
        let error = ask("sql", &to, &[sql]).failed(1);
        assert!(error.contains(name) && error.contains("; `gmr fleet tables` lists"), "{error}");
    }
    assert!(contents(&to) == before, "the tables have changed");
    assert!(!Path::new(&target).exists());
    // Of each type that there is.
    for (name, _) in files(&to) {
        let all = rows("sql", &to, &[&format!("SELECT * FROM {name} LIMIT 5")]);
        assert_eq!(all.is_empty(), matches!(&*name, "findings" | "spans" | "tasks"), "{name}: {all:?}");
    }
    let row = rows("sql", &to, &["SELECT r.report_id, made_at, r.service, r.date, tid, (SELECT min(frames[1]['module']) \
        FROM stacks) AS module, CAST('NaN' AS DOUBLE) AS none FROM reports AS r JOIN threads USING (report_id) \
        ORDER BY tid LIMIT 1"]).remove(0);
    assert_eq!(row["report_id"], *reports(&to)[0]);
    let time = row["made_at"].as_str().expect("a time");
    assert!(time.starts_with(row["date"].as_str().expect("a date")), "{row}");
    assert_eq!((&row["service"], &row["none"]), (&json!("shop"), &Value::Null));
    assert!(row["module"].is_string() && row["tid"].is_u64(), "{row}");
    assert_eq!(rows("sql", &to, &["SELECT pid FROM reports WHERE pid = 0"]), Vec::<Value>::new());
    assert!(ask("sql", &to, &["SELECT pid FROM reports WHERE pid = 0"]).well().contains("no rows"));
    assert_eq!(ask("sql", &to, &["--json", "-- all of them\nSELECT 1 AS one"]).well(), "[\n{\"one\":1}\n]\n");
}

#[test]
fn folders_of_other_services_and_dates_are_not_read() {
    let folder = folder("pruned");
    let tables = planted::tables(&folder);
    // What is in the files of the later date can't be read; their ends can.
    let of_later = |path: &&PathBuf| path.display().to_string().contains("date=2026-01-02");
    for damaged in files(&tables)["threads"].iter().filter(of_later) {
        let mut open = File::options().write(true).open(damaged).expect("it is there");
        open.seek(SeekFrom::Start(4)).expect("it is long enough");
        open.write_all(&[0xff; 2_000]).expect("written");
    }
    for arguments in [&[][..], &["--date", "2026-01-02"], &["--service", "shop"]] {
        let error = ask("stacks", &tables, arguments).failed(1);
        assert!(error.contains("threads.parquet") && error.contains("date=2026-01-02"), "{error}");
        assert!(error.contains("; move ") && error.contains(" away to go on"), "{error}");
    }
    let of_day = rows("stacks", &tables, &["--date", "2026-01-01", "--service", "shop"]);
    assert_eq!(planted::packing(&of_day)["count"], 6);
    assert_eq!(rows("stacks", &tables, &["--date", "2025-12-31..2026-01-01"]), of_day);
    // SQL that names the partition reads no more, either.
    let sql =
        "SELECT count(DISTINCT name) AS names FROM threads WHERE service = 'shop' AND date < '2026-01-02'";
    assert!(rows("sql", &tables, &[sql])[0]["names"].as_u64().is_some_and(|names| names >= 24));
    assert!(
        ask("sql", &tables, &["SELECT count(DISTINCT name) FROM threads"])
            .failed(1)
            .contains("threads.parquet")
    );
    let error = ask("stacks", &tables, &["--service", "other"]).failed(1);
    assert!(error.contains("no such reports") && error.contains("it has those of shop"), "{error}");
    let error = ask("stacks", &tables, &["--date", "2026-01-03"]).failed(1);
    assert!(
        error.contains("no such reports") && error.contains("of shop, from 2026-01-01 to 2026-01-02"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_read_is_named_with_what_to_do() {
    let folder = folder("broken");
    let (from, to) = (folder.join("in"), folder.join("out"));
    assert!(ask("stacks", &to, &[]).failed(1).contains("is not a folder"));
    fs::create_dir(&to).expect("a folder");
    let error = ask("findings", &to, &[]).failed(1);
    assert!(error.contains("there are no tables in ") && error.contains("`gmr ship "), "{error}");
    fs::create_dir(&from).expect("a folder");
    file(&from, "0.json", without_findings(&reports_of("1.0", 1, 4)[0]));
    // Reports instead of tables.
    let error = ask("findings", &from, &[]).failed(1);
    assert!(error.contains(&format!("`gmr ship {} TABLES` makes tables", from.display())), "{error}");
    ship(&from, &to);
    // No findings, and too few processes for outliers.
    assert_eq!(rows("findings", &to, &[]), Vec::<Value>::new());
    assert!(ask("findings", &to, &[]).well().ends_with("\nFindings\n  none\n"));
    assert!(ask("outliers", &to, &[]).well().ends_with("Outliers\n  none\n"));
    let same = ["version=1.0", "version=1.0"];
    assert_eq!(rows("diff", &to, &same), Vec::<Value>::new());
    assert!(ask("diff", &to, &same).well().ends_with("  none\n"));
    let error = ask("diff", &to, &["version=1.0", "version=2.0"]).failed(1);
    assert!(error.contains("no report with version=2.0 in ") && error.contains("there are 1.0"), "{error}");
    assert!(ask("diff", &to, &["host=x", "version=1.0"]).failed(1).contains("no report with host=x"));
    assert!(ask("diff", &to, &["1.0", "2.0"]).failed(2).contains("expected `version=1.1`"));
    assert!(ask("diff", &to, &["version=1.0"]).failed(2).contains("NEWER"));
    assert!(ask("trend", &to, &["--every", "500ms"]).failed(2).contains("whole seconds"));
    for table in ["reports", "threads", "places"] {
        let path = files(&to)[table][0].clone();
        let bytes = fs::read(&path).expect("it is there");
        for broken in [&b""[..], &bytes[..bytes.len() / 2], b"PAR1PAR1"] {
            fs::write(&path, broken).expect("written");
            let error = ask("stacks", &to, &[]).failed(1);
            assert!(error.contains(&format!("{table}.parquet")) && error.contains("move "), "{error}");
        }
        fs::remove_file(&path).expect("it is there");
        let error = ask("stacks", &to, &[]).failed(1);
        assert!(error.contains(&format!("{table}.parquet")) && error.contains("move "), "{error}");
        fs::write(&path, bytes).expect("written");
    }
    assert!(!rows("stacks", &to, &[]).is_empty());
}

#[test]
fn memory_is_limited() {
    let tables = planted::tables(&folder("memory"));
    let sql = "SELECT array_agg(a.name || b.report_id || b.stack_id || b.place_id) AS all FROM threads AS a CROSS JOIN threads AS b";
    let error = ask("sql", &tables, &[sql, "--max-mib", "64"]).failed(1);
    assert!(error.contains("more than 64 MiB") && error.contains("--max-mib"), "{error}");
    // What can be put aside is.
    assert!(!rows("stacks", &tables, &["--max-mib", "64"]).is_empty());
}

#[test]
fn many_places_take_little_memory() {
    let (from, to) = (folder("many-places-in"), folder("many-places"));
    let report: Value = serde_json::from_str(&reports_of("1.0", 1, 40)[0]).expect("JSON");
    let mut places = 0;
    for index in 0..40 {
        // Each thread in a function of its own, as in processes of many builds without symbols.
        let mut report = planted::of_process(&report, index, "1.0");
        let mut frames = report["frames"].as_array().expect("frames").clone();
        for thread in section(&mut report, "threads")["threads"].as_array_mut().expect("threads") {
            let Some(stack) = thread["stack"]["frames"].as_array_mut() else { continue };
            places += 1;
            let mut frame = frames[0].clone();
            frame["function"] = format!("shop::function_{places}").into();
            stack.insert(0, frames.len().into());
            frames.push(frame);
        }
        report["frames"] = frames.into();
        file(&from, &format!("{index}.json"), report.to_string());
    }
    ship(&from, &to);
    assert!(places > 1_600, "{places}");
    // gmr's own threads are at one place, whatever functions they are in.
    let distinct = rows("sql", &to, &["SELECT count(DISTINCT place_id) AS places FROM threads"]);
    let stacks = rows("stacks", &to, &["--max-mib", "64"]);
    assert!(stacks.len() > 1_600, "{} of {places}", stacks.len());
    assert_eq!(distinct[0]["places"].as_u64(), u64::try_from(stacks.len()).ok());
    let all = rows("sql", &to, &["SELECT count(*) AS count FROM stacks", "--max-mib", "64"]);
    assert!(all[0]["count"].as_u64() >= u64::try_from(places).ok(), "{all:?}");
}
