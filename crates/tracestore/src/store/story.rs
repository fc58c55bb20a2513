//! The traces of a job joined.

use longshore_core::TraceId;
use longshore_instrument::Span;

use super::TraceStore;
use crate::error::TraceStoreError;
use crate::hot::lock;

/// Most traces of a story.
const MAX_TRACES: usize = 64;

/// Whose story is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoryOf<'a> {
    /// All traces in which this job occurs, and those that they link to.
    Job(&'a str),
    /// A trace, those that it links to, and those that link to it.
    Trace(TraceId),
    /// A trace alone.
    Alone(TraceId),
}

/// The spans of a story.
#[derive(Debug, Default)]
pub struct Told {
    /// The spans, in no order; none if nothing is known of it.
    pub spans: Vec<Span>,
    /// Whether it has more than these.
    pub cut: bool,
}

impl TraceStore {
    /// The traces of a story, at most 64: first those that it is about.
    #[must_use]
    pub fn traces_of(&self, of: StoryOf<'_>) -> Vec<TraceId> {
        let mut traces: Vec<TraceId> = Vec::new();
        match of {
            StoryOf::Job(job) => {
                let of_job = lock(&self.index).of_job(job).to_vec();
                add(&mut traces, of_job);
                add(&mut traces, lock(&self.tier).of_job(job));
            }
            StoryOf::Alone(trace) => return vec![trace],
            StoryOf::Trace(trace) => {
                traces.push(trace);
                add(&mut traces, self.links_of(trace));
                let linked_from = lock(&self.index).linked_from(trace).to_vec();
                add(&mut traces, linked_from);
                add(&mut traces, lock(&self.tier).linked_from(trace));
            }
        }
        // What is linked to goes on to link, but of what is linked from only this one is told: else
        // each job of a batch would bring all others.
        let mut at = 0;
        while let Some(trace) = traces.get(at).copied() {
            add(&mut traces, self.links_of(trace));
            at += 1;
        }
        traces
    }

    /// The traces that a trace links to.
    fn links_of(&self, trace: TraceId) -> Vec<TraceId> {
        let mut links = lock(&self.index).links_of(trace).to_vec();
        let files = lock(&self.tier).with(trace);
        for file in files {
            match file.links_of(trace) {
                Ok(more) => links.extend(more),
                Err(_) => lock(&self.tier).give_up(&file.path),
            }
        }
        links
    }

    /// How many spans a story has at most: one that was written several times counts as often. No
    /// file of the log is read for it.
    #[must_use]
    pub fn size_of(&self, of: StoryOf<'_>) -> usize {
        let traces = self.traces_of(of).into_iter();
        traces.map(|trace| self.count_of(trace)).sum()
    }

    /// The spans of all traces of a story, in no order; none if nothing is known of it.
    ///
    /// # Errors
    /// [`TraceStoreError::Log`] if a file cannot be read.
    pub fn story(&self, of: StoryOf<'_>) -> Result<Vec<Span>, TraceStoreError> {
        Ok(self.story_within(of, usize::MAX)?.spans)
    }

    /// The same with at most so many spans, of which a million take about 1 GB: those that were
    /// written down first of each trace, and of the traces those that it is about first.
    ///
    /// # Errors
    /// [`TraceStoreError::Log`] if a file cannot be read.
    pub fn story_within(&self, of: StoryOf<'_>, most: usize) -> Result<Told, TraceStoreError> {
        self.story_as(of, most, Span::clone)
    }

    /// The same in a form that may take less memory: each span is put into it as it is read.
    ///
    /// # Errors
    /// [`TraceStoreError::Log`] if a file cannot be read.
    pub fn story_as(
        &self,
        of: StoryOf<'_>,
        most: usize,
        form: fn(&Span) -> Span,
    ) -> Result<Told, TraceStoreError> {
        let mut told = Told::default();
        for trace in self.traces_of(of) {
            // One more says that there are more.
            let room = most.saturating_sub(told.spans.len()).saturating_add(1);
            told.spans.extend(self.spans_as(trace, room, form)?);
            if told.spans.len() > most {
                told.spans.truncate(most);
                told.cut = true;
                break;
            }
        }
        Ok(told)
    }
}

/// Adds those that are new, as long as there is room.
fn add(traces: &mut Vec<TraceId>, more: Vec<TraceId>) {
    for trace in more {
        if traces.len() < MAX_TRACES && !traces.contains(&trace) {
            traces.push(trace);
        }
    }
}
