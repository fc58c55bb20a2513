//! The messages of OTLP that are taken, field by field: what is read as protobuf, what is read as
//! JSON, and what is looked through before it is kept all follow this one table.
//!
//! The numbers and names are those of the protocol's `.proto` files (opentelemetry-proto 1.x).

/// A message and its fields, in the order of their numbers.
#[derive(Debug)]
pub(super) struct Schema {
    fields: &'static [Field],
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    /// Its name in JSON.
    pub(super) name: &'static str,
    /// Its name in the `.proto` file, which readers of JSON have to understand too.
    pub(super) proto_name: &'static str,
    pub(super) shape: Shape,
    pub(super) is_repeated: bool,
}

/// What the value of a field is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// A message without a part of its own in what follows.
    Message(&'static Schema),
    /// What is counted: a span or a log record.
    Item(&'static Schema),
    /// A key and a value, of which the message may have fewer than it says.
    Attribute,
    /// A key and a value within a value.
    Pair,
    /// A value of any kind.
    Value,
    /// A text that may hold anything.
    Text,
    /// A text by a grammar of its own, which is left as it is.
    Label,
    /// An id of so many bytes, in JSON in hexadecimal digits.
    Id(usize),
    /// The same, and it must be there.
    OwnId(usize),
    /// Bytes, in JSON in base64.
    Bytes,
    /// How many attributes the message has fewer than there were.
    Dropped,
    /// A number of an enumeration, by these names from 0 on in JSON.
    Enum(&'static [&'static str]),
    /// When an item began, when it ended.
    Begin,
    End,
    Fixed64,
    Fixed32,
    Uint32,
    Int64,
    Bool,
    Double,
}

/// How a value stands in protobuf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WireType {
    Varint,
    Fixed64,
    Delimited,
    Fixed32,
}

impl Schema {
    pub(super) fn numbered(&self, number: u32) -> Option<&'static Field> {
        // Most messages number their fields from 1 on without a gap.
        let guess = usize::try_from(number).ok()?.checked_sub(1)?;
        match self.fields.get(guess) {
            Some(field) if field.number == number => Some(field),
            _ => self.fields.iter().find(|field| field.number == number),
        }
    }

    /// One bit for each id that must be there, by its number.
    pub(super) fn own_ids(&self) -> u8 {
        let own = self.fields.iter();
        let own = own.filter(|field| matches!(field.shape, Shape::OwnId(_)));
        own.fold(0, |bits, field| {
            bits | 1_u8.checked_shl(field.number).unwrap_or(0)
        })
    }

    /// The field that says how many attributes were dropped.
    pub(super) fn dropped(&self) -> Option<&'static Field> {
        let is_it = |field: &&Field| matches!(field.shape, Shape::Dropped);
        self.fields.iter().find(is_it)
    }

    /// The field of this name. It is looked for from `next` on, which is where the one after the last
    /// one stands: whoever writes many messages has the same order in all.
    pub(super) fn named(&self, name: &str, next: &mut usize) -> Option<&'static Field> {
        let is_it = |field: &Field| field.name == name || field.proto_name == name;
        let (before, after) = self.fields.split_at_checked(*next)?;
        let at = match after.iter().position(is_it) {
            Some(at) => before.len() + at,
            None => before.iter().position(is_it)?,
        };
        *next = at + 1;
        self.fields.get(at)
    }
}

impl Shape {
    pub(super) const fn wire_type(self) -> WireType {
        match self {
            Self::Message(_)
            | Self::Item(_)
            | Self::Attribute
            | Self::Pair
            | Self::Value
            | Self::Text
            | Self::Label
            | Self::Id(_)
            | Self::OwnId(_)
            | Self::Bytes => WireType::Delimited,
            Self::Dropped | Self::Enum(_) | Self::Uint32 | Self::Int64 | Self::Bool => {
                WireType::Varint
            }
            Self::Begin | Self::End | Self::Fixed64 | Self::Double => WireType::Fixed64,
            Self::Fixed32 => WireType::Fixed32,
        }
    }

    /// The message that the value is, if it is one.
    pub(super) const fn schema(self) -> Option<&'static Schema> {
        match self {
            Self::Message(schema) | Self::Item(schema) => Some(schema),
            Self::Attribute | Self::Pair => Some(&KEY_VALUE),
            Self::Value => Some(&ANY_VALUE),
            _ => None,
        }
    }
}

const fn one(number: u32, name: &'static str, proto_name: &'static str, shape: Shape) -> Field {
    Field {
        number,
        name,
        proto_name,
        shape,
        is_repeated: false,
    }
}

const fn many(number: u32, name: &'static str, proto_name: &'static str, shape: Shape) -> Field {
    Field {
        number,
        name,
        proto_name,
        shape,
        is_repeated: true,
    }
}

use Shape::{
    Attribute, Begin, Bool, Bytes, Double, Dropped, End, Enum, Fixed32, Fixed64, Id, Int64, Item,
    Label, Message, OwnId, Pair, Text, Uint32, Value,
};

/// `ExportTraceServiceRequest`.
pub(super) static TRACES: Schema = Schema {
    fields: &[many(
        1,
        "resourceSpans",
        "resource_spans",
        Message(&RESOURCE_SPANS),
    )],
};

/// `ExportLogsServiceRequest`.
pub(super) static LOGS: Schema = Schema {
    fields: &[many(
        1,
        "resourceLogs",
        "resource_logs",
        Message(&RESOURCE_LOGS),
    )],
};

static RESOURCE_SPANS: Schema = Schema {
    fields: &[
        one(1, "resource", "resource", Message(&RESOURCE)),
        many(2, "scopeSpans", "scope_spans", Message(&SCOPE_SPANS)),
        one(3, "schemaUrl", "schema_url", Text),
    ],
};

static RESOURCE_LOGS: Schema = Schema {
    fields: &[
        one(1, "resource", "resource", Message(&RESOURCE)),
        many(2, "scopeLogs", "scope_logs", Message(&SCOPE_LOGS)),
        one(3, "schemaUrl", "schema_url", Text),
    ],
};

static RESOURCE: Schema = Schema {
    fields: &[
        many(1, "attributes", "attributes", Attribute),
        one(
            2,
            "droppedAttributesCount",
            "dropped_attributes_count",
            Dropped,
        ),
        many(3, "entityRefs", "entity_refs", Message(&ENTITY_REF)),
    ],
};

static ENTITY_REF: Schema = Schema {
    fields: &[
        one(1, "schemaUrl", "schema_url", Text),
        one(2, "type", "type", Text),
        many(3, "idKeys", "id_keys", Text),
        many(4, "descriptionKeys", "description_keys", Text),
    ],
};

static SCOPE: Schema = Schema {
    fields: &[
        one(1, "name", "name", Text),
        one(2, "version", "version", Text),
        many(3, "attributes", "attributes", Attribute),
        one(
            4,
            "droppedAttributesCount",
            "dropped_attributes_count",
            Dropped,
        ),
    ],
};

static SCOPE_SPANS: Schema = Schema {
    fields: &[
        one(1, "scope", "scope", Message(&SCOPE)),
        many(2, "spans", "spans", Item(&SPAN)),
        one(3, "schemaUrl", "schema_url", Text),
    ],
};

static SCOPE_LOGS: Schema = Schema {
    fields: &[
        one(1, "scope", "scope", Message(&SCOPE)),
        many(2, "logRecords", "log_records", Item(&LOG_RECORD)),
        one(3, "schemaUrl", "schema_url", Text),
    ],
};

static SPAN: Schema = Schema {
    fields: &[
        one(1, "traceId", "trace_id", OwnId(16)),
        one(2, "spanId", "span_id", OwnId(8)),
        one(3, "traceState", "trace_state", Label),
        one(4, "parentSpanId", "parent_span_id", Id(8)),
        one(5, "name", "name", Text),
        one(6, "kind", "kind", Enum(SPAN_KINDS)),
        one(7, "startTimeUnixNano", "start_time_unix_nano", Begin),
        one(8, "endTimeUnixNano", "end_time_unix_nano", End),
        many(9, "attributes", "attributes", Attribute),
        one(
            10,
            "droppedAttributesCount",
            "dropped_attributes_count",
            Dropped,
        ),
        many(11, "events", "events", Message(&EVENT)),
        one(12, "droppedEventsCount", "dropped_events_count", Uint32),
        many(13, "links", "links", Message(&LINK)),
        one(14, "droppedLinksCount", "dropped_links_count", Uint32),
        one(15, "status", "status", Message(&STATUS)),
        one(16, "flags", "flags", Fixed32),
    ],
};

const SPAN_KINDS: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

static EVENT: Schema = Schema {
    fields: &[
        one(1, "timeUnixNano", "time_unix_nano", Fixed64),
        one(2, "name", "name", Text),
        many(3, "attributes", "attributes", Attribute),
        one(
            4,
            "droppedAttributesCount",
            "dropped_attributes_count",
            Dropped,
        ),
    ],
};

static LINK: Schema = Schema {
    fields: &[
        one(1, "traceId", "trace_id", Id(16)),
        one(2, "spanId", "span_id", Id(8)),
        one(3, "traceState", "trace_state", Label),
        many(4, "attributes", "attributes", Attribute),
        one(
            5,
            "droppedAttributesCount",
            "dropped_attributes_count",
            Dropped,
        ),
        one(6, "flags", "flags", Fixed32),
    ],
};

static STATUS: Schema = Schema {
    fields: &[
        one(2, "message", "message", Text),
        one(3, "code", "code", Enum(STATUS_CODES)),
    ],
};

const STATUS_CODES: &[&str] = &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

const SEVERITIES: &[&str] = &[
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
];

static LOG_RECORD: Schema = Schema {
    fields: &[
        one(1, "timeUnixNano", "time_unix_nano", Begin),
        one(2, "severityNumber", "severity_number", Enum(SEVERITIES)),
        one(3, "severityText", "severity_text", Text),
        one(5, "body", "body", Value),
        many(6, "attributes", "attributes", Attribute),
        one(
            7,
            "droppedAttributesCount",
            "dropped_attributes_count",
            Dropped,
        ),
        one(8, "flags", "flags", Fixed32),
        one(9, "traceId", "trace_id", Id(16)),
        one(10, "spanId", "span_id", Id(8)),
        one(11, "observedTimeUnixNano", "observed_time_unix_nano", End),
        one(12, "eventName", "event_name", Text),
    ],
};

/// `KeyValue`.
pub(super) static KEY_VALUE: Schema = Schema {
    fields: &[one(1, "key", "key", Text), one(2, "value", "value", Value)],
};

/// `AnyValue`, of whose fields a message has one at most.
pub(super) static ANY_VALUE: Schema = Schema {
    fields: &[
        one(1, "stringValue", "string_value", Text),
        one(2, "boolValue", "bool_value", Bool),
        one(3, "intValue", "int_value", Int64),
        one(4, "doubleValue", "double_value", Double),
        one(5, "arrayValue", "array_value", Message(&ARRAY)),
        one(6, "kvlistValue", "kvlist_value", Message(&PAIRS)),
        one(7, "bytesValue", "bytes_value", Bytes),
    ],
};

static ARRAY: Schema = Schema {
    fields: &[many(1, "values", "values", Value)],
};

static PAIRS: Schema = Schema {
    fields: &[many(1, "values", "values", Pair)],
};
