//! Jaeger's query API, as its interfaces ask it.

use axum::http::StatusCode;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use opentelemetry_proto::tonic::trace::v1::{Span, TracesData};
use serde_json::{Value, json};

use crate::traced::{Shop, TRACE};

#[tokio::test]
async fn what_jaegers_interface_asks_is_answered() {
    let shop = Shop::open().await;
    shop.send("order-1", TRACE).await;
    shop.run().await;
    let get = async |path: &str| shop.json(path).await;
    let services = get("/api/services").await;
    assert_eq!(services["data"], serde_json::json!(["shop"]));
    let operations = get("/api/services/shop/operations").await;
    let operations: Vec<&str> = operations["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(operations.contains(&"job.process"), "{operations:?}");
    let found = get("/api/traces?limit=20&lookback=1h&service=shop&operation=job.process&tags=%7B%22error%22%3A%22true%22%7D").await;
    assert_eq!(found["data"][0]["traceID"], TRACE);
    let nothing = get("/api/traces?service=shop&minDuration=1h").await;
    assert_eq!(nothing["data"], serde_json::json!([]));
    let trace = get(&format!("/api/traces/{TRACE}")).await;
    let spans = trace["data"][0]["spans"].as_array().unwrap();
    let named = |name: &str| {
        spans
            .iter()
            .filter(|span| span["operationName"] == name)
            .collect::<Vec<_>>()
    };
    let (enqueue, attempts) = (named("queue.enqueue"), named("job.process"));
    assert_eq!(attempts.len(), 2);
    let reference = &attempts[0]["references"][0];
    assert_eq!(
        (&reference["refType"], &reference["spanID"]),
        (&Value::from("CHILD_OF"), &enqueue[0]["spanID"])
    );
    let follows = |span: &Value| {
        span["references"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["refType"] == "FOLLOWS_FROM")
    };
    assert!(attempts.iter().all(|span| follows(span)));
    let failed = attempts.iter().find(|span| {
        span["tags"]
            .as_array()
            .unwrap()
            .iter()
            .any(|tag| tag["key"] == "error" && tag["value"] == true)
    });
    let failed = failed.unwrap();
    let kind = failed["tags"]
        .as_array()
        .unwrap()
        .iter()
        .find(|tag| tag["key"] == "span.kind");
    assert_eq!(kind.unwrap()["value"], "consumer");
    assert!(!failed["logs"].as_array().unwrap().is_empty());
    let process = failed["processID"].as_str().unwrap();
    assert_eq!(
        trace["data"][0]["processes"][process]["serviceName"],
        "shop"
    );
    let missing = shop.daemon.get("/api/traces/abc").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(missing.json()["errors"][0]["code"], 404);
}

#[tokio::test]
async fn traces_that_are_asked_for_by_their_ids_come_all_or_are_named() {
    let shop = Shop::open().await;
    let ids: Vec<String> = (1..=25).map(|number| format!("{number:032x}")).collect();
    for (number, id) in ids.iter().enumerate() {
        shop.send(&format!("order-{number}"), id).await;
    }
    shop.run().await;
    let missing = "f".repeat(32);
    let asked: Vec<String> = ids
        .iter()
        .chain([&missing])
        .map(|id| format!("traceID={id}"))
        .collect();
    let answer = shop.json(&format!("/api/traces?{}", asked.join("&"))).await;
    let traces = answer["data"].as_array().unwrap().iter();
    let told: Vec<&str> = traces
        .map(|trace| trace["traceID"].as_str().unwrap())
        .collect();
    assert_eq!(told, ids);
    let error = &answer["errors"][0];
    assert_eq!(
        (&error["code"], &error["traceID"]),
        (&json!(404), &json!(missing))
    );
    assert_eq!(answer["errors"].as_array().unwrap().len(), 1);
}

/// What is in `result`, read by OpenTelemetry's own types.
fn result(answer: &Value) -> Vec<(String, Span)> {
    let data: TracesData = serde_json::from_value(answer["result"].clone()).unwrap();
    let mut spans = Vec::new();
    for of_resource in data.resource_spans {
        let attributes = of_resource.resource.unwrap().attributes;
        let service = attributes.into_iter().find(|one| one.key == "service.name");
        let service = service.unwrap().value.unwrap().value.unwrap();
        let any_value::Value::StringValue(service) = service else {
            return Vec::new();
        };
        let of_scopes = of_resource.scope_spans.into_iter();
        spans.extend(
            of_scopes
                .flat_map(|of| of.spans)
                .map(|span| (service.clone(), span)),
        );
    }
    spans
}

#[tokio::test]
async fn the_newer_api_answers_in_otlp_that_others_read() {
    let shop = Shop::open().await;
    shop.send("order-1", TRACE).await;
    shop.run().await;
    let spans = result(&shop.json(&format!("/api/v3/traces/{TRACE}")).await);
    assert!(spans.iter().all(|(service, _)| service == "shop"));
    let named = |name: &str| {
        let found = spans
            .iter()
            .map(|(_, span)| span)
            .filter(|span| span.name == name);
        found.collect::<Vec<_>>()
    };
    let (enqueue, attempts) = (named("queue.enqueue")[0], named("job.process"));
    let trace = u128::from_str_radix(TRACE, 16)
        .unwrap()
        .to_be_bytes()
        .to_vec();
    assert!(
        spans
            .iter()
            .all(|(_, span)| span.trace_id == trace && span.span_id.len() == 8)
    );
    assert_eq!(enqueue.kind(), SpanKind::Producer);
    let failed: Vec<&&Span> = attempts
        .iter()
        .filter(|span| span.status.as_ref().unwrap().code() == SpanStatus::Error)
        .collect();
    assert_eq!((attempts.len(), failed.len()), (2, 1));
    let failed = failed[0];
    assert_eq!(failed.parent_span_id, enqueue.span_id);
    assert!(
        failed
            .links
            .iter()
            .any(|link| link.span_id == enqueue.span_id)
    );
    assert_eq!(failed.kind(), SpanKind::Consumer);
    assert!(failed.start_time_unix_nano >= enqueue.start_time_unix_nano);
    assert!(failed.end_time_unix_nano > failed.start_time_unix_nano);
    assert!(failed.events.iter().any(|event| event.name == "job_failed"));
    let attempt = failed
        .attributes
        .iter()
        .find(|one| one.key == "longshore.job.attempt");
    let attempt = attempt.unwrap().value.clone().unwrap().value;
    assert_eq!(attempt, Some(any_value::Value::IntValue(1)));
}

/// The keys as the published OpenAPI document of the API spells them, and as they were spelled
/// before.
#[tokio::test]
async fn the_newer_api_is_asked_in_either_spelling() {
    let shop = Shop::open().await;
    shop.send("order-1", TRACE).await;
    shop.run().await;
    let all = "query.startTimeMin=2020-01-01T00:00:00Z&query.startTimeMax=2100-01-01T00:00:00.5Z";
    for (asked, finds) in [
        (
            "query.serviceName=shop&query.operationName=job.process",
            true,
        ),
        (
            "query.service_name=shop&query.operation_name=job.process",
            true,
        ),
        ("query.serviceName=other", false),
        ("query.service_name=other", false),
        ("query.operationName=other", false),
        ("query.durationMin=1h", false),
        ("query.durationMax=1h&query.searchDepth=5", true),
        (
            "query.attributes=%7B%22longshore.job.outcome%22%3A%22completed%22%7D",
            true,
        ),
        (
            "query.attributes=%7B%22longshore.job.outcome%22%3A%22none%22%7D",
            false,
        ),
        ("query.startTimeMax=2020-01-01T00:00:00Z", false),
    ] {
        let answer = shop.json(&format!("/api/v3/traces?{asked}&{all}")).await;
        let answer = match asked.starts_with("query.startTimeMax") {
            true => shop.json(&format!("/api/v3/traces?{asked}")).await,
            false => answer,
        };
        assert_eq!(!result(&answer).is_empty(), finds, "{asked}");
    }
    assert_eq!(
        shop.json("/api/v3/services").await,
        json!({ "services": ["shop"] })
    );
    let operations = shop.json("/api/v3/operations?service=shop").await;
    let operations = operations["operations"].as_array().unwrap().clone();
    assert!(operations.iter().any(|one| one["name"] == "job.process"));
    assert!(operations.iter().all(|one| one["spanKind"].is_string()));
}

#[tokio::test]
async fn the_newer_api_says_what_is_wrong_in_its_own_form() {
    let shop = Shop::open().await;
    let missing = format!("/api/v3/traces/{TRACE}");
    for (path, status, code) in [
        (missing.as_str(), StatusCode::NOT_FOUND, 5),
        ("/api/v3/traces/none", StatusCode::BAD_REQUEST, 3),
        (
            "/api/v3/traces?query.durationMin=x",
            StatusCode::BAD_REQUEST,
            3,
        ),
        (
            "/api/v3/traces?query.filter=%7B%7D",
            StatusCode::BAD_REQUEST,
            3,
        ),
    ] {
        let answer = shop.daemon.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        let error = answer.json()["error"].clone();
        assert_eq!(
            (&error["grpcCode"], &error["httpCode"]),
            (&json!(code), &json!(status.as_u16()))
        );
        assert!(
            error["message"].is_string() && error["httpStatus"].is_string(),
            "{error}"
        );
    }
}
