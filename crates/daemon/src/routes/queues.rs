//! Queues and workers.

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use axum::routing::{get, post};
use longshore_api::Backend as _;
use longshore_api::answer::{Paused, Queues, Workers};
use longshore_api::queue::{Latency, LatencyQuery};

use super::extract::{Asked, Caller, NoBody, Part};
use super::{Answers, Endpoint, Holds, Param, Refusal};
use crate::AppState;

const LATENCY: &[Param] = &[
    Param::new("queue", Holds::Text, "Of this queue."),
    Param::new("kind", Holds::Text, "Of this kind."),
    Param::new(
        "since",
        Holds::Time,
        "Ended at this time or later; an hour ago if not given.",
    ),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::read(
            "/api/v1/queues",
            "list_queues",
            "Every queue and its counts.",
            Answers::Json(|all| all.subschema_for::<Queues>()),
            || get(list),
        ),
        Endpoint::write(
            Method::POST,
            "/api/v1/queues/{queue}/pause",
            "pause_queue",
            "Stops workers from taking jobs of a queue; what runs goes on. Repeating it is safe.",
            Answers::Json(|all| all.subschema_for::<Paused>()),
            || post(pause),
        ),
        Endpoint::write(
            Method::POST,
            "/api/v1/queues/{queue}/resume",
            "resume_queue",
            "Lets workers take jobs of a queue again. Repeating it is safe.",
            Answers::Json(|all| all.subschema_for::<Paused>()),
            || post(resume),
        ),
        Endpoint::read(
            "/api/v1/latency",
            "latency",
            "How long jobs waited and ran, with a trace behind every bar. Looks at the \
                    newest 10,000 jobs that match.",
            Answers::Json(|all| all.subschema_for::<Latency>()),
            || get(latency),
        )
        .asking(LATENCY),
        Endpoint::read(
            "/api/v1/workers",
            "list_workers",
            "The workers that were seen lately.",
            Answers::Json(|all| all.subschema_for::<Workers>()),
            || get(workers),
        ),
    ]
}

async fn list(State(state): State<AppState>) -> Result<Json<Queues>, Refusal> {
    let queues = state.view.backend.queues().await?;
    Ok(Json(Queues { queues }))
}

async fn pause(
    state: State<AppState>,
    queue: Part<String>,
    caller: Caller,
    _nothing: NoBody,
) -> Result<Json<Paused>, Refusal> {
    set_paused(state, queue, &caller, true).await
}

async fn resume(
    state: State<AppState>,
    queue: Part<String>,
    caller: Caller,
    _nothing: NoBody,
) -> Result<Json<Paused>, Refusal> {
    set_paused(state, queue, &caller, false).await
}

async fn set_paused(
    State(state): State<AppState>,
    Part(queue): Part<String>,
    caller: &Caller,
    paused: bool,
) -> Result<Json<Paused>, Refusal> {
    let backend = state.view.called_by(caller);
    backend.pause_queue(&queue, paused).await?;
    Ok(Json(Paused { queue, paused }))
}

async fn latency(
    State(state): State<AppState>,
    Asked(query): Asked<LatencyQuery>,
) -> Result<Json<Latency>, Refusal> {
    Ok(Json(state.view.backend.latency(&query).await?))
}

async fn workers(State(state): State<AppState>) -> Result<Json<Workers>, Refusal> {
    let workers = state.view.backend.workers().await?;
    Ok(Json(Workers { workers }))
}
