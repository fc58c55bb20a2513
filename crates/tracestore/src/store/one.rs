//! One span, read without the rest of its trace.

use longshore_core::{SpanId, TraceId};
use longshore_instrument::Span;

use super::TraceStore;
use crate::error::TraceStoreError;
use crate::hot::lock;
use crate::index::{Place, Source};

/// What was found of a span where it was known to be.
#[derive(Debug, Default)]
struct Sought {
    span: Option<Span>,
    /// Whether something was not where it was known to be.
    moved: bool,
}

impl TraceStore {
    /// A span with all that is known about it. Of its trace no more is read than lies beside it,
    /// however many spans it has.
    ///
    /// # Errors
    /// [`TraceStoreError::Log`] if a file cannot be read.
    pub fn span(&self, trace: TraceId, span: SpanId) -> Result<Option<Span>, TraceStoreError> {
        let mut sought = self.seek(trace, span)?;
        if sought.span.is_none() && sought.moved {
            // Something was sealed or deleted at this moment: it is elsewhere now, or nowhere.
            self.refresh()?;
            sought = self.seek(trace, span)?;
        }
        Ok(sought.span)
    }

    /// As it ended, in the log or in a sealed file, before as it was open.
    fn seek(&self, trace: TraceId, span: SpanId) -> Result<Sought, TraceStoreError> {
        let (open, ended): (Vec<_>, Vec<_>) = {
            let places = lock(&self.index).places_of_span(trace, span).into_iter();
            places.partition(|(source, _)| *source == Source::Open)
        };
        let mut sought = Sought::default();
        self.seek_in_log((trace, span), &ended, &mut sought)?;
        if sought.span.is_none() {
            self.seek_in_files(trace, span, &mut sought);
        }
        if sought.span.is_none() {
            self.seek_in_log((trace, span), &open, &mut sought)?;
        }
        Ok(sought)
    }

    fn seek_in_log(
        &self,
        (trace, span): (TraceId, SpanId),
        places: &[(Source, Place)],
        sought: &mut Sought,
    ) -> Result<(), TraceStoreError> {
        let mut fetch = lock(&self.fetch);
        for (_, place) in places {
            let Some(frame) = fetch.frame(*place)? else {
                sought.moved = true;
                continue;
            };
            let mut of_trace = frame.get(&trace).into_iter().flatten();
            if let Some(found) = of_trace.find(|found| found.span_id == span) {
                sought.span = Some(found.clone());
                return Ok(());
            }
        }
        Ok(())
    }

    fn seek_in_files(&self, trace: TraceId, span: SpanId, sought: &mut Sought) {
        let files = lock(&self.tier).with(trace);
        for file in files {
            match file.span(trace, span) {
                Ok(None) => {}
                Ok(found) => {
                    sought.span = found;
                    return;
                }
                Err(_) => {
                    lock(&self.tier).give_up(&file.path);
                    sought.moved = true;
                }
            }
        }
    }
}
