//! `DuckDB`, which is asked the same questions as `gmr fleet`. `GMR_TEST_PYTHON` is a Python that has
//! the module `duckdb`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Runs the files in one session, and prints the rows of all but the first two as JSON.
const SCRIPT: &str = r#"
import duckdb, json, sys
session = duckdb.connect()
tables, variables, *files = sys.argv[1:]
for name, value in {"tables": tables, **json.loads(variables)}.items():
    session.execute("SET VARIABLE {} = '{}'".format(name, value.replace("'", "''")))
def rows(path):
    result = session.execute(open(path).read())
    names = [column[0] for column in result.description]
    return [dict(zip(names, row)) for row in result.fetchall()]
for path in files[:2]:
    session.execute(open(path).read())
json.dump([rows(path) for path in files[2:]], sys.stdout)
"#;

/// `None` where there is no engine, which is said.
pub(crate) fn asked(tables: &Path, variables: &Value, questions: &[&str]) -> Option<Vec<Vec<Value>>> {
    let Some(python) = std::env::var_os("GMR_TEST_PYTHON") else {
        assert!(std::env::var_os("CI").is_none(), "`CI` is set, and GMR_TEST_PYTHON is not");
        eprintln!("skipped: GMR_TEST_PYTHON is not set");
        return None;
    };
    let mut command = Command::new(python);
    command.arg("-c").arg(SCRIPT).arg(tables).arg(variables.to_string());
    let beginning = [repository("docs/fleet/duckdb/tables.sql"), question("views")];
    let questions = questions.iter().map(|name| question(name));
    let output = command.args(beginning).args(questions).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// The SQL of a question.
pub(crate) fn question(name: &str) -> PathBuf {
    repository(&format!("gmr-fleet/src/sql/{name}.sql"))
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
