//! The program, folders for it, and what is in its tables.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::{Array as _, AsArray as _};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A folder of a test, empty at first.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fleet-{name}"));
    // Left by an earlier run.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Writes a file, and returns its path.
pub(crate) fn file(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

/// What the command has printed.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gmr-fleet"));
    command.args(arguments);
    command
}

pub(crate) fn fleet(arguments: &[&str]) -> Done {
    fleet_on(arguments, b"")
}

/// The same, with this on standard input.
pub(crate) fn fleet_on(arguments: &[&str], input: &[u8]) -> Done {
    done(command(arguments), input)
}

/// The same, of a command.
pub(crate) fn done(mut command: Command, input: &[u8]) -> Done {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut standard_input = child.stdin.take().expect("it is piped");
    let input = input.to_owned();
    // It can end without reading all.
    let writer = thread::spawn(move || drop(standard_input.write_all(&input)));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("written");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Done { code: output.status.code(), output: text(output.stdout), errors: text(output.stderr) }
}

impl Done {
    /// What it has printed, if it has done what it should.
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.errors);
        self.output
    }

    /// What it says, if it has failed with this code.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!((self.code, &*self.output), (Some(code), ""), "{}", self.errors);
        self.errors
    }
}

/// Ships a folder, which must go well.
#[track_caller]
pub(crate) fn ship(from: &Path, to: &Path) -> String {
    let done = fleet(&["ship", &from.display().to_string(), &to.display().to_string()]);
    assert_eq!((done.code, &*done.output), (Some(0), ""), "{}", done.errors);
    done.errors
}

/// The files of each table.
pub(crate) fn files(tables: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut files: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut folders = vec![tables.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            // What is being written is in a folder that begins with a dot.
            let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if path.is_dir() && !is_hidden {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                let table = path.file_stem().expect("a name").to_string_lossy().into_owned();
                files.entry(table).or_default().push(path);
            }
        }
    }
    files
}

/// The values of a column of text, in all files of a table.
pub(crate) fn column(tables: &Path, table: &str, name: &str) -> Vec<Option<String>> {
    let mut values = Vec::new();
    for file in files(tables).remove(table).unwrap_or_default() {
        let file = File::open(file).expect("it is there");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a table").build().expect("rows");
        for batch in reader {
            let batch = batch.expect("rows");
            let column = batch.column_by_name(name).expect("the column");
            let column = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8).expect("text");
            values.extend(column.as_string::<i32>().iter().map(|value| value.map(str::to_owned)));
            assert_eq!(column.len(), batch.num_rows());
        }
    }
    values
}

/// The ids of all reports, sorted.
pub(crate) fn reports(tables: &Path) -> Vec<String> {
    let mut ids: Vec<String> = column(tables, "reports", "report_id").into_iter().flatten().collect();
    ids.sort_unstable();
    ids
}

/// How many bytes all files have.
pub(crate) fn size(tables: &Path) -> u64 {
    files(tables).values().flatten().map(|path| fs::metadata(path).expect("it is there").len()).sum()
}

/// Waits until this holds, while the program runs.
#[track_caller]
pub(crate) fn wait_for(child: &mut Child, condition: impl Fn() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < Duration::from_mins(2), "it did not come");
        assert!(child.try_wait().expect("its state").is_none(), "it has ended");
        thread::sleep(Duration::from_millis(10));
    }
}
