//! The trace store.

mod complete;
mod listing;
mod story;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Mutex;

use longshore_core::{Random, SpanId, SystemRandom, TraceId};
use longshore_instrument::Span;
use longshore_trace::TraceSummary;

pub use self::story::StoryOf;
use crate::error::TraceStoreError;
use crate::fetch::Fetch;
use crate::hot::{Hot, lock};
use crate::index::{Index, Place};

/// Most bytes that one [`TraceStore::refresh`] reads.
const MAX_READ: usize = 32 << 20;

/// Where traces are, and how much of them is held in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceStoreOptions {
    /// Folders of span logs. One that does not exist yet is empty.
    pub folders: Vec<PathBuf>,
    /// Most spans that the index knows; 2 000 000, which take about 250 MB. Beyond it the oldest
    /// traces are not found.
    pub max_indexed_spans: usize,
}

impl TraceStoreOptions {
    /// The traces in this folder, with the usual bounds.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folders: vec![folder.into()],
            max_indexed_spans: 2_000_000,
        }
    }
}

/// What a refresh did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Frames of spans that were read.
    pub frames: usize,
    /// Whether there is more to be read: call again.
    pub more: bool,
}

/// What a store holds and what it could not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Traces that it knows.
    pub traces: usize,
    /// Spans that it knows; one that is there twice counts twice.
    pub spans: usize,
    /// Spans of traces that were left out, since there was no room in the index.
    pub left_out: u64,
    /// Spans that are no spans.
    pub refused: u64,
    /// Frames that should hold spans and could not be read.
    pub unreadable: u64,
}

/// The traces of this machine, while they are written.
///
/// What it knows is what [`TraceStore::refresh`] read last. All calls may be made from any thread;
/// they wait for each other only where both need the index or a file, and none waits for a writer.
#[derive(Debug)]
pub struct TraceStore {
    options: TraceStoreOptions,
    index: Mutex<Index>,
    hot: Mutex<Vec<Hot>>,
    fetch: Mutex<Fetch>,
    /// Tells cursors of this store's life from those of others.
    life: u64,
}

impl TraceStore {
    /// Opens the store, without reading anything yet.
    ///
    /// # Errors
    /// [`TraceStoreError::Log`] if a folder cannot be listed.
    pub fn open(options: TraceStoreOptions) -> Result<Self, TraceStoreError> {
        let folders = options.folders.iter().enumerate();
        let hot = folders.map(|(number, folder)| Hot::open(number, folder));
        Ok(Self {
            index: Mutex::default(),
            hot: Mutex::new(hot.collect::<Result<_, _>>()?),
            fetch: Mutex::new(Fetch::new(&options.folders)),
            life: SystemRandom.next_u64(),
            options,
        })
    }

    /// Takes note of what was written and deleted since the last time: at most 32 MiB, so that it
    /// takes no longer than a second or so. Where nothing changed it costs a look at each folder.
    ///
    /// # Errors
    /// [`TraceStoreError::Log`] if a folder or file cannot be read. What could be read is known, and
    /// the next call goes on.
    pub fn refresh(&self) -> Result<Refreshed, TraceStoreError> {
        let mut budget = MAX_READ;
        let mut refreshed = Refreshed::default();
        let mut failed = None;
        for hot in lock(&self.hot).iter_mut() {
            match hot.read(&self.index, &mut budget) {
                Ok((more, frames)) => {
                    refreshed.more |= more;
                    refreshed.frames += frames;
                }
                Err(error) => failed = Some(error),
            }
            if let Err(error) = hot.forget(&self.index) {
                failed = Some(error);
            }
        }
        lock(&self.index).bound(self.options.max_indexed_spans);
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(refreshed),
        }
    }

    /// [`TraceStore::refresh`] until everything is known.
    ///
    /// # Errors
    /// As [`TraceStore::refresh`].
    pub fn refresh_all(&self) -> Result<(), TraceStoreError> {
        while self.refresh()?.more {}
        Ok(())
    }

    /// What it holds and what it could not read.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        let unreadable = lock(&self.hot).iter().map(|hot| hot.unreadable).sum();
        let index = lock(&self.index);
        Holdings {
            traces: index.len(),
            spans: index.spans(),
            left_out: index.left_out,
            refused: index.refused,
            unreadable,
        }
    }

    /// What a trace comes down to.
    #[must_use]
    pub fn summary(&self, trace: TraceId) -> Option<TraceSummary> {
        lock(&self.index).summary(trace)
    }

    /// The spans of a trace, in no order; nothing if it is not known. A span that was written
    /// several times is there once, as it ended if it did.
    ///
    /// # Errors
    /// [`TraceStoreError::Log`] if a file cannot be read.
    pub fn trace(&self, trace: TraceId) -> Result<Option<Vec<Span>>, TraceStoreError> {
        let spans = self.spans_of(trace)?;
        Ok((!spans.is_empty()).then_some(spans))
    }

    /// A span with all that is known about it.
    ///
    /// # Errors
    /// [`TraceStoreError::Log`] if a file cannot be read.
    pub fn span(&self, trace: TraceId, span: SpanId) -> Result<Option<Span>, TraceStoreError> {
        let mut spans = self.spans_of(trace)?.into_iter();
        Ok(spans.find(|found| found.span_id == span))
    }

    fn spans_of(&self, trace: TraceId) -> Result<Vec<Span>, TraceStoreError> {
        let places: Vec<Place> = {
            let index = lock(&self.index);
            let places = index.places(trace).into_iter();
            places.map(|(_, place)| place).collect()
        };
        let (mut met, mut spans) = (HashSet::new(), Vec::new());
        lock(&self.fetch).add(trace, &places, &mut met, &mut spans)?;
        Ok(spans)
    }
}
