//! Jobs.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use longshore_api::answer::{ChangedJobs, EnqueueMany, EnqueuedMany};
use longshore_api::job::{
    Change, ChangeJobs, ChangedJob, Enqueue, Enqueued, Job, JobsPage, JobsQuery,
};
use longshore_api::{ApiError, Backend as _};

use super::extract::{Asked, Body, Caller, NoBody, Part};
use super::{Answers, Endpoint, Holds, Param, Refusal};
use crate::AppState;

const LIST: &[Param] = &[
    Param::new("state", Holds::Texts, "In one of these states."),
    Param::new("queue", Holds::Text, "In this queue."),
    Param::new("kind", Holds::Text, "Of this kind."),
    Param::new("tag", Holds::Text, "With this tag."),
    Param::new("metadata", Holds::Text, "With this pair, as `key=value`."),
    Param::new("tenant_id", Holds::Text, "Of this tenant."),
    Param::new("namespace", Holds::Text, "Of this namespace."),
    Param::new("correlation_id", Holds::Text, "With this correlation id."),
    Param::new(
        "enqueued_after",
        Holds::Time,
        "Enqueued at this time or later.",
    ),
    Param::new("enqueued_before", Holds::Time, "Enqueued before this time."),
    Param::new(
        "error_class",
        Holds::Text,
        "Whose last error is of this class.",
    ),
    Param::new("error_text", Holds::Text, "Whose last error says this."),
    Param::new(
        "text",
        Holds::Text,
        "Which say this in id, queue, kind, tags, metadata, tenant, namespace, correlation id or \
         last error; the next 5,000 are looked through for a page.",
    ),
    Param::new("cursor", Holds::Text, "`next_cursor` of the page before."),
    Param::new(
        "limit",
        Holds::Number,
        "Most jobs, 1 to 1,000; 100 if not given.",
    ),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::read(
            "/api/v1/jobs",
            "list_jobs",
            "A page of jobs, newest first. A page may have few jobs or none and still not \
                    be the last. Args and results may be left out.",
            Answers::Json(|all| all.subschema_for::<JobsPage>()),
            || get(list),
        )
        .asking(LIST),
        Endpoint::write(
            Method::POST,
            "/api/v1/jobs",
            "enqueue",
            "Enqueues a job, and answers once it is durable: 201 if it is new, 200 if it \
                    was there already. The headers `traceparent`, with its `tracestate`, and \
                    `baggage` say which span it comes from, each unless the body says it. \
                    Repeating a call whose outcome is unknown is safe if the job has an `id` or a \
                    `unique_key`; without either it may enqueue a second job.",
            Answers::Made(|all| all.subschema_for::<Enqueued>()),
            || post(enqueue),
        )
        .taking(|all| all.subschema_for::<Enqueue>()),
        Endpoint::write(
            Method::PATCH,
            "/api/v1/jobs",
            "change_jobs",
            "Cancels, retries or discards jobs, one by one. Repeating a call whose outcome is \
                    unknown is safe for `cancel` and `discard`; a repeated `retry` may run a job \
                    again that has run meanwhile.",
            Answers::Json(|all| all.subschema_for::<ChangedJobs>()),
            || patch(change),
        )
        .taking(|all| all.subschema_for::<ChangeJobs>()),
        Endpoint::write(
            Method::POST,
            "/api/v1/jobs/many",
            "enqueue_many",
            "Enqueues up to 1,000 jobs, and says of each what became of it; one that is \
                    refused does not hold up the others. Repeating a call whose outcome is \
                    unknown is safe for jobs that have an `id` or a `unique_key`; of the others \
                    it may enqueue a second one.",
            Answers::Json(|all| all.subschema_for::<EnqueuedMany>()),
            || post(enqueue_many),
        )
        .taking(|all| all.subschema_for::<EnqueueMany>()),
        Endpoint::read(
            "/api/v1/jobs/{id}",
            "get_job",
            "A job, whole.",
            Answers::Json(|all| all.subschema_for::<Job>()),
            || get(show),
        ),
        Endpoint::write(
            Method::POST,
            "/api/v1/jobs/{id}/{change}",
            "change_job",
            "Cancels, retries or discards a job: `change` is `cancel`, `retry` or \
                    `discard`. One that runs is asked to stop. Repeating a call whose outcome is \
                    unknown is safe for `cancel` and `discard`; a repeated `retry` may run a job \
                    again that has run meanwhile.",
            Answers::Json(|all| all.subschema_for::<ChangedJob>()),
            || post(change_one),
        ),
    ]
}

async fn list(
    State(state): State<AppState>,
    Asked(query): Asked<JobsQuery>,
) -> Result<Json<JobsPage>, Refusal> {
    Ok(Json(state.view.backend.jobs(&query).await?))
}

async fn show(State(state): State<AppState>, Part(id): Part<String>) -> Result<Json<Job>, Refusal> {
    Ok(Json(state.view.backend.job(&id).await?))
}

async fn enqueue(
    State(state): State<AppState>,
    caller: Caller,
    Body(job): Body<Enqueue>,
) -> Result<Response, Refusal> {
    let answers = enqueue_all(&state, caller, vec![job]).await?;
    let none = || ApiError::Internal("the store gave no answer for the job".to_owned());
    let enqueued = answers.into_iter().next().ok_or_else(none)??;
    let status = match enqueued.enqueued.as_str() {
        "created" => StatusCode::CREATED,
        _ => StatusCode::OK,
    };
    // An id that no header can carry can still be read in the body.
    let location = HeaderValue::try_from(format!("/api/v1/jobs/{}", enqueued.id));
    let mut response = (status, Json(enqueued)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

async fn enqueue_many(
    State(state): State<AppState>,
    caller: Caller,
    Body(many): Body<EnqueueMany>,
) -> Result<Json<EnqueuedMany>, Refusal> {
    let answers = enqueue_all(&state, caller, many.jobs).await?;
    let jobs = answers.into_iter().map(Into::into).collect();
    Ok(Json(EnqueuedMany { jobs }))
}

/// Enqueues jobs; what they do not say of where they come from, the headers say. A state goes with
/// its span, from wherever that is taken.
async fn enqueue_all(
    state: &AppState,
    caller: Caller,
    mut jobs: Vec<Enqueue>,
) -> Result<Vec<Result<Enqueued, ApiError>>, ApiError> {
    for job in &mut jobs {
        if job.traceparent.is_none() {
            job.traceparent = caller.traceparent().map(str::to_owned);
            job.tracestate = caller.tracestate().map(str::to_owned);
        }
        if job.baggage.is_none() {
            job.baggage = caller.baggage().map(str::to_owned);
        }
    }
    state.view.backend.enqueue(&jobs).await
}

async fn change(
    State(state): State<AppState>,
    caller: Caller,
    Body(change): Body<ChangeJobs>,
) -> Result<Json<ChangedJobs>, Refusal> {
    let jobs = state.view.called_by(&caller).change_jobs(&change).await?;
    Ok(Json(ChangedJobs { jobs }))
}

async fn change_one(
    State(state): State<AppState>,
    Part((id, change)): Part<(String, Change)>,
    caller: Caller,
    _nothing: NoBody,
) -> Result<Json<ChangedJob>, Refusal> {
    let backend = state.view.called_by(&caller);
    // That it is not there, or cannot be changed, is an error here and not a part of the answer.
    let job = backend.change_one(change, &id).await?;
    Ok(Json(job))
}
