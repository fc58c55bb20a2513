//! Traces of real jobs, from the request that enqueues one to what is shown of it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use longshore_api::job::{Enqueue, JobsQuery};
use longshore_api::trace::{DiffQuery, DiffSide, StoryOf, TracesQuery};
use longshore_api::{ApiError, Backend};
use longshore_core::{RetryPolicy, SystemClock, SystemRandom, Timestamp, TraceId};
use longshore_daemon::{LocalBackend, LocalOptions};
use longshore_queue::{Attempt, JobError, RawArgs, RawResult, Worker};
use longshore_spanlog::{Class, Compression, FrameHeader, Kind, Writer, WriterOptions};
use longshore_telemetry::{Config, Environment, Telemetry};
use longshore_tracestore::{TraceStore, TraceStoreOptions};
use opentelemetry::trace::{Span as _, Tracer as _};
use serde_json::Value;

use crate::daemon::{Daemon, state};
use crate::otlp::bed::Folder;

pub(crate) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A daemon whose jobs are traced, and the telemetry of whoever runs them.
pub(crate) struct Shop {
    pub(crate) daemon: Daemon,
    local: LocalBackend,
    telemetry: Arc<Telemetry>,
    folder: Folder,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let folder = Folder::new();
        let environment = Environment::from_pairs([
            ("OTEL_SERVICE_NAME", "shop"),
            ("OTEL_RESOURCE_ATTRIBUTES", "longshore.store=memory:shop"),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("LONGSHORE_TELEMETRY_BAGGAGE_KEYS", "tenant"),
            ("LONGSHORE_TELEMETRY_SPAN_LOG", folder.0.to_str().unwrap()),
        ]);
        let settings = Config::load(&[], &environment, &[]).unwrap().telemetry();
        let (telemetry, warnings) = Telemetry::init(&settings, Arc::new(SystemClock::new()));
        assert!(warnings.is_empty(), "{warnings:?}");
        let traces = TraceStore::open(TraceStoreOptions::new(&folder.0)).unwrap();
        let (state, store) = state();
        let local = LocalBackend::new(
            Arc::clone(&store),
            LocalOptions {
                recorder: Some(telemetry.recorder()),
                traces: Some(Arc::new(traces)),
                ..LocalOptions::default()
            },
        );
        let daemon = Daemon::of(state.with_backend(local.clone()), store).await;
        Self {
            daemon,
            local,
            telemetry: Arc::new(telemetry),
            folder,
        }
    }

    /// Enqueues a job as a program would, on behalf of a span.
    pub(crate) async fn send(&self, id: &str, trace: &str) {
        let traceparent = format!("00-{trace}-b7ad6b7169203331-01");
        let headers = [
            ("content-type", "application/json"),
            ("traceparent", traceparent.as_str()),
        ];
        let body = format!(r#"{{"queue":"orders","kind":"pack","id":"{id}","tenant_id":"t-17"}}"#);
        let sent = self
            .daemon
            .ask(Method::POST, "/api/v1/jobs", &headers, &body);
        let answer = sent.await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        assert_eq!(answer.json()["trace_id"], trace);
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.daemon.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        answer.json()
    }

    /// Runs all jobs to their end; each fails once.
    pub(crate) async fn run(&self) {
        let telemetry = Arc::clone(&self.telemetry);
        let worker = Worker::builder(Arc::clone(&self.daemon.store))
            .queue("orders")
            .handler("pack", move |_args: RawArgs, attempt: Attempt| {
                let telemetry = Arc::clone(&telemetry);
                async move {
                    telemetry.tracer("shop").start("SELECT stock").end();
                    match attempt.number() {
                        1 => Err(JobError::retry("no_stock", "there is none of it")),
                        _ => Ok(RawResult::default()),
                    }
                }
            })
            .retry(RetryPolicy::fixed(Duration::from_millis(1)))
            .recorder(self.telemetry.recorder())
            .drain(true)
            .build()
            .unwrap();
        worker.run(std::future::pending()).await.unwrap();
        assert!(self.telemetry.flush(Duration::from_secs(30)).await);
    }
}

#[tokio::test]
async fn the_story_of_a_job_goes_from_the_request_to_its_last_attempt() {
    let shop = Shop::open().await;
    shop.send("order-1", TRACE).await;
    let before = shop
        .local
        .story(&StoryOf::Job("order-1".into()))
        .await
        .unwrap();
    assert_eq!(before.job.unwrap().state, "available");
    shop.run().await;
    let client = shop.daemon.client(None);
    let story = client.story(&StoryOf::Job("order-1".into())).await.unwrap();
    let names: Vec<&str> = story
        .chart
        .rows()
        .iter()
        .map(|row| story.chart.name(row))
        .collect();
    for name in [
        "queue.enqueue",
        "queue.dequeue",
        "job.process",
        "SELECT stock",
        "job.settle",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    assert_eq!(
        names.iter().filter(|name| **name == "job.process").count(),
        2
    );
    assert_eq!(story.summary.attempts, 2);
    assert_eq!(story.summary.tenant_id.as_deref(), Some("t-17"));
    assert_eq!(story.job.as_ref().unwrap().state, "completed");
    assert!(
        story.time.total >= story.time.run && story.time.run > Duration::ZERO,
        "{:?}",
        story.time
    );
    assert!(!story.critical.is_empty());
    let mut near = shop
        .local
        .story(&StoryOf::Job("order-1".into()))
        .await
        .unwrap();
    near.as_of = story.as_of;
    assert_eq!(near, story);

    let trace = TraceId::from_hex(TRACE).unwrap();
    let alone = client.story(&StoryOf::TraceAlone(trace)).await.unwrap();
    assert_eq!(alone.summary.trace_id, trace);
    let row = alone
        .chart
        .rows()
        .iter()
        .find(|row| alone.chart.name(row) == "SELECT stock");
    let id = row.unwrap().span_id;
    let span = client.span(trace, id).await.unwrap();
    assert_eq!(span, shop.local.span(trace, id).await.unwrap());
    assert_eq!(
        (span.name.as_ref(), span.service()),
        ("SELECT stock", Some("shop"))
    );
}

#[tokio::test]
async fn a_job_of_many_has_a_story_of_its_own() {
    let shop = Shop::open().await;
    let client = shop.daemon.client(None);
    let job = |id: &str| Enqueue {
        queue: "orders".to_owned(),
        kind: "pack".to_owned(),
        id: Some(id.to_owned()),
        ..Enqueue::default()
    };
    let sent = client
        .enqueue(&[job("a"), job("b"), job("c")])
        .await
        .unwrap();
    assert!(sent.iter().all(Result::is_ok));
    shop.run().await;
    let story = client.story(&StoryOf::Job("b".into())).await.unwrap();
    let rows = story.chart.rows().iter();
    let attempts = rows.filter(|row| story.chart.name(row) == "job.process");
    let of: Vec<_> = attempts.map(|row| story.chart.job(row)).collect();
    assert_eq!(of, [Some("b"), Some("b")]);
    assert_eq!(story.summary.attempts, 2);
    assert_eq!(story.job.unwrap().id, "b");
}

#[tokio::test]
async fn traces_are_searched_completed_and_compared() {
    let shop = Shop::open().await;
    let client = shop.daemon.client(None);
    let ask = |search: &str| TracesQuery {
        search: search.to_owned(),
        ..TracesQuery::default()
    };
    let empty = client.traces(&ask("")).await.unwrap();
    assert!(empty.traces.is_empty());
    shop.send("order-1", TRACE).await;
    shop.send("order-2", "1af7651916cd43dd8448eb211c80319d")
        .await;
    shop.run().await;
    let found = client
        .traces(&ask("queue=orders tenant.id=t-17 attempt>1"))
        .await
        .unwrap();
    assert_eq!(found.traces.len(), 2, "{found:?}");
    assert!(
        client
            .traces(&ask("queue=mail"))
            .await
            .unwrap()
            .traces
            .is_empty()
    );
    let changed = TracesQuery {
        changed_since: Some(empty.as_of),
        ..ask("queue=orders")
    };
    assert_eq!(client.traces(&changed).await.unwrap().traces.len(), 2);
    let jump = client.traces(&ask("order-2")).await.unwrap().jump;
    assert_eq!(jump, Some(StoryOf::Job("order-2".into())));
    let wrong = client.traces(&ask("quue=orders")).await.unwrap_err();
    assert!(wrong.to_string().contains("`queue`"), "{wrong}");
    let completions = client.complete("queue=or", 8).await.unwrap();
    let texts: Vec<&str> = completions
        .suggestions
        .iter()
        .map(|one| one.text.as_str())
        .collect();
    assert!(
        texts.iter().any(|text| text.contains("orders")),
        "{completions:?}"
    );
    let diff = DiffQuery {
        all_stores: false,
        before: DiffSide::Trace(TraceId::from_hex(TRACE).unwrap()),
        after: DiffSide::Search("queue=orders".into()),
    };
    let diff = client.diff(&diff).await.unwrap();
    assert_eq!((diff.before, diff.after), (1, 2));
    assert!(!diff.rows.is_empty());
    let nowhere = StoryOf::Trace(TraceId::from_u128(5));
    let missing = client.story(&nowhere).await.unwrap_err();
    assert!(matches!(missing, ApiError::NotFound(_)), "{missing:?}");
    let jobs = client.jobs(&JobsQuery::default()).await.unwrap().jobs;
    assert!(jobs.iter().all(|job| job.trace.trace_id.is_some()));
}

#[tokio::test]
async fn a_story_of_more_spans_than_are_told_is_cut_and_says_so() {
    let shop = Shop::open().await;
    shop.send("order-1", TRACE).await;
    shop.run().await;
    let within = |max_story_spans| {
        let traces = TraceStore::open(TraceStoreOptions::new(&shop.folder.0)).unwrap();
        let options = LocalOptions {
            traces: Some(Arc::new(traces)),
            max_story_spans,
            ..LocalOptions::default()
        };
        LocalBackend::new(state().1, options)
    };
    let trace = TraceId::from_hex(TRACE).unwrap();
    for of in [StoryOf::Trace(trace), StoryOf::TraceAlone(trace)] {
        let whole = within(1000).story(&of).await.unwrap();
        let spans = whole.summary.spans;
        let same = within(spans as usize).story(&of).await.unwrap();
        assert_eq!(same.summary.spans, spans);
        assert!(same.findings.iter().all(|one| one.what != "cut"));
        let cut = within(spans as usize - 1).story(&of).await.unwrap();
        assert_eq!(cut.summary.spans, spans - 1);
        let finding = &cut.findings[0];
        assert_eq!(finding.what, "cut");
        let says = format!("more than {} spans", spans - 1);
        assert!(finding.text.contains(&says), "{finding:?}");
    }
    // Jaeger's interface would take a part for the whole.
    let (state, store) = state();
    let daemon = Daemon::of(state.with_backend(within(1)), store).await;
    let answer = daemon.get(&format!("/api/traces/{TRACE}")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    let why = answer.json()["errors"][0]["msg"].to_string();
    assert!(why.contains("more than 1 spans"), "{why}");
}

#[tokio::test]
async fn of_what_is_not_found_it_is_said_that_the_archive_may_have_it() {
    let shop = Shop::open().await;
    let traces = TraceStore::open(TraceStoreOptions::new(&shop.folder.0)).unwrap();
    let archive = "s3://traces/shop";
    let options = LocalOptions {
        traces: Some(Arc::new(traces)),
        archive: Some(archive.to_owned()),
        ..LocalOptions::default()
    };
    let local = LocalBackend::new(state().1, options);
    let about = local.about().await.unwrap();
    assert_eq!(about.archive.as_deref(), Some(archive));
    let trace = TraceId::from_hex(TRACE).unwrap();
    let fetch = format!("`longshore traces fetch {TRACE} --into FOLDER`");
    for (of, says) in [
        (StoryOf::Trace(trace), fetch.as_str()),
        (StoryOf::TraceAlone(trace), &fetch),
        (
            StoryOf::Job("order-1".into()),
            "`longshore traces fetch TRACE_ID",
        ),
    ] {
        let missing = local.story(&of).await.unwrap_err();
        let missing = missing.to_string();
        assert!(missing.contains(says), "{missing}");
        assert!(missing.contains(archive), "{missing}");
        // Without an archive there is nothing to be fetched from.
        let missing = shop.local.story(&of).await.unwrap_err().to_string();
        assert!(!missing.contains("archive"), "{missing}");
    }
}

#[tokio::test]
async fn who_listens_hears_of_queues_and_traces() {
    let shop = Shop::open().await;
    let response = shop.daemon.open("/api/v1/live").await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut heard = String::new();
    let mut is_sent = false;
    while !(heard.contains("event: queues") && heard.contains("event: traces")) {
        if !is_sent {
            is_sent = true;
            shop.send("order-1", TRACE).await;
            shop.run().await;
            // A trace that changes after the first look is news.
            shop.send("order-2", TRACE).await;
        }
        let frame = tokio::time::timeout(Duration::from_secs(30), body.frame());
        let frame = frame.await.unwrap().unwrap().unwrap();
        heard.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        if !heard.contains("event: traces") {
            shop.run().await;
            shop.send(&format!("more-{}", heard.len()), TRACE).await;
        }
    }
    assert!(heard.contains(r#""queue":"orders""#), "{heard}");
    assert!(heard.contains(TRACE), "{heard}");
}

#[tokio::test]
async fn while_a_long_log_is_read_it_is_said_that_there_is_more() {
    const MEBIBYTE: usize = 1 << 20;
    let folder = Folder::new();
    let options = WriterOptions {
        max_frame_bytes: 8 * MEBIBYTE,
        ..WriterOptions::default()
    };
    let clock = Arc::new(SystemClock::new());
    let mut log = Writer::open(&folder.0, options, clock, &SystemRandom).unwrap();
    let header = FrameHeader {
        kind: Kind::SPANS,
        class: Class::Base,
        compression: Compression::None,
        flags: 0,
        spans: 0,
        first: Timestamp::UNIX_EPOCH,
        last: Timestamp::UNIX_EPOCH,
    };
    for _ in 0..5 {
        log.append(&header, &vec![0; 7 * MEBIBYTE]).unwrap();
    }
    let traces = TraceStore::open(TraceStoreOptions::new(&folder.0)).unwrap();
    let (_state, store) = state();
    let local = LocalBackend::new(
        store,
        LocalOptions {
            traces: Some(Arc::new(traces)),
            ..LocalOptions::default()
        },
    );
    let query = TracesQuery::default();
    assert!(local.traces(&query).await.unwrap().reading);
    assert!(!local.traces(&query).await.unwrap().reading);
    // Whoever cannot wait comes to the end too.
    let traces = TraceStore::open(TraceStoreOptions::new(&folder.0)).unwrap();
    let (_state, store) = state();
    let local = LocalBackend::new(
        store,
        LocalOptions {
            traces: Some(Arc::new(traces)),
            ..LocalOptions::default()
        },
    );
    let query = TracesQuery {
        at_once: true,
        ..query
    };
    while local.traces(&query).await.unwrap().reading {}
}

#[tokio::test]
async fn what_has_to_do_with_other_stores_alone_is_listed_only_if_asked_for() {
    let shop = Shop::open().await;
    shop.send("order-1", TRACE).await;
    shop.run().await;
    let view = |name: Option<&str>| {
        let traces = TraceStore::open(TraceStoreOptions::new(&shop.folder.0)).unwrap();
        let options = LocalOptions {
            traces: Some(Arc::new(traces)),
            store_name: name.map(str::to_owned),
            ..LocalOptions::default()
        };
        LocalBackend::new(Arc::clone(&shop.daemon.store), options)
    };
    let (own, other) = (TracesQuery::default(), "memory:other");
    let all = TracesQuery {
        all_stores: true,
        ..own.clone()
    };
    for (name, query, listed) in [
        (Some("memory:shop"), &own, 1),
        (Some(other), &own, 0),
        (Some(other), &all, 1),
        (None, &own, 1),
    ] {
        let page = view(name).traces(query).await.unwrap();
        assert_eq!(page.traces.len(), listed, "{name:?}");
    }
    let other = view(Some(other));
    let search = || DiffSide::Search("queue=orders".to_owned());
    let compare = |all_stores| DiffQuery {
        before: search(),
        after: search(),
        all_stores,
    };
    let refused = other.diff(&compare(false)).await.unwrap_err();
    assert!(matches!(refused, ApiError::NotFound(_)), "{refused}");
    assert_eq!(other.diff(&compare(true)).await.unwrap().before, 1);
    // Whoever names one sees it.
    let trace = TraceId::from_hex(TRACE).unwrap();
    assert!(other.story(&StoryOf::Trace(trace)).await.is_ok());
}

#[tokio::test]
async fn what_people_did_is_listed_only_if_somebody_searches_for_it() {
    let shop = Shop::open().await;
    shop.send("order-1", TRACE).await;
    for paused in [true, false] {
        shop.local.pause_queue("orders", paused).await.unwrap();
    }
    shop.run().await;
    for (search, listed) in [
        ("", 1),
        ("queue=orders pack", 1),
        ("admin", 2),
        ("name=queue.admin", 2),
    ] {
        let query = TracesQuery {
            search: search.to_owned(),
            ..TracesQuery::default()
        };
        let page = shop.local.traces(&query).await.unwrap();
        let names: Vec<&str> = page.traces.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names.len(), listed, "{search}: {names:?}");
    }
}
