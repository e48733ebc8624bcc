//! Rows on their way into columns, and out of them. It knows nothing of reports and files.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, RecordBatch,
    StringBuilder, StructArray, StructBuilder, TimestampMillisecondBuilder, UInt32Builder, UInt64Builder,
};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMillisecondType, UInt32Type, UInt64Type};

use super::{Column, FRAME, Kind, Table, frame_fields};

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Text(String),
    Bool(bool),
    U32(u32),
    U64(u64),
    I64(i64),
    F64(f64),
    Time(i64),
    U64s(Vec<u64>),
    Texts(Vec<String>),
    /// Each frame has a cell for each column of [`FRAME`].
    Frames(Arc<Vec<Arc<Vec<Cell>>>>),
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! from {
    ($($variant:ident($type:ty)),*) => {
        $(impl From<$type> for Cell {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}
from!(
    Text(String),
    Text(&str),
    Bool(bool),
    U32(u32),
    U64(u64),
    I64(i64),
    F64(f64),
    U64s(Vec<u64>),
    Texts(Vec<String>)
);

/// Rows of a table.
pub(crate) struct Rows {
    table: &'static Table,
    columns: Vec<Builder>,
    /// About as many bytes as they take.
    bytes: usize,
}

enum Builder {
    Text(StringBuilder),
    Bool(BooleanBuilder),
    U32(UInt32Builder),
    U64(UInt64Builder),
    I64(Int64Builder),
    F64(Float64Builder),
    Time(TimestampMillisecondBuilder),
    U64s(ListBuilder<UInt64Builder>),
    Texts(ListBuilder<StringBuilder>),
    Frames(ListBuilder<StructBuilder>),
}

impl Builder {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text(StringBuilder::new()),
            Kind::Bool => Self::Bool(BooleanBuilder::new()),
            Kind::U32 => Self::U32(UInt32Builder::new()),
            Kind::U64 => Self::U64(UInt64Builder::new()),
            Kind::I64 => Self::I64(Int64Builder::new()),
            Kind::F64 => Self::F64(Float64Builder::new()),
            Kind::Time => Self::Time(TimestampMillisecondBuilder::new()),
            Kind::U64s => Self::U64s(ListBuilder::new(UInt64Builder::new())),
            Kind::Texts => Self::Texts(ListBuilder::new(StringBuilder::new())),
            Kind::Frames => Self::Frames(ListBuilder::new(StructBuilder::from_fields(frame_fields(), 0))),
        }
    }

    /// # Panics
    /// The cell is of another kind.
    fn push(&mut self, cell: Cell) {
        match (self, cell) {
            (Self::Text(builder), Cell::Text(value)) => builder.append_value(value),
            (Self::Text(builder), Cell::Null) => builder.append_null(),
            (Self::Bool(builder), Cell::Bool(value)) => builder.append_value(value),
            (Self::Bool(builder), Cell::Null) => builder.append_null(),
            (Self::U32(builder), Cell::U32(value)) => builder.append_value(value),
            (Self::U32(builder), Cell::Null) => builder.append_null(),
            (Self::U64(builder), Cell::U64(value)) => builder.append_value(value),
            (Self::U64(builder), Cell::Null) => builder.append_null(),
            (Self::I64(builder), Cell::I64(value)) => builder.append_value(value),
            (Self::I64(builder), Cell::Null) => builder.append_null(),
            (Self::F64(builder), Cell::F64(value)) => builder.append_value(value),
            (Self::F64(builder), Cell::Null) => builder.append_null(),
            (Self::Time(builder), Cell::Time(value)) => builder.append_value(value),
            (Self::Time(builder), Cell::Null) => builder.append_null(),
            (Self::U64s(builder), Cell::U64s(values)) => {
                builder.values().append_slice(&values);
                builder.append(true);
            }
            (Self::U64s(builder), Cell::Null) => builder.append_null(),
            (Self::Texts(builder), Cell::Texts(values)) => {
                for value in values {
                    builder.values().append_value(value);
                }
                builder.append(true);
            }
            (Self::Texts(builder), Cell::Null) => builder.append_null(),
            (Self::Frames(builder), Cell::Frames(frames)) => {
                frames.iter().for_each(|frame| push_frame(builder.values(), frame));
                builder.append(true);
            }
            (_, cell) => unreachable!("a column of another kind than {cell:?}"),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Text(mut builder) => Arc::new(builder.finish()),
            Self::Bool(mut builder) => Arc::new(builder.finish()),
            Self::U32(mut builder) => Arc::new(builder.finish()),
            Self::U64(mut builder) => Arc::new(builder.finish()),
            Self::I64(mut builder) => Arc::new(builder.finish()),
            Self::F64(mut builder) => Arc::new(builder.finish()),
            Self::Time(mut builder) => Arc::new(builder.finish()),
            Self::U64s(mut builder) => Arc::new(builder.finish()),
            Self::Texts(mut builder) => Arc::new(builder.finish()),
            Self::Frames(mut builder) => Arc::new(builder.finish()),
        }
    }
}

fn push_frame(frames: &mut StructBuilder, cells: &[Cell]) {
    for (index, (cell, column)) in cells.iter().zip(FRAME).enumerate() {
        let field = "of this kind";
        match column.kind {
            Kind::Text => {
                let text = if let Cell::Text(text) = cell { Some(text) } else { None };
                frames.field_builder::<StringBuilder>(index).expect(field).append_option(text);
            }
            Kind::Bool => {
                let value = if let Cell::Bool(value) = cell { Some(*value) } else { None };
                frames.field_builder::<BooleanBuilder>(index).expect(field).append_option(value);
            }
            Kind::U32 => {
                let value = if let Cell::U32(value) = cell { Some(*value) } else { None };
                frames.field_builder::<UInt32Builder>(index).expect(field).append_option(value);
            }
            Kind::U64 => {
                let value = if let Cell::U64(value) = cell { Some(*value) } else { None };
                frames.field_builder::<UInt64Builder>(index).expect(field).append_option(value);
            }
            kind => unreachable!("frames have no column of the kind {kind:?}"),
        }
    }
    frames.append(true);
}

impl Rows {
    pub(crate) fn new(table: &'static Table) -> Self {
        Self {
            table,
            columns: table.columns.iter().map(|column| Builder::new(column.kind)).collect(),
            bytes: 0,
        }
    }

    /// Adds a row, of as many cells as the table has columns.
    pub(crate) fn push<const N: usize>(&mut self, row: [Cell; N]) {
        assert_eq!(N, self.columns.len(), "a row of the table {}", self.table.name);
        for (builder, cell) in self.columns.iter_mut().zip(row) {
            self.bytes += match &cell {
                Cell::Text(text) => text.len() + 8,
                Cell::Frames(frames) => frames.len() * 200,
                _ => 8,
            };
            builder.push(cell);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn finish(self) -> RecordBatch {
        let arrays = self.columns.into_iter().map(Builder::finish).collect();
        RecordBatch::try_new(Arc::new(self.table.schema()), arrays).expect("the columns of the table")
    }
}

/// A cell of a row that was read.
pub(crate) fn cell(array: &dyn Array, kind: Kind, row: usize) -> Cell {
    if array.is_null(row) {
        return Cell::Null;
    }
    match kind {
        Kind::Text => array.as_string::<i32>().value(row).into(),
        Kind::Bool => array.as_boolean().value(row).into(),
        Kind::U32 => array.as_primitive::<UInt32Type>().value(row).into(),
        Kind::U64 => array.as_primitive::<UInt64Type>().value(row).into(),
        Kind::I64 => array.as_primitive::<Int64Type>().value(row).into(),
        Kind::F64 => array.as_primitive::<Float64Type>().value(row).into(),
        Kind::Time => Cell::Time(array.as_primitive::<TimestampMillisecondType>().value(row)),
        Kind::U64s => {
            let values = array.as_list::<i32>().value(row);
            values.as_primitive::<UInt64Type>().values().to_vec().into()
        }
        Kind::Texts => {
            let values = array.as_list::<i32>().value(row);
            let values = values.as_string::<i32>();
            Cell::Texts(values.iter().map(|value| value.unwrap_or_default().to_owned()).collect())
        }
        Kind::Frames => {
            let values = array.as_list::<i32>().value(row);
            let frames = values.as_struct();
            Cell::Frames(Arc::new((0..frames.len()).map(|row| Arc::new(frame(frames, row))).collect()))
        }
    }
}

fn frame(frames: &StructArray, row: usize) -> Vec<Cell> {
    let field = |(index, column): (usize, &Column)| cell(frames.column(index), column.kind, row);
    FRAME.iter().enumerate().map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::super::TABLES;
    use super::*;

    #[test]
    fn what_goes_into_columns_comes_out_of_them() {
        static TABLE: Table = Table {
            name: "all",
            what: "",
            columns: &[
                Column { name: "a", kind: Kind::Text, what: "" },
                Column { name: "b", kind: Kind::Bool, what: "" },
                Column { name: "c", kind: Kind::U32, what: "" },
                Column { name: "d", kind: Kind::U64, what: "" },
                Column { name: "e", kind: Kind::I64, what: "" },
                Column { name: "f", kind: Kind::F64, what: "" },
                Column { name: "g", kind: Kind::Time, what: "" },
                Column { name: "h", kind: Kind::U64s, what: "" },
                Column { name: "i", kind: Kind::Texts, what: "" },
                Column { name: "j", kind: Kind::Frames, what: "" },
            ],
        };
        let mut frame: Vec<Cell> = FRAME.iter().map(|_| Cell::Null).collect();
        frame[0] = "shop::pay".into();
        let frames = Cell::Frames(Arc::new(vec![Arc::new(frame)]));
        let row = || {
            [
                "größe".into(),
                true.into(),
                7_u32.into(),
                u64::MAX.into(),
                i64::MIN.into(),
                0.1.into(),
                Cell::Time(-1),
                vec![1_u64, 2].into(),
                vec![String::new(), "x".to_owned()].into(),
                frames.clone(),
            ]
        };
        let mut nothing = [const { Cell::Null }; 10];
        nothing[9] = Cell::Frames(Arc::default());
        let mut rows = Rows::new(&TABLE);
        rows.push(row());
        rows.push(nothing.clone());
        let batch = rows.finish();
        let read = |row| {
            let columns = batch.columns().iter().zip(TABLE.columns);
            columns.map(|(array, column)| cell(array, column.kind, row)).collect::<Vec<_>>()
        };
        assert_eq!((read(0), read(1)), (row().to_vec(), nothing.to_vec()));
        assert!(TABLES.iter().all(|table| Rows::new(table).finish().num_rows() == 0));
    }
}
