//! The columns of a sealed file, which `docs/trace-store.md` describes to its readers.

use std::sync::Arc;

use longshore_instrument::table::key;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};

/// The version of the columns, under which readers find them.
pub(crate) const VERSION: &str = "1";
/// The key under which a file says the version of its columns.
pub(crate) const VERSION_KEY: &str = "longshore.columns";
/// The key under which a file names the log files it was made of, one a line.
pub(crate) const SOURCES_KEY: &str = "longshore.sources";

/// The key under which a file names the sealed files it was put together from, one a line.
pub(crate) const PARTS_KEY: &str = "longshore.parts";

const SCHEMA: &str = "
message spans {
  required fixed_len_byte_array(16) trace_id;
  required fixed_len_byte_array(8) span_id;
  optional fixed_len_byte_array(8) parent_span_id;
  required int64 start_time (TIMESTAMP(NANOS,true));
  required int64 duration_nanos;
  required binary service (STRING);
  required binary name (STRING);
  required binary kind (STRING);
  required binary status (STRING);
  optional binary status_message (STRING);
  required int32 flags;
  optional binary trace_state (STRING);
  required binary scope (STRING);
  optional binary queue (STRING);
  optional binary job_kind (STRING);
  optional binary job_id (STRING);
  optional binary correlation_id (STRING);
  optional binary tenant_id (STRING);
  optional binary namespace (STRING);
  optional binary outcome (STRING);
  optional binary error_type (STRING);
  optional binary tags (STRING);
  optional int32 attempt;
  required group attributes (MAP) {
    repeated group key_value {
      required binary key (STRING);
      required binary value (STRING);
    }
  }
  required binary attribute_types (STRING);
  optional binary events (STRING);
  optional binary links (STRING);
  optional binary resource (STRING);
  required int32 dropped_attributes;
  required int32 dropped_events;
  required int32 dropped_links;
}";

/// The letters by which `attribute_types` says where an attribute is that has a column of its own:
/// from this one on those of [`DEDICATED`], in their order, then the tags and the attempt.
pub(crate) const FIRST_LETTER: u8 = b'A';
/// The letter of the tags, which have a column as JSON.
pub(crate) const TAGS_LETTER: char = 'Y';
/// The letter of the number of the attempt.
pub(crate) const ATTEMPT_LETTER: char = 'Z';

/// Texts among attributes that have a column of their own, in the order of those.
pub(crate) const DEDICATED: [(&str, Column); 8] = [
    (key::QUEUE, Column::Queue),
    (key::KIND, Column::JobKind),
    (key::JOB_ID, Column::JobId),
    (key::CORRELATION_ID, Column::CorrelationId),
    (key::TENANT, Column::TenantId),
    (key::NAMESPACE, Column::Namespace),
    (key::OUTCOME, Column::Outcome),
    (key::ERROR_TYPE, Column::ErrorType),
];

/// The columns, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    TraceId,
    SpanId,
    ParentSpanId,
    StartTime,
    DurationNanos,
    Service,
    Name,
    Kind,
    Status,
    StatusMessage,
    Flags,
    TraceState,
    Scope,
    Queue,
    JobKind,
    JobId,
    CorrelationId,
    TenantId,
    Namespace,
    Outcome,
    ErrorType,
    Tags,
    Attempt,
    AttributeKeys,
    AttributeValues,
    AttributeTypes,
    Events,
    Links,
    Resource,
    DroppedAttributes,
    DroppedEvents,
    DroppedLinks,
}

impl From<Column> for usize {
    fn from(column: Column) -> Self {
        column as Self
    }
}

impl Column {
    pub(crate) const COUNT: usize = Self::DroppedLinks as usize + 1;
}

pub(crate) fn schema() -> Result<TypePtr, ParquetError> {
    parse_message_type(SCHEMA).map(Arc::new)
}

pub(crate) fn properties(
    sources: String,
    traces: u64,
) -> Result<WriterPropertiesPtr, ParquetError> {
    let path =
        |parts: &[&str]| ColumnPath::new(parts.iter().map(|part| (*part).to_owned()).collect());
    let pair = |key: &str, value: String| KeyValue {
        key: key.to_owned(),
        value: Some(value),
    };
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_created_by(concat!("longshore ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_data_page_row_count_limit(4096)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_key_value_metadata(Some(vec![
            pair(VERSION_KEY, VERSION.to_owned()),
            pair(SOURCES_KEY, sources),
        ]))
        .set_column_bloom_filter_enabled(path(&["trace_id"]), true)
        .set_column_bloom_filter_fpp(path(&["trace_id"]), 0.01)
        .set_column_bloom_filter_max_ndv(path(&["trace_id"]), traces.max(1));
    for column in ["start_time", "duration_nanos"] {
        properties = properties
            .set_column_dictionary_enabled(path(&[column]), false)
            .set_column_encoding(path(&[column]), Encoding::DELTA_BINARY_PACKED);
    }
    for column in ["span_id", "parent_span_id"] {
        properties = properties.set_column_dictionary_enabled(path(&[column]), false);
    }
    let unsorted = [
        path(&["span_id"]),
        path(&["parent_span_id"]),
        path(&["status_message"]),
        path(&["attributes", "key_value", "key"]),
        path(&["attributes", "key_value", "value"]),
        path(&["attribute_types"]),
        path(&["events"]),
        path(&["links"]),
        path(&["resource"]),
    ];
    for column in unsorted {
        properties = properties.set_column_statistics_enabled(column, EnabledStatistics::None);
    }
    Ok(Arc::new(properties.build()))
}
