//! Everything the core decodes: what was encoded comes back, and nothing at all makes it panic or
//! grow without bound.

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::time::Duration;

use longshore_core::rare_fields::RareFields;
use longshore_core::{
    AttemptError, AttemptOutcome, AttemptRecord, Baggage, EnqueueStub, Job, JobId, Keep, Kind,
    NewJob, QueueName, Random, Relation, RetryPolicy, SpanContext, SpanId, Timestamp,
    TraceEnvelope, TraceFlags, TraceId, TraceState, WorkerId,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Text of all kinds, and text that is nearly right.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9a-f]{2}-[0-9a-f]{31,33}-[0-9a-f]{15,17}-[0-9a-f]{1,3}(-.{0,8})?",
        "([a-z0-9_*/@=-]{0,9}[ \t]?[,=;%]){0,40}",
        "[+-]?[0-9]{1,24}(ms|s|m|h|d|.)?",
        "[+-]?[0-9]{4,6}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{0,12})?)?(Z|[+-][0-9:]{2,9})?",
    ]
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        any::<i64>(),
        Just(i64::MIN),
        Just(i64::MAX),
        (0..4_000_000_000i64).prop_map(|seconds| seconds * 1_000_000_000),
    ]
    .prop_map(Timestamp::from_unix_nanos)
}

fn trace_id() -> impl Strategy<Value = TraceId> {
    any::<u128>().prop_map(TraceId::from_u128)
}

fn span_id() -> impl Strategy<Value = SpanId> {
    any::<u64>().prop_map(SpanId::from_u64)
}

fn trace_state() -> impl Strategy<Value = TraceState> {
    let foreign = vec(
        ("[a-z0-9][a-z0-9_*/@-]{0,40}", "[!-+\\--<>-~]{1,90}"),
        0..40,
    );
    (foreign, option::of(0u64..1 << 56)).prop_map(|(members, threshold)| {
        let text: Vec<String> = members
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let state = TraceState::parse(&text.join(",")).0;
        state.with(
            "ot",
            threshold.map(|bits| format!("th:{bits:x}")).as_deref(),
        )
    })
}

fn baggage() -> impl Strategy<Value = Baggage> {
    vec("[a-c]=[!-+\\--~]{0,200}", 0..9).prop_map(|members| {
        let listed = ["a", "b", "c"].map(str::to_owned);
        Baggage::select(&members.join(", "), &listed).0
    })
}

fn envelope() -> impl Strategy<Value = TraceEnvelope> {
    let context = (trace_id(), span_id(), 0..4u8);
    let stub = (timestamp(), option::of(span_id()), ".{0,64}");
    (
        option::of(context),
        trace_state(),
        baggage(),
        0..3usize,
        1..u32::MAX,
        option::of(stub),
        option::of((any::<String>(), timestamp())),
    )
        .prop_map(
            |(context, tracestate, baggage, relation, batch_size, stub, keep)| TraceEnvelope {
                traceparent: context.map(|(trace, span, flags)| {
                    SpanContext::new(trace, span, TraceFlags::new(flags)).traceparent()
                }),
                tracestate,
                baggage,
                relation: [Relation::Parent, Relation::Link, Relation::Auto][relation],
                batch_size,
                enqueue_stub: stub.map(|(started_at, parent_span_id, service)| EnqueueStub {
                    started_at,
                    parent_span_id,
                    follows: parent_span_id.map(|_| service.clone()),
                    service,
                }),
                keep: keep.map(|(reason, at)| Keep { reason, at }),
            },
        )
}

fn new_job() -> NewJob {
    let (queue, kind) = ("mail".parse().unwrap(), "send".parse().unwrap());
    NewJob::new("a-job".parse().unwrap(), queue, kind, "{}")
}

/// A job whose rare fields are anything.
fn job_with_rare_fields() -> impl Strategy<Value = NewJob> {
    let word = || option::of(any::<String>());
    let pairs = proptest::collection::btree_map(any::<String>(), any::<String>(), 0..3);
    (
        (vec(any::<String>(), 0..3), pairs),
        (word(), word(), word(), word()),
        option::of(envelope()),
    )
        .prop_map(|((tags, metadata), words, trace)| {
            let mut new = NewJob {
                tags,
                metadata,
                ..new_job()
            };
            (new.correlation_id, new.parent_correlation_id) = (words.0, words.1);
            (new.tenant_id, new.namespace) = (words.2, words.3);
            new.trace = trace.unwrap_or(new.trace);
            new
        })
}

fn record() -> impl Strategy<Value = AttemptRecord> {
    use AttemptOutcome as O;
    let outcomes = [
        O::Completed,
        O::Retried,
        O::Snoozed,
        O::Cancelled,
        O::Discarded,
        O::HandedBack,
        O::Lost,
    ];
    (
        any::<(u32, u32, String)>(),
        (timestamp(), timestamp(), timestamp()),
        proptest::sample::select(outcomes.to_vec()),
        option::of(any::<(String, String)>()),
        option::of((trace_id(), span_id())),
    )
        .prop_map(|(numbers, times, outcome, error, ids)| AttemptRecord {
            attempt: numbers.0,
            claim: numbers.1,
            worker: WorkerId::new(&numbers.2),
            due_at: times.0,
            claimed_at: times.1,
            ended_at: times.2,
            outcome,
            error: error.map(|(class, message)| AttemptError::new(class, message)),
            trace_id: ids.map(|(trace, _)| trace),
            span_id: ids.map(|(_, span)| span),
        })
}

/// What was written as JSON is read back as it was.
fn round_trips<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let json = serde_json::to_string(value).unwrap();
    let back: T = serde_json::from_str(&json).unwrap();
    assert_eq!(&back, value, "{json}");
}

/// What can be read as a `T` prints as text that is read as the same `T`; what cannot be read is
/// refused in a message of bounded length.
fn reads<T: FromStr<Err: Display> + Display + PartialEq + Debug>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => assert_eq!(value.to_string().parse::<T>().ok(), Some(value), "{text:?}"),
        Err(error) => assert!(error.to_string().chars().count() < 400, "{error}"),
    }
}

/// A source of randomness that always gives the same.
#[derive(Debug)]
struct Always(u64);

impl Random for Always {
    fn next_u64(&self) -> u64 {
        self.0
    }
}

proptest! {
    #[test]
    fn a_context_round_trips(trace in trace_id(), span in span_id(), flags in 0..4u8) {
        let context = SpanContext::new(trace, span, TraceFlags::new(flags));
        prop_assert_eq!(SpanContext::from_traceparent(&context.traceparent()), Ok(context));
        prop_assert_eq!(TraceId::from_hex(&trace.to_string()), Some(trace));
        prop_assert_eq!(SpanId::from_hex(&span.to_string()), Some(span));
        prop_assert_eq!(TraceId::from_bytes(trace.to_bytes()), Some(trace));
        prop_assert_eq!(SpanId::from_bytes(span.to_bytes()), Some(span));
        round_trips(&trace);
        round_trips(&span);
    }

    #[test]
    fn a_traceparent_that_is_read_is_printed_in_version_0(text in text()) {
        if let Ok(context) = SpanContext::from_traceparent(&text) {
            let printed = context.traceparent();
            prop_assert_eq!(printed.len(), 55);
            prop_assert_eq!(SpanContext::from_traceparent(&printed), Ok(context));
        }
    }

    #[test]
    fn a_tracestate_is_bounded_and_fit_for_a_header(text in text()) {
        let (state, cut) = TraceState::parse(&text);
        prop_assert!(state.as_str().len() <= TraceState::MAX_BYTES);
        prop_assert!(state.as_str().split(',').count() <= TraceState::MAX_MEMBERS);
        prop_assert!(state.as_str().bytes().all(|byte| (0x20..=0x7e).contains(&byte)));
        prop_assert!(cut <= text.split(',').count());
        prop_assert_eq!(TraceState::parse(state.as_str()), (state.clone(), 0));
        round_trips(&state);
    }

    #[test]
    fn tracestate_and_baggage_from_a_store_are_as_they_were(state in trace_state(), baggage in baggage()) {
        round_trips(&state);
        round_trips(&baggage);
    }

    #[test]
    fn damaged_text_from_a_store_gets_into_no_header(text in text()) {
        let json = serde_json::to_string(&text).unwrap();
        let state: TraceState = serde_json::from_str(&json).unwrap();
        let baggage: Baggage = serde_json::from_str(&json).unwrap();
        for header in [state.as_str(), baggage.as_str()] {
            prop_assert!(header.bytes().all(|byte| (0x20..=0x7e).contains(&byte)), "{:?}", header);
        }
        prop_assert!(baggage.as_str().len() <= Baggage::MAX_BYTES);
    }

    #[test]
    fn baggage_is_bounded_and_only_what_is_listed(text in text(), key in "[a-z0-9_*/@-]{0,9}") {
        let listed = [key.clone(), "a".to_owned()];
        let (baggage, _) = Baggage::select(&text, &listed);
        prop_assert!(baggage.as_str().len() <= Baggage::MAX_BYTES);
        for member in baggage.as_str().split(',').filter(|member| !member.is_empty()) {
            let name = member.split_once('=').unwrap().0.trim();
            prop_assert!(listed.iter().any(|listed| listed == name), "{}", member);
        }
        prop_assert_eq!(Baggage::select(baggage.as_str(), &listed), (baggage, 0));
    }

    #[test]
    fn an_envelope_round_trips(envelope in envelope()) {
        round_trips(&envelope);
    }

    #[test]
    fn rare_fields_come_back_all_but_the_decision_to_keep(new in job_with_rare_fields()) {
        let mut job = Job::from_new(new_job(), Timestamp::UNIX_EPOCH);
        if let Some(fields) = RareFields::of(&new) {
            round_trips(&fields);
            let json = serde_json::to_string(&fields).unwrap();
            serde_json::from_str::<RareFields<'_>>(&json).unwrap().put_into(&mut job);
        }
        let mut expected = Job::from_new(new, Timestamp::UNIX_EPOCH);
        expected.trace.keep = None;
        prop_assert_eq!(job, expected);
    }

    #[test]
    fn a_record_round_trips(record in record()) {
        prop_assert!(record.worker.as_str().chars().count() <= 128);
        round_trips(&record);
    }

    #[test]
    fn a_time_round_trips(at in timestamp(), by in any::<(u64, u32)>()) {
        prop_assert_eq!(at.to_string().parse::<Timestamp>().unwrap(), at);
        round_trips(&at);
        let by = Duration::new(by.0, by.1 % 1_000_000_000);
        prop_assert!(at.after(by) >= at && at.before(by) <= at);
    }

    #[test]
    fn text_is_read_or_refused(text in text()) {
        reads::<JobId>(&text);
        reads::<QueueName>(&text);
        reads::<Kind>(&text);
        reads::<Timestamp>(&text);
        reads::<Relation>(&text);
    }

    #[test]
    fn json_of_any_bytes_is_read_or_refused(bytes in vec(any::<u8>(), 0..200), new in job_with_rare_fields()) {
        // The same bytes over the middle of something right.
        let right = [serde_json::to_vec(&new.trace), serde_json::to_vec(&RareFields::of(&new))];
        let damaged = right.map(|right| {
            let mut damaged = right.unwrap();
            let half = damaged.len() / 2;
            for (slot, byte) in damaged.iter_mut().skip(half).zip(&bytes) {
                *slot = *byte;
            }
            damaged
        });
        for bytes in damaged.into_iter().chain([bytes]) {
            let _ = serde_json::from_slice::<TraceEnvelope>(&bytes).map(|read| round_trips(&read));
            let _ = serde_json::from_slice::<AttemptRecord>(&bytes).map(|read| round_trips(&read));
            let _ = serde_json::from_slice::<RareFields<'_>>(&bytes).map(|read| round_trips(&read));
            let _ = serde_json::from_slice::<JobId>(&bytes).map(|read| round_trips(&read));
        }
    }

    #[test]
    fn a_wait_is_within_its_bounds(
        base in any::<(u64, u32)>(), cap in any::<(u64, u32)>(),
        attempt in any::<u32>(), max in any::<u32>(),
        random in prop_oneof![any::<u64>(), Just(0), Just(u64::MAX)],
    ) {
        let duration = |(secs, nanos): (u64, u32)| Duration::new(secs, nanos % 1_000_000_000);
        let (base, cap) = (duration(base), duration(cap));
        let error = AttemptError::new("x", "");
        let wait = RetryPolicy::exponential(base, cap).wait(attempt, max, &error, &Always(random));
        prop_assert_eq!(wait.is_none(), attempt >= max);
        prop_assert!(wait.unwrap_or_default() <= cap);
        let fixed = RetryPolicy::fixed(base).wait(attempt, max, &error, &Always(random));
        prop_assert_eq!(fixed.unwrap_or(base), base);
    }
}

#[test]
fn the_longest_wait_there_is_can_be_jittered() {
    let policy = RetryPolicy::exponential(Duration::MAX, Duration::MAX);
    let error = AttemptError::new("x", "");
    for random in [0, 1, u64::MAX] {
        let wait = policy.wait(1, 9, &error, &Always(random));
        assert!(wait.unwrap() >= Duration::MAX / 3);
    }
}
