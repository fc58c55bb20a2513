//! Jobs that appear with the settle of an attempt, and the spans of their enqueue: they begin when
//! the settle is sent, and leave once it is durable.

use longshore_core::{ErrorKind, Outcome, Timestamp};
use longshore_instrument::table::key;
use longshore_instrument::{Attribute, Span, SpanStatus};

use super::settle::Finished;

/// Makes the follow-ups of a batch ready for their settle. Gives back the spans that begin with
/// it, attempt by attempt.
pub(crate) async fn begin(batch: &[Finished], sent_at: &[Timestamp]) -> Vec<Vec<Span>> {
    let mut begun = Vec::with_capacity(batch.len());
    for (finished, sent_at) in batch.iter().zip(sent_at) {
        let completes = matches!(finished.decision.outcome, Outcome::Complete { .. });
        begun.push(match completes {
            true => finished.attempt.begin_follow_ups(*sent_at).await,
            false => Vec::new(),
        });
    }
    begun
}

/// Ends the spans of an attempt's follow-ups with the answer to its settle. A lost lease makes no
/// follow-ups; after any other failure they may be there.
pub(crate) fn end(
    mut begun: Vec<Span>,
    ended_at: Timestamp,
    failed: Option<ErrorKind>,
) -> Vec<Span> {
    if failed == Some(ErrorKind::LeaseLost) {
        return Vec::new();
    }
    for span in &mut begun {
        span.end = ended_at.max(span.start);
        if let Some(kind) = failed {
            span.attributes
                .push(Attribute::new(key::ERROR_TYPE, kind.as_str()));
            span.status = SpanStatus::Error(kind.as_str().into());
        }
    }
    begun
}
