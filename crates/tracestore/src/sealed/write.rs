//! Making a sealed file of spans.

use std::cmp::Reverse;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use bytes::Bytes;
use longshore_spanlog::{Class, folder};
use longshore_trace::otlp::{self, SpanView};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::writer::SerializedFileWriter;
use xxhash_rust::xxh3::xxh3_64;

use super::columns::Columns;
use super::name::SealedName;
use super::schema;
use super::tokens::{Making, TOKENS_KEY};
use crate::token::Tokens;

/// Rows of a row group.
const GROUP_ROWS: usize = 64 << 10;
/// What the name of a file that is not complete ends in.
pub(crate) const TEMPORARY: &str = ".tmp";

/// What a file is made of.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) class: Class,
    /// OTLP requests, what counts more before what it may stand in for.
    pub(crate) bodies: Vec<Bytes>,
    /// The log files they come from, by name.
    pub(crate) sources: Vec<String>,
}

/// Writes the spans of a batch to a new file in `folder`, each once, sorted by trace and start.
/// The file is there, complete and on the disk, or not at all. Nothing is made of no spans.
pub(crate) fn write(folder: &Path, batch: &Batch) -> Result<Option<SealedName>, ParquetError> {
    let mut spans: Vec<Row<'_>> = Vec::new();
    for body in &batch.bodies {
        let of_body = otlp::spans(body).filter_map(Result::ok);
        spans.extend(of_body.map(|span| (body, span)));
    }
    // Spans are large: what is sorted is where they are.
    let mut rows: Vec<&Row<'_>> = spans.iter().collect();
    // The sort is stable, so that the first of the same spans is the one that counts.
    rows.sort_by_cached_key(|(_, span)| (span.trace_id, span.span_id));
    rows.dedup_by_key(|(_, span)| (span.trace_id, span.span_id));
    for of_trace in rows.chunk_by_mut(is_of_one_trace) {
        of_trace.sort_by_key(|(_, span)| (span.start, Reverse(span.end), span.span_id));
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let sources = batch.sources.join("\n");
    let name = name(batch.class, &rows, &sources);
    complete(folder, &name, |hidden| write_to(hidden, &rows, sources))?;
    Ok(Some(name))
}

/// Has a file made, and gives it its name once it is complete and on the disk.
pub(super) fn complete(
    folder: &Path,
    name: &SealedName,
    make: impl FnOnce(&Path) -> Result<(), ParquetError>,
) -> Result<(), ParquetError> {
    let path = folder.join(name.to_string());
    let hidden = folder.join(format!("{name}{TEMPORARY}"));
    let made = make(&hidden).and_then(|()| {
        fs::rename(&hidden, &path)?;
        Ok(folder::sync_names(folder)?)
    });
    if made.is_err() {
        let _left = fs::remove_file(&hidden);
    }
    made
}

/// A span and the body in which it lies.
type Row<'a> = (&'a Bytes, SpanView<'a>);

type Rows<'a> = [&'a Row<'a>];

fn is_of_one_trace(one: &&Row<'_>, other: &&Row<'_>) -> bool {
    one.1.trace_id == other.1.trace_id
}

fn name(class: Class, rows: &Rows<'_>, sources: &str) -> SealedName {
    let first = rows
        .iter()
        .map(|(_, span)| span.start.unix_nanos_unsigned());
    let last = rows
        .iter()
        .map(|(_, span)| span.end.max(span.start).unix_nanos_unsigned());
    SealedName {
        class,
        first_millis: first.min().unwrap_or_default() / 1_000_000,
        last_millis: last.max().unwrap_or_default().div_ceil(1_000_000),
        spans: rows.len() as u64,
        sum: xxh3_64(sources.as_bytes()),
    }
}

fn write_to(path: &Path, rows: &Rows<'_>, sources: String) -> Result<(), ParquetError> {
    let file = create(path)?;
    let traces = rows.chunk_by(is_of_one_trace).count();
    let properties = schema::properties(sources, traces as u64)?;
    let mut writer = SerializedFileWriter::new(&file, schema::schema()?, properties)?;
    for rows in rows.chunks(GROUP_ROWS) {
        let mut columns = Columns::default();
        for (body, span) in rows {
            columns.add(body, span);
        }
        let mut group = writer.next_row_group()?;
        columns.write(&mut group)?;
        group.close()?;
    }
    end(writer, &tokens(rows), [])?;
    Ok(file.sync_all()?)
}

/// Puts the index of tokens behind the columns, and ends the file.
pub(super) fn end(
    mut writer: SerializedFileWriter<&File>,
    tokens: &[u8],
    says: impl IntoIterator<Item = (&'static str, String)>,
) -> Result<(), ParquetError> {
    let said = format!("{} {}", writer.bytes_written(), tokens.len());
    writer.write_all(tokens)?;
    writer.append_key_value_metadata(KeyValue::new(TOKENS_KEY.to_owned(), said));
    for (key, value) in says {
        writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }
    writer.close()?;
    Ok(())
}

/// What its traces say, each by its number.
fn tokens(rows: &Rows<'_>) -> Vec<u8> {
    let mut making = Making::default();
    let mut tokens = Tokens::default();
    for of_trace in rows.chunk_by(is_of_one_trace) {
        of_trace.iter().for_each(|(_, span)| tokens.add(span));
        making.add(&tokens.take());
    }
    making.end()
}

/// Makes a file that only its owner may read.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}
