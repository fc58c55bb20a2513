//! Spans of programs that jobs run: they come from outside, and follow what is decided about their
//! job as spans of this process do.
//!
//! A program makes spans if its context is sampled, so it is handed one that is, whatever the head
//! sampler said of the job ([`relation::lent`]). That may not make them leave. So nothing that bears
//! the mark of a lent context, or is of a trace of which one was lent here, leaves by its flag.

use std::collections::{BTreeMap, HashMap};
use std::sync::{MutexGuard, PoisonError};

use longshore_core::{SpanContext, SpanId, TraceId};
use longshore_instrument::{Span, relation};

use super::job_spans::{Held, JobSpans, as_kept, lock};
use crate::counters::DropReason;

/// How many spans of one batch may stand between a span and the attempt it is beneath.
const MAX_DEPTH: usize = 1000;

/// The attempts of each trace whose context was lent.
pub(crate) type Lent = HashMap<TraceId, Vec<SpanId>>;

/// What becomes of spans from outside, but for those that are held or follow a job that is not kept.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    pub(crate) leaving: Vec<Span>,
    pub(crate) dropped: BTreeMap<DropReason, usize>,
}

/// Whom a span from outside belongs to.
enum Owner {
    /// The attempt of this handler's span.
    Attempt(SpanId),
    /// An attempt of which nothing is known any more, or one of several.
    Undecided,
    /// None that runs here.
    Nobody,
}

impl JobSpans {
    /// The context of a running handler is handed to a program. False if the handler's job cannot be
    /// kept from here on, so that nobody needs the program's spans.
    pub(crate) fn lend(&self, handler: &SpanContext) -> bool {
        let (trace_id, span_id) = (handler.trace_id, handler.span_id);
        {
            let mut handlers = lock(&self.handlers, span_id);
            let held = handlers.get_mut(&span_id);
            let Some(held) = held.filter(|held| held.decided.is_none()) else {
                return false;
            };
            if held.lent.replace(trace_id).is_some() {
                return true;
            }
        }
        self.lent().entry(trace_id).or_default().push(span_id);
        true
    }

    /// Holds the spans of attempts that are not decided, and gives back those that leave.
    pub(crate) fn adopt(&self, spans: Vec<Span>) -> Sorted {
        let mut parents = HashMap::new();
        if !self.lent().is_empty() {
            let known = |span: &Span| Some((span.span_id, span.parent_span_id?));
            parents.extend(spans.iter().filter_map(known));
        }
        let mut sorted = Sorted::default();
        for span in spans {
            let dropped = match self.owner(&span, &parents) {
                Owner::Attempt(handler) => self.take(handler, span, &mut sorted.leaving).err(),
                Owner::Undecided => {
                    self.tally.created(std::slice::from_ref(&span));
                    self.tally.dropped(DropReason::Undecided, 1);
                    Some(DropReason::Undecided)
                }
                Owner::Nobody => {
                    sorted
                        .leaving
                        .extend(Some(span).filter(|span| span.flags.is_sampled()));
                    None
                }
            };
            if let Some(reason) = dropped {
                *sorted.dropped.entry(reason).or_default() += 1;
            }
        }
        sorted
    }

    /// Whether a span is to be adopted, be it that its owner is not known any more.
    pub(crate) fn awaits(
        &self,
        trace_id: TraceId,
        parent: Option<SpanId>,
        trace_state: &str,
    ) -> bool {
        relation::is_lent(trace_state)
            || self.lent().contains_key(&trace_id)
            || parent.is_some_and(|parent| self.known(parent).is_some())
    }

    fn owner(&self, span: &Span, parents: &HashMap<SpanId, SpanId>) -> Owner {
        if let Some(handler) = relation::lender(&span.trace_state) {
            let is_known = lock(&self.handlers, handler).contains_key(&handler);
            return if is_known {
                Owner::Attempt(handler)
            } else {
                Owner::Undecided
            };
        }
        // The program passed on its context without the mark.
        let of_trace = self.lent().get(&span.trace_id).cloned();
        if let Some(handlers) = of_trace {
            let mut above = span.parent_span_id;
            for _ in 0..MAX_DEPTH {
                let Some(parent) = above else { break };
                if handlers.contains(&parent) {
                    return Owner::Attempt(parent);
                }
                above = parents.get(&parent).copied();
            }
            return match *handlers {
                [only] => Owner::Attempt(only),
                _ => Owner::Undecided,
            };
        }
        let above = span.parent_span_id.and_then(|parent| self.known(parent));
        above.map_or(Owner::Nobody, Owner::Attempt)
    }

    /// The attempt that a span of this process is beneath, or the handler of, whatever was decided.
    fn known(&self, span: SpanId) -> Option<SpanId> {
        if self.runs_none() {
            return None;
        }
        let child = lock(&self.children, span).get(&span).copied();
        let handler = child.unwrap_or(span);
        let is_known = lock(&self.handlers, handler).contains_key(&handler);
        is_known.then_some(handler)
    }

    /// Does with a span of an attempt what was decided, or holds it until that is.
    fn take(&self, handler: SpanId, span: Span, leaving: &mut Vec<Span>) -> Result<(), DropReason> {
        let mut handlers = lock(&self.handlers, handler);
        let Some(held) = handlers.get_mut(&handler) else {
            return Ok(());
        };
        match held.decided {
            Some(decided) => {
                leaving.extend(Some(span).filter(|_| decided.kept).map(as_kept));
                Ok(())
            }
            None => self.hold_from_outside(held, span),
        }
    }

    fn hold_from_outside(&self, held: &mut Held, span: Span) -> Result<(), DropReason> {
        if held.started >= self.bounds.spans {
            self.tally.created(std::slice::from_ref(&span));
            self.tally.dropped(DropReason::TraceFull, 1);
            return Err(DropReason::TraceFull);
        }
        held.started += 1;
        self.hold(held, span)
    }

    /// Attempts of which nothing more is to be known.
    pub(super) fn take_back(&self, forgotten: &[(TraceId, SpanId)]) {
        let mut lent = self.lent();
        for (trace_id, handler) in forgotten {
            if let Some(handlers) = lent.get_mut(trace_id) {
                handlers.retain(|known| known != handler);
                if handlers.is_empty() {
                    lent.remove(trace_id);
                }
            }
        }
    }

    fn lent(&self) -> MutexGuard<'_, Lent> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
