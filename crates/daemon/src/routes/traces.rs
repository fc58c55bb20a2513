//! Traces and stories.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use longshore_api::Backend as _;
use longshore_api::otlp::TracesData;
use longshore_api::query::{CompleteQuery, TraceQuery};
use longshore_api::trace::{Completions, Diff, DiffQuery, Story, StoryOf, TracesPage, TracesQuery};
use longshore_core::{SpanId, TraceId};

use super::extract::{Asked, Body, Part};
use super::{Answers, Endpoint, Holds, Param, Refusal};
use crate::AppState;
use crate::large;

/// What a span takes while a chart is made of it, as measured of a trace of a million spans
/// (`docs/performance.md`), and what its row takes while that is sent.
const SPAN: usize = 1_800;
const ROW: usize = 100;

const SEARCH: &[Param] = &[
    Param::new(
        "search",
        Holds::Text,
        "In the search language, such as `orders error >2s since:1h`.",
    ),
    Param::new("cursor", Holds::Text, "`next_cursor` of the page before."),
    Param::new(
        "limit",
        Holds::Number,
        "Most traces, 1 to 1,000; 100 if not given.",
    ),
    Param::new(
        "changed_since",
        Holds::Text,
        "`as_of` of an earlier answer: what changed since then, instead of what there is.",
    ),
    Param::new(
        "all_stores",
        Holds::Yes,
        "Whether traces are listed that have to do with other stores alone.",
    ),
    Param::new(
        "at_once",
        Holds::Yes,
        "Whether to answer by what is known so far while a long log is read; `reading` says so.",
    ),
];

const SHOW: &[Param] = &[Param::new(
    "alone",
    Holds::Yes,
    "Whether the trace is shown without those that it is joined to by links.",
)];

const COMPLETE: &[Param] = &[
    Param::new("text", Holds::Text, "The search that is being typed."),
    Param::new(
        "cursor",
        Holds::Number,
        "The byte where the cursor stands; the end if not given.",
    ),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::read(
            "/api/v1/traces",
            "list_traces",
            "A page of the traces that match a search, newest first. It looks at 20,000 traces at \
             most, fewer where spans have to be read, so that it may have few traces or none and \
             still not be the last.",
            Answers::Json(|all| all.subschema_for::<TracesPage>()),
            || get(search),
        )
        .asking(SEARCH),
        Endpoint::read(
            "/api/v1/traces/{trace_id}",
            "get_trace",
            "A trace and those that it is joined to by links, as a chart, with the time it took, \
             its critical path and what stands out.",
            Answers::Json(|all| all.subschema_for::<Story>()),
            || get(show),
        )
        .asking(SHOW),
        Endpoint::read(
            "/api/v1/traces/{trace_id}/spans/{span_id}",
            "get_span",
            "A span with all that is known of it, as OTLP writes it in JSON.",
            Answers::Json(|all| all.subschema_for::<TracesData>()),
            || get(span),
        ),
        Endpoint::read(
            "/api/v1/jobs/{id}/story",
            "get_story",
            "All traces of a job joined, with what its record adds: waits, back-offs, lost \
             leases, and what is open in an attempt that runs.",
            Answers::Json(|all| all.subschema_for::<Story>()),
            || get(story),
        ),
        Endpoint::look(
            "/api/v1/diff",
            "diff_traces",
            "What differs between two traces, or two groups of traces.",
            Answers::Json(|all| all.subschema_for::<Diff>()),
            || post(diff),
        )
        .taking(|all| all.subschema_for::<DiffQuery>()),
        Endpoint::read(
            "/api/v1/complete",
            "complete_search",
            "What may follow in a search that is being typed.",
            Answers::Json(|all| all.subschema_for::<Completions>()),
            || get(complete),
        )
        .asking(COMPLETE),
    ]
}

async fn search(
    State(state): State<AppState>,
    Asked(query): Asked<TracesQuery>,
) -> Result<Json<TracesPage>, Refusal> {
    Ok(Json(state.view.backend.traces(&query).await?))
}

async fn show(
    State(state): State<AppState>,
    Part(trace): Part<TraceId>,
    Asked(query): Asked<TraceQuery>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let of = match query.alone {
        true => StoryOf::TraceAlone(trace),
        false => StoryOf::Trace(trace),
    };
    tell(&state, &headers, of).await
}

async fn story(
    State(state): State<AppState>,
    Part(id): Part<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    tell(&state, &headers, StoryOf::Job(id)).await
}

/// A story, made where there is memory for it.
async fn tell(state: &AppState, headers: &HeaderMap, of: StoryOf) -> Result<Response, Refusal> {
    let backend = state.view.backend.clone();
    let spans = backend.size_of(&of).await?;
    let share = state.view.memory.share(spans.saturating_mul(SPAN)).await?;
    let told = async move { backend.story(&of).await };
    Ok(large::answer(share, headers, spans.saturating_mul(ROW), told).await?)
}

async fn span(
    State(state): State<AppState>,
    Part((trace, span)): Part<(TraceId, SpanId)>,
) -> Result<Json<TracesData>, Refusal> {
    let span = state.view.backend.span(trace, span).await?;
    Ok(Json(TracesData::of(&[span])))
}

async fn diff(
    State(state): State<AppState>,
    Body(query): Body<DiffQuery>,
) -> Result<Json<Diff>, Refusal> {
    let backend = &state.view.backend;
    let sides = backend.sides(&query).await?;
    let most = sides.largest.saturating_mul(SPAN);
    let _share = state.view.memory.share(most).await?;
    Ok(Json(backend.compare(sides).await?))
}

async fn complete(
    State(state): State<AppState>,
    Asked(query): Asked<CompleteQuery>,
) -> Result<Json<Completions>, Refusal> {
    let cursor = query.cursor.unwrap_or(query.text.len());
    Ok(Json(
        state.view.backend.complete(&query.text, cursor).await?,
    ))
}
