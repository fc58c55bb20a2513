//! More than can be answered, clients that are slow or unknown, and a store that is away.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use longshore_core::SystemClock;
use longshore_daemon::serve::Peer;
use longshore_daemon::{Access, AppState, app};
use longshore_testkit::way::Around;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::daemon::{Daemon, Without, state};

/// Who tries tokens is made to wait, with the right one too.
#[tokio::test]
async fn who_asks_too_often_is_told_when_to_ask_again() {
    let token = "write-0123456789";
    let access = Access::by_token(token, None).unwrap();
    let daemon = Daemon::start_with(|state| state.with_access(access)).await;
    let ask = async |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        daemon
            .ask(Method::GET, "/api/v1/queues", &headers, "")
            .await
    };
    assert_eq!(ask(token).await.status, StatusCode::OK);
    let mut answer = ask("wrong-0123456789").await;
    for _try in 0..1000 {
        if answer.status != StatusCode::UNAUTHORIZED {
            break;
        }
        answer = ask("wrong-0123456789").await;
    }
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{answer:?}");
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.json()["error"], "limited");
    assert_eq!(daemon.get("/healthz").await.status, StatusCode::OK);
}

/// A request by `path` that comes from this machine, whose body never ends.
fn endless(method: Method, path: &str) -> Request<Body> {
    let body = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    let request = Request::builder().method(method).uri(path);
    let mut request = request
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Body::from_stream(body))
        .unwrap();
    let peer = Peer(([127, 0, 0, 1], 1).into());
    request.extensions_mut().insert(peer);
    request
}

#[tokio::test]
async fn when_too_many_ask_at_once_health_and_figures_are_still_told() {
    let (state, _store) = state();
    let router = app(state);
    let mut waiting = JoinSet::new();
    let busy = loop {
        for _ in 0..64 {
            waiting.spawn(
                router
                    .clone()
                    .oneshot(endless(Method::POST, "/api/v1/jobs")),
            );
        }
        tokio::task::yield_now().await;
        let asked = router
            .clone()
            .oneshot(endless(Method::GET, "/api/v1/queues"));
        let answer = asked.await.unwrap();
        if answer.status() != StatusCode::OK {
            break answer;
        }
        assert!(waiting.len() < 10_000, "nobody bounds how many ask at once");
    };
    assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(busy.headers()["retry-after"], "1");
    for (path, status) in [("/healthz", 200), ("/metrics", 404), ("/readyz", 503)] {
        let asked = router.clone().oneshot(endless(Method::GET, path));
        assert_eq!(asked.await.unwrap().status().as_u16(), status, "{path}");
    }
    waiting.shutdown().await;
    let asked = router.oneshot(endless(Method::GET, "/readyz"));
    assert_eq!(asked.await.unwrap().status(), StatusCode::OK);
}

/// Time stands still but for what is waited for.
#[tokio::test(start_paused = true)]
async fn a_body_that_never_arrives_is_given_up() {
    let (state, _store) = state();
    let asked = app(state).oneshot(endless(Method::POST, "/api/v1/jobs"));
    assert_eq!(asked.await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
}

/// Whoever serves the router without saying who asks lets nobody in.
#[tokio::test]
async fn who_comes_from_nobody_knows_where_is_refused() {
    let (state, _store) = state();
    let mut request = endless(Method::GET, "/api/v1/queues");
    request.extensions_mut().clear();
    let answer = app(state).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_said_without_its_words() {
    let daemon = Daemon::start().await;
    assert_eq!(daemon.get("/readyz").await.text, "ok\n");
    let store = Around::through(daemon.store.clone(), Without("now"));
    let state = AppState::new(Arc::new(store), Arc::new(SystemClock::new()));
    let broken = Daemon::of(state, daemon.store.clone()).await;
    let answer = broken.get("/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.text, "the store does not answer: unavailable\n");
    assert_eq!(answer.headers["retry-after"], "1");
}
