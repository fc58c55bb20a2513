//! The query API of Jaeger, so that its interface and others that speak it show the traces here.
//!
//! `/api/traces`, `/api/services` and `/api/services/{service}/operations` as Jaeger's own
//! interface asks them, and `/api/v3`, which newer ones use and which answers in OTLP.

mod answer;
mod ask;
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
use longshore_tracestore::{StoryOf, TraceStore};
use schemars::Schema;
use serde::Serialize;
use serde_json::{Value, json};

use self::ask::{Ask, Dialect};
use self::wrong::{Wrong, WrongV3, status_of};
use crate::AppState;
use crate::large;
use crate::local::traces::{failed, until_found};
use crate::routes::{Answers, Endpoint, Holds, Param, Part};

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

/// Asks the trace store, one of few at a time.
async fn from_store<T: Send + 'static>(
    state: &AppState,
    ask: impl FnOnce(&TraceStore) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let _turn = state.view.large().await?;
    state.view.backend.kept_traces()?.ask(ask).await
}

/// Asks the trace store, one of few at a time, for what may be large.
async fn told<T: Serialize + Send + 'static>(
    state: &AppState,
    headers: &HeaderMap,
    ask: impl FnOnce(&TraceStore, usize) -> Result<T, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let turn = state.view.large().await?;
    let backend = &state.view.backend;
    let most = backend.max_story_spans();
    let found = backend.kept_traces()?.ask(move |store| ask(store, most));
    let found = found.await?;
    large::answer(turn, headers, found).await
}

async fn search(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Wrong> {
    let ask = Ask::read(query.as_deref(), Dialect::Classic, state.clock.now())?;
    let found = told(&state, &headers, move |store, most| {
        let found = find(store, &ask, most)?;
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
    let found = told(&state, &headers, move |store, most| {
        let spans = whole(store, id, most)?.ok_or_else(|| missing(id))?;
        Ok(done(vec![answer::Trace(spans)], &[]))
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
    let found = told(&state, &headers, move |store, most| {
        let traces = find(store, &ask, most)?.traces.into_iter();
        Ok(ResultV3::of(traces.flatten().collect()))
    });
    Ok(found.await?)
}

async fn trace_v3(
    State(state): State<AppState>,
    Part(id): Part<String>,
    headers: HeaderMap,
) -> Result<Response, WrongV3> {
    let id = ask::trace_id(&id)?;
    let found = told(&state, &headers, move |store, most| {
        let spans = whole(store, id, most)?;
        Ok(ResultV3::of(spans.ok_or_else(|| missing(id))?))
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

/// The traces that are asked for, and those that are left out.
#[derive(Default)]
struct Found {
    traces: Vec<Vec<Span>>,
    spans: usize,
    left_out: Vec<LeftOut>,
}

/// A trace that was asked for by its id and is not in the answer.
struct LeftOut {
    trace: TraceId,
    why: ApiError,
}

impl LeftOut {
    fn shown(&self) -> Value {
        json!({
            "code": status_of(&self.why).as_u16(),
            "msg": self.why.to_string(),
            "traceID": self.trace.to_string(),
        })
    }
}

impl Found {
    fn add(&mut self, trace: Vec<Span>) {
        self.spans += trace.len();
        self.traces.push(trace);
    }

    fn has_room(&self) -> bool {
        self.spans < MOST_SPANS
    }
}

/// The spans of every trace that is asked for.
fn find(store: &TraceStore, ask: &Ask, most: usize) -> Result<Found, ApiError> {
    match ask.traces.is_empty() {
        true => search_for(store, ask, most),
        false => look_up(store, &ask.traces, most),
    }
}

/// All of these traces; what is left out is said.
fn look_up(store: &TraceStore, traces: &[TraceId], most: usize) -> Result<Found, ApiError> {
    let mut found = Found::default();
    for trace in traces {
        let told = match found.has_room() {
            true => whole(store, *trace, most).and_then(|told| told.ok_or_else(|| missing(*trace))),
            false => Err(too_many(*trace)),
        };
        match told {
            Ok(told) => found.add(told),
            Err(why) => found.left_out.push(LeftOut { trace: *trace, why }),
        }
    }
    Ok(found)
}

fn search_for(store: &TraceStore, ask: &Ask, most: usize) -> Result<Found, ApiError> {
    let mut found = Found::default();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        let page = store.search(ask, ask.limit, cursor.as_deref());
        let page = page.map_err(|error| failed(&error))?;
        for summary in page.traces {
            let trace = summary.trace_id;
            match whole(store, trace, most) {
                Ok(Some(told)) => found.add(told),
                Ok(None) => {}
                Err(why @ ApiError::Invalid(_)) => found.left_out.push(LeftOut { trace, why }),
                Err(why) => return Err(why),
            }
            if found.traces.len() >= ask.limit || !found.has_room() {
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

fn too_many(id: TraceId) -> ApiError {
    ApiError::Limited(format!(
        "trace {id} is left out, since those before it have {MOST_SPANS} spans: ask for it alone"
    ))
}

/// The spans of a trace, if it is known. One of more than `most` is no answer here, since whoever
/// asks would take a part for the whole.
fn whole(store: &TraceStore, id: TraceId, most: usize) -> Result<Option<Vec<Span>>, ApiError> {
    let told = until_found(store, |store| {
        let told = store.story_within(StoryOf::Alone(id), most)?;
        Ok((!told.spans.is_empty()).then_some(told))
    })?;
    match told {
        Some(told) if told.cut => Err(ApiError::Invalid(format!(
            "trace {id} has more than {most} spans: look at it with `longshore traces \
             show {id}`, or ask /api/v1/traces/{id}, which shows as many of them"
        ))),
        told => Ok(told.map(|told| told.spans)),
    }
}

fn missing(id: TraceId) -> ApiError {
    ApiError::NotFound(format!("trace not found: {id}"))
}
