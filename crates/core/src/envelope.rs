//! The trace part of a job's envelope: what travels beside the args so that the attempt, whenever
//! and wherever it runs, belongs to the trace that asked for it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::SpanId;
use crate::time::Timestamp;
use crate::trace_context::{Baggage, InvalidTraceparent, SpanContext, TraceState};

/// How an attempt's trace relates to the enqueue span's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// The attempt is a child of the enqueue span, and links to it.
    Parent,
    /// The attempt is the root of a trace of its own with a link to the enqueue span.
    Link,
    /// Parent while the job is young and was not enqueued in a large batch; else link.
    #[default]
    Auto,
}

impl Relation {
    /// The name as typed on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parent => "parent",
            Self::Link => "link",
            Self::Auto => "auto",
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no relation.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a relation: use parent, link or auto")]
pub struct InvalidRelation(String);

impl FromStr for Relation {
    type Err = InvalidRelation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Parent, Self::Link, Self::Auto]
            .into_iter()
            .find(|relation| relation.as_str() == text)
            .ok_or_else(|| InvalidRelation(text.chars().take(40).collect()))
    }
}

/// The trace part of a job's envelope, as W3C text. Bounded, and never part of args or of the
/// unique hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEnvelope {
    /// The context of the enqueue span; absent if the producer had no telemetry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Foreign `tracestate` members, at most 512 bytes.
    #[serde(default, skip_serializing_if = "TraceState::is_empty")]
    pub tracestate: TraceState,
    /// Listed `baggage` members, at most 1 KiB.
    #[serde(default, skip_serializing_if = "Baggage::is_empty")]
    pub baggage: Baggage,
    /// How attempts relate to the enqueue span; stamped by the producer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub relation: Relation,
    /// How many jobs were enqueued in the same call; 1 for a single job.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub batch_size: u32,
    /// What is needed to write the enqueue span later; absent if the producer wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enqueue_stub: Option<EnqueueStub>,
    /// Set once the job's trace is to be kept, and never unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_one(count: &u32) -> bool {
    *count == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_default(relation: &Relation) -> bool {
    *relation == Relation::default()
}

impl TraceEnvelope {
    /// The context of the enqueue span.
    ///
    /// # Errors
    /// `Some(Err)` if there is one but it cannot be read.
    #[must_use]
    pub fn context(&self) -> Option<Result<SpanContext, InvalidTraceparent>> {
        let text = self.traceparent.as_deref()?;
        Some(SpanContext::from_traceparent(text).map(|mut context| {
            context.trace_state = self.tracestate.clone();
            context
        }))
    }
}

/// What is needed to write an unexported enqueue span later. Its end is the job's `enqueued_at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnqueueStub {
    /// When the enqueue call began.
    #[serde(rename = "s", with = "nanos")]
    pub started_at: Timestamp,
    /// The span that called enqueue, if any.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<SpanId>,
    /// `service.name` of the producer, at most 64 characters.
    #[serde(rename = "n", default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// The `traceparent` of the enqueue span of the firing before, if a schedule made the job, or of
    /// the members, if it follows a batch: the span links to it.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
}

mod nanos {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::time::Timestamp;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.unix_nanos())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_unix_nanos)
    }
}

/// The decision to retain a job's trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// Why, as a low-cardinality word such as `error`.
    pub reason: String,
    /// When it was decided.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_written_again() {
        for text in [
            "{}",
            r#"{"batch_size":0}"#,
            r#"{"relation":"link","batch_size":101}"#,
        ] {
            let envelope: TraceEnvelope = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&envelope).unwrap(), text);
        }
    }
}
