//! Reading the rows of one column.

use std::ops::Range;

use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::reader::RowGroupReader;

use super::schema::Column;

type Result<T> = std::result::Result<T, ParquetError>;

pub(super) fn damaged(what: &str) -> ParquetError {
    ParquetError::General(format!("{what} is damaged"))
}

macro_rules! column_reader {
    ($name:ident, $value:ty, $variant:ident) => {
        pub(super) fn $name(
            group: &dyn RowGroupReader,
            column: impl Into<usize>,
            rows: &Range<usize>,
        ) -> Result<Vec<Option<$value>>> {
            let ColumnReader::$variant(mut reader) = group.get_column_reader(column.into())? else {
                return Err(damaged("its schema"));
            };
            reader.skip_records(rows.start)?;
            let (mut values, mut levels) = (Vec::new(), Vec::new());
            let (read, ..) =
                reader.read_records(rows.len(), Some(&mut levels), None, &mut values)?;
            if read != rows.len() {
                return Err(damaged("a column"));
            }
            if levels.is_empty() {
                return Ok(values.into_iter().map(Some).collect());
            }
            let mut values = values.into_iter();
            let value = |level: i16| if level > 0 { values.next() } else { None };
            Ok(levels.into_iter().map(value).collect())
        }
    };
}

column_reader!(ids, FixedLenByteArray, FixedLenByteArrayColumnReader);
column_reader!(texts, ByteArray, ByteArrayColumnReader);
column_reader!(ints, i32, Int32ColumnReader);
column_reader!(optional_longs, i64, Int64ColumnReader);

pub(super) fn longs(
    group: &dyn RowGroupReader,
    column: Column,
    rows: &Range<usize>,
) -> Result<Vec<i64>> {
    Ok(optional_longs(group, column, rows)?
        .into_iter()
        .flatten()
        .collect())
}

/// One half of a map: what stands in each row.
pub(super) fn lists(
    group: &dyn RowGroupReader,
    column: impl Into<usize>,
    rows: &Range<usize>,
) -> Result<Vec<Vec<ByteArray>>> {
    let ColumnReader::ByteArrayColumnReader(mut reader) = group.get_column_reader(column.into())?
    else {
        return Err(damaged("its schema"));
    };
    reader.skip_records(rows.start)?;
    let (mut values, mut levels, mut repeats) = (Vec::new(), Vec::new(), Vec::new());
    let (read, ..) = reader.read_records(
        rows.len(),
        Some(&mut levels),
        Some(&mut repeats),
        &mut values,
    )?;
    if read != rows.len() {
        return Err(damaged("a column"));
    }
    let mut values = values.into_iter();
    let mut lists: Vec<Vec<ByteArray>> = Vec::with_capacity(rows.len());
    for (level, repeat) in levels.into_iter().zip(repeats) {
        if repeat == 0 {
            lists.push(Vec::new());
        }
        if let (1.., Some(list)) = (level, lists.last_mut()) {
            list.extend(values.next());
        }
    }
    Ok(lists)
}
