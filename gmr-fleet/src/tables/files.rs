//! Tables in files of Parquet: how they are written, and read back. It knows nothing of reports.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::{Kind, Table, VERSION};

/// The key of the tables' version in a file's metadata.
pub(crate) const VERSION_KEY: &str = "gmr_tables_version";

/// Above it, files get hardly smaller, and take much longer.
const LEVEL: i32 = 6;

/// Sections of processes of one service are nearly the same. The compressor finds that within a
/// page.
const PAGE: usize = 8 << 20;

/// Writes the rows of a table to this file, all of them at once.
pub(crate) fn write(table: &Table, rows: &RecordBatch, file: File) -> Result<File, String> {
    let version = KeyValue::new(VERSION_KEY.to_owned(), VERSION.to_owned());
    let level = ZstdLevel::try_new(LEVEL).expect("it has this level");
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_created_by(concat!("gmr-fleet ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![version]))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_data_page_size_limit(PAGE)
        .set_data_page_row_count_limit(1 << 20);
    for column in table.columns {
        // Numbers that grow from row to row, which a dictionary would list once each.
        let is_growing = matches!(column.name, "tid" | "position") || (column.kind == Kind::Time);
        if is_growing {
            let path = ColumnPath::from(column.name);
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    let failed = |error: parquet::errors::ParquetError| error.to_string();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties.build())).map_err(failed)?;
    writer.write(rows).map_err(failed)?;
    writer.into_inner().map_err(failed)
}

/// Whether the file is there and has an end.
pub(crate) fn check_end(path: &Path) -> Result<(), String> {
    ended(path).map(drop)
}

/// Whether the file is of tables that can be read.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    opened(path).map(drop)
}

/// Reads these columns of a file, batch by batch, or all columns.
pub(crate) fn read(
    path: &Path,
    columns: Option<&[&str]>,
    mut each: impl FnMut(&RecordBatch),
) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("could not read {}: {error}", path.display());
    let builder = opened(path)?;
    let mask = match columns {
        Some(columns) => ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied()),
        None => ProjectionMask::all(),
    };
    let reader = builder.with_projection(mask).build().map_err(|error| failed(&error))?;
    for batch in reader {
        each(&batch.map_err(|error| failed(&error))?);
    }
    Ok(())
}

fn opened(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("could not read {}: {error}", path.display());
    let builder = ParquetRecordBatchReaderBuilder::try_new(ended(path)?).map_err(|error| failed(&error))?;
    let entries = builder.metadata().file_metadata().key_value_metadata();
    let version = entries.into_iter().flatten().find(|entry| entry.key == VERSION_KEY);
    let version = version.and_then(|entry| entry.value.as_deref()).unwrap_or_default();
    if !version.starts_with("1.") {
        return Err(failed(&format!("its tables are of version `{version}`, and not 1.x")));
    }
    Ok(builder)
}

/// Opens a file. Readers of Parquet can panic if it has no end.
fn ended(path: &Path) -> Result<File, String> {
    let failed = |error: &dyn std::fmt::Display| format!("could not read {}: {error}", path.display());
    let file = File::open(path).map_err(|error| failed(&error))?;
    if is_ended(&file).map_err(|error| failed(&error))? {
        Ok(file)
    } else {
        Err(failed(&"it is not whole, or not Parquet"))
    }
}

/// Whether the file ends as one of Parquet: with the length of what describes it, which is in the
/// file.
fn is_ended(mut file: &File) -> io::Result<bool> {
    const END: u64 = 8;
    let length = file.metadata()?.len();
    if length < END {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(length - END))?;
    let mut end = [0; 8];
    file.read_exact(&mut end)?;
    let [a, b, c, d, magic @ ..] = end;
    Ok(&magic == b"PAR1" && u64::from(u32::from_le_bytes([a, b, c, d])) <= length - END)
}
