//! Which traces are asked for, how large they are, and their spans.

use longshore_api::ApiError;
use longshore_core::TraceId;
use longshore_instrument::Span;
use longshore_tracestore::{StoryOf, TraceStore};
use serde_json::{Value, json};

use super::ask::Ask;
use super::wrong::status_of;
use crate::local::traces::{failed, until_found};

/// Most spans of the traces of one answer.
const MOST_SPANS: usize = 500_000;

/// Most pages that are looked at for one answer.
const PAGES: usize = 50;

/// The traces that are asked for, before they are read.
pub(super) struct Chosen {
    traces: Vec<TraceId>,
    /// How many spans they have at most.
    pub(super) spans: usize,
    /// Whether they were found by a search, so that none of them is missed.
    searched: bool,
}

impl Chosen {
    pub(super) fn of(store: &TraceStore, traces: Vec<TraceId>) -> Result<Self, ApiError> {
        let mut spans = 0;
        for trace in &traces {
            let known = |store: &TraceStore| {
                let size = store.size_of(StoryOf::Alone(*trace));
                Ok((size > 0).then_some(size))
            };
            spans += until_found(store, known)?.unwrap_or(0);
        }
        Ok(Self {
            traces,
            spans,
            searched: false,
        })
    }
}

/// The spans of the traces that are asked for, and those that are left out.
#[derive(Default)]
pub(super) struct Found {
    pub(super) traces: Vec<Vec<Span>>,
    spans: usize,
    pub(super) left_out: Vec<LeftOut>,
}

/// A trace that was asked for and is not in the answer.
pub(super) struct LeftOut {
    trace: TraceId,
    why: ApiError,
}

impl LeftOut {
    pub(super) fn shown(&self) -> Value {
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

    /// What was asked for and nothing else.
    pub(super) fn alone(mut self) -> Result<Vec<Vec<Span>>, ApiError> {
        match self.left_out.pop() {
            Some(left_out) => Err(left_out.why),
            None => Ok(self.traces),
        }
    }
}

/// The traces that match, of so many spans as an answer may have.
pub(super) fn search_for(store: &TraceStore, ask: &Ask) -> Result<Chosen, ApiError> {
    let mut chosen = Chosen {
        traces: Vec::new(),
        spans: 0,
        searched: true,
    };
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        let page = store.search(ask, ask.limit, cursor.as_deref());
        let page = page.map_err(|error| failed(&error))?;
        for summary in page.traces {
            chosen.traces.push(summary.trace_id);
            chosen.spans += store.size_of(StoryOf::Alone(summary.trace_id));
            if chosen.traces.len() >= ask.limit || chosen.spans >= MOST_SPANS {
                return Ok(chosen);
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(chosen)
}

/// The spans of these traces; what is left out is said.
pub(super) fn read(store: &TraceStore, chosen: Chosen, most: usize) -> Result<Found, ApiError> {
    let mut found = Found::default();
    for trace in chosen.traces {
        // The first may have as many as a trace alone, since it is the one that is looked for.
        let room = match found.spans {
            0 => most,
            spans => MOST_SPANS.min(most).saturating_sub(spans),
        };
        let told = match room {
            0 => Err(too_many(trace)),
            room if room < most && store.size_of(StoryOf::Alone(trace)) > room => {
                Err(too_many(trace))
            }
            _ => whole(store, trace, most),
        };
        match told {
            Ok(Some(told)) => found.add(told),
            Ok(None) if chosen.searched => {}
            Ok(None) => {
                let why = missing(trace);
                found.left_out.push(LeftOut { trace, why });
            }
            Err(why @ (ApiError::Invalid(_) | ApiError::Limited(_))) => {
                found.left_out.push(LeftOut { trace, why });
            }
            Err(why) => return Err(why),
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

pub(super) fn missing(id: TraceId) -> ApiError {
    ApiError::NotFound(format!("trace not found: {id}"))
}
