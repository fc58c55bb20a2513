//! The paths, and who answers.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::AppState;

/// The daemon's own paths.
pub(crate) fn router() -> Router<AppState> {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
}

/// Says that the process answers, whatever its store does.
async fn alive() -> &'static str {
    "ok\n"
}

/// Says whether jobs can be worked with: the store answers.
async fn ready(State(state): State<AppState>) -> (StatusCode, String) {
    match state.store.now().await {
        Ok(_) => (StatusCode::OK, "ok\n".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}
