//! Where jobs come from, as bodies and headers say it.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use longshore_api::Backend as _;
use longshore_api::job::Enqueue;
use longshore_core::SpanContext;
use longshore_daemon::{LocalBackend, LocalOptions};
use longshore_instrument::SpanBuffer;
use longshore_testkit::way::Around;

use crate::daemon::{Daemon, Without};
use crate::traced::Shop;

const JSON: (&str, &str) = ("content-type", "application/json");
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Sends a job with what a body says of its origin; gives back the trace, state and baggage that the
/// job carries.
async fn carried(shop: &Shop, headers: &[(&str, &str)], origin: &str) -> [String; 3] {
    let headers = [&[JSON], headers].concat();
    let body = format!(r#"{{"queue":"mail","kind":"welcome"{origin}}}"#);
    let asked = shop
        .daemon
        .ask(Method::POST, "/api/v1/jobs", &headers, &body);
    let answer = asked.await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let answer = answer.json();
    let id = answer["id"].as_str().unwrap().parse().unwrap();
    let job = shop.daemon.store.get(&id).await.unwrap().unwrap();
    let context = job.trace.context().unwrap().unwrap();
    assert_eq!(answer["trace_id"], context.trace_id.to_string());
    let state = job.trace.tracestate.as_str().to_owned();
    [
        context.trace_id.to_string(),
        state,
        job.trace.baggage.as_str().to_owned(),
    ]
}

#[tokio::test]
async fn body_and_headers_say_together_where_a_job_comes_from() {
    let shop = Shop::open().await;
    let headers = [
        ("traceparent", CALLER),
        ("tracestate", "x=header"),
        ("baggage", "tenant=header"),
    ];
    let other = format!(r#","traceparent":"{OTHER}""#);
    let with_state = format!(r#"{other},"tracestate":"x=body""#);
    for (headers, origin, told) in [
        (&headers[..], "", ["0af7", "x=header", "tenant=header"]),
        (
            &headers,
            r#","baggage":"tenant=body""#,
            ["0af7", "x=header", "tenant=body"],
        ),
        (
            &headers,
            r#","tracestate":"x=body""#,
            ["0af7", "x=header", "tenant=header"],
        ),
        (&headers, &other, ["1af7", "", "tenant=header"]),
        (&headers, &with_state, ["1af7", "x=body", "tenant=header"]),
        (&[], &with_state, ["1af7", "x=body", ""]),
    ] {
        let [trace, state, baggage] = carried(&shop, headers, origin).await;
        assert!(trace.starts_with(told[0]), "{origin}: {trace}");
        assert_eq!(
            (state.as_str(), baggage.as_str()),
            (told[1], told[2]),
            "{origin}"
        );
    }
}

#[tokio::test]
async fn our_own_header_is_stronger_than_one_that_was_rewritten() {
    let shop = Shop::open().await;
    let headers = [("traceparent", OTHER), ("x-longshore-traceparent", CALLER)];
    let [trace, ..] = carried(&shop, &headers, "").await;
    assert!(trace.starts_with("0af7"), "{trace}");
}

/// The trace of a job is known to whoever stamped it, so nobody reads the job back.
#[tokio::test]
async fn jobs_are_not_read_back_to_say_their_traces() {
    let daemon = Daemon::start().await;
    let store = Arc::new(Around::through(daemon.store.clone(), Without("get")));
    let job = |id: &str, traceparent: Option<&str>| Enqueue {
        queue: "mail".to_owned(),
        kind: "welcome".to_owned(),
        id: Some(id.to_owned()),
        traceparent: traceparent.map(str::to_owned),
        ..Enqueue::default()
    };
    let caller = SpanContext::from_traceparent(OTHER).unwrap();
    for (recorder, ids) in [
        (None, ["a", "b", "c"]),
        (Some(SpanBuffer::default()), ["d", "e", "f"]),
    ] {
        let options = LocalOptions {
            recorder: recorder.map(|spans| Arc::new(spans) as _),
            ..LocalOptions::default()
        };
        let is_traced = options.recorder.is_some();
        let view = LocalBackend::new(store.clone(), options);
        let jobs = [job(ids[0], Some(CALLER)), job(ids[1], None)];
        let mut told = view.enqueue(&jobs).await.unwrap();
        told.extend(view.enqueue(&jobs[..1]).await.unwrap());
        told.extend(
            view.called_by(caller.clone())
                .enqueue(&[job(ids[2], None)])
                .await
                .unwrap(),
        );
        let traces: Vec<Option<String>> = told
            .into_iter()
            .map(|one| one.unwrap().trace_id.map(|trace| trace.to_string()))
            .collect();
        let trace = |traceparent: &str| Some(traceparent[3..35].to_owned());
        assert_eq!(traces[0], trace(CALLER));
        assert_eq!(traces[1].is_some(), is_traced);
        assert_eq!(traces[2], trace(CALLER), "it was there already");
        assert_eq!(traces[3], trace(OTHER));
        for (id, told) in ids.into_iter().zip([&traces[0], &traces[1], &traces[3]]) {
            let stored = daemon
                .store
                .get(&id.parse().unwrap())
                .await
                .unwrap()
                .unwrap();
            let carried = stored
                .trace
                .context()
                .map(|context| context.unwrap().trace_id);
            assert_eq!(carried.map(|trace| trace.to_string()), *told, "{id}");
        }
    }
}
