//! The job as a store keeps it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::attempt::AttemptRecord;
use crate::envelope::TraceEnvelope;
use crate::id::{JobId, WorkerId};
use crate::name::{Kind, QueueName};
use crate::new_job::Priority;
use crate::state::JobState;
use crate::time::Timestamp;
use crate::transition::StopRequest;
use crate::unique::UniqueKey;

/// A job and everything a store knows about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Set by the producer or minted by the store; never changes.
    pub id: JobId,
    /// The line it waits in.
    pub queue: QueueName,
    /// Which handler runs it.
    pub kind: Kind,
    /// The caller's bytes, never touched.
    pub args: Bytes,
    /// How urgent it is.
    pub priority: Priority,
    /// Where it is in its life.
    pub state: JobState,
    /// 0 before the first claim; what the retry policy counts. A snooze or a hand-back gives it
    /// back.
    pub attempt: u32,
    /// How often it was claimed; only ever rises.
    pub claim: u32,
    /// Most attempts.
    pub max_attempts: u32,
    /// When the store accepted it.
    pub enqueued_at: Timestamp,
    /// When it could first run; overwritten only by a job that replaces its args and due time before
    /// the first claim.
    pub first_available_at: Timestamp,
    /// When it can next run, or could run before the current claim.
    pub available_at: Timestamp,
    /// When it reached a final state.
    pub finished_at: Option<Timestamp>,
    /// Most time for one attempt.
    pub timeout: Option<Duration>,
    /// A key that at most one job of the queue has at a time.
    pub unique_key: Option<UniqueKey>,
    /// Words to search by.
    pub tags: Vec<String>,
    /// Pairs to search by.
    pub metadata: BTreeMap<String, String>,
    /// What belongs together across jobs; the job's own id unless the producer said otherwise.
    pub correlation_id: String,
    /// The correlation id of the job that enqueued this one.
    pub parent_correlation_id: Option<String>,
    /// On whose behalf it runs.
    pub tenant_id: Option<String>,
    /// Which part of the system it belongs to.
    pub namespace: Option<String>,
    /// The trace part.
    pub trace: TraceEnvelope,
    /// What someone asked of it while it ran.
    pub stop_requested: Option<StopRequest>,
    /// Who runs it now.
    pub worker: Option<WorkerId>,
    /// When the current claim was made.
    pub claimed_at: Option<Timestamp>,
    /// Until when the current lease holds.
    pub lease_expires_at: Option<Timestamp>,
    /// How far the handler last said it was, 0 to 100.
    pub progress: Option<u8>,
    /// What the last attempt left for the next to resume from.
    pub checkpoint: Option<Bytes>,
    /// What the handler gave back, at most [`Job::MAX_RESULT_BYTES`].
    pub result: Option<Bytes>,
    /// The last attempts, oldest first.
    pub history: Vec<AttemptRecord>,
}

impl Job {
    /// Most bytes of a result: 64 KiB.
    pub const MAX_RESULT_BYTES: usize = 64 << 10;

    /// What is wrong with a result of so many bytes, if anything is.
    #[must_use]
    pub fn problem_of_result(bytes: usize) -> Option<String> {
        let most = Self::MAX_RESULT_BYTES;
        (bytes > most).then(|| {
            format!("takes {bytes} bytes, more than the {most} allowed: store it elsewhere and return a reference")
        })
    }

    /// Makes the stored job of a new one, `now` being the store's time.
    #[must_use]
    pub fn from_new(new: crate::NewJob, now: Timestamp) -> Self {
        let available_at = new.scheduled_at.unwrap_or(now).max(now);
        let state = if available_at > now {
            JobState::Scheduled
        } else {
            JobState::Available
        };
        let correlation_id = new
            .correlation_id
            .unwrap_or_else(|| new.id.as_str().to_owned());
        Self {
            id: new.id,
            queue: new.queue,
            kind: new.kind,
            args: new.args,
            priority: new.priority,
            state,
            attempt: 0,
            claim: 0,
            max_attempts: new.max_attempts,
            enqueued_at: now,
            first_available_at: available_at,
            available_at,
            finished_at: None,
            timeout: new.timeout,
            unique_key: new.unique_key,
            tags: new.tags,
            metadata: new.metadata,
            correlation_id,
            parent_correlation_id: new.parent_correlation_id,
            tenant_id: new.tenant_id,
            namespace: new.namespace,
            trace: new.trace,
            stop_requested: None,
            worker: None,
            claimed_at: None,
            lease_expires_at: None,
            progress: None,
            checkpoint: None,
            result: None,
            history: Vec::new(),
        }
    }

    /// The job as a store shows it at `now`: one that waits and whose time has come is
    /// [`JobState::Available`], promoted or not. (P-1)
    #[must_use]
    pub fn shown_at(mut self, now: Timestamp) -> Self {
        if self.state.is_waiting() && self.available_at <= now {
            self.state = JobState::Available;
        }
        self
    }

    /// The record of the last attempt that ended, if it is still kept.
    #[must_use]
    pub fn last_attempt(&self) -> Option<&AttemptRecord> {
        self.history.last()
    }
}
