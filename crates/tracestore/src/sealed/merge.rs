//! Making one sealed file of several, column by column: what stands in them stays as it is.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use longshore_core::{SpanId, TraceId};
use parquet::basic::Type;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::reader::RowGroupReader;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use xxhash_rust::xxh3::xxh3_64;

use super::column::{damaged, ids, ints, lists, longs, optional_longs, texts};
use super::columns::{Gathered, fixed_column, int_column, long_column, text_column};
use super::name::SealedName;
use super::read::{SealedReader, guarded, span_id, trace_id};
use super::schema::{self, Column, PARTS_KEY};
use super::tokens::Making;
use super::write::{complete, create, end};
use crate::token::{Token, Tokens};

type Result<T> = std::result::Result<T, ParquetError>;

/// Rows whose spans are read at once.
const ROWS_AT_ONCE: usize = 4 << 10;

/// Sealed files of one class that are to be one, the oldest first.
pub(crate) struct Parts {
    names: Vec<SealedName>,
    readers: Vec<SealedReader>,
    /// What each trace says.
    tokens: HashMap<TraceId, Vec<Token>>,
}

/// Where a row is and by what it is sorted.
struct Row {
    trace: TraceId,
    span: SpanId,
    start: i64,
    end: i64,
    at: usize,
}

impl Parts {
    /// Reads all that stands in the files once, so that none is put together with others of which
    /// something cannot be read: that one is the error.
    pub(crate) fn open(
        folder: &Path,
        names: Vec<SealedName>,
    ) -> std::result::Result<Self, SealedName> {
        let mut parts = Self {
            names: Vec::new(),
            readers: Vec::new(),
            tokens: HashMap::new(),
        };
        for name in names {
            let read = guarded(|| {
                let reader = SealedReader::open(&folder.join(name.to_string()))?;
                parts.listen(&reader)?;
                Ok(reader)
            });
            parts.readers.push(read.map_err(|_damaged| name)?);
            parts.names.push(name);
        }
        Ok(parts)
    }

    /// Takes note of what the traces of a file say.
    fn listen(&mut self, reader: &SealedReader) -> Result<()> {
        let mut tokens = Tokens::default();
        let mut current = None;
        let rows = reader.rows();
        for from in (0..rows).step_by(ROWS_AT_ONCE) {
            for span in reader.spans(&(from..rows.min(from + ROWS_AT_ONCE)))? {
                if let Some(before) = current.replace(span.trace_id)
                    && before != span.trace_id
                {
                    self.tokens.entry(before).or_default().extend(tokens.take());
                }
                tokens.add_whole(&span);
            }
        }
        if let Some(last) = current {
            self.tokens.entry(last).or_default().extend(tokens.take());
        }
        Ok(())
    }

    /// Writes what stands in them, each span once, to a new file in `folder`, which names them and
    /// the log files in `sources`. It is there, complete and on the disk, or not at all.
    pub(crate) fn write(mut self, folder: &Path, sources: String) -> Result<Option<SealedName>> {
        let rows = self.rows()?;
        let Some(first) = self.names.first() else {
            return Ok(None);
        };
        let names: Vec<String> = self.names.iter().map(SealedName::to_string).collect();
        let names = names.join("\n");
        let name = SealedName {
            class: first.class,
            first_millis: self
                .names
                .iter()
                .map(|name| name.first_millis)
                .min()
                .unwrap_or(0),
            last_millis: self
                .names
                .iter()
                .map(|name| name.last_millis)
                .max()
                .unwrap_or(0),
            spans: rows.len() as u64,
            sum: xxh3_64(names.as_bytes()),
        };
        let traces: Vec<TraceId> = rows
            .chunk_by(|one, other| one.trace == other.trace)
            .filter_map(|rows| Some(rows.first()?.trace))
            .collect();
        let order: Vec<usize> = rows.into_iter().map(|row| row.at).collect();
        complete(folder, &name, |hidden| {
            let file = create(hidden)?;
            let properties = schema::properties(sources, traces.len() as u64)?;
            let mut writer = SerializedFileWriter::new(&file, schema::schema()?, properties)?;
            let mut group = writer.next_row_group()?;
            for column in 0..Column::COUNT {
                self.write_column(&mut group, column, &order)?;
            }
            group.close()?;
            let mut making = Making::default();
            for trace in &traces {
                let mut tokens = self.tokens.remove(trace).unwrap_or_default();
                tokens.sort_unstable();
                tokens.dedup();
                making.add(&tokens);
            }
            end(writer, &making.end(), [(PARTS_KEY, names)])?;
            Ok(file.sync_all()?)
        })?;
        Ok(Some(name))
    }

    /// All rows in their order, each span once: of the same ones the first counts.
    fn rows(&self) -> Result<Vec<Row>> {
        let traces = self.all(|group, rows| ids(group, Column::TraceId, rows))?;
        let spans = self.all(|group, rows| ids(group, Column::SpanId, rows))?;
        let starts = self.all(|group, rows| longs(group, Column::StartTime, rows))?;
        let durations = self.all(|group, rows| longs(group, Column::DurationNanos, rows))?;
        let ids = traces.into_iter().zip(spans);
        let times = starts.into_iter().zip(durations);
        let row = |(at, ((trace, span), (start, duration))): (usize, ((_, _), (i64, i64)))| {
            Some(Row {
                trace: trace_id(trace)?,
                span: span_id(span)?,
                start,
                end: start.wrapping_add(duration),
                at,
            })
        };
        let rows = ids.zip(times).enumerate().map(row);
        let rows: Option<Vec<Row>> = rows.collect();
        let mut rows = rows.ok_or_else(|| damaged("a row"))?;
        rows.sort_by_key(|row| (row.trace, row.span));
        rows.dedup_by_key(|row| (row.trace, row.span));
        rows.sort_by_key(|row| (row.trace, row.start, Reverse(row.end), row.span));
        Ok(rows)
    }

    /// What a column, or something else of each row, is in all files, one after the other.
    fn all<T>(
        &self,
        read: impl Fn(&dyn RowGroupReader, &Range<usize>) -> Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for reader in &self.readers {
            let groups = reader.groups(|group, _, rows| read(group, &(0..rows)))?;
            groups.into_iter().for_each(|some| all.extend(some));
        }
        Ok(all)
    }

    /// Writes the values of a column in this order.
    fn write_column(
        &self,
        group: &mut SerializedRowGroupWriter<'_, &File>,
        column: usize,
        order: &[usize],
    ) -> Result<()> {
        let reader = self.readers.first().ok_or_else(|| damaged("its schema"))?;
        let (physical, is_repeated) = reader.kind_of(column);
        match physical {
            Type::FIXED_LEN_BYTE_ARRAY => {
                let values = self.all(|group, rows| ids(group, column, rows))?;
                fixed_column(group, &pick(&values, order))
            }
            Type::INT64 => {
                let values = self.all(|group, rows| optional_longs(group, column, rows))?;
                long_column(group, &pick(&values, order))
            }
            Type::INT32 => {
                let values = self.all(|group, rows| ints(group, column, rows))?;
                int_column(group, &pick(&values, order))
            }
            _ if is_repeated => {
                let values = self.all(|group, rows| lists(group, column, rows))?;
                let (values, repeats) = pick_lists(&values, order);
                text_column(group, &values, Some(&repeats))
            }
            _ => {
                let values = self.all(|group, rows| texts(group, column, rows))?;
                text_column(group, &pick(&values, order), None)
            }
        }
    }
}

fn pick<T: Clone>(values: &[Option<T>], order: &[usize]) -> Gathered<T> {
    let value = |at: &usize| values.get(*at).cloned().flatten();
    order.iter().map(value).collect()
}

fn pick_lists(values: &[Vec<ByteArray>], order: &[usize]) -> (Gathered<ByteArray>, Vec<i16>) {
    let mut repeats = Vec::new();
    let mut picked = Vec::new();
    for at in order {
        let list = values.get(*at).map_or(&[][..], Vec::as_slice);
        if list.is_empty() {
            repeats.push(0);
            picked.push(None);
        }
        for (number, value) in list.iter().enumerate() {
            repeats.push(i16::from(number > 0));
            picked.push(Some(value.clone()));
        }
    }
    (picked.into_iter().collect(), repeats)
}
