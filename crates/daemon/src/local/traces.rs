//! Traces: kept fresh, searched, followed, looked up.

use std::sync::Arc;
use std::time::Duration;

use longshore_api::ApiError;
use longshore_api::trace::{Completions, StoryOf, Suggestion, TracesPage, TracesQuery};
use longshore_core::{SpanId, Timestamp, TraceId};
use longshore_instrument::Span;
use longshore_instrument::table::name;
use longshore_trace::TraceSummary;
use longshore_trace::query::{self, Jump, Query, Sought};
use longshore_tracestore::{Filter, Page, TraceStore, TraceStoreError};
use tokio::sync::Semaphore;

use super::LocalBackend;
use super::jobs::limit;

/// Traces of a page if nobody says how many.
const USUAL: usize = 100;

/// Most traces of a page.
const MOST: usize = 1000;

/// Most changed traces that are looked at for one answer.
const MOST_CHANGED: usize = 5000;

/// How long those wait who want an answer at once.
const MOMENT: Duration = Duration::from_millis(50);

/// Most suggestions.
const MOST_SUGGESTED: usize = 50;

/// The traces of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Traces {
    store: Arc<TraceStore>,
    /// Whoever may not wait reads in turn, so that no more than one thread is at it for them.
    turn: Arc<Semaphore>,
}

impl Traces {
    pub(super) fn new(store: Arc<TraceStore>) -> Self {
        let turn = Arc::new(Semaphore::new(1));
        Self { store, turn }
    }

    /// Asks the store where a file may be read: `ask` runs on a thread that may wait.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&TraceStore) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let store = Arc::clone(&self.store);
        let asked = move || {
            // Where nothing is new this costs a look at each folder.
            store.refresh().map_err(|error| failed(&error))?;
            ask(&store)
        };
        apart(asked).await
    }

    /// The same; besides, whether there is more to be read. Whoever wants an answer `at_once` has it
    /// within a moment, by what is read by then, while the rest is read behind.
    async fn ask_what_is_read<T: Send + 'static>(
        &self,
        at_once: bool,
        ask: impl FnOnce(&TraceStore) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<(T, bool), ApiError> {
        let (store, turn) = (Arc::clone(&self.store), Arc::clone(&self.turn));
        let read = async move {
            let turn = match at_once {
                true => turn.acquire_owned().await.ok(),
                false => None,
            };
            let read = move || {
                let refreshed = store.refresh();
                drop(turn);
                refreshed.map_err(|error| failed(&error))
            };
            apart(read).await
        };
        let more = match at_once {
            false => read.await?.more,
            // What is begun goes on, and is waited for by the next one who asks.
            true => match tokio::time::timeout(MOMENT, read).await {
                Ok(refreshed) => refreshed?.more,
                Err(_) => true,
            },
        };
        let store = Arc::clone(&self.store);
        Ok((apart(move || ask(&store)).await?, more))
    }
}

/// Does what may wait for a disk on a thread that may.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work);
    done.await.unwrap_or_else(|error| {
        Err(ApiError::Internal(format!(
            "the traces could not be read: {error}"
        )))
    })
}

/// Asks until there is an answer or everything is known: what is looked for may not be read yet.
pub(crate) fn until_found<T>(
    store: &TraceStore,
    ask: impl Fn(&TraceStore) -> Result<Option<T>, TraceStoreError>,
) -> Result<Option<T>, ApiError> {
    loop {
        let found = ask(store).map_err(|error| failed(&error))?;
        if found.is_some() || !store.refresh().map_err(|error| failed(&error))?.more {
            return Ok(found);
        }
    }
}

/// What a trace store could not do.
pub(crate) fn failed(error: &TraceStoreError) -> ApiError {
    if let TraceStoreError::Cursor(_) = error {
        return ApiError::Invalid(error.to_string());
    }
    ApiError::Unavailable(format!("the traces cannot be read: {error}"))
}

/// A search as it was typed.
pub(crate) fn parsed(text: &str, now: Timestamp) -> Result<Query, ApiError> {
    query::parse(text, now).map_err(|error| {
        let place = text.get(..error.at.start).unwrap_or(text).chars().count() + 1;
        ApiError::Invalid(format!("{error} (at character {place} of the search)"))
    })
}

impl LocalBackend {
    pub(crate) fn kept_traces(&self) -> Result<&Traces, ApiError> {
        self.traces.as_ref().ok_or_else(|| {
            ApiError::NotFound(
                "no traces are kept here: set `telemetry.span_log` to a folder for them".to_owned(),
            )
        })
    }

    pub(super) async fn search_traces(&self, asked: &TracesQuery) -> Result<TracesPage, ApiError> {
        let traces = self.kept_traces()?;
        let most = limit(asked.limit, USUAL, MOST)?;
        let query = parsed(&asked.search, self.options.clock.now())?;
        let jump = self.jump(&query).await;
        let query = Listed::new(query, self.own_stores(asked.all_stores));
        let (cursor, since) = (asked.cursor.clone(), asked.changed_since.clone());
        let ask = move |store: &TraceStore| match since {
            Some(since) => changed(store, &query, &since, most),
            None => {
                // Taken first, so that what changes meanwhile is told the next time.
                let as_of = store.tail(None, 1).map_err(|error| failed(&error))?.cursor;
                let page = store.search(&query, most, cursor.as_deref());
                Ok((page.map_err(|error| failed(&error))?, as_of))
            }
        };
        let asked = traces.ask_what_is_read(asked.at_once, ask);
        let ((page, as_of), reading) = asked.await?;
        Ok(TracesPage {
            traces: page.traces,
            next_cursor: page.next_cursor,
            as_of,
            jump,
            reading,
        })
    }

    /// The names of the store whose traces are listed; none if those of all stores are.
    pub(crate) fn own_stores(&self, all_stores: bool) -> Arc<[String]> {
        match all_stores {
            true => Arc::default(),
            false => Arc::clone(&self.own),
        }
    }

    /// Where to go at once.
    async fn jump(&self, query: &Query) -> Option<StoryOf> {
        match query.jump()? {
            Jump::Trace(trace, _) => Some(StoryOf::Trace(trace)),
            Jump::Job(job) => Some(StoryOf::Job(job.to_string())),
            Jump::Perhaps(job) => {
                let there = self.store.get(&job).await.is_ok_and(|job| job.is_some());
                there.then(|| StoryOf::Job(job.to_string()))
            }
        }
    }

    pub(super) async fn find_span(&self, trace: TraceId, span: SpanId) -> Result<Span, ApiError> {
        let found = self.kept_traces()?;
        let found = found
            .ask(move |store| until_found(store, |store| store.span(trace, span)))
            .await?;
        let missing = || ApiError::NotFound(format!("there is no span {span} of trace {trace}"));
        found.ok_or_else(missing)
    }

    pub(super) async fn suggest(&self, text: &str, cursor: usize) -> Result<Completions, ApiError> {
        let Some(traces) = &self.traces else {
            return Ok(suggestions(text, cursor, |_, _| Vec::new()));
        };
        let text = text.to_owned();
        let ask = move |store: &TraceStore| {
            let values = |key: &str, prefix: &str| match key {
                "" => store.keys(prefix).unwrap_or_default(),
                _ => store.values(key, prefix).unwrap_or_default(),
            };
            Ok(suggestions(&text, cursor, values))
        };
        traces.ask(ask).await
    }
}

/// What a list shows of what a search finds: claims of several jobs and what people do to queues and
/// jobs, which are traces of their own, only if the search speaks of them, and what has to do with
/// other stores alone only if that is asked for.
pub(crate) struct Listed {
    query: Query,
    with_upkeep: bool,
    /// Whether all traces are meant, not some that were searched for.
    is_all: bool,
    /// The names of the store; none if all are meant.
    own: Arc<[String]>,
}

impl Listed {
    pub(crate) fn new(query: Query, own: Arc<[String]>) -> Self {
        let text = query.to_string();
        Self {
            query,
            with_upkeep: text.contains("claim") || text.contains("admin"),
            is_all: text.is_empty(),
            own,
        }
    }

    /// Whether a trace is of no job: what was done to one is found where that one is searched for.
    fn is_upkeep(&self, summary: &TraceSummary) -> bool {
        let is_admin = summary.name == name::ADMIN;
        summary.is_upkeep() || is_admin && (self.is_all || summary.job_ids.is_empty())
    }

    /// Whether a trace has to do with other stores alone. Of one that names none nobody knows.
    fn is_elsewhere(&self, summary: &TraceSummary) -> bool {
        let is_own = |store: &String| self.own.contains(store);
        !self.own.is_empty() && !summary.stores.is_empty() && !summary.stores.iter().any(is_own)
    }
}

impl Filter for Listed {
    fn since(&self) -> Option<Timestamp> {
        Filter::since(&self.query)
    }

    fn until(&self) -> Option<Timestamp> {
        Filter::until(&self.query)
    }

    fn job(&self) -> Option<&str> {
        self.query.job()
    }

    fn sought(&self) -> Vec<Vec<Sought<'_>>> {
        self.query.sought()
    }

    fn lasting(&self) -> Option<String> {
        self.query.lasting()
    }

    fn decide(&self, summary: &TraceSummary) -> Option<bool> {
        if !self.with_upkeep && self.is_upkeep(summary) || self.is_elsewhere(summary) {
            return Some(false);
        }
        Filter::decide(&self.query, summary)
    }

    fn matches(&self, summary: &TraceSummary, spans: &[Span]) -> bool {
        Filter::matches(&self.query, summary, spans)
    }
}

/// The traces among those that changed that match.
fn changed(
    store: &TraceStore,
    query: &Listed,
    since: &str,
    most: usize,
) -> Result<(Page, String), ApiError> {
    let mut page = Page::default();
    let mut cursor = since.to_owned();
    let mut looked_at = 0;
    loop {
        let room = most.saturating_sub(page.traces.len());
        let changes = store.tail(Some(&cursor), room);
        let changes = changes.map_err(|error| failed(&error))?;
        if changes.missed {
            return Err(ApiError::Conflict(
                "what changed meanwhile is not known: ask again without `changed_since`".to_owned(),
            ));
        }
        cursor = changes.cursor;
        looked_at += changes.traces.len();
        for summary in changes.traces {
            let matches = store.is_match(query, &summary);
            if matches.map_err(|error| failed(&error))? {
                page.traces.push(summary);
            }
        }
        if !changes.more || page.traces.len() >= most || looked_at >= MOST_CHANGED {
            return Ok((page, cursor));
        }
    }
}

fn suggestions(
    text: &str,
    cursor: usize,
    values: impl Fn(&str, &str) -> Vec<String>,
) -> Completions {
    let found = query::complete(text, cursor, values);
    let from = found.first().map_or(cursor, |first| first.replaces.start);
    let from_there = found.into_iter().filter(|one| one.replaces.start == from);
    let suggestion = |one: query::Completion| Suggestion {
        text: one.text,
        about: one.doc.to_owned(),
    };
    Completions {
        from,
        suggestions: from_there.take(MOST_SUGGESTED).map(suggestion).collect(),
    }
}
