//! Attempts: how one ended, and what is remembered of it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::id::{SpanId, TraceId, WorkerId};
use crate::time::Timestamp;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// The handler succeeded.
    Completed,
    /// The handler failed; another attempt follows.
    Retried,
    /// What the handler needs is not there yet: not a failure, but the attempt counts; another
    /// follows.
    NotYet,
    /// The handler asked to run later, without the attempt counting.
    Snoozed,
    /// The job was cancelled while it ran, or cancelled itself.
    Cancelled,
    /// The handler failed for good.
    Discarded,
    /// The worker gave the job back unfinished, usually because it was shutting down.
    HandedBack,
    /// The worker vanished: its lease expired and was taken back.
    Lost,
}

impl AttemptOutcome {
    /// The outcome as text; an attribute value of `job.process`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Retried => "retried",
            Self::NotYet => "not_yet",
            Self::Snoozed => "snoozed",
            Self::Cancelled => "cancelled",
            Self::Discarded => "discarded",
            Self::HandedBack => "handed_back",
            Self::Lost => "lost",
        }
    }

    /// Whether the attempt counts as a failure.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Retried | Self::Discarded | Self::Lost)
    }
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptError {
    /// What went wrong as a low-cardinality word, such as `timeout`, `panic`, `exit_1` or the
    /// name of an error type; `error.type` in telemetry.
    pub class: Cow<'static, str>,
    /// What went wrong in words, at most [`AttemptError::MAX_MESSAGE_BYTES`]. The store has it as it
    /// was said, so it may hold anything: whoever shows or sends it redacts it first.
    pub message: String,
}

impl AttemptError {
    /// Most bytes of a message; longer ones are cut at a character.
    pub const MAX_MESSAGE_BYTES: usize = 8192;
    /// Most bytes of a class.
    pub const MAX_CLASS_BYTES: usize = 100;

    /// An error of this class; class and message are cut to their bounds.
    #[must_use]
    pub fn new(class: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let mut class = class.into();
        if class.len() > Self::MAX_CLASS_BYTES {
            class = Cow::Owned(cut(class.into_owned(), Self::MAX_CLASS_BYTES));
        }
        Self {
            class,
            message: cut(message.into(), Self::MAX_MESSAGE_BYTES),
        }
    }
}

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
    }
    text
}

/// What is remembered of an ended attempt. A job keeps its last
/// [`AttemptRecord::MAX_KEPT`] records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Which attempt it was, from 1; repeated after a snooze or a hand-back.
    pub attempt: u32,
    /// Which claim it was, from 1; never repeated.
    pub claim: u32,
    /// Who ran it.
    pub worker: WorkerId,
    /// When the job became due before this claim.
    pub due_at: Timestamp,
    /// When the worker got hold of it.
    pub claimed_at: Timestamp,
    /// When it was settled or rescued.
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Why it did not succeed, if the handler or the engine said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<AttemptError>,
    /// The trace it belongs to, if it was traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
    /// Its `job.process` span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<SpanId>,
}

impl AttemptRecord {
    /// Most records kept per job; the oldest go first.
    pub const MAX_KEPT: usize = 64;
}
