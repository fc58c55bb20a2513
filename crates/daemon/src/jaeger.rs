//! The query API of Jaeger, so that its interface and others that speak it show the traces here.
//!
//! `/api/traces`, `/api/services` and `/api/services/{service}/operations` as Jaeger's own
//! interface asks them, and `/api/v3`, which newer ones use and which answers in OTLP.

mod answer;
mod ask;
mod chosen;
mod wrong;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use longshore_api::ApiError;
use longshore_api::otlp::WrittenSpans;
use longshore_core::TraceId;
use longshore_instrument::Span;
use longshore_tracestore::TraceStore;
use schemars::Schema;
use serde::Serialize;
use serde_json::{Value, json};

use self::ask::{Ask, Dialect};
use self::chosen::{Chosen, Found, LeftOut, missing, read, search_for};
use self::wrong::{Wrong, WrongV3};
use crate::AppState;
use crate::large;
use crate::routes::{Answers, Endpoint, Holds, Param, Part};

/// What a span takes while an answer with it is made.
const SPAN: usize = 1_200;

const SEARCH: &[Param] = &[
    Param::new("service", Holds::Text, "With a span of this service."),
    Param::new("operation", Holds::Text, "That has this name."),
    Param::new(
        "tags",
        Holds::Text,
        "And these attributes: a JSON object of texts.",
    ),
    Param::new(
        "minDuration",
        Holds::Text,
        "And took at least so long, such as `1.2s` or `100ms`.",
    ),
    Param::new("maxDuration", Holds::Text, "And at most so long."),
    Param::new(
        "start",
        Holds::Text,
        "Not over before this time, in microseconds since 1970.",
    ),
    Param::new(
        "end",
        Holds::Text,
        "Begun before this time, in microseconds since 1970.",
    ),
    Param::new(
        "lookback",
        Holds::Text,
        "How far back, such as `1h`, if there is no `start`.",
    ),
    Param::new(
        "limit",
        Holds::Text,
        "Most traces; 20 if not given, at most 1,500.",
    ),
    Param::new(
        "traceID",
        Holds::Texts,
        "These traces, instead of a search.",
    ),
];

const SEARCH_V3: &[Param] = &[
    Param::new(
        "query.serviceName",
        Holds::Text,
        "With a span of this service.",
    ),
    Param::new("query.operationName", Holds::Text, "That has this name."),
    Param::new(
        "query.attributes",
        Holds::Text,
        "And these attributes: a JSON object of texts.",
    ),
    Param::new(
        "query.durationMin",
        Holds::Text,
        "And took at least so long, such as `1.2s`.",
    ),
    Param::new("query.durationMax", Holds::Text, "And at most so long."),
    Param::new(
        "query.startTimeMin",
        Holds::Text,
        "Not over before this time (RFC 3339).",
    ),
    Param::new(
        "query.startTimeMax",
        Holds::Text,
        "Begun before this time (RFC 3339).",
    ),
    Param::new(
        "query.searchDepth",
        Holds::Text,
        "Most traces; 20 if not given, at most 1,500.",
    ),
];

const OPERATIONS_V3: &[Param] = &[Param::new("service", Holds::Text, "Of this service.")];

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let newer = Answers::Other(
        |_| schemars::json_schema!({ "type": "object" }),
        |_| gateway_error(),
    );
    let answer = Answers::Other(|_| envelope(), |_| envelope());
    vec![
        Endpoint::read(
            "/api/traces",
            "jaeger_search",
            "The traces with a span that matches, newest first, as Jaeger's query API gives them.",
            answer,
            || get(search),
        )
        .asking(SEARCH),
        Endpoint::read(
            "/api/traces/{trace_id}",
            "jaeger_trace",
            "A trace, as Jaeger's query API gives it.",
            answer,
            || get(trace),
        ),
        Endpoint::read(
            "/api/services",
            "jaeger_services",
            "Every service.",
            answer,
            || get(services),
        ),
        Endpoint::read(
            "/api/services/{service}/operations",
            "jaeger_operations",
            "The names of the spans of a service.",
            answer,
            || get(operations),
        ),
        Endpoint::read(
            "/api/v3/traces",
            "jaeger_v3_search",
            "The traces with a span that matches, newest first, as OTLP in JSON.",
            newer,
            || get(search_v3),
        )
        .asking(SEARCH_V3),
        Endpoint::read(
            "/api/v3/traces/{trace_id}",
            "jaeger_v3_trace",
            "A trace, as OTLP in JSON.",
            newer,
            || get(trace_v3),
        ),
        Endpoint::read(
            "/api/v3/services",
            "jaeger_v3_services",
            "Every service.",
            newer,
            || get(services_v3),
        ),
        Endpoint::read(
            "/api/v3/operations",
            "jaeger_v3_operations",
            "The names of the spans of a service.",
            newer,
            || get(operations_v3),
        )
        .asking(OPERATIONS_V3),
    ]
}

/// What every answer to an older interface is wrapped in.
fn envelope() -> Schema {
    schemars::json_schema!({
        "type": "object",
        "required": ["data", "total", "limit", "offset", "errors"],
        "properties": {
            "data": { "type": ["array", "null"] },
            "total": { "type": "integer" },
            "limit": { "type": "integer" },
            "offset": { "type": "integer" },
            "errors": { "type": ["array", "null"], "items": { "type": "object" } },
        },
    })
}

/// What the newer interface says of what went wrong.
fn gateway_error() -> Schema {
    schemars::json_schema!({
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["grpcCode", "httpCode", "message", "httpStatus"],
                "properties": {
                    "grpcCode": { "type": "integer" },
                    "httpCode": { "type": "integer" },
                    "message": { "type": "string" },
                    "httpStatus": { "type": "string" },
                },
            },
        },
    })
}

/// An answer of an older interface.
#[derive(Serialize)]
struct Envelope<T> {
    data: Option<Vec<T>>,
    total: usize,
    limit: usize,
    offset: usize,
    errors: Option<Vec<Value>>,
}

fn done<T>(data: Vec<T>, left_out: &[LeftOut]) -> Envelope<T> {
    let errors: Vec<Value> = left_out.iter().map(LeftOut::shown).collect();
    Envelope {
        total: data.len(),
        data: Some(data),
        limit: 0,
        offset: 0,
        errors: (!errors.is_empty()).then_some(errors),
    }
}

/// Asks the trace store for what is small, where there is memory for an answer.
async fn from_store<T: Send + 'static>(
    state: &AppState,
    ask: impl FnOnce(&TraceStore) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let _share = state.view.memory.share(0).await?;
    state.view.backend.kept_traces()?.ask(ask).await
}

/// Asks the trace store for these traces, where there is memory for them.
async fn told<T: Serialize + Send + 'static>(
    state: &AppState,
    headers: &HeaderMap,
    chosen: Chosen,
    as_answer: impl FnOnce(Found) -> Result<T, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let backend = &state.view.backend;
    let most = backend.max_story_spans();
    let bytes = chosen.spans.min(most).saturating_mul(SPAN);
    let share = state.view.memory.share(bytes).await?;
    let traces = backend.kept_traces()?.clone();
    let told = async move {
        let read = traces.ask(move |store| read(store, chosen, most)).await;
        as_answer(read?)
    };
    large::answer(share, headers, bytes, told).await
}

/// The traces that are asked for.
async fn choose(state: &AppState, ask: Ask) -> Result<Chosen, ApiError> {
    from_store(state, move |store| match ask.traces.is_empty() {
        true => search_for(store, &ask),
        false => Chosen::of(store, ask.traces),
    })
    .await
}

/// A trace that is asked for.
async fn choose_one(state: &AppState, id: TraceId) -> Result<Chosen, ApiError> {
    let one = from_store(state, move |store| Chosen::of(store, vec![id])).await?;
    match one.spans {
        0 => Err(missing(id)),
        _ => Ok(one),
    }
}

async fn search(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Wrong> {
    let ask = Ask::read(query.as_deref(), Dialect::Classic, state.clock.now())?;
    let chosen = choose(&state, ask).await?;
    let found = told(&state, &headers, chosen, |found| {
        let traces = found.traces.into_iter().map(answer::Trace);
        Ok(done(traces.collect(), &found.left_out))
    });
    Ok(found.await?)
}

async fn trace(
    State(state): State<AppState>,
    Part(id): Part<String>,
    headers: HeaderMap,
) -> Result<Response, Wrong> {
    let id = ask::trace_id(&id)?;
    let chosen = choose_one(&state, id).await?;
    let found = told(&state, &headers, chosen, |found| {
        let traces = found.alone()?.into_iter().map(answer::Trace);
        Ok(done(traces.collect(), &[]))
    });
    Ok(found.await?)
}

async fn services(State(state): State<AppState>) -> Result<Json<Envelope<String>>, Wrong> {
    let services = from_store(&state, |store| Ok(store.services())).await?;
    Ok(Json(done(services, &[])))
}

async fn operations(
    State(state): State<AppState>,
    Part(service): Part<String>,
) -> Result<Json<Envelope<String>>, Wrong> {
    let names = from_store(&state, move |store| Ok(store.operations(&service))).await?;
    Ok(Json(done(names, &[])))
}

/// The answer of the newer interface to those who ask for traces.
#[derive(Serialize)]
struct ResultV3 {
    result: WrittenSpans,
}

impl ResultV3 {
    const fn of(spans: Vec<Span>) -> Self {
        Self {
            result: WrittenSpans::new(spans),
        }
    }
}

async fn search_v3(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, WrongV3> {
    let ask = Ask::read(query.as_deref(), Dialect::V3, state.clock.now())?;
    let chosen = choose(&state, ask).await?;
    let found = told(&state, &headers, chosen, |found| {
        Ok(ResultV3::of(found.traces.into_iter().flatten().collect()))
    });
    Ok(found.await?)
}

async fn trace_v3(
    State(state): State<AppState>,
    Part(id): Part<String>,
    headers: HeaderMap,
) -> Result<Response, WrongV3> {
    let id = ask::trace_id(&id)?;
    let chosen = choose_one(&state, id).await?;
    let found = told(&state, &headers, chosen, |found| {
        Ok(ResultV3::of(found.alone()?.into_iter().flatten().collect()))
    });
    Ok(found.await?)
}

async fn services_v3(State(state): State<AppState>) -> Result<Json<Value>, WrongV3> {
    let services = from_store(&state, |store| Ok(store.services())).await?;
    Ok(Json(json!({ "services": services })))
}

async fn operations_v3(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, WrongV3> {
    let service = ask::service(query.as_deref())?;
    let names = from_store(&state, move |store| Ok(store.operations(&service))).await?;
    let named = |name: String| json!({ "name": name, "spanKind": "" });
    let names: Vec<Value> = names.into_iter().map(named).collect();
    Ok(Json(json!({ "operations": names })))
}
