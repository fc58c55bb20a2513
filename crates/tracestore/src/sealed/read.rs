//! Reading sealed files.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use longshore_core::{SpanId, Timestamp, TraceFlags, TraceId, TraceState};
use longshore_instrument::table::key;
use longshore_instrument::{Attribute, Resource, Span, SpanStatus};
use parquet::basic::Type;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;

use super::column::{damaged, ids, ints, lists, longs, texts};
use super::json;
use super::name::SealedName;
use super::place;
use super::schema::{Column, DEDICATED, PARTS_KEY, SOURCES_KEY, VERSION, VERSION_KEY};
use super::tokens::TOKENS_KEY;
use super::value::{in_order, kind, status, tags};
use crate::index::outlined_resource;

type Result<T> = std::result::Result<T, ParquetError>;

/// A sealed file that is open.
pub(crate) struct SealedReader {
    reader: SerializedFileReader<File>,
}

/// What is damaged is an error. The decoders panic on some damage, which is one as well.
pub(crate) fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_panic| Err(damaged("what it holds")))
}

impl SealedReader {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let reader = SerializedFileReader::new(place::open(path)?)?;
        let read = Self { reader };
        if read.said(VERSION_KEY) != Some(VERSION) {
            return Err(ParquetError::General(
                "its columns are of another version".to_owned(),
            ));
        }
        if read
            .reader
            .metadata()
            .file_metadata()
            .schema_descr()
            .num_columns()
            != Column::COUNT
        {
            return Err(damaged("its schema"));
        }
        Ok(read)
    }

    fn said(&self, key: &str) -> Option<&str> {
        let pairs = self
            .reader
            .metadata()
            .file_metadata()
            .key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
    }

    /// The log files that it was made of.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        self.said(SOURCES_KEY).unwrap_or_default().lines()
    }

    /// The sealed files that it was put together from.
    pub(crate) fn parts(&self) -> impl Iterator<Item = SealedName> {
        let names = self.said(PARTS_KEY).unwrap_or_default().lines();
        names.filter_map(|name| name.parse().ok())
    }

    /// How many rows it has.
    pub(super) fn rows(&self) -> usize {
        let groups = self.reader.metadata().row_groups().iter();
        groups
            .map(|group| usize::try_from(group.num_rows()).unwrap_or(0))
            .sum()
    }

    /// How many bytes its columns are once they are unpacked.
    pub(crate) fn unpacked(&self) -> u64 {
        let groups = self.reader.metadata().row_groups().iter();
        groups
            .map(|group| u64::try_from(group.total_byte_size()).unwrap_or(0))
            .sum()
    }

    /// As what a column is stored, and whether a row may have several of its values.
    pub(super) fn kind_of(&self, column: usize) -> (Type, bool) {
        let column = self
            .reader
            .metadata()
            .file_metadata()
            .schema_descr()
            .column(column);
        (column.physical_type(), column.max_rep_level() > 0)
    }

    /// What a row group and the rows before it give.
    pub(super) fn groups<T>(
        &self,
        mut each: impl FnMut(&dyn RowGroupReader, usize, usize) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut before = 0;
        let mut all = Vec::new();
        for number in 0..self.reader.num_row_groups() {
            let group = self.reader.get_row_group(number)?;
            let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
            all.push(each(&*group, before, rows)?);
            before += rows;
        }
        Ok(all)
    }

    /// Where its index of tokens lies; nothing in files of older versions.
    pub(super) fn tokens(&self) -> Option<&str> {
        self.said(TOKENS_KEY)
    }

    /// What is needed to find traces: for each row its trace, its start, its job and its links.
    pub(crate) fn finders(&self) -> Result<Vec<Finder>> {
        let groups = self.groups(|group, _, rows| {
            let rows = 0..rows;
            let traces = ids(group, Column::TraceId, &rows)?;
            let jobs = texts(group, Column::JobId, &rows)?;
            let names = texts(group, Column::Name, &rows)?;
            let links = texts(group, Column::Links, &rows)?;
            let starts = longs(group, Column::StartTime, &rows)?;
            type Row = (
                ((Option<FixedLenByteArray>, i64), Option<ByteArray>),
                (Option<ByteArray>, Option<ByteArray>),
            );
            let finder = |(((trace, start), job), (name, links)): Row| {
                let trace = trace_id(trace)?;
                Some(Finder {
                    trace,
                    start: Timestamp::from_unix_nanos(start),
                    job: job.and_then(owned),
                    links: joined(trace, name.as_ref(), links.as_ref()),
                })
            };
            let all = traces
                .into_iter()
                .zip(starts)
                .zip(jobs)
                .zip(names.into_iter().zip(links));
            Ok(all.filter_map(finder).collect::<Vec<_>>())
        });
        Ok(groups?.into_iter().flatten().collect())
    }

    /// Spans as far as summaries need them, with the traces that they link to.
    pub(crate) fn outlines(&self) -> Result<Vec<(Span, Vec<TraceId>)>> {
        let groups = self.groups(|group, _, rows| {
            let mut read = Read::new(group, 0..rows);
            let mut spans = read.outlines(true)?;
            read.add_dedicated(&mut spans)?;
            let links = texts(group, Column::Links, &read.rows)?;
            let joined = |(span, links): (Span, Option<ByteArray>)| {
                let name = ByteArray::from(span.name.as_bytes().to_vec());
                let links = joined(span.trace_id, Some(&name), links.as_ref());
                (span, links)
            };
            Ok(spans.into_iter().zip(links).map(joined).collect::<Vec<_>>())
        });
        Ok(groups?.into_iter().flatten().collect())
    }

    /// The spans of these rows, whole.
    pub(crate) fn spans(&self, wanted: &Range<usize>) -> Result<Vec<Span>> {
        self.within(wanted, |group, rows, _| Read::new(group, rows).spans())
    }

    /// Which of these rows is that of a span.
    pub(crate) fn row_of(&self, wanted: &Range<usize>, span: SpanId) -> Result<Option<usize>> {
        let found = self.within(wanted, |group, rows, before| {
            let mut all = ids(group, Column::SpanId, &rows)?.into_iter();
            let at = all.position(|id| span_id(id) == Some(span));
            Ok(at.map(|at| before + rows.start + at).into_iter().collect())
        });
        Ok(found?.first().copied())
    }

    /// The traces that these rows, which are of one trace, join it to.
    pub(crate) fn links(&self, wanted: &Range<usize>) -> Result<Vec<TraceId>> {
        self.within(wanted, |group, rows, _| {
            let traces = ids(group, Column::TraceId, &rows)?.into_iter();
            let names = texts(group, Column::Name, &rows)?.into_iter();
            let links = texts(group, Column::Links, &rows)?.into_iter();
            let all = traces.zip(names.zip(links));
            let all = all.filter_map(|(trace, row)| Some((trace_id(trace)?, row)));
            let of = |(trace, (name, links)): (TraceId, (Option<ByteArray>, Option<ByteArray>))| {
                joined(trace, name.as_ref(), links.as_ref())
            };
            Ok(all.flat_map(of).collect())
        })
    }

    /// What is read of these rows: of each row group that has some, by the rows in it and how many
    /// rows there are before it.
    fn within<T>(
        &self,
        wanted: &Range<usize>,
        mut read: impl FnMut(&dyn RowGroupReader, Range<usize>, usize) -> Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        let groups = self.groups(|group, before, rows| {
            let from = wanted.start.saturating_sub(before).min(rows);
            let to = wanted.end.saturating_sub(before).min(rows);
            match from < to {
                true => read(group, from..to, before),
                false => Ok(Vec::new()),
            }
        });
        Ok(groups?.into_iter().flatten().collect())
    }
}

/// What a row is found by.
#[derive(Debug)]
pub(crate) struct Finder {
    pub(crate) trace: TraceId,
    pub(crate) start: Timestamp,
    pub(crate) job: Option<String>,
    pub(crate) links: Vec<TraceId>,
}

/// The traces that a span's links join it to.
fn joined(own: TraceId, name: Option<&ByteArray>, links: Option<&ByteArray>) -> Vec<TraceId> {
    let name = name.and_then(|name| std::str::from_utf8(name.data()).ok());
    let joins = name.is_none_or(longshore_instrument::table::links_join);
    let Some(text) = links
        .filter(|_| joins)
        .and_then(|links| links.as_utf8().ok())
    else {
        return Vec::new();
    };
    // Those to the span's own trace do not name one.
    if !text.contains("trace_id") {
        return Vec::new();
    }
    let links = json::read_links(own, text).into_iter();
    links
        .map(|link| link.context.trace_id)
        .filter(|trace| *trace != own)
        .collect()
}

/// A service, empty if nobody said, and a store.
type Origin = (String, Option<Arc<str>>);

/// Rows of a row group that are being read.
struct Read<'a> {
    group: &'a dyn RowGroupReader,
    rows: Range<usize>,
    resources: HashMap<Origin, Option<Arc<Resource>>>,
}

impl<'a> Read<'a> {
    fn new(group: &'a dyn RowGroupReader, rows: Range<usize>) -> Self {
        Self {
            group,
            rows,
            resources: HashMap::new(),
        }
    }

    fn texts(&self, column: Column) -> Result<Vec<Option<ByteArray>>> {
        texts(self.group, column, &self.rows)
    }

    /// Ids, times, names and services, and the stores if they are wanted.
    fn outlines(&mut self, with_stores: bool) -> Result<Vec<Span>> {
        let mut traces = ids(self.group, Column::TraceId, &self.rows)?.into_iter();
        let mut spans = ids(self.group, Column::SpanId, &self.rows)?.into_iter();
        let mut parents = ids(self.group, Column::ParentSpanId, &self.rows)?.into_iter();
        let mut starts = longs(self.group, Column::StartTime, &self.rows)?.into_iter();
        let mut durations = longs(self.group, Column::DurationNanos, &self.rows)?.into_iter();
        let mut services = self.texts(Column::Service)?.into_iter();
        let mut names = self.texts(Column::Name)?.into_iter();
        let mut kinds = self.texts(Column::Kind)?.into_iter();
        let mut statuses = self.texts(Column::Status)?.into_iter();
        let stores = match with_stores {
            true => json::read_stores(self.texts(Column::Resource)?),
            false => Vec::new(),
        };
        let mut stores = stores.into_iter();
        let mut read = Vec::with_capacity(self.rows.len());
        for _ in self.rows.clone() {
            let mut next = || {
                let trace_id = trace_id(traces.next()?)?;
                let span_id = span_id(spans.next()?)?;
                let parent_span_id = parents.next()?.map(|id| span_id_of(&id)).unwrap_or(None);
                let start = starts.next()?;
                let end = start.wrapping_add(durations.next()?);
                Some(Span {
                    trace_id,
                    span_id,
                    parent_span_id,
                    start: Timestamp::from_unix_nanos(start),
                    end: Timestamp::from_unix_nanos(end),
                    name: names.next()?.and_then(owned)?.into(),
                    kind: kind(kinds.next()??.data()),
                    status: status(statuses.next()??.data()),
                    resource: self
                        .outlined(services.next()?.and_then(owned)?, stores.next().flatten()),
                    ..Span::unknown(trace_id, span_id)
                })
            };
            read.push(next().ok_or_else(|| damaged("a row"))?);
        }
        Ok(read)
    }

    /// A resource that is known by its service and store alone.
    fn outlined(&mut self, service: String, store: Option<Arc<str>>) -> Option<Arc<Resource>> {
        let of = self.resources.entry((service, store));
        let made = of.or_insert_with_key(|(service, store)| {
            let service = Some(service.as_str()).filter(|service| !service.is_empty());
            outlined_resource(service, store.as_deref())
        });
        made.clone()
    }

    /// The attributes that have a column of their own.
    fn add_dedicated(&self, spans: &mut [Span]) -> Result<()> {
        for (key, column) in DEDICATED {
            for (span, value) in spans.iter_mut().zip(self.texts(column)?) {
                if let Some(text) = value.and_then(owned) {
                    span.attributes.push(Attribute::new(key, text));
                }
            }
        }
        for (span, value) in spans.iter_mut().zip(self.texts(Column::Tags)?) {
            span.attributes
                .extend(value.and_then(owned).map(|text| tags(&text)));
        }
        let attempts = ints(self.group, Column::Attempt, &self.rows)?;
        for (span, value) in spans.iter_mut().zip(attempts) {
            let attempt = value.map(|number| Attribute::new(key::ATTEMPT, i64::from(number)));
            span.attributes.extend(attempt);
        }
        Ok(())
    }

    fn spans(mut self) -> Result<Vec<Span>> {
        let mut spans = self.outlines(false)?;
        self.add_dedicated(&mut spans)?;
        let keys = lists(self.group, Column::AttributeKeys, &self.rows)?;
        let values = lists(self.group, Column::AttributeValues, &self.rows)?;
        let types = self.texts(Column::AttributeTypes)?;
        let others = keys.into_iter().zip(values).zip(types);
        for (span, ((keys, values), types)) in spans.iter_mut().zip(others) {
            let types = types.and_then(owned).unwrap_or_default();
            let dedicated = std::mem::take(&mut span.attributes);
            span.attributes = in_order(&dedicated, keys, values, &types);
        }
        self.add_texts(&mut spans)?;
        self.add_numbers(&mut spans)?;
        Ok(spans)
    }

    fn add_texts(&mut self, spans: &mut [Span]) -> Result<()> {
        for (span, text) in spans.iter_mut().zip(self.texts(Column::StatusMessage)?) {
            if let (SpanStatus::Error(said), Some(text)) = (&mut span.status, text.and_then(owned))
            {
                *said = text.into();
            }
        }
        for (span, text) in spans.iter_mut().zip(self.texts(Column::TraceState)?) {
            if let Some(text) = text.and_then(owned) {
                span.trace_state = TraceState::from(text);
            }
        }
        for (span, text) in spans.iter_mut().zip(self.texts(Column::Scope)?) {
            span.scope = text.and_then(owned).unwrap_or_default().into();
        }
        for (span, text) in spans.iter_mut().zip(self.texts(Column::Events)?) {
            span.events = text
                .and_then(owned)
                .map_or_else(Vec::new, |text| json::read_events(&text));
        }
        for (span, text) in spans.iter_mut().zip(self.texts(Column::Links)?) {
            let own = span.trace_id;
            span.links = text
                .and_then(owned)
                .map_or_else(Vec::new, |text| json::read_links(own, &text));
        }
        let mut resources: HashMap<String, Arc<Resource>> = HashMap::new();
        for (span, text) in spans.iter_mut().zip(self.texts(Column::Resource)?) {
            let text = text.and_then(owned);
            span.resource = text.map(|text| {
                let known = resources.entry(text).or_insert_with_key(|text| {
                    Arc::new(Resource {
                        attributes: json::read_attributes(text),
                    })
                });
                Arc::clone(known)
            });
        }
        Ok(())
    }

    fn add_numbers(&self, spans: &mut [Span]) -> Result<()> {
        let ints = |column| ints(self.group, column, &self.rows);
        for (span, flags) in spans.iter_mut().zip(ints(Column::Flags)?) {
            let flags = flags.unwrap_or_default();
            span.flags = TraceFlags::new(u8::try_from(flags & 0xff).unwrap_or_default());
            span.parent_is_remote = flags & 0x300 == 0x300;
        }
        let count = |number: Option<i32>| number.unwrap_or_default().cast_unsigned();
        for (span, number) in spans.iter_mut().zip(ints(Column::DroppedAttributes)?) {
            span.dropped.attributes = count(number);
        }
        for (span, number) in spans.iter_mut().zip(ints(Column::DroppedEvents)?) {
            span.dropped.events = count(number);
        }
        for (span, number) in spans.iter_mut().zip(ints(Column::DroppedLinks)?) {
            span.dropped.links = count(number);
        }
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as iterators give it")]
pub(super) fn owned(text: ByteArray) -> Option<String> {
    text.as_utf8().ok().map(str::to_owned)
}

pub(super) fn trace_id(id: Option<FixedLenByteArray>) -> Option<TraceId> {
    TraceId::from_bytes(id?.data().try_into().ok()?)
}

pub(super) fn span_id(id: Option<FixedLenByteArray>) -> Option<SpanId> {
    span_id_of(&id?)
}

fn span_id_of(id: &FixedLenByteArray) -> Option<SpanId> {
    SpanId::from_bytes(id.data().try_into().ok()?)
}
