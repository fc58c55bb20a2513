//! The JSON API: jobs, queues, schedules, and who may ask.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use longshore_api::job::{Change, ChangeJobs, Enqueue, JobsQuery};
use longshore_api::queue::LatencyQuery;
use longshore_api::schedule::{ChangeSchedule, ScheduleChange};
use longshore_api::{ApiError, Backend, Json};
use longshore_core::SpanContext;
use longshore_core::schedule::Schedule;
use longshore_daemon::{Access, LocalBackend, LocalOptions};
use longshore_instrument::{Span, SpanBuffer};
use longshore_queue::{Producer, Schedules};

use crate::daemon::Daemon;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn mail(id: &str) -> Enqueue {
    Enqueue {
        queue: "mail".to_owned(),
        kind: "welcome".to_owned(),
        args: Json::parse(r#"{"b": 1e400, "a": [1]}"#).unwrap(),
        id: Some(id.to_owned()),
        tags: vec!["new".to_owned()],
        ..Enqueue::default()
    }
}

#[tokio::test]
async fn a_job_sent_with_curl_comes_from_the_span_of_its_headers() {
    let daemon = Daemon::start().await;
    let headers = [
        ("content-type", "application/json"),
        ("traceparent", TRACEPARENT),
    ];
    let body = r#"{"queue":"mail","kind":"welcome","args":{"to":"ann"},"delay_seconds":1.5}"#;
    let answer = daemon
        .ask(Method::POST, "/api/v1/jobs", &headers, body)
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let enqueued = answer.json();
    assert_eq!(enqueued["enqueued"], "created");
    let id = enqueued["id"].as_str().unwrap();
    assert_eq!(answer.headers["location"], format!("/api/v1/jobs/{id}"));
    let job = daemon.get(&format!("/api/v1/jobs/{id}")).await.json();
    assert_eq!(job["state"], "scheduled");
    assert_eq!(job["args"]["to"], "ann");
    let stored = daemon
        .store
        .get(&id.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.args.as_ref(), br#"{"to":"ann"}"#);
    assert_eq!(stored.trace.traceparent.as_deref(), Some(TRACEPARENT));
    assert_eq!(enqueued["trace_id"], "0af7651916cd43dd8448eb211c80319c");
}

#[tokio::test]
async fn the_client_and_the_view_beside_the_store_say_the_same() {
    let daemon = Daemon::start().await;
    let local = LocalBackend::new(daemon.store.clone(), LocalOptions::default());
    let client = daemon.client(None);
    let jobs = [
        mail("a"),
        mail("b"),
        Enqueue {
            queue: "no good".into(),
            ..mail("c")
        },
    ];
    let answers = client.enqueue(&jobs).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap().enqueued, "created");
    assert!(matches!(&answers[2], Err(ApiError::Invalid(why)) if why.contains("no good")));
    let again = local.enqueue(&[mail("a")]).await.unwrap();
    assert_eq!(again[0].as_ref().unwrap().enqueued, "hit");

    let change = ChangeJobs {
        change: Change::Cancel,
        ids: vec!["a".into(), "missing".into()],
    };
    let changed = client.change_jobs(&change).await.unwrap();
    assert_eq!(changed[0].state.as_deref(), Some("cancelled"));
    assert!(
        changed[1]
            .error
            .as_deref()
            .unwrap()
            .contains("no job missing")
    );
    client.pause_queue("mail", true).await.unwrap();

    let query = JobsQuery {
        states: vec!["available".into(), "cancelled".into()],
        tag: Some("new".into()),
        limit: Some(10),
        ..JobsQuery::default()
    };
    let (near, far) = (local.jobs(&query).await, client.jobs(&query).await);
    let (near, far) = (near.unwrap(), far.unwrap());
    assert_eq!(near.jobs, far.jobs);
    assert_eq!(far.jobs.len(), 2);
    let (mut near, mut far) = (
        local.job("b").await.unwrap(),
        client.job("b").await.unwrap(),
    );
    // For how long the queue has been paused, each says for itself.
    let (said, heard) = (near.held_back.split_off(0), far.held_back.split_off(0));
    assert_eq!((said.len(), heard.len()), (2, 2), "{said:?} {heard:?}");
    assert_eq!(near, far);
    assert_eq!(
        client.job("b").await.unwrap().args.unwrap().as_str(),
        r#"{"b": 1e400, "a": [1]}"#
    );
    let queues = client.queues().await.unwrap();
    assert!(queues[0].paused);
    assert_eq!(client.workers().await, local.workers().await);
    let latency = LatencyQuery::default();
    assert_eq!(
        client.latency(&latency).await,
        local.latency(&latency).await
    );
    assert_eq!(client.about().await, local.about().await);
    for one in [&client as &dyn Backend, &local] {
        let error = one.job("missing").await.unwrap_err();
        assert!(matches!(error, ApiError::NotFound(_)), "{error:?}");
        let wrong = JobsQuery {
            limit: Some(0),
            ..JobsQuery::default()
        };
        let error = one.jobs(&wrong).await.unwrap_err();
        assert!(matches!(error, ApiError::Invalid(_)), "{error:?}");
    }
}

#[tokio::test]
async fn schedules_rest_fire_and_go() {
    let daemon = Daemon::start().await;
    let schedules = Schedules::new(Producer::new(daemon.store.clone()));
    let name = "nightly/report".parse().unwrap();
    let schedule = Schedule::new(
        name,
        "30 2 * * *".parse().unwrap(),
        "reports".parse().unwrap(),
        "report".parse().unwrap(),
    );
    schedules.put(schedule).await.unwrap();
    let client = daemon.client(None);
    let change = |change| ChangeSchedule {
        change,
        name: "nightly/report".to_owned(),
    };
    client
        .change_schedule(&change(ScheduleChange::Pause))
        .await
        .unwrap();
    let listed = client.schedules().await.unwrap();
    assert!(
        listed[0].paused && listed[0].upcoming.is_empty(),
        "{listed:?}"
    );
    client
        .change_schedule(&change(ScheduleChange::Trigger))
        .await
        .unwrap();
    let jobs = client.jobs(&JobsQuery::default()).await.unwrap().jobs;
    assert_eq!(jobs[0].schedule.as_deref(), Some("nightly/report"));
    client
        .change_schedule(&change(ScheduleChange::Resume))
        .await
        .unwrap();
    client
        .change_schedule(&change(ScheduleChange::Remove))
        .await
        .unwrap();
    let gone = client
        .change_schedule(&change(ScheduleChange::Remove))
        .await;
    assert!(matches!(gone, Err(ApiError::NotFound(_))), "{gone:?}");
}

/// What is done to a schedule is in the trace of whoever asks, and so is the job it makes.
#[tokio::test]
async fn schedules_change_on_behalf_of_whoever_asks() {
    let daemon = Daemon::start().await;
    let spans = Arc::new(SpanBuffer::default());
    let options = LocalOptions {
        recorder: Some(spans.clone()),
        ..LocalOptions::default()
    };
    let caller = SpanContext::from_traceparent(TRACEPARENT).unwrap();
    let view = LocalBackend::new(daemon.store.clone(), options).called_by(caller.clone());
    let nightly = Schedule::new(
        "nightly".parse().unwrap(),
        "30 2 * * *".parse().unwrap(),
        "reports".parse().unwrap(),
        "report".parse().unwrap(),
    );
    let schedules = Schedules::new(Producer::new(daemon.store.clone()));
    schedules.put(nightly).await.unwrap();
    for change in [ScheduleChange::Trigger, ScheduleChange::Remove] {
        let name = "nightly".to_owned();
        let change = ChangeSchedule { change, name };
        view.change_schedule(&change).await.unwrap();
    }
    let spans = spans.spans();
    let of_caller = |span: &&Span| span.parent_span_id == Some(caller.span_id);
    let names: Vec<&str> = spans
        .iter()
        .filter(of_caller)
        .map(|span| &*span.name)
        .collect();
    assert_eq!(names, ["queue.enqueue", "queue.admin", "queue.admin"]);
}

#[tokio::test]
async fn a_web_page_cannot_enqueue() {
    let daemon = Daemon::start().await;
    let body = r#"{"queue":"mail","kind":"welcome"}"#;
    for (headers, status) in [
        (
            vec![("content-type", "text/plain")],
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (vec![], StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (
            vec![
                ("content-type", "application/json"),
                ("origin", "https://evil.example"),
            ],
            StatusCode::FORBIDDEN,
        ),
        (
            vec![
                ("content-type", "application/json"),
                ("host", "evil.example"),
            ],
            StatusCode::FORBIDDEN,
        ),
    ] {
        let answer = daemon
            .ask(Method::POST, "/api/v1/jobs", &headers, body)
            .await;
        assert_eq!(answer.status, status, "{headers:?} {answer:?}");
        assert!(
            answer.json()["message"].as_str().unwrap().len() > 20,
            "{answer:?}"
        );
    }
    let pause = "/api/v1/queues/mail/pause";
    let evil = [("origin", "https://evil.example")];
    let answer = daemon.ask(Method::POST, pause, &evil, "").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(daemon.store.queue_stats().await.unwrap(), []);
}

#[tokio::test]
async fn tokens_open_what_they_are_for() {
    let (write, read) = ("write-0123456789", "read-00123456789");
    let access = Access::by_token(write, Some(read)).unwrap();
    let daemon = Daemon::start_with(|state| state.with_access(access)).await;
    let without = daemon.get("/api/v1/jobs").await;
    assert_eq!(without.status, StatusCode::UNAUTHORIZED);
    assert_eq!(without.headers["www-authenticate"], "Bearer");
    assert_eq!(without.json()["error"], "forbidden");
    assert_eq!(daemon.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(
        daemon.get("/metrics").await.status,
        StatusCode::UNAUTHORIZED
    );
    let reader = daemon.client(Some(read));
    assert_eq!(reader.queues().await, Ok(Vec::new()));
    assert!(!reader.about().await.unwrap().may_change);
    let refused = reader.enqueue(&[mail("a")]).await.unwrap_err();
    assert!(
        refused.to_string().contains("for reading alone"),
        "{refused}"
    );
    let writer = daemon.client(Some(write));
    assert!(writer.enqueue(&[mail("a")]).await.unwrap()[0].is_ok());
    assert!(writer.about().await.unwrap().may_change);
    let stranger = daemon.client(Some("wrong-0123456789")).queues().await;
    assert!(
        matches!(stranger, Err(ApiError::Forbidden(_))),
        "{stranger:?}"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_as_json() {
    let daemon = Daemon::start().await;
    let deep = format!("{{\"queue\":{}", "[".repeat(100_000));
    for (answer, status, word) in [
        (daemon.get("/api/v1/jbos").await, 404, "openapi.json"),
        (
            daemon.get("/api/v1/jobs?stat=running").await,
            400,
            "did you mean `state`?",
        ),
        (
            daemon.get("/api/v1/jobs?state=ill").await,
            400,
            "not a job state",
        ),
        (daemon.get("/api/v1/jobs?cursor=%FF").await, 400, ""),
        (daemon.get("/api/v1/jobs/%FF").await, 400, ""),
        (
            daemon.post("/api/v1/jobs", "{").await,
            400,
            "cannot be used",
        ),
        (
            daemon.post("/api/v1/jobs", &deep).await,
            400,
            "cannot be used",
        ),
        (
            daemon.post("/api/v1/jobs", r#"{"queue":"a"}"#).await,
            400,
            "missing field `kind`",
        ),
        (
            daemon
                .post("/api/v1/jobs", r#"{"queue":"a","kind":"b","prio":1}"#)
                .await,
            400,
            "prio",
        ),
        (
            daemon
                .post(
                    "/api/v1/jobs",
                    r#"{"queue":"a","kind":"b","delay_seconds":-1}"#,
                )
                .await,
            400,
            "delay_seconds",
        ),
        (
            daemon.post("/api/v1/jobs/none/cancel", "").await,
            404,
            "no job none",
        ),
        (daemon.post("/api/v1/jobs/none/burn", "").await, 400, "burn"),
        (
            daemon.ask(Method::DELETE, "/api/v1/jobs", &[], "").await,
            405,
            "DELETE",
        ),
        (daemon.get("/metrics").await, 404, "telemetry"),
    ] {
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let daemon = Daemon::start().await;
    let long = format!(
        r#"{{"queue":"a","kind":"b","args":"{}"}}"#,
        "x".repeat(21 << 20)
    );
    let answer = daemon.post("/api/v1/jobs", &long).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn jobs_are_found_by_what_their_metadata_say() {
    let daemon = Daemon::start().await;
    let client = daemon.client(None);
    let jobs: Vec<Enqueue> = (0..450)
        .map(|number| Enqueue {
            metadata: [("order".to_owned(), format!("Order-{number}"))].into(),
            ..mail(&format!("job-{number}"))
        })
        .collect();
    for some in jobs.chunks(100) {
        client.enqueue(some).await.unwrap();
    }
    let text = |text: &str, limit: usize| JobsQuery {
        text: Some(text.to_owned()),
        limit: Some(limit),
        ..JobsQuery::default()
    };
    // The oldest is found as well, in whatever case.
    let page = client.jobs(&text("order-449", 10)).await.unwrap();
    let ids: Vec<&str> = page.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids, ["job-449"]);
    let page = client.jobs(&text("order-0", 100)).await.unwrap();
    assert_eq!(page.jobs.len(), 1);
    assert_eq!(page.jobs[0].metadata["order"], "Order-0");
    // Pages go on where the one before ended, and leave out none.
    let mut query = text("order-4", 20);
    let mut found = Vec::new();
    loop {
        let page = client.jobs(&query).await.unwrap();
        assert!(page.jobs.len() <= 20, "{}", page.jobs.len());
        found.extend(page.jobs.into_iter().map(|job| job.id));
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 61, "4, 40 to 49 and 400 to 449: {found:?}");
    let page = client.jobs(&text("job-17", 1)).await.unwrap();
    assert_eq!(page.jobs.len(), 1);
    let filtered = JobsQuery {
        kind: Some("other".to_owned()),
        ..text("job-17", 10)
    };
    assert!(client.jobs(&filtered).await.unwrap().jobs.is_empty());
}
