//! Spans as columns, while they are gathered.

use std::io::Write;

use bytes::Bytes;
use longshore_instrument::table::key;
use longshore_instrument::{AttributeValue, SpanKind};
use longshore_trace::otlp::{SpanView, StatusView, Value};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedRowGroupWriter;

use super::json;
use super::schema::{ATTEMPT_LETTER, DEDICATED, FIRST_LETTER, TAGS_LETTER};

/// Values of one column with the levels that say where there are none.
#[derive(Debug)]
pub(super) struct Gathered<T> {
    values: Vec<T>,
    levels: Vec<i16>,
}

impl<T> Default for Gathered<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            levels: Vec::new(),
        }
    }
}

impl<T> FromIterator<Option<T>> for Gathered<T> {
    fn from_iter<I: IntoIterator<Item = Option<T>>>(values: I) -> Self {
        let mut gathered = Self::default();
        values.into_iter().for_each(|value| gathered.push(value));
        gathered
    }
}

impl<T> Gathered<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

/// The rows of a row group.
#[derive(Debug, Default)]
pub(super) struct Columns {
    trace_id: Gathered<FixedLenByteArray>,
    span_id: Gathered<FixedLenByteArray>,
    parent_span_id: Gathered<FixedLenByteArray>,
    start_time: Gathered<i64>,
    duration_nanos: Gathered<i64>,
    service: Gathered<ByteArray>,
    name: Gathered<ByteArray>,
    kind: Gathered<ByteArray>,
    status: Gathered<ByteArray>,
    status_message: Gathered<ByteArray>,
    flags: Gathered<i32>,
    trace_state: Gathered<ByteArray>,
    scope: Gathered<ByteArray>,
    dedicated: [Gathered<ByteArray>; DEDICATED.len()],
    tags: Gathered<ByteArray>,
    attempt: Gathered<i32>,
    attribute_keys: Gathered<ByteArray>,
    attribute_values: Gathered<ByteArray>,
    attribute_repeats: Vec<i16>,
    attribute_types: Gathered<ByteArray>,
    events: Gathered<ByteArray>,
    links: Gathered<ByteArray>,
    resource: Gathered<ByteArray>,
    dropped: [Gathered<i32>; 3],
    last_resource: Option<(Vec<u8>, ByteArray)>,
}

/// A text of a body, without copying it.
fn share(body: &Bytes, text: &str) -> ByteArray {
    match text {
        "" => ByteArray::from(Vec::new()),
        text => ByteArray::from(body.slice_ref(text.as_bytes())),
    }
}

fn fixed(body: &[u8]) -> FixedLenByteArray {
    FixedLenByteArray::from(body.to_vec())
}

impl Columns {
    /// Adds a span that lies in `body`.
    pub(super) fn add(&mut self, body: &Bytes, span: &SpanView<'_>) {
        // Spans of a trace stand together.
        let trace = match self.trace_id.values.last() {
            Some(last) if last.data() == span.trace_id.to_bytes() => last.clone(),
            _ => fixed(&span.trace_id.to_bytes()),
        };
        self.trace_id.push(Some(trace));
        self.span_id.push(Some(fixed(&span.span_id.to_bytes())));
        let parent = span.parent_span_id.map(|id| fixed(&id.to_bytes()));
        self.parent_span_id.push(parent);
        let (start, end) = (span.start.unix_nanos(), span.end.unix_nanos());
        self.start_time.push(Some(start));
        self.duration_nanos.push(Some(end.wrapping_sub(start)));
        let service = span.resource.service().unwrap_or_default();
        self.service.push(Some(share(body, service)));
        self.name.push(Some(share(body, span.name)));
        self.kind.push(Some(word(kind_word(span.kind))));
        let (status, message) = match span.status {
            StatusView::Unset => ("unset", None),
            StatusView::Ok => ("ok", None),
            StatusView::Error(text) => ("error", (!text.is_empty()).then_some(text)),
        };
        self.status.push(Some(word(status)));
        self.status_message
            .push(message.map(|text| share(body, text)));
        let remote = if span.parent_is_remote { 0x300 } else { 0x100 };
        self.flags.push(Some(remote | i32::from(span.flags.bits())));
        let state = (!span.trace_state.is_empty()).then_some(span.trace_state);
        self.trace_state.push(state.map(|text| share(body, text)));
        self.scope.push(Some(share(body, span.scope.name)));
        self.add_attributes(body, span);
        self.add_inner(span);
        let counts = [
            span.dropped.attributes,
            span.dropped.events,
            span.dropped.links,
        ];
        for (column, count) in self.dropped.iter_mut().zip(counts) {
            column.push(Some(count.cast_signed()));
        }
    }

    /// Those with a column of their own go there; the types say for each attribute where it is.
    fn add_attributes(&mut self, body: &Bytes, span: &SpanView<'_>) {
        let mut own = Own::default();
        let mut types = String::new();
        let mut repeat = 0;
        for (key, value) in span.attributes() {
            if let Some(letter) = own.take(body, key, value) {
                types.push(letter);
                continue;
            }
            let (letter, value) = as_text(body, value);
            types.push(letter);
            self.attribute_keys.push(Some(share(body, key)));
            self.attribute_values.push(Some(value));
            self.attribute_repeats.push(repeat);
            repeat = 1;
        }
        if repeat == 0 {
            self.attribute_keys.push(None);
            self.attribute_values.push(None);
            self.attribute_repeats.push(0);
        }
        for (column, value) in self.dedicated.iter_mut().zip(own.texts) {
            column.push(value);
        }
        self.tags.push(own.tags);
        self.attempt.push(own.attempt);
        self.attribute_types
            .push(Some(ByteArray::from(types.into_bytes())));
    }

    fn add_inner(&mut self, span: &SpanView<'_>) {
        let json = |text: String| (!text.is_empty()).then(|| ByteArray::from(text.into_bytes()));
        self.events.push(json(json::events(span)));
        self.links.push(json(json::links(span)));
        let bytes = span.resource.bytes();
        if bytes.is_empty() {
            self.resource.push(None);
            return;
        }
        let known = self
            .last_resource
            .as_ref()
            .filter(|(last, _)| last == bytes);
        let text = match known {
            Some((_, text)) => text.clone(),
            None => {
                let text = json::attributes(span.resource.attributes());
                let text = ByteArray::from(Bytes::from(text));
                self.last_resource = Some((bytes.to_vec(), text.clone()));
                text
            }
        };
        self.resource.push(Some(text));
    }

    /// Writes all rows as the columns of a row group.
    pub(super) fn write<W: Write + Send>(
        &self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        fixed_column(group, &self.trace_id)?;
        fixed_column(group, &self.span_id)?;
        fixed_column(group, &self.parent_span_id)?;
        long_column(group, &self.start_time)?;
        long_column(group, &self.duration_nanos)?;
        for column in [
            &self.service,
            &self.name,
            &self.kind,
            &self.status,
            &self.status_message,
        ] {
            text_column(group, column, None)?;
        }
        int_column(group, &self.flags)?;
        text_column(group, &self.trace_state, None)?;
        text_column(group, &self.scope, None)?;
        for column in &self.dedicated {
            text_column(group, column, None)?;
        }
        text_column(group, &self.tags, None)?;
        int_column(group, &self.attempt)?;
        for column in [&self.attribute_keys, &self.attribute_values] {
            text_column(group, column, Some(&self.attribute_repeats))?;
        }
        for column in [
            &self.attribute_types,
            &self.events,
            &self.links,
            &self.resource,
        ] {
            text_column(group, column, None)?;
        }
        for column in &self.dropped {
            int_column(group, column)?;
        }
        Ok(())
    }
}

/// Attributes of a span that have a column of their own.
#[derive(Default)]
struct Own {
    texts: [Option<ByteArray>; DEDICATED.len()],
    tags: Option<ByteArray>,
    attempt: Option<i32>,
}

impl Own {
    /// Takes the attribute if it has a column that is free, and gives the letter of that.
    fn take(&mut self, body: &Bytes, key: &str, value: Value<'_>) -> Option<char> {
        match value {
            Value::Text(text) => {
                let column = DEDICATED
                    .iter()
                    .position(|(dedicated, _)| *dedicated == key)?;
                let slot = self.texts.get_mut(column).filter(|slot| slot.is_none())?;
                *slot = Some(share(body, text));
                Some(char::from(FIRST_LETTER + u8::try_from(column).ok()?))
            }
            Value::List(_) if key == key::TAGS && self.tags.is_none() => {
                let AttributeValue::Strings(texts) = value.to_attribute() else {
                    return None;
                };
                self.tags = Some(ByteArray::from(json::texts(&texts).into_bytes()));
                Some(TAGS_LETTER)
            }
            Value::Int(number) if key == key::ATTEMPT && self.attempt.is_none() => {
                self.attempt = Some(i32::try_from(number).ok()?);
                Some(ATTEMPT_LETTER)
            }
            _ => None,
        }
    }
}

fn word(text: &'static str) -> ByteArray {
    ByteArray::from(Bytes::from_static(text.as_bytes()))
}

pub(super) const fn kind_word(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}

/// A value as text, and the letter of its type.
fn as_text(body: &Bytes, value: Value<'_>) -> (char, ByteArray) {
    let owned = |text: String| ByteArray::from(text.into_bytes());
    match value {
        Value::Text(text) => ('s', share(body, text)),
        Value::Int(number) => ('i', owned(number.to_string())),
        Value::Double(number) => ('d', owned(number.to_string())),
        Value::Bool(yes) => ('b', word(if yes { "true" } else { "false" })),
        value => match value.to_attribute() {
            AttributeValue::Strings(texts) => ('l', owned(json::texts(&texts))),
            AttributeValue::String(text) => ('s', owned(text.into_owned())),
            AttributeValue::Int(_) | AttributeValue::Double(_) | AttributeValue::Bool(_) => {
                ('s', owned(String::new()))
            }
        },
    }
}

fn wrong_column() -> ParquetError {
    ParquetError::General("the columns are not those of the schema".to_owned())
}

macro_rules! column_writer {
    ($name:ident, $value:ty, $variant:ident) => {
        pub(super) fn $name<W: Write + Send>(
            group: &mut SerializedRowGroupWriter<'_, W>,
            column: &Gathered<$value>,
        ) -> Result<(), ParquetError> {
            let mut writer = group.next_column()?.ok_or_else(wrong_column)?;
            let ColumnWriter::$variant(typed) = writer.untyped() else {
                return Err(wrong_column());
            };
            typed.write_batch(&column.values, Some(&column.levels), None)?;
            writer.close()
        }
    };
}

column_writer!(
    fixed_column,
    FixedLenByteArray,
    FixedLenByteArrayColumnWriter
);
column_writer!(long_column, i64, Int64ColumnWriter);
column_writer!(int_column, i32, Int32ColumnWriter);

pub(super) fn text_column<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    column: &Gathered<ByteArray>,
    repeats: Option<&Vec<i16>>,
) -> Result<(), ParquetError> {
    let mut writer = group.next_column()?.ok_or_else(wrong_column)?;
    let ColumnWriter::ByteArrayColumnWriter(typed) = writer.untyped() else {
        return Err(wrong_column());
    };
    let repeats = repeats.map(Vec::as_slice);
    typed.write_batch(&column.values, Some(&column.levels), repeats)?;
    writer.close()
}
