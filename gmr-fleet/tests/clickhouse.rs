//! `ClickHouse`, which is asked the same questions as `gmr fleet`, by the SQL in `docs/fleet/clickhouse`:
//! over the files in a folder and in object storage, over tables that have taken them in, and over two
//! shards, also by `s3Cluster`. `GMR_TEST_PYTHON` is a Python that has the module `chdb`, which is the engine in a process.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::duckdb::question;
use crate::planted;
use crate::program::{command, done, file, files, folder};
use crate::questions::rows;
use crate::s3::{Server, access};

/// Runs statements in one session, and prints the rows of those that are questions as JSON.
const SCRIPT: &str = r#"
import json, os, sys
import chdb
told = json.load(sys.stdin)
os.chdir(told["directory"])
session = chdb.connect(":memory:" + told["arguments"])
def rows(sql):
    answer = json.loads(str(session.query(sql, "JSONCompact")))
    names = [column["name"] for column in answer["meta"]]
    # In JSON, a floating-point number can look like an integer.
    kinds = [float if "Float64" in column["type"] else lambda value: value for column in answer["meta"]]
    def row(values):
        return {name: None if value is None else kind(value) for name, kind, value in zip(names, kinds, values)}
    return [row(values) for values in answer["data"]]
answers = []
for sql, is_question in told["steps"]:
    if is_question:
        answers.append(rows(sql))
    else:
        session.query(sql)
json.dump(answers, sys.stdout)
sys.stdout.flush()
# Without the engine's own end, which waits for views that are refreshed.
os._exit(0)
"#;

/// A part of the engine behind the protocol of `ClickHouse`.
const SHARD: &str = include_str!("clickhouse/shard.py");

/// The questions, and how `gmr fleet` is asked them. `trend` is asked without a place.
const QUESTIONS: [(&str, &str, &[&str]); 7] = [
    ("stacks", "stacks", &[]),
    ("stacks-by-version", "stacks", &["--by", "version"]),
    ("stacks-by-host", "stacks", &["--by", "host"]),
    ("findings", "findings", &[]),
    ("diff", "diff", &["version=1.0", "version=1.1"]),
    ("outliers", "outliers", &[]),
    ("trend", "trend", &[]),
];

/// What `gmr fleet` has an answer to only as a part of others.
const PARTS: [&str; 2] = ["versions", "findings-by-version"];

/// The parameters of the questions.
const PARAMETERS: [(&str, &str); 4] =
    [("older", "version=1.0"), ("newer", "version=1.1"), ("seconds", "3600"), ("place", "")];

/// A session with the engine.
#[derive(Default)]
struct Session {
    arguments: String,
    steps: Vec<(String, bool)>,
}

impl Session {
    /// With a cluster `default` of these shards.
    fn of_cluster(directory: &Path, shards: &[Shard]) -> Self {
        let replica = |shard: &Shard| {
            let Shard { port, .. } = shard;
            // The shards have as much of the protocol as that needs.
            let replica = format!("<host>127.0.0.1</host><port>{port}</port><compression>0</compression>");
            format!("<shard><replica>{replica}</replica></shard>")
        };
        let cluster = shards.iter().map(replica).collect::<String>();
        let servers = format!("<remote_servers><default>{cluster}</default></remote_servers>");
        let config = file(directory, "config.xml", format!("<clickhouse>{servers}</clickhouse>"));
        Self { arguments: format!("?config-file={config}"), ..Self::default() }
    }

    fn run(&mut self, sql: impl Into<String>) {
        self.steps.push((sql.into(), false));
    }

    fn ask(&mut self, sql: impl Into<String>) {
        self.steps.push((sql.into(), true));
    }

    /// Runs a file of `docs/fleet/clickhouse`.
    fn file(&mut self, name: &str) {
        self.steps.extend(statements(name).into_iter().map(|sql| (sql, false)));
    }

    /// Makes this the database of the questions.
    fn database(&mut self, name: &str) {
        self.run(format!("USE {name}"));
        self.file("views");
    }

    fn set(&mut self, parameters: &[(&str, &str)]) {
        for (name, value) in parameters {
            self.run(format!("SET param_{name} = {}", quoted(value)));
        }
    }

    fn ask_all(&mut self) {
        self.set(&PARAMETERS);
        for name in QUESTIONS.map(|(name, ..)| name).into_iter().chain(PARTS) {
            self.ask(text(name));
        }
    }

    fn answers(&self, python: &OsString, directory: &Path) -> Vec<Vec<Value>> {
        let told = json!({ "directory": directory, "arguments": self.arguments, "steps": self.steps });
        let mut command = Command::new(python);
        command.arg("-c").arg(SCRIPT);
        serde_json::from_str(&done(command, told.to_string().as_bytes()).well()).expect("JSON")
    }
}

/// A file of `docs/fleet/clickhouse`.
fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/fleet/clickhouse");
    fs::read_to_string(path.join(format!("{name}.sql"))).expect("the file")
}

fn statements(name: &str) -> Vec<String> {
    // None of the files has a semicolon at the end of a line elsewhere.
    let parts = text(name).split(";\n").map(str::to_owned).collect::<Vec<_>>();
    let is_comment = |part: &String| part.lines().all(|line| line.is_empty() || line.starts_with("--"));
    parts.into_iter().filter(|part| !is_comment(part)).collect()
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The Python with the engine. `None` where there is none, which is said.
fn python() -> Option<OsString> {
    let python = std::env::var_os("GMR_TEST_PYTHON");
    if python.is_none() {
        assert!(std::env::var_os("CI").is_none(), "`CI` is set, and GMR_TEST_PYTHON is not");
        eprintln!("skipped: GMR_TEST_PYTHON is not set");
    }
    python
}

/// A directory with the tables as `files.sql` expects them.
fn directory(tables: &Path) -> PathBuf {
    let directory = tables.with_file_name("clickhouse");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).expect("a directory");
    symlink(tables, directory.join("tables")).expect("a link");
    directory
}

/// The answers to questions over files.
pub(crate) fn asked(
    tables: &Path,
    parameters: &[(&str, &str)],
    questions: &[&str],
) -> Option<Vec<Vec<Value>>> {
    let python = python()?;
    let mut session = Session::default();
    session.file("files");
    session.database("files");
    session.set(parameters);
    for name in questions {
        session.ask(text(name));
    }
    Some(session.answers(&python, &directory(tables)))
}

/// What `gmr fleet` answers.
fn expected(tables: &Path) -> Vec<Vec<Value>> {
    let ask = |(_, question, arguments): (_, _, &[&str])| rows(question, tables, arguments);
    let part = |name| rows("sql", tables, &[&fs::read_to_string(question(name)).expect("the file")]);
    QUESTIONS.map(ask).into_iter().chain(PARTS.map(part)).collect()
}

#[track_caller]
fn are_as_expected(answers: &[Vec<Value>], expected: &[Vec<Value>]) {
    assert_eq!(answers.len(), expected.len());
    let names = QUESTIONS.iter().map(|(name, ..)| *name).chain(PARTS);
    for ((answer, expected), name) in answers.iter().zip(expected).zip(names) {
        assert!(!expected.is_empty(), "{name}");
        assert_eq!(answer, expected, "{name}");
    }
}

/// The names of the tables' files, and of what has their rows.
fn tables_and_views(tables: &Path) -> Vec<(String, String)> {
    let view = |name: &str| match name {
        "stacks" | "places" => format!("all_{name}"),
        name => name.to_owned(),
    };
    let names: Vec<_> = files(tables).into_keys().map(|name| (name.clone(), view(&name))).collect();
    assert_eq!(names.len(), 9);
    names
}

#[test]
fn the_answers_over_files_are_those_of_gmr_fleet() {
    let tables = planted::tables(&folder("clickhouse"));
    let (mut expected, names) = (expected(&tables), QUESTIONS.map(|(name, ..)| name));
    let names = [&names[..], &PARTS].concat();
    let Some(answers) = asked(&tables, &PARAMETERS, &names) else { return };
    are_as_expected(&answers, &expected);
    // With the place of those that pack, and by time and host.
    let place = planted::packing(&answers[0])["place_id"].as_str().expect("an id")[..12].to_owned();
    expected[6] = rows("trend", &tables, &["--place", &place]);
    planted::check(&expected[..7]);
    let ask = |older: &str, newer: &str| {
        let parameters = [("older", older), ("newer", newer), ("seconds", "3600"), ("place", &place)];
        asked(&tables, &parameters, &["trend", "diff"]).expect("it is there")
    };
    let day = "time=2026-01-01T00:00:00Z..2026-01-02T00:00:00Z";
    let mixed = ask(day, "host=host31");
    assert_eq!(mixed[0], expected[6]);
    assert_eq!(mixed[1], rows("diff", &tables, &["time=2026-01-01", "host=host31"]));
    // A parameter is a value, whatever is in it.
    for side in ["version=x' OR '1'='1", "version=1.0' --", "1.0", "", "time=2026-01-01", planted::HOSTILE] {
        assert_eq!(ask(side, "version=1.1")[1], Vec::<Value>::new(), "{side}");
    }
}

#[test]
fn the_answers_over_what_was_taken_in_are_the_same() {
    let tables = planted::tables(&folder("clickhouse-taken"));
    let Some(python) = python() else { return };
    let mut session = Session::default();
    session.file("files");
    session.file("tables");
    session.database("gmr");
    session.file("take");
    let refresh = |session: &mut Session, table: &str| {
        session.run(format!("SYSTEM REFRESH VIEW take_{table}"));
        session.run(format!("SYSTEM WAIT VIEW take_{table}"));
    };
    for (table, _) in tables_and_views(&tables).iter().filter(|(table, _)| table != "reports") {
        // What is not in `reports` yet is taken again.
        refresh(&mut session, table);
        refresh(&mut session, table);
    }
    refresh(&mut session, "reports");
    session.ask("SELECT count() AS threads, (SELECT count() FROM reports) AS reports FROM threads");
    session.ask("SELECT count() AS reports FROM latest");
    let directory = directory(&tables);
    let answers = session.answers(&python, &directory);
    let threads = rows("sql", &tables, &["SELECT count(*) AS threads FROM threads"]);
    // What has come just now does not count yet.
    assert_eq!(answers[0], [json!({ "threads": threads[0]["threads"], "reports": 0 })]);
    assert_eq!(answers[1], [json!({ "reports": 0 })]);
    let before = SystemTime::now() - Duration::from_mins(11);
    for path in &files(&tables)["reports"] {
        File::open(path).expect("it is there").set_modified(before).expect("a time");
    }
    // Once more, of which nothing is taken.
    refresh(&mut session, "reports");
    refresh(&mut session, "threads");
    session.ask("SELECT count() AS reports FROM taken_reports");
    session.ask_all();
    let answers = session.answers(&python, &directory);
    assert_eq!(answers[0], [json!({ "threads": threads[0]["threads"], "reports": 41 })]);
    assert_eq!(answers[2], [json!({ "reports": 41 })]);
    are_as_expected(&answers[3..], &expected(&tables));
}

#[test]
fn the_answers_over_object_storage_are_the_same() {
    let folder = folder("clickhouse-s3");
    let tables = planted::tables(&folder);
    let (Some(python), Some(server)) = (python(), Server::start()) else { return };
    let collection = stored(&server, &folder.join("in"));
    let mut session = Session::default();
    session.run(collection);
    session.file("s3");
    session.database("files");
    session.ask_all();
    are_as_expected(&session.answers(&python, &folder), &expected(&tables));
}

/// Ships a folder to object storage, and says what tells the engine where that is.
fn stored(server: &Server, from: &Path) -> String {
    let mut ship = command(&["ship", &from.display().to_string(), "s3://reports/gmr", "--batch", "5"]);
    ship.envs(access(server.port()));
    done(ship, b"").well();
    format!(
        "CREATE NAMED COLLECTION gmr_tables AS url = 'http://127.0.0.1:{}/reports/gmr/', \
            access_key_id = 'test', secret_access_key = 'test'",
        server.port()
    )
}

#[test]
fn the_answers_of_servers_that_share_the_files_in_object_storage_are_the_same() {
    let folder = folder("clickhouse-s3-cluster");
    let tables = planted::tables(&folder);
    let (Some(python), Some(server)) = (python(), Server::start()) else { return };
    let collection = stored(&server, &folder.join("in"));
    let shards = [0, 1].map(|index| {
        let mut prepared = Session::default();
        prepared.run(&collection);
        Shard::start(&python, &folder, index, prepared)
    });
    let mut session = Session::of_cluster(&folder, &shards);
    session.run(&collection);
    for sql in statements("s3") {
        session.run(sql.replace("FROM s3(", "FROM s3Cluster('default', "));
    }
    session.database("files");
    session.ask("SELECT count() AS count FROM reports");
    session.ask_all();
    let answers = session.answers(&python, &folder);
    assert_eq!(answers[0], [json!({ "count": 41 })]);
    are_as_expected(&answers[1..], &expected(&tables));
    // Each file of a query was read by one of them, and each of them has read some.
    let files = ["shard-0.files", "shard-1.files"].map(|name| fs::read_to_string(folder.join(name)));
    let [first, second] = files.map(|files| files.expect("it has read some").lines().count());
    assert!(first > 0 && second > 0, "{first} {second}");
}

/// A process with a part of what was taken in.
struct Shard {
    child: Child,
    port: String,
}

impl Shard {
    /// One that has taken in its part.
    fn with_part(python: &OsString, directory: &Path, index: usize) -> Self {
        let mut loaded = Session::default();
        loaded.file("files");
        loaded.file("tables");
        for (table, view) in tables_and_views(&directory.join("tables")) {
            let key = match &*table {
                "stacks" => "stack_id",
                "places" => "place_id",
                _ => "report_id",
            };
            let part = format!("cityHash64(assumeNotNull({key})) % 2 = {index}");
            // Each twice, as if it was taken in again.
            for _ in 0..2 {
                loaded.run(format!("INSERT INTO gmr.taken_{table} SELECT * FROM files.{view} WHERE {part}"));
            }
        }
        Self::start(python, directory, index, loaded)
    }

    fn start(python: &OsString, directory: &Path, index: usize, prepared: Session) -> Self {
        let statements: Vec<_> = prepared.steps.into_iter().map(|(sql, _)| sql).collect();
        let path = directory.join(format!("shard-{index}"));
        let told = json!({ "directory": directory, "path": path, "statements": statements });
        let mut command = Command::new(python);
        command.arg("-c").arg(SHARD).arg(told.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python starts");
        let mut port = String::new();
        let said = child.stdout.take().expect("it is piped");
        BufReader::new(said).read_line(&mut port).expect("it can be read");
        Self { child, port: port.trim().to_owned() }
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_answers_over_two_shards_are_the_same() {
    let tables = planted::tables(&folder("clickhouse-shards"));
    let Some(python) = python() else { return };
    let directory = directory(&tables);
    let shards = [0, 1].map(|index| Shard::with_part(&python, &directory, index));
    let session = || {
        let mut session = Session::of_cluster(&directory, &shards);
        session.file("files");
        session.file("tables");
        session.file("cluster");
        session.database("gmr_all");
        session
    };
    let mut whole = session();
    // The server that is asked has nothing itself.
    whole.ask("SELECT count() AS count FROM gmr.reports");
    whole.ask_all();
    let answers = whole.answers(&python, &directory);
    assert_eq!(answers[0], [json!({ "count": 0 })]);
    are_as_expected(&answers[1..], &expected(&tables));
    // Each shard has a part.
    let mut part = session();
    let [_first, second] = shards;
    drop(second);
    part.ask("SELECT count() AS count FROM reports SETTINGS skip_unavailable_shards = 1");
    let answers = part.answers(&python, &directory);
    assert!(answers[0][0]["count"].as_u64().is_some_and(|count| (1..41).contains(&count)), "{answers:?}");
}
