//! Rows of answers, for programs: any type of column as JSON. It knows no question.

use std::io::{self, BufWriter, ErrorKind, Write as _};

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow::util::display::array_value_to_string;
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

/// A row as an object. Columns keep their order.
pub(crate) struct Row<'a> {
    pub(crate) batch: &'a RecordBatch,
    pub(crate) index: usize,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.batch.num_columns()))?;
        for (field, column) in self.batch.schema_ref().fields().iter().zip(self.batch.columns()) {
            map.serialize_entry(field.name(), &Value { array: column, index: self.index })?;
        }
        map.end()
    }
}

/// A value of a column.
pub(crate) struct Value<'a> {
    pub(crate) array: &'a dyn Array,
    pub(crate) index: usize,
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { array, index } = *self;
        if array.is_null(index) {
            return serializer.serialize_none();
        }
        macro_rules! number {
            ($kind:ty, $serialize:ident) => {
                serializer.$serialize(array.as_primitive::<$kind>().value(index))
            };
        }
        match array.data_type() {
            DataType::Null => serializer.serialize_none(),
            DataType::Boolean => serializer.serialize_bool(array.as_boolean().value(index)),
            DataType::Int8 => number!(Int8Type, serialize_i8),
            DataType::Int16 => number!(Int16Type, serialize_i16),
            DataType::Int32 => number!(Int32Type, serialize_i32),
            DataType::Int64 => number!(Int64Type, serialize_i64),
            DataType::UInt8 => number!(UInt8Type, serialize_u8),
            DataType::UInt16 => number!(UInt16Type, serialize_u16),
            DataType::UInt32 => number!(UInt32Type, serialize_u32),
            DataType::UInt64 => number!(UInt64Type, serialize_u64),
            // What is not finite is null, as JSON has no word for it.
            DataType::Float32 => number!(Float32Type, serialize_f32),
            DataType::Float64 => number!(Float64Type, serialize_f64),
            DataType::Utf8 => serializer.serialize_str(array.as_string::<i32>().value(index)),
            DataType::LargeUtf8 => serializer.serialize_str(array.as_string::<i64>().value(index)),
            DataType::Utf8View => serializer.serialize_str(array.as_string_view().value(index)),
            DataType::List(_) => list(&*array.as_list::<i32>().value(index), serializer),
            DataType::LargeList(_) => list(&*array.as_list::<i64>().value(index), serializer),
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns();
                let mut map = serializer.serialize_map(Some(columns.len()))?;
                for (field, column) in fields.iter().zip(columns) {
                    map.serialize_entry(field.name(), &Value { array: column, index })?;
                }
                map.end()
            }
            // Times as in RFC 3339, among others.
            _ => match array_value_to_string(array, index) {
                Ok(text) => serializer.serialize_str(&text),
                Err(error) => Err(serde::ser::Error::custom(error)),
            },
        }
    }
}

fn list<S: Serializer>(array: &dyn Array, serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(array.len()))?;
    for index in 0..array.len() {
        list.serialize_element(&Value { array, index })?;
    }
    list.end()
}

/// Writes rows to standard output as they come: a list with an object on each line.
pub(crate) struct Writer {
    out: BufWriter<io::StdoutLock<'static>>,
    any: bool,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { out: BufWriter::new(io::stdout().lock()), any: false }
    }

    /// Whether somebody still reads.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<bool, String> {
        for index in 0..batch.num_rows() {
            let text = serde_json::to_string(&Row { batch, index }).map_err(|error| error.to_string())?;
            let before = if self.any { ",\n" } else { "[\n" };
            self.any = true;
            if !reads(write!(self.out, "{before}{text}"))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// No row follows.
    pub(crate) fn end(mut self) -> Result<(), String> {
        let end = if self.any { "\n]\n" } else { "[]\n" };
        reads(self.out.write_all(end.as_bytes()).and_then(|()| self.out.flush())).map(drop)
    }
}

fn reads(done: io::Result<()>) -> Result<bool, String> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(format!("could not write to standard output: {error}")),
    }
}
