//! Whether the daemon answers, what stands behind it, and what it measures.

use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json};
use longshore_api::{About, ApiError, Backend as _};
use longshore_telemetry::MetricsFormat;

use super::{Answers, Endpoint, Refusal};
use crate::AppState;
use crate::auth::Scope;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::read(
            "/healthz",
            "alive",
            "Says that the process answers, whatever its store does and however many ask.",
            Answers::Text,
            || get(alive),
        )
        .for_anybody()
        .at_any_time(),
        Endpoint::read(
            "/readyz",
            "ready",
            "Says whether jobs can be worked with: the store answers. 503 if not.",
            Answers::Text,
            || get(ready),
        )
        .for_anybody(),
        Endpoint::read(
            "/metrics",
            "metrics",
            "What is measured in this process, for Prometheus.",
            Answers::Text,
            || get(metrics),
        )
        .at_any_time(),
        Endpoint::read(
            "/api/openapi.json",
            "openapi",
            "This document.",
            Answers::Json(|_| schemars::json_schema!({ "type": "object" })),
            || get(document),
        )
        .for_anybody(),
        Endpoint::read(
            "/api/v1/about",
            "about",
            "Says which store and traces stand behind this.",
            Answers::Json(|all| all.subschema_for::<About>()),
            || get(about),
        ),
        Endpoint::read(
            "/api/v1/live",
            "live",
            "Server-sent events while things happen: `queues` (those whose counts changed), \
             `traces` (those that changed), `gap` (something was missed: look anew), `trouble` \
             (an error). A comment every 15 s says that the daemon is there.",
            Answers::Events,
            || get(live),
        ),
    ]
}

async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(State(state): State<AppState>) -> (StatusCode, String) {
    match state.store.now().await {
        Ok(_) => (StatusCode::OK, "ok\n".to_owned()),
        // Anybody may ask, so no word of where the store is and what it says.
        Err(error) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the store does not answer: {}\n", error.kind().as_str()),
        ),
    }
}

async fn metrics(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let Some(metrics) = &state.view.metrics else {
        let words = "nothing is measured here: the daemon was started without telemetry";
        return Refusal::from(ApiError::NotFound(words.to_owned())).into_response();
    };
    let accepted = headers.get_all(ACCEPT).iter();
    let accepted: Vec<&str> = accepted.filter_map(|value| value.to_str().ok()).collect();
    let format = MetricsFormat::negotiate(&accepted.join(","));
    let body = metrics.encode_with(format, &state.beside());
    ([(CONTENT_TYPE, format.content_type())], body).into_response()
}

async fn document(State(state): State<AppState>) -> Response {
    let document = state.view.document.clone();
    ([(CONTENT_TYPE, "application/json")], document).into_response()
}

async fn live(State(state): State<AppState>) -> Result<impl IntoResponse, Refusal> {
    Ok(state.view.live.listen(&state.view.backend)?)
}

async fn about(
    State(state): State<AppState>,
    Extension(granted): Extension<Scope>,
) -> Result<Json<About>, Refusal> {
    let mut about = state.view.backend.about().await?;
    about.may_change &= granted == Scope::Write;
    Ok(Json(about))
}
