//! Every decoder of Longshore as a function of any bytes, which must hold what the decoder
//! promises: it never panics, what it gives back is bounded, and what it printed it reads again.
//!
//! `fuzz_targets/` gives each to libFuzzer; `tests/briefly.rs` gives each the files of its corpus
//! and random changes of them.

// A promise that is broken here is a finding, and a finding is a panic.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::sync::Arc;

use longshore_core::trace_context::Baggage;
use longshore_core::{
    AttemptRecord, JobId, JobState, Keep, Kind, Priority, QueueName, Relation, SpanContext, SpanId,
    Timestamp, TraceEnvelope, TraceId, TraceState,
};
use longshore_instrument::foreign::{Delivery, ForeignJob, ForeignQueue};
use longshore_instrument::{Recorder, SpanBuffer};
use serde::Serialize;
use serde::de::DeserializeOwned;

#[path = "../../crates/telemetry/src/export/answer.rs"]
mod answer;
#[path = "../../crates/testkit/src/collector/decode.rs"]
mod decode;
#[path = "../../crates/testkit/src/collector/payload.rs"]
mod payload;
#[path = "../../crates/telemetry/src/export/retry_info.rs"]
mod retry_info;
#[allow(dead_code)]
#[path = "../../crates/cli/src/text.rs"]
mod text;

#[path = "targets/args.rs"]
mod of_args;
#[path = "targets/cron.rs"]
mod of_cron;
#[path = "targets/otlp.rs"]
mod of_otlp;
#[path = "targets/receiver.rs"]
mod of_receiver;
#[path = "targets/rows.rs"]
mod of_rows;
#[path = "targets/search.rs"]
mod of_search;
#[path = "targets/settings.rs"]
mod of_settings;
#[path = "targets/token_index.rs"]
mod of_token_index;
#[path = "targets/traces.rs"]
mod of_traces;

pub use of_args::args;
pub use of_cron::cron;
pub use of_otlp::{otlp_answer, otlp_request, otlp_walk};
pub use of_receiver::otlp_receiver;
pub use of_rows::rows;
pub use of_search::search;
pub use of_settings::settings;
pub use of_traces::trace_store;

/// A decoder's name and the function that tries it.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 13] = [
    ("args", args),
    ("cron", cron),
    ("envelope", envelope),
    ("headers", headers),
    ("otlp_answer", otlp_answer),
    ("otlp_receiver", otlp_receiver),
    ("otlp_request", otlp_request),
    ("otlp_walk", otlp_walk),
    ("rows", rows),
    ("search", search),
    ("settings", settings),
    ("trace_store", trace_store),
    ("words", words),
];

/// `traceparent`, `tracestate` and `baggage`.
pub fn headers(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(context) = SpanContext::from_traceparent(&text) {
        let printed = context.traceparent();
        assert_eq!(printed.len(), 55);
        assert_eq!(SpanContext::from_traceparent(&printed), Ok(context));
    }
    let (state, _) = TraceState::parse(&text);
    assert!(state.as_str().len() <= TraceState::MAX_BYTES);
    assert!(state.as_str().split(',').count() <= TraceState::MAX_MEMBERS);
    assert!(is_printable(state.as_str()));
    assert_eq!(TraceState::parse(state.as_str()), (state.clone(), 0));
    let more = state.with("ot", Some("th:0"));
    assert_eq!(more.get("ot"), Some("th:0"));
    assert!(more.as_str().split(',').count() <= TraceState::MAX_MEMBERS);
    round_trips(&state);
    let key = text.split(['=', ',']).next().unwrap_or_default().trim();
    let listed = [key.to_owned()];
    let (baggage, _) = Baggage::select(&text, &listed);
    assert!(baggage.as_str().len() <= Baggage::MAX_BYTES && is_printable(baggage.as_str()));
    assert_eq!(Baggage::select(baggage.as_str(), &listed), (baggage, 0));
    foreign_headers(&text);
}

/// A job of another queue whose every header says the same.
fn foreign_headers(text: &str) {
    let spans = Arc::new(SpanBuffer::default());
    let queue = ForeignQueue::new(
        "fuzz",
        Arc::<SpanBuffer>::clone(&spans) as Arc<dyn Recorder>,
    );
    let job = ForeignJob::new(text, text).with_id(text);
    drop(queue.attempt(job, &Delivery::first(), |_key| Some(text)));
    for span in spans.spans() {
        assert!(span.end >= span.start);
        assert!(is_printable(span.trace_state.as_str()));
    }
}

/// The JSON that a job carries, and its history.
pub fn envelope(data: &[u8]) {
    if let Ok(envelope) = serde_json::from_slice::<TraceEnvelope>(data) {
        round_trips(&envelope);
        assert!(is_printable(envelope.tracestate.as_str()));
        assert!(is_printable(envelope.baggage.as_str()));
        let _any = envelope.context();
    }
    for decode in [
        json::<AttemptRecord>,
        json::<Keep>,
        json::<JobId>,
        json::<QueueName>,
        json::<Kind>,
        json::<TraceId>,
        json::<SpanId>,
        json::<Timestamp>,
    ] {
        decode(data);
    }
}

/// What is typed on the command line.
pub fn words(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    reads::<JobId>(&text);
    reads::<QueueName>(&text);
    reads::<Kind>(&text);
    reads::<Timestamp>(&text);
    reads::<Relation>(&text);
    reads::<JobState>(&text);
    let _any = text.parse::<Priority>();
    if let Err(problem) = text::parse_duration(&text) {
        assert!(problem.chars().count() < 200);
    }
    if let Ok(read) = longshore_telemetry::config::parse_duration(&text) {
        let millis = format!("{}ms", read.as_millis());
        let again = longshore_telemetry::config::parse_duration(&millis);
        if let Ok(again) = again {
            assert_eq!(again.as_millis(), read.as_millis());
        }
        assert!(!text::duration(read).is_empty());
    }
    let line = text::one_line(&text, 40);
    assert!(line.chars().count() <= 40 && !line.chars().any(char::is_control));
}

fn is_printable(header: &str) -> bool {
    header.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

fn json<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(data) {
        round_trips(&value);
    }
}

fn round_trips<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let json = serde_json::to_string(value).unwrap();
    let back: T = serde_json::from_str(&json).unwrap();
    assert_eq!(&back, value, "{json}");
}

fn reads<T: FromStr<Err: Display> + Display + PartialEq + Debug>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => assert_eq!(value.to_string().parse::<T>().ok(), Some(value)),
        Err(error) => assert!(error.to_string().chars().count() < 400),
    }
}
