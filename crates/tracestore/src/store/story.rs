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
}

impl TraceStore {
    /// The traces of a story, at most 64: first those that it is about.
    #[must_use]
    pub fn traces_of(&self, of: StoryOf<'_>) -> Vec<TraceId> {
        let index = lock(&self.index);
        let mut traces: Vec<TraceId> = match of {
            StoryOf::Job(job) => index.of_job(job).to_vec(),
            StoryOf::Trace(trace) => {
                let mut traces = vec![trace];
                traces.extend(index.linked(trace));
                traces
            }
        };
        traces.truncate(MAX_TRACES);
        // What is linked to goes on to link, but of what is linked from only this one is told: else
        // each job of a batch would bring all others.
        let mut at = 0;
        while let Some(trace) = traces.get(at).copied() {
            for other in index.links_of(trace) {
                if traces.len() < MAX_TRACES && !traces.contains(other) {
                    traces.push(*other);
                }
            }
            at += 1;
        }
        traces
    }

    /// The spans of all traces of a story, in no order; none if nothing is known of it.
    ///
    /// # Errors
    /// [`TraceStoreError::Log`] if a file cannot be read.
    pub fn story(&self, of: StoryOf<'_>) -> Result<Vec<Span>, TraceStoreError> {
        let mut spans = Vec::new();
        for trace in self.traces_of(of) {
            spans.extend(self.spans_of(trace)?);
        }
        Ok(spans)
    }
}
