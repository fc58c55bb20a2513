//! What is asked, in the words of Jaeger's query API.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_api::ApiError;
use longshore_core::{Timestamp, TraceId};
use longshore_instrument::{AttributeValue, Span};
use longshore_trace::TraceSummary;
use longshore_tracestore::Filter;

/// Traces of an answer if nobody says how many.
const USUAL: usize = 20;

/// Most traces of an answer.
const MOST: usize = 1500;

/// What stands for a condition in a language of its own.
const FILTER: &str = "filter";

/// How the keys of an address are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// As Jaeger's interface asks.
    Classic,
    /// As `/api/v3` is asked.
    V3,
}

/// Which traces are asked for: those with one span that has all of this.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ask {
    service: Option<String>,
    operation: Option<String>,
    tags: BTreeMap<String, String>,
    shortest: Option<Duration>,
    longest: Option<Duration>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Most traces.
    pub(super) limit: usize,
    /// These traces, instead of a search.
    pub(super) traces: Vec<TraceId>,
}

impl Ask {
    /// Reads the part of an address after the `?`.
    pub(super) fn read(
        text: Option<&str>,
        dialect: Dialect,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        let mut ask = Self {
            limit: USUAL,
            ..Self::default()
        };
        let mut lookback = None;
        for (key, value) in form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            if value.is_empty() {
                continue;
            }
            let value = value.as_ref();
            match canonical(&key, dialect) {
                "service" => ask.service = Some(value.to_owned()),
                "operation" => ask.operation = Some(value.to_owned()),
                "tags" => ask.tags.extend(tags(&key, value)?),
                "tag" => ask.tags.extend(tag(value)?),
                "minDuration" => ask.shortest = Some(duration(&key, value)?),
                "maxDuration" => ask.longest = Some(duration(&key, value)?),
                "start" => ask.since = Some(time(&key, value, dialect)?),
                "end" => ask.until = Some(time(&key, value, dialect)?),
                "lookback" => lookback = lookback_of(value),
                "limit" => ask.limit = number(&key, value)?.clamp(1, MOST),
                "traceID" => ask.traces.push(trace_id(value)?),
                // Passed over, it would let traces through that nobody asked for.
                FILTER => {
                    return Err(ApiError::Invalid(format!(
                        "`{key}` is not understood here: ask by service, operation, attributes, \
                         durations and times"
                    )));
                }
                // Interfaces send more than they need.
                _ => {}
            }
        }
        let back = lookback.map(|lookback| now.before(lookback));
        ask.since = ask.since.or(back);
        Ok(ask)
    }

    fn is_of_span(&self, span: &Span) -> bool {
        let took = span.end.since(span.start);
        let service = self.service.as_deref();
        service.is_none_or(|service| span.service() == Some(service))
            && (self.operation.as_deref()).is_none_or(|operation| span.name == operation)
            && self.shortest.is_none_or(|shortest| took >= shortest)
            && self.longest.is_none_or(|longest| took <= longest)
            && (self.tags.iter()).all(|(key, value)| has_tag(span, key, value))
    }
}

impl Filter for Ask {
    fn since(&self) -> Option<Timestamp> {
        self.since
    }

    fn until(&self) -> Option<Timestamp> {
        self.until
    }

    fn decide(&self, summary: &TraceSummary) -> Option<bool> {
        if self.since.is_some_and(|since| summary.end < since)
            || self.until.is_some_and(|until| summary.start > until)
        {
            return Some(false);
        }
        let all_are_named = summary.services.len() < TraceSummary::MOST;
        let is_there =
            (self.service.as_ref()).is_none_or(|service| summary.services.contains(service));
        if !is_there && all_are_named {
            return Some(false);
        }
        let asks_of_spans = self.operation.is_some()
            || !self.tags.is_empty()
            || self.shortest.is_some()
            || self.longest.is_some();
        (is_there && !asks_of_spans).then_some(true)
    }

    fn matches(&self, _summary: &TraceSummary, spans: &[Span]) -> bool {
        spans.iter().any(|span| self.is_of_span(span))
    }
}

/// The key as Jaeger's interface spells it.
fn canonical(key: &str, dialect: Dialect) -> &str {
    if dialect == Dialect::Classic {
        return key;
    }
    match key {
        "query.serviceName" | "query.service_name" => "service",
        "query.operationName" | "query.operation_name" => "operation",
        "query.attributes" => "tags",
        "query.durationMin" | "query.duration_min" => "minDuration",
        "query.durationMax" | "query.duration_max" => "maxDuration",
        "query.startTimeMin" | "query.start_time_min" => "start",
        "query.startTimeMax" | "query.start_time_max" => "end",
        "query.searchDepth" | "query.search_depth" | "query.num_traces" => "limit",
        "query.filter" => FILTER,
        _ => "",
    }
}

/// A trace id, whose leading zeros Jaeger may leave out.
pub(super) fn trace_id(text: &str) -> Result<TraceId, ApiError> {
    let wrong = || {
        let shown: String = text.chars().take(64).collect();
        ApiError::Invalid(format!(
            "`{shown}` is no trace id: it has up to 32 hex digits"
        ))
    };
    if text.is_empty() || text.len() > 32 || !text.is_ascii() {
        return Err(wrong());
    }
    TraceId::from_hex(&format!("{:0>32}", text.to_ascii_lowercase())).ok_or_else(wrong)
}

/// The service whose operations are asked for.
pub(super) fn service(text: Option<&str>) -> Result<String, ApiError> {
    let pairs = form_urlencoded::parse(text.unwrap_or_default().as_bytes());
    let mut named = pairs.filter(|(key, _)| key == "service");
    let service = named.next().map(|(_, service)| service.into_owned());
    service.ok_or_else(|| ApiError::Invalid("`service` is missing in the address".to_owned()))
}

fn wrong(key: &str, value: &str, such_as: &str) -> ApiError {
    let shown: String = value.chars().take(64).collect();
    ApiError::Invalid(format!(
        "`{key}` cannot be `{shown}`: write it as {such_as}"
    ))
}

fn tags(key: &str, value: &str) -> Result<BTreeMap<String, String>, ApiError> {
    let object: BTreeMap<String, serde_json::Value> = serde_json::from_str(value)
        .map_err(|_error| wrong(key, value, r#"{"http.method":"GET"}"#))?;
    let text = |(key, value): (String, serde_json::Value)| match value {
        serde_json::Value::String(text) => (key, text),
        other => (key, other.to_string()),
    };
    Ok(object.into_iter().map(text).collect())
}

fn tag(value: &str) -> Result<Option<(String, String)>, ApiError> {
    let pair = value.split_once(':');
    let pair = pair.ok_or_else(|| wrong("tag", value, "http.method:GET"))?;
    Ok(Some((pair.0.to_owned(), pair.1.to_owned())))
}

fn number(key: &str, value: &str) -> Result<usize, ApiError> {
    value.parse().map_err(|_error| wrong(key, value, "20"))
}

fn time(key: &str, value: &str, dialect: Dialect) -> Result<Timestamp, ApiError> {
    match dialect {
        Dialect::Classic => {
            let micros: i64 = value
                .parse()
                .map_err(|_error| wrong(key, value, "1700000000000000 (microseconds)"))?;
            Ok(Timestamp::from_unix_nanos(micros.saturating_mul(1000)))
        }
        Dialect::V3 => value
            .parse()
            .map_err(|_error| wrong(key, value, "2026-05-01T08:30:00Z")),
    }
}

/// How far back; `custom` says that there is a start.
fn lookback_of(value: &str) -> Option<Duration> {
    duration("lookback", value).ok()
}

/// A duration as Go prints it, and with days and weeks: `1h30m`, `1.5s`, `100us`.
fn duration(key: &str, value: &str) -> Result<Duration, ApiError> {
    let refuse = || wrong(key, value, "1.2s, 100ms or 500us");
    let (mut seconds, mut rest) = (0.0, value);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, tail) = rest
            .split_at_checked(end.ok_or_else(refuse)?)
            .ok_or_else(refuse)?;
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, tail) = tail
            .split_at_checked(end.unwrap_or(tail.len()))
            .ok_or_else(refuse)?;
        let size = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => return Err(refuse()),
        };
        let number: f64 = number.parse().map_err(|_error| refuse())?;
        seconds += number * size;
        rest = tail;
    }
    if value.is_empty() {
        return Err(refuse());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_error| refuse())
}

/// Whether a span has an attribute, or one that its resource or Jaeger's own tags say.
fn has_tag(span: &Span, key: &str, value: &str) -> bool {
    match key {
        "error" => return span.status.is_error() == (value == "true"),
        "span.kind" => return span.kind.as_str().eq_ignore_ascii_case(value),
        "otel.scope.name" | "otel.library.name" => return span.scope == value,
        _ => {}
    }
    let resource = span
        .resource
        .iter()
        .flat_map(|resource| &resource.attributes);
    let of_events = span.events.iter().flat_map(|event| &event.attributes);
    let mut all = span.attributes.iter().chain(resource).chain(of_events);
    all.any(|attribute| attribute.key == key && is_text(&attribute.value, value))
}

fn is_text(value: &AttributeValue, text: &str) -> bool {
    match value {
        AttributeValue::String(own) => own == text,
        AttributeValue::Int(number) => text.parse() == Ok(*number),
        AttributeValue::Double(number) => text.parse() == Ok(*number),
        AttributeValue::Bool(yes) => text.parse() == Ok(*yes),
        AttributeValue::Strings(texts) => texts.iter().any(|own| own == text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Ask, ApiError> {
        Ask::read(
            Some(text),
            Dialect::Classic,
            Timestamp::from_unix_millis(10_000_000),
        )
    }

    #[test]
    fn what_the_interface_sends_is_understood() {
        let ask = read(
            "end=1700000003000000&limit=20&lookback=1h&maxDuration=1.5s&minDuration=100us\
             &operation=GET%20%2F&service=shop&start=1700000000000000&tags=%7B%22a%22%3A%22b%22%7D",
        )
        .unwrap();
        assert_eq!(ask.service.as_deref(), Some("shop"));
        assert_eq!(ask.operation.as_deref(), Some("GET /"));
        assert_eq!(ask.shortest, Some(Duration::from_micros(100)));
        assert_eq!(ask.longest, Some(Duration::from_millis(1500)));
        assert_eq!(
            ask.since,
            Some(Timestamp::from_unix_millis(1_700_000_000_000))
        );
        assert_eq!(ask.tags["a"], "b");
        let ask = read("service=shop&lookback=1h&minDuration=&maxDuration=").unwrap();
        assert_eq!(ask.since, Some(Timestamp::from_unix_millis(6_400_000)));
        assert_eq!(read("lookback=custom").unwrap().since, None);
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for wrong in [
            "limit=x",
            "minDuration=5",
            "maxDuration=1..s",
            "tags=a",
            "start=now",
            "traceID=xyz",
        ] {
            assert!(matches!(read(wrong), Err(ApiError::Invalid(_))), "{wrong}");
        }
        for wrong in [
            "minDuration=%C2%B5",
            "minDuration=1e999999s",
            "minDuration=999999999999999999999w",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_trace_id_may_lack_zeros() {
        assert_eq!(trace_id("Ab").unwrap(), TraceId::from_u128(0xab));
        assert!(trace_id("0").is_err());
        assert!(trace_id("").is_err());
        assert!(trace_id(&"1".repeat(33)).is_err());
    }
}
