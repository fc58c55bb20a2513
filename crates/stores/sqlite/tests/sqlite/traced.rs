//! What a job carries of its trace, and what its history says, come back as they were: in the
//! short form that most rows have, and where that form cannot say all.

use longshore_core::id::SpanPart;
use longshore_core::{
    AttemptError, Baggage, EnqueueStub, Keep, NewJob, Outcome, Relation, Settlement, SpanId, Store,
    Timestamp, TraceEnvelope, TraceId, TraceState,
};
use longshore_sqlite::rusqlite::Connection;
use proptest::option;
use proptest::prelude::*;

use crate::support::{Folder, claim, complete, job};

const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["", "[a-z]{1,16}", "[\\\\\"a,\\]\n]{1,9}", ".{0,16}"]
}

fn stub() -> impl Strategy<Value = EnqueueStub> {
    let parent = option::of(1..u64::MAX);
    let follows = option::weighted(0.2, text());
    (any::<i64>(), parent, text(), follows).prop_map(|(at, parent, service, follows)| EnqueueStub {
        started_at: Timestamp::from_unix_nanos(at),
        parent_span_id: parent.map(SpanId::from_u64),
        service,
        follows,
    })
}

fn envelope() -> impl Strategy<Value = TraceEnvelope> {
    let traceparent = prop_oneof![
        Just(format!("00-{TRACE:032x}-b7ad6b7169203331-02")),
        "00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]",
        text(),
    ];
    let state = prop_oneof!["", "ot=th:fd70a", "a=\"b\\\\\",c=d"];
    let baggage = prop_oneof![4 => Just(""), 1 => Just("tenant=7")];
    let relation = prop_oneof![4 => Just(Relation::Auto), 1 => Just(Relation::Link)];
    let keep = option::weighted(0.2, text());
    (
        option::of(traceparent),
        state,
        baggage,
        relation,
        1..200u32,
        option::of(stub()),
        keep,
    )
        .prop_map(
            |(traceparent, state, baggage, relation, batch_size, enqueue_stub, keep)| {
                TraceEnvelope {
                    traceparent,
                    tracestate: TraceState::parse(&state).0,
                    baggage: Baggage::select(baggage, &["tenant".to_owned()]).0,
                    relation,
                    batch_size,
                    enqueue_stub,
                    keep: keep.map(|reason| Keep {
                        reason,
                        at: Timestamp::UNIX_EPOCH,
                    }),
                }
            },
        )
}

/// Two jobs of one call, of the same trace or of two.
fn two_jobs() -> impl Strategy<Value = [NewJob; 2]> {
    (envelope(), option::of(envelope()), any::<bool>()).prop_map(|(first, second, tagged)| {
        let mut jobs = ["one", "two"].map(|id| job(id.parse().unwrap(), "{}"));
        jobs[1].trace = second.unwrap_or_else(|| first.clone());
        jobs[0].trace = first;
        if tagged {
            jobs[1].tags = vec!["t".to_owned()];
        }
        jobs
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_trace_of_a_job_and_of_its_attempt_come_back(
        jobs in two_jobs(),
        error in option::of((text(), text())),
        trace in prop_oneof![Just(TRACE), 1..u128::MAX],
        span in option::of(1..u64::MAX),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let folder = Folder::new();
        let store = folder.store();
        runtime.block_on(async {
            store.enqueue(jobs.to_vec()).await.unwrap();
            let trace = TraceId::from_u128(trace);
            let claimed = claim(&store, 2).await;
            for one in &claimed {
                let derived = one.job.id.derive_span_id(1, SpanPart::Process);
                let error = error.clone();
                let settlement = Settlement {
                    outcome: Outcome::Cancel {
                        error: error.map(|(class, message)| AttemptError::new(class, message)),
                    },
                    span: Some((trace, span.map_or(derived, SpanId::from_u64))),
                    ..complete(one)
                };
                store.settle(vec![settlement.clone()]).await.unwrap().remove(0).unwrap();
                let row = store.get(&one.job.id).await.unwrap().unwrap();
                let new = jobs.iter().find(|new| new.id == row.id).unwrap();
                assert_eq!(&row.trace, &new.trace);
                assert_eq!(&row.tags, &new.tags);
                let [record] = &row.history[..] else {
                    panic!("{:?}", row.history);
                };
                assert_eq!(record.trace_id.zip(record.span_id), settlement.span);
                assert_eq!(Some(&record.worker), one.job.worker.as_ref());
                assert_eq!(Some(record.claimed_at), one.job.claimed_at);
                assert_eq!(Some(record.ended_at), row.finished_at);
                assert_eq!(record.due_at, one.job.available_at);
                let Outcome::Cancel { error } = settlement.outcome else {
                    unreachable!();
                };
                assert_eq!(&record.error, &error);
            }
        });
    }
}

/// What every traced job has is stored in as few bytes as it takes, and as JSON.
#[tokio::test]
async fn the_usual_trace_is_short() {
    let folder = Folder::new();
    let store = folder.store();
    let mut new = job("a-job".parse().unwrap(), "{}");
    new.trace.traceparent = Some(format!("00-{TRACE:032x}-b7ad6b7169203331-01"));
    store.enqueue(vec![new]).await.unwrap();
    let claimed = claim(&store, 1).await.remove(0);
    let derived = claimed.job.id.derive_span_id(1, SpanPart::Process);
    let settlement = Settlement {
        span: Some((TraceId::from_u128(TRACE), derived)),
        ..complete(&claimed)
    };
    store.settle(vec![settlement]).await.unwrap();
    let conn = Connection::open(folder.file()).unwrap();
    let row = "SELECT envelope, json_extract(history, '$[8]') FROM longshore_job";
    let (envelope, trace): (String, String) = conn
        .query_row(row, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(envelope.len(), 59, "{envelope}");
    assert_eq!(trace, "=");
}
