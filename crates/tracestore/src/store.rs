//! The trace store.

mod complete;
mod listing;
mod matches;
mod narrow;
mod one;
mod story;
mod summary;
mod upkeep;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Mutex;

use longshore_core::{Random, SpanId, SystemRandom, TraceId};
use longshore_instrument::Span;

use self::matches::Matches;
pub use self::story::{StoryOf, Told};
use crate::error::TraceStoreError;
use crate::fetch::Fetch;
use crate::hot::{Hot, lock};
use crate::index::{Index, Place, Source};
use crate::sealed::Tier;
use crate::upkeep::Sealer;

/// Most bytes that one [`TraceStore::refresh`] reads.
const MAX_READ: usize = 32 << 20;

/// Where traces are, and how much of them is held in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceStoreOptions {
    /// Folders of span logs. One that does not exist yet is empty.
    pub folders: Vec<PathBuf>,
    /// Most spans that the index knows; 2 000 000, which take about 500 MB. Beyond it the oldest
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
    /// Traces that it knows from the log.
    pub traces: usize,
    /// Spans that it knows from the log; one that is there twice counts twice.
    pub spans: usize,
    /// Spans of traces that were left out, since there was no room in the index.
    pub left_out: u64,
    /// Spans that are no spans.
    pub refused: u64,
    /// Frames that should hold spans and could not be read.
    pub unreadable: u64,
    /// Sealed files that it knows.
    pub sealed_files: usize,
    /// Spans in them.
    pub sealed_spans: u64,
    /// Sealed files that cannot be read.
    pub damaged_files: usize,
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
    tier: Mutex<Tier>,
    sealer: Mutex<Sealer>,
    matches: Mutex<Matches>,
    /// The turn to look at a large trace.
    large: Mutex<()>,
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
            tier: Mutex::new(Tier::new(&options.folders)),
            sealer: Mutex::new(Sealer::new(&options.folders)),
            matches: Mutex::default(),
            large: Mutex::default(),
            life: SystemRandom.next_u64(),
            options,
        })
    }

    /// The folders of span logs that it reads.
    #[must_use]
    pub fn folders(&self) -> &[PathBuf] {
        &self.options.folders
    }

    /// Takes note of what was written and deleted since the last time: at most 32 MiB, so that it
    /// takes no longer than a second or so. Where nothing changed it costs a look at each folder. Of
    /// sealed files the newest are known first.
    ///
    /// # Errors
    /// [`TraceStoreError::Log`] if a folder or file cannot be read. What could be read is known, and
    /// the next call goes on.
    pub fn refresh(&self) -> Result<Refreshed, TraceStoreError> {
        let mut budget = MAX_READ;
        let mut refreshed = Refreshed::default();
        let mut failed = None;
        let mut hot = lock(&self.hot);
        for log in hot.iter_mut() {
            match log.read(&self.index, &mut budget) {
                Ok((more, frames)) => {
                    refreshed.more |= more;
                    refreshed.frames += frames;
                }
                Err(error) => failed = Some(error.into()),
            }
        }
        // What is gone from a log by now was sealed before, and is found among sealed files.
        let there: Vec<_> = hot.iter_mut().map(Hot::files).collect();
        match lock(&self.tier).look() {
            Ok(more) => refreshed.more |= more,
            Err(source) => failed = Some(TraceStoreError::Sealed { source }),
        }
        for (log, files) in hot.iter_mut().zip(there) {
            match files {
                Ok(files) => log.forget(files.as_deref(), &self.index),
                Err(error) => failed = Some(error.into()),
            }
        }
        drop(hot);
        lock(&self.index).bound(self.options.max_indexed_spans);
        match failed {
            Some(error) => Err(error),
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
        let (sealed, damaged_files) = {
            let tier = lock(&self.tier);
            (tier.files(), tier.damaged.len())
        };
        let index = lock(&self.index);
        Holdings {
            traces: index.len(),
            spans: index.spans(),
            left_out: index.left_out,
            refused: index.refused,
            unreadable,
            sealed_files: sealed.len(),
            sealed_spans: sealed.iter().map(|file| file.name.spans).sum(),
            damaged_files,
        }
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

    fn spans_of(&self, trace: TraceId) -> Result<Vec<Span>, TraceStoreError> {
        self.some_spans_of(trace, usize::MAX)
    }

    /// Spans of a trace, about as many as are asked for if it has more.
    fn some_spans_of(&self, trace: TraceId, most: usize) -> Result<Vec<Span>, TraceStoreError> {
        self.spans_as(trace, most, Span::clone)
    }

    /// The same in a form that may take less memory.
    fn spans_as(
        &self,
        trace: TraceId,
        most: usize,
        form: fn(&Span) -> Span,
    ) -> Result<Vec<Span>, TraceStoreError> {
        let mut found = self.look_up(trace, most, form)?;
        if !found.complete {
            // Something was sealed or deleted at this moment: it is elsewhere now, or nowhere.
            self.refresh()?;
            found = self.look_up(trace, most, form)?;
        }
        Ok(found.spans)
    }

    /// The spans of a trace from all tiers: those that have ended before those that were open.
    fn look_up(
        &self,
        trace: TraceId,
        most: usize,
        form: fn(&Span) -> Span,
    ) -> Result<Found, TraceStoreError> {
        let (open, ended): (Vec<_>, Vec<_>) = {
            let index = lock(&self.index);
            let places = index.places(trace).into_iter();
            places.partition(|(source, _)| *source == Source::Open)
        };
        let mut found = Found {
            complete: true,
            most,
            form,
            met: HashSet::new(),
            spans: Vec::new(),
        };
        self.add_places(trace, &ended, &mut found)?;
        let files = lock(&self.tier).with(trace);
        for file in files {
            let room = most.saturating_sub(found.spans.len());
            if file
                .each_part(trace, room, |part| found.add(&part))
                .is_err()
            {
                lock(&self.tier).give_up(&file.path);
                found.complete = false;
            }
        }
        self.add_places(trace, &open, &mut found)?;
        Ok(found)
    }

    fn add_places(
        &self,
        trace: TraceId,
        places: &[(Source, Place)],
        found: &mut Found,
    ) -> Result<(), TraceStoreError> {
        for (_, place) in places {
            if found.spans.len() >= found.most {
                return Ok(());
            }
            // Of a large trace there are many: whoever asks meanwhile comes in between.
            let frame = lock(&self.fetch).frame(*place)?;
            let Some(frame) = frame else {
                found.complete = false;
                continue;
            };
            found.add(frame.get(&trace).into_iter().flatten());
        }
        Ok(())
    }
}

/// Spans that were looked up, each once.
#[derive(Debug)]
struct Found {
    met: HashSet<SpanId>,
    spans: Vec<Span>,
    /// How many are asked for.
    most: usize,
    /// In which form.
    form: fn(&Span) -> Span,
    /// Whether all was where it was known to be.
    complete: bool,
}

impl Found {
    fn add<'a>(&mut self, spans: impl IntoIterator<Item = &'a Span>) {
        let new = spans
            .into_iter()
            .filter(|span| self.met.insert(span.span_id));
        self.spans.extend(new.map(self.form));
    }
}
