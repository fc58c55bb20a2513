//! Jobs that appear with the settle of an attempt, and the spans of their enqueue: they begin when
//! the settle is sent, and leave once it is durable.

use longshore_core::{ErrorKind, Outcome, Timestamp};
use longshore_instrument::Span;
use longshore_instrument::build::end_enqueue;

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
        end_enqueue(span, ended_at, failed.map(ErrorKind::as_str));
    }
    begun
}
