//! The requests that stores make for calls of the engine, as spans beneath those of the calls.

use std::sync::Arc;

use longshore_core::{Clock, round_trip};
use longshore_instrument::build::storage_spans;
use longshore_instrument::{Recorder, Span};

/// The clock by which a call is watched, if anyone wants to know what stores ask for.
pub(crate) fn watching<'c>(
    recorder: Option<&Arc<dyn Recorder>>,
    clock: &'c Arc<dyn Clock>,
) -> Option<&'c Arc<dyn Clock>> {
    let is_taken = recorder.is_some_and(|recorder| recorder.takes_storage_spans());
    is_taken.then_some(clock)
}

/// The span of a call that is being watched, and before it those of its requests so far.
pub(crate) fn with_storage(mut span: Span) -> Vec<Span> {
    let mut spans = storage_spans(&mut span, &round_trip::take());
    spans.push(span);
    spans
}
