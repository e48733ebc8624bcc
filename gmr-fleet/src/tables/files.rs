//! Tables in files of Parquet: how they are written, and read back. It knows nothing of reports.

use std::fmt::Display;

use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::ChunkReader;
use parquet::schema::types::ColumnPath;

use super::{Kind, Table, VERSION};

/// The key of the tables' version in a file's metadata.
pub(crate) const VERSION_KEY: &str = "gmr_tables_version";

/// Above it, files get hardly smaller, and take much longer.
const LEVEL: i32 = 6;

/// Sections of processes of one service are nearly the same. The compressor finds that within a
/// page.
const PAGE: usize = 8 << 20;

/// The file with the rows of a table.
pub(crate) fn write(table: &Table, rows: &RecordBatch) -> Result<Vec<u8>, String> {
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
    let failed = |error: parquet::errors::ParquetError| format!("could not write rows: {error}");
    let mut writer =
        ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties.build())).map_err(failed)?;
    writer.write(rows).map_err(failed)?;
    writer.into_inner().map_err(failed)
}

/// Whether a file has an end. Its name is for the error.
pub(crate) fn check_end(name: &str, file: &impl ChunkReader) -> Result<(), String> {
    /// Of the file: the length of what describes it, which is before that, and a mark.
    const END: usize = 8;
    let before_end = file.len().saturating_sub(8);
    let end = file.get_bytes(before_end, END).ok();
    let is_ended = end.as_deref().is_some_and(|end| match *end {
        [a, b, c, d, b'P', b'A', b'R', b'1'] => u64::from(u32::from_le_bytes([a, b, c, d])) <= before_end,
        _ => false,
    });
    if is_ended { Ok(()) } else { Err(failed(name, &"it is not whole, or not Parquet")) }
}

/// Whether a file is of tables that can be read.
pub(crate) fn check(name: &str, file: impl ChunkReader + 'static) -> Result<(), String> {
    opened(name, file).map(drop)
}

/// Reads these columns of a file, batch by batch, or all columns.
pub(crate) fn read(
    name: &str,
    file: impl ChunkReader + 'static,
    columns: Option<&[&str]>,
    mut each: impl FnMut(&RecordBatch),
) -> Result<(), String> {
    let builder = opened(name, file)?;
    let mask = match columns {
        Some(columns) => ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied()),
        None => ProjectionMask::all(),
    };
    let reader = builder.with_projection(mask).build().map_err(|error| failed(name, &error))?;
    for batch in reader {
        each(&batch.map_err(|error| failed(name, &error))?);
    }
    Ok(())
}

fn opened<F: ChunkReader + 'static>(
    name: &str,
    file: F,
) -> Result<ParquetRecordBatchReaderBuilder<F>, String> {
    // Readers of Parquet can panic if it has no end.
    check_end(name, &file)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| failed(name, &error))?;
    let entries = builder.metadata().file_metadata().key_value_metadata();
    let version = entries.into_iter().flatten().find(|entry| entry.key == VERSION_KEY);
    let version = version.and_then(|entry| entry.value.as_deref()).unwrap_or_default();
    if !version.starts_with("1.") {
        return Err(failed(name, &format!("its tables are of version `{version}`, and not 1.x")));
    }
    Ok(builder)
}

fn failed(name: &str, reason: &dyn Display) -> String {
    format!("could not read {name}: {reason}")
}
