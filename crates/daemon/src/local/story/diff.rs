//! Two traces, or two groups of traces, compared.

use std::sync::Arc;

use longshore_api::ApiError;
use longshore_api::trace::{Diff, DiffQuery, DiffRow, DiffSide};
use longshore_core::{Timestamp, TraceId};
use longshore_trace::Chart;
use longshore_trace::diff::{self, Side};
use longshore_tracestore::{StoryOf as Of, TraceStore, TraceStoreError};

use super::slim::slim;
use crate::local::LocalBackend;
use crate::local::traces::{Listed, failed, parsed, until_found};

/// What draws traces, to tell a difference from chance: the same comparison says the same.
const SEED: u64 = 0x6c6f_6e67_7368_6f72;

/// Most pages that are looked at for a side.
const PAGES: usize = 20;

/// Most spans of a side.
const MOST_SPANS: usize = 2_000_000;

/// The traces of two sides, before any of them is read.
pub(crate) struct Sides {
    before: Vec<TraceId>,
    after: Vec<TraceId>,
    /// How many spans the largest of them has at most: one after the other is read.
    pub(crate) largest: usize,
}

impl LocalBackend {
    /// The traces that are to be compared.
    pub(crate) async fn sides(&self, query: &DiffQuery) -> Result<Sides, ApiError> {
        let traces = self.kept_traces()?;
        let now = self.options.clock.now();
        let query = query.clone();
        let own = self.own_stores(query.all_stores);
        let find = move |store: &TraceStore| {
            let (before, one) = found(store, &query.before, now, &own)?;
            let (after, other) = found(store, &query.after, now, &own)?;
            Ok(Sides {
                before,
                after,
                largest: one.max(other),
            })
        };
        traces.ask(find).await
    }

    pub(crate) async fn compare(&self, sides: Sides) -> Result<Diff, ApiError> {
        let traces = self.kept_traces()?;
        let now = self.options.clock.now();
        let most = self.options.max_story_spans;
        traces
            .ask(move |store| {
                let before = side(store, &sides.before, most, now)?;
                let after = side(store, &sides.after, most, now)?;
                Ok(shown(diff::Diff::of(&before, &after, SEED)))
            })
            .await
    }
}

/// The traces of a side, and how many spans the largest of them has at most.
fn found(
    store: &TraceStore,
    of: &DiffSide,
    now: Timestamp,
    own: &Arc<[String]>,
) -> Result<(Vec<TraceId>, usize), ApiError> {
    let size = |trace: TraceId| store.size_of(Of::Trace(trace));
    match of {
        DiffSide::Trace(trace) => {
            let size = until_found(store, |store| {
                let size = store.size_of(Of::Trace(*trace));
                Ok((size > 0).then_some(size))
            })?;
            let missing = || ApiError::NotFound(format!("there is no trace {trace} here"));
            Ok((vec![*trace], size.ok_or_else(missing)?))
        }
        DiffSide::Search(text) => {
            // What matches may not be read yet.
            store.refresh_all().map_err(|error| failed(&error))?;
            let traces = matching(store, text, now, own)?;
            let none = || ApiError::NotFound(format!("no trace matches `{text}`"));
            let largest = traces.iter().map(|trace| size(*trace)).max();
            Ok((traces, largest.ok_or_else(none)?))
        }
    }
}

fn side(
    store: &TraceStore,
    traces: &[TraceId],
    most: usize,
    now: Timestamp,
) -> Result<Side, ApiError> {
    let mut side = Side::new();
    let mut spans = 0;
    for trace in traces {
        let told = store.story_as(Of::Trace(*trace), most, slim);
        let told = told.map_err(|error| failed(&error))?;
        if told.cut {
            return Err(ApiError::Invalid(format!(
                "trace {trace} has more than {most} spans, so that what differs cannot be told: \
                 compare others"
            )));
        }
        spans += told.spans.len();
        side.add(&Chart::of(&told.spans, &[], now));
        if spans > MOST_SPANS {
            break;
        }
    }
    Ok(side)
}

/// The traces that match, newest first.
fn matching(
    store: &TraceStore,
    text: &str,
    now: Timestamp,
    own: &Arc<[String]>,
) -> Result<Vec<TraceId>, ApiError> {
    let query = Listed::new(parsed(text, now)?, Arc::clone(own));
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        let page = store.search(&query, DiffSide::MOST - found.len(), cursor.as_deref());
        let page = page.map_err(|error: TraceStoreError| failed(&error))?;
        found.extend(page.traces.iter().map(|summary| summary.trace_id));
        cursor = page.next_cursor;
        if cursor.is_none() || found.len() >= DiffSide::MOST {
            break;
        }
    }
    Ok(found)
}

fn shown(diff: diff::Diff) -> Diff {
    let row = |row: diff::DiffRow| DiffRow {
        path: row.path,
        count_before: row.before.count_percent,
        count_after: row.after.count_percent,
        self_before: row.before.own,
        self_after: row.after.own,
        errors_before: row.before.errors_percent,
        errors_after: row.after.errors_percent,
        critical_before: row.before.critical,
        critical_after: row.after.critical,
        delta_nanos: row.critical_delta_nanos,
        explains_percent: row.explains_percent,
        explains_range_percent: row.explains_range_percent,
    };
    let count = |traces| usize::try_from(traces).unwrap_or(usize::MAX);
    Diff {
        before: count(diff.before),
        after: count(diff.after),
        duration_before: diff.total_before,
        duration_after: diff.total_after,
        job_before: diff.job_before,
        job_after: diff.job_after,
        kind: diff.kind,
        delta_nanos: diff.delta_nanos,
        delta_range_nanos: diff.delta_range_nanos,
        rows: diff.rows.into_iter().map(row).collect(),
    }
}
