//! The query API of Jaeger, so that its interface and others that speak it show the traces here.
//!
//! `/api/traces`, `/api/services` and `/api/services/{service}/operations` as Jaeger's own
//! interface asks them, and `/api/v3`, which newer ones use and which answers in OTLP.

mod answer;
mod ask;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use longshore_api::ApiError;
use longshore_api::otlp::TracesData;
use longshore_core::TraceId;
use longshore_instrument::Span;
use longshore_tracestore::TraceStore;
use schemars::Schema;
use serde_json::{Value, json};

use self::ask::{Ask, Dialect};
use crate::AppState;
use crate::local::traces::{failed, until_found};
use crate::routes::{Answers, Endpoint, Holds, Param, Part, Refusal};

/// Most spans of the traces of one answer.
const MOST_SPANS: usize = 500_000;

/// Most pages that are looked at for one answer.
const PAGES: usize = 50;

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
        "query.service_name",
        Holds::Text,
        "With a span of this service.",
    ),
    Param::new("query.operation_name", Holds::Text, "That has this name."),
    Param::new(
        "query.attributes",
        Holds::Text,
        "And these attributes: a JSON object of texts.",
    ),
    Param::new(
        "query.duration_min",
        Holds::Text,
        "And took at least so long, such as `1.2s`.",
    ),
    Param::new("query.duration_max", Holds::Text, "And at most so long."),
    Param::new(
        "query.start_time_min",
        Holds::Text,
        "Not over before this time (RFC 3339).",
    ),
    Param::new(
        "query.start_time_max",
        Holds::Text,
        "Begun before this time (RFC 3339).",
    ),
    Param::new(
        "query.num_traces",
        Holds::Text,
        "Most traces; 20 if not given, at most 1,500.",
    ),
];

const OPERATIONS_V3: &[Param] = &[Param::new("service", Holds::Text, "Of this service.")];

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let newer = Answers::Json(|_| schemars::json_schema!({ "type": "object" }));
    let answer = Answers::Alike(|_| envelope());
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

/// What went wrong, as Jaeger says it.
struct Wrong(ApiError);

impl From<ApiError> for Wrong {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        let status = Refusal::from(self.0.clone()).into_response().status();
        let error = json!({ "code": status.as_u16(), "msg": self.0.to_string() });
        (status, Json(wrapped(&Value::Null, 0, &json!([error])))).into_response()
    }
}

fn wrapped(data: &Value, total: usize, errors: &Value) -> Value {
    json!({ "data": data, "total": total, "limit": 0, "offset": 0, "errors": errors })
}

fn done(data: Vec<Value>) -> Json<Value> {
    let total = data.len();
    Json(wrapped(&Value::Array(data), total, &Value::Null))
}

/// Asks the trace store, one of few at a time.
async fn from_store<T: Send + 'static>(
    state: &AppState,
    ask: impl FnOnce(&TraceStore) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let _turn = state.view.large().await?;
    state.view.backend.kept_traces()?.ask(ask).await
}

async fn search(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Wrong> {
    let ask = Ask::read(query.as_deref(), Dialect::Classic, state.clock.now())?;
    let found = from_store(&state, move |store| {
        let found = find(store, &ask)?;
        Ok(found.iter().map(|spans| answer::trace(spans)).collect())
    });
    Ok(done(found.await?))
}

async fn trace(
    State(state): State<AppState>,
    Part(id): Part<String>,
) -> Result<Json<Value>, Wrong> {
    let id = ask::trace_id(&id)?;
    let found = from_store(&state, move |store| {
        let spans = until_found(store, |store| store.trace(id))?;
        Ok(spans.map(|spans| answer::trace(&spans)))
    });
    Ok(done(vec![found.await?.ok_or_else(|| missing(id))?]))
}

async fn services(State(state): State<AppState>) -> Result<Json<Value>, Wrong> {
    let services = from_store(&state, |store| Ok(store.services())).await?;
    Ok(done(services.into_iter().map(Value::from).collect()))
}

async fn operations(
    State(state): State<AppState>,
    Part(service): Part<String>,
) -> Result<Json<Value>, Wrong> {
    let names = from_store(&state, move |store| Ok(store.operations(&service))).await?;
    Ok(done(names.into_iter().map(Value::from).collect()))
}

async fn search_v3(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let ask = Ask::read(query.as_deref(), Dialect::V3, state.clock.now())?;
    let found = from_store(&state, move |store| Ok(find(store, &ask)?.concat())).await?;
    Ok(Json(json!({ "result": TracesData::of(&found) })))
}

async fn trace_v3(
    State(state): State<AppState>,
    Part(id): Part<String>,
) -> Result<Json<Value>, Refusal> {
    let id = ask::trace_id(&id)?;
    let found = from_store(&state, move |store| {
        until_found(store, |store| store.trace(id))
    });
    let spans = found.await?.ok_or_else(|| missing(id))?;
    Ok(Json(json!({ "result": TracesData::of(&spans) })))
}

async fn services_v3(State(state): State<AppState>) -> Result<Json<Value>, Refusal> {
    let services = from_store(&state, |store| Ok(store.services())).await?;
    Ok(Json(json!({ "services": services })))
}

async fn operations_v3(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let service = ask::service(query.as_deref())?;
    let names = from_store(&state, move |store| Ok(store.operations(&service))).await?;
    let named = |name: String| json!({ "name": name, "spanKind": "" });
    let names: Vec<Value> = names.into_iter().map(named).collect();
    Ok((StatusCode::OK, Json(json!({ "operations": names }))))
}

/// The spans of every trace that is asked for.
fn find(store: &TraceStore, ask: &Ask) -> Result<Vec<Vec<Span>>, ApiError> {
    let mut found: Vec<Vec<Span>> = Vec::new();
    let mut spans = 0;
    let mut take = |trace: TraceId| -> Result<bool, ApiError> {
        let told = store.trace(trace).map_err(|error| failed(&error))?;
        if let Some(told) = told {
            spans += told.len();
            found.push(told);
        }
        Ok(found.len() < ask.limit && spans < MOST_SPANS)
    };
    if !ask.traces.is_empty() {
        for trace in &ask.traces {
            if !take(*trace)? {
                break;
            }
        }
        return Ok(found);
    }
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        let page = store.search(ask, ask.limit, cursor.as_deref());
        let page = page.map_err(|error| failed(&error))?;
        for summary in page.traces {
            if !take(summary.trace_id)? {
                return Ok(found);
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(found)
}

fn missing(id: TraceId) -> ApiError {
    ApiError::NotFound(format!("trace not found: {id}"))
}
