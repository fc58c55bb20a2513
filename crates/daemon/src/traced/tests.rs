use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::response::IntoResponse as _;
use axum::routing::any;
use longshore_core::{SystemClock, SystemRandom};
use longshore_instrument::{HandlerScope, HandlerStart, PropagationFailure, RootDecision, Span};
use tower::ServiceExt as _;

use super::*;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Keeps what is recorded, and samples what it is told to.
#[derive(Debug, Default)]
struct Kept {
    spans: Mutex<Vec<Span>>,
    failures: Mutex<Vec<&'static str>>,
    samples: bool,
}

impl Recorder for Kept {
    fn decide_root(&self, _request: &RootRequest<'_>) -> RootDecision {
        RootDecision {
            sampled: self.samples,
            threshold: Some(0),
        }
    }
    fn current(&self) -> Option<SpanContext> {
        None
    }
    fn current_baggage(&self) -> String {
        String::new()
    }
    fn baggage_keys(&self) -> &[String] {
        &[]
    }
    fn service_name(&self) -> &str {
        "test"
    }
    fn record(&self, spans: Vec<Span>) {
        self.spans.lock().unwrap().extend(spans);
    }
    fn open_handler(&self, _start: HandlerStart) -> Option<Box<dyn HandlerScope>> {
        None
    }
    fn propagation_failed(&self, failure: PropagationFailure) {
        self.failures.lock().unwrap().push(failure.reason);
    }
}

/// What a daemon recorded of requests, and the `traceparent` that the last handler found.
async fn recorded(samples: bool, requests: Vec<Request>) -> (Vec<Span>, String) {
    let (kept, found) = kept(samples, requests).await;
    let spans = kept.spans.lock().unwrap().clone();
    let found = found.get("traceparent");
    (spans, found.cloned().unwrap_or_default())
}

/// What a recorder kept of requests, and the headers that the last handler found.
async fn kept(
    samples: bool,
    requests: Vec<Request>,
) -> (Arc<Kept>, std::collections::BTreeMap<String, String>) {
    let kept = Arc::new(Kept {
        samples,
        ..Kept::default()
    });
    let recorder = Arc::clone(&kept) as Arc<dyn Recorder>;
    let tracing = Tracing::new(
        recorder,
        Arc::new(SystemClock::new()),
        Arc::new(SystemRandom),
    )
    .of_daemon(Timestamp::UNIX_EPOCH, ([127, 0, 0, 1], 7350).into());
    let found = |headers: HeaderMap| async move {
        let pairs = headers.iter();
        let pairs = pairs.map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        axum::Json(pairs.collect::<std::collections::BTreeMap<_, _>>()).into_response()
    };
    let router = Router::new()
        .route("/api/jobs/{id}", any(found))
        .route("/healthz", any(found))
        .layer(axum::middleware::from_fn_with_state(Some(tracing), traced));
    let mut found = std::collections::BTreeMap::new();
    for request in requests {
        let response = router.clone().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 1000)
            .await
            .unwrap();
        found = serde_json::from_slice(&body).unwrap();
    }
    (kept, found)
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_request_stands_between_its_caller_and_what_it_starts() {
    let posted = request("POST", "/api/jobs/7?secret=1", &[("traceparent", CALLER)]);
    let (spans, found) = recorded(true, vec![posted]).await;
    let [start, request] = &spans[..] else {
        panic!("{spans:?}");
    };
    assert_eq!(
        (start.name.as_ref(), request.name.as_ref()),
        ("daemon.start", "http.request")
    );
    let caller = SpanContext::from_traceparent(CALLER).unwrap();
    assert_eq!(request.trace_id, caller.trace_id);
    assert_eq!(request.parent_span_id, Some(caller.span_id));
    assert_eq!(request.links[0].context.span_id, start.span_id);
    let found = SpanContext::from_traceparent(&found).unwrap();
    assert_eq!(
        (found.trace_id, found.span_id),
        (request.trace_id, request.span_id)
    );
    let said = format!("{:?}", request.attributes);
    assert!(
        said.contains("/api/jobs/{id}") && !said.contains("secret"),
        "{said}"
    );
}

/// One of our own callers says the span in a header of its own, since front ends rewrite the
/// standard one; a list of states may come as several headers.
#[tokio::test]
async fn our_own_header_is_stronger_and_all_states_are_read() {
    let rewritten = CALLER.replace("b7ad6b7169203331", "00f067aa0ba902b7");
    let headers = [
        ("x-longshore-traceparent", CALLER),
        ("traceparent", &rewritten),
        ("tracestate", "ot=th:0"),
        ("tracestate", "x=1"),
    ];
    let (kept, found) = kept(true, vec![request("POST", "/api/jobs/7", &headers)]).await;
    let span = kept.spans.lock().unwrap().last().unwrap().clone();
    let caller = SpanContext::from_traceparent(CALLER).unwrap();
    assert_eq!(span.parent_span_id, Some(caller.span_id));
    assert_eq!(found["tracestate"], "ot=th:0,x=1");
    assert_eq!(found["x-longshore-traceparent"], found["traceparent"]);
}

#[tokio::test]
async fn a_state_without_its_span_goes_with_no_other() {
    let headers = [("tracestate", "x=1"), ("baggage", "tenant=7")];
    let (_kept, found) = kept(true, vec![request("POST", "/api/jobs/7", &headers)]).await;
    let state = found.get("tracestate").map_or("", String::as_str);
    assert!(!state.contains("x=1"), "{state}");
    assert_eq!(found["baggage"], "tenant=7");
}

#[tokio::test]
async fn what_cannot_be_read_begins_a_new_trace_and_is_counted() {
    let wrong = [("traceparent", "00-xyz-b7ad6b7169203331-01")];
    let (kept, found) = kept(true, vec![request("POST", "/api/jobs/7", &wrong)]).await;
    let span = kept.spans.lock().unwrap().last().unwrap().clone();
    assert_eq!(
        (span.name.as_ref(), span.parent_span_id),
        ("http.request", None)
    );
    assert!(SpanContext::from_traceparent(&found["traceparent"]).is_ok());
    assert_eq!(kept.failures.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_not_sampled_leaves_no_span_and_the_headers_as_they_were() {
    let unsampled = CALLER.replace("-01", "-00");
    let by_caller = request("POST", "/api/jobs/7", &[("traceparent", &unsampled)]);
    let (spans, found) = recorded(true, vec![by_caller]).await;
    assert_eq!((spans.len(), found), (1, unsampled));
    let (spans, found) = recorded(false, vec![request("POST", "/api/jobs/7", &[])]).await;
    assert_eq!((spans.len(), found.as_str()), (0, ""));
}

#[tokio::test]
async fn probes_and_our_own_views_leave_no_spans() {
    let own = [("user-agent", "longshore/1.0")];
    let looks = vec![
        request("GET", "/healthz", &[]),
        request("GET", "/api/jobs/7", &own),
    ];
    assert_eq!(recorded(true, looks).await.0.len(), 1, "the start alone");
    let changes = vec![request("POST", "/api/jobs/7", &own)];
    assert_eq!(recorded(true, changes).await.0.len(), 2);
    let others = vec![request("GET", "/api/jobs/7", &[("user-agent", "curl/8")])];
    assert_eq!(recorded(true, others).await.0.len(), 2);
}
