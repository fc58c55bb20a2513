//! Spans that have begun and not ended, for those who look at an attempt while it runs.
//!
//! Workers say once a second which attempts have been running for a while
//! ([`Recorder::running`](longshore_instrument::Recorder::running)); an attempt that is over sooner
//! costs nothing. What the application does beneath an attempt is noted here as it begins, since
//! nobody else can find a span that somebody holds. [`OpenFrames`] makes of both what goes into the
//! span log.

mod frames;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longshore_core::{SpanId, Timestamp, WorkerId};
use longshore_instrument::Span;
use opentelemetry::trace::Span as _;
use opentelemetry_sdk::trace::{Span as SdkSpan, SpanData};

pub(crate) use self::frames::{OpenFrame, OpenFrames};
use crate::convert;
use crate::span_map::SpanMap;

/// Locks that share the work among threads.
const SHARDS: usize = 16;
/// Most spans that are noted in each of them.
const SHARD_SPANS: usize = 1024;
/// Most spans that are counted in each of them beyond those, 32 bytes each.
const SHARD_MISSED: usize = 8 * SHARD_SPANS;

/// The register of open spans.
#[derive(Debug, Default)]
pub(crate) struct OpenSpans {
    /// Whether there is a span log that they go to.
    is_on: AtomicBool,
    /// Whether jobs run in this process: else no span is beneath one.
    is_watched: AtomicBool,
    shards: [Mutex<Shard>; SHARDS],
    /// What each worker said last.
    workers: Mutex<HashMap<WorkerId, Vec<Span>>>,
}

#[derive(Debug, Default)]
struct Shard {
    /// Spans of the application.
    spans: SpanMap<Begun>,
    /// Those for which there was no room, each with the outermost span above it as [`Begun::top`].
    missed: SpanMap<SpanId>,
    /// Spans of handlers that the application has added to.
    handlers: SpanMap<SharedSpan>,
}

/// A span of the application as it was when it began.
#[derive(Debug)]
struct Begun {
    /// The outermost span above it that is not the application's.
    top: SpanId,
    data: Box<SpanData>,
}

/// A span that is shared between who adds to it and who looks at it.
pub(crate) type SharedSpan = Arc<Mutex<Span>>;

/// What is open beneath attempts that run long.
#[derive(Debug, Default)]
struct Found {
    /// Attempts first, and then by their start: none stands before the one it is beneath.
    spans: Vec<Span>,
    /// Those of which nothing is known but that they are there.
    missed: usize,
}

impl Shard {
    /// The outermost span above one of the application that is not itself the application's.
    fn top(&self, span: SpanId) -> Option<SpanId> {
        let noted = self.spans.get(&span).map(|begun| begun.top);
        noted.or_else(|| self.missed.get(&span).copied())
    }
}

impl OpenSpans {
    /// There is a span log.
    pub(crate) fn switch_on(&self) {
        self.is_on.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Whether anyone looks at what is noted.
    pub(crate) fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed)
    }

    /// The attempts of a worker that run long.
    pub(crate) fn running(&self, worker: &WorkerId, spans: Vec<Span>) {
        if !self.is_on() {
            return;
        }
        self.is_watched.store(true, Ordering::Relaxed);
        let mut workers = unpoisoned(&self.workers);
        if spans.is_empty() {
            workers.remove(worker);
        } else {
            workers.insert(worker.clone(), spans);
        }
    }

    /// A span of the application begins under `parent`.
    pub(crate) fn begin(&self, span: &SdkSpan, parent: SpanId) {
        if !self.is_watched() {
            return;
        }
        let Some(own) = SpanId::from_bytes(span.span_context().span_id().to_bytes()) else {
            return;
        };
        let top = self.shard(parent).top(parent).unwrap_or(parent);
        let mut shard = self.shard(own);
        if shard.spans.len() >= SHARD_SPANS {
            if shard.missed.len() < SHARD_MISSED {
                shard.missed.insert(own, top);
            }
            return;
        }
        if let Some(data) = span.exported_data() {
            let data = Box::new(data);
            shard.spans.insert(own, Begun { top, data });
        }
    }

    /// A span of the application has ended.
    pub(crate) fn end(&self, span: opentelemetry::SpanId) {
        if !self.is_watched() {
            return;
        }
        let Some(own) = SpanId::from_bytes(span.to_bytes()) else {
            return;
        };
        let mut shard = self.shard(own);
        let ended = shard.spans.remove(&own);
        if ended.is_none() {
            shard.missed.remove(&own);
        }
        drop((shard, ended));
    }

    /// The application adds to the span of a handler, which is shared from now on.
    pub(crate) fn share(&self, handler: Span) -> SharedSpan {
        let id = handler.span_id;
        let shared = Arc::new(Mutex::new(handler));
        let for_those_who_look = Arc::clone(&shared);
        self.shard(id).handlers.insert(id, for_those_who_look);
        shared
    }

    /// The span of a handler has ended.
    pub(crate) fn unshare(&self, shared: SharedSpan) -> Span {
        let id = unpoisoned(&shared).span_id;
        let gone = self.shard(id).handlers.remove(&id);
        drop(gone);
        match Arc::try_unwrap(shared) {
            Ok(alone) => alone.into_inner().unwrap_or_else(PoisonError::into_inner),
            Err(looked_at) => unpoisoned(&looked_at).clone(),
        }
    }

    /// What is open now, unredacted.
    fn find(&self) -> Found {
        let mut attempts: Vec<Span> = unpoisoned(&self.workers)
            .values()
            .flatten()
            .cloned()
            .collect();
        if attempts.is_empty() {
            return Found::default();
        }
        attempts.sort_by_key(|span| span.start);
        let tops: HashSet<SpanId> = attempts.iter().map(|span| span.span_id).collect();
        let (mut spans, mut missed) = (Vec::new(), 0);
        let mut handlers = SpanMap::default();
        for shard in &self.shards {
            let shard = unpoisoned(shard);
            let is_beneath = |top: &&SpanId| tops.contains(*top);
            missed += shard.missed.values().filter(is_beneath).count();
            let beneath = shard
                .spans
                .values()
                .filter(|begun| tops.contains(&begun.top));
            spans.extend(beneath.filter_map(|begun| convert::span((*begun.data).clone())));
            let shared = shard.handlers.iter().filter(|(id, _)| tops.contains(id));
            handlers.extend(shared.map(|(id, shared)| (*id, unpoisoned(shared).clone())));
        }
        for attempt in &mut attempts {
            if let Some(handler) = handlers.remove(&attempt.span_id) {
                *attempt = handler;
            }
        }
        spans.sort_by_key(|span| span.start);
        attempts.append(&mut spans);
        for span in &mut attempts {
            span.end = Timestamp::UNIX_EPOCH;
        }
        Found {
            spans: attempts,
            missed,
        }
    }

    fn shard(&self, id: SpanId) -> MutexGuard<'_, Shard> {
        let [.., last] = id.to_bytes();
        let [first, ..] = &self.shards;
        let shard = self.shards.get(usize::from(last) % SHARDS);
        unpoisoned(shard.unwrap_or(first))
    }
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
