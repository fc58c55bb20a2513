//! What a transition does to a job's row: pure, and the same for every store.
//!
//! The memory store applies these to its rows as they are; other stores write the same columns
//! with statements of their own, and the model test compares the outcomes.

use bytes::Bytes;

use crate::attempt::{AttemptError, AttemptOutcome, AttemptRecord};
use crate::error::{ErrorKind, StoreError};
use crate::id::{SpanId, TraceId, WorkerId};
use crate::job::Job;
use crate::state::{JobState, Transition};
use crate::store::{Outcome, Settlement};
use crate::time::Timestamp;

/// The `error.type` of a lost attempt.
pub const LEASE_EXPIRED: &str = "lease_expired";

impl Outcome {
    /// How an attempt that ends so is remembered, unless its job is cancelled instead.
    #[must_use]
    pub const fn recorded_as(&self) -> AttemptOutcome {
        match self {
            Self::Complete { .. } => AttemptOutcome::Completed,
            Self::Retry { .. } => AttemptOutcome::Retried,
            Self::NotYet { .. } => AttemptOutcome::NotYet,
            Self::Snooze { .. } => AttemptOutcome::Snoozed,
            Self::Cancel { .. } => AttemptOutcome::Cancelled,
            Self::Discard { .. } => AttemptOutcome::Discarded,
            Self::HandBack => AttemptOutcome::HandedBack,
        }
    }

    /// Whether the job is to wait for another claim.
    #[must_use]
    pub fn runs_again(&self) -> bool {
        let next = self.recorded_as().leads_to();
        next.is_some_and(JobState::is_waiting)
    }
}

impl AttemptOutcome {
    /// The state of a job whose attempt ended so. `None` for a lost one, since that depends on
    /// the attempts left.
    #[must_use]
    pub const fn leads_to(self) -> Option<JobState> {
        let transition = match self {
            Self::Completed => Transition::Complete,
            Self::Retried | Self::NotYet => Transition::Retry,
            Self::Snoozed => Transition::Snooze,
            Self::Cancelled => Transition::Cancel,
            Self::Discarded => Transition::Discard,
            Self::HandedBack => Transition::HandBack,
            Self::Lost => return None,
        };
        JobState::Running.after(transition)
    }
}

/// What was asked of a job while it ran: it ends with its attempt, unless that completes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopRequest {
    /// To be cancelled.
    Cancel,
    /// To be discarded.
    Discard,
}

impl StopRequest {
    /// The state that the job ends in.
    #[must_use]
    pub const fn leads_to(self) -> JobState {
        match self {
            Self::Cancel => JobState::Cancelled,
            Self::Discard => JobState::Discarded,
        }
    }

    /// The request as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Discard => "discard",
        }
    }
}

/// What becomes of an attempt once the request to stop, if any, has been heard.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The state that follows.
    pub state: JobState,
    /// How the attempt ended, for its history.
    pub outcome: AttemptOutcome,
    /// When the job may run again, if it waits.
    pub available_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<AttemptError>,
    /// What the handler gave back.
    pub result: Option<Bytes>,
    /// Whether the attempt's number is given back.
    pub uncounted: bool,
}

impl Ending {
    /// The end that `outcome` brings about. If the job was asked to `stop`, that is how it ends
    /// instead of waiting again.
    #[must_use]
    pub fn of(outcome: Outcome, stop: Option<StopRequest>, now: Timestamp) -> Self {
        let recorded = match outcome.recorded_as() {
            _ if stop.is_some() && outcome.runs_again() => AttemptOutcome::Cancelled,
            recorded => recorded,
        };
        let state = match (recorded, stop) {
            // The attempt was cancelled; what becomes of the job is for whoever asked to say.
            (AttemptOutcome::Cancelled, Some(stop)) => stop.leads_to(),
            _ => recorded.leads_to().unwrap_or(JobState::Cancelled),
        };
        let (available_at, error, result) = match outcome {
            Outcome::Complete { result } => (None, None, result),
            Outcome::Retry {
                available_at,
                error,
            }
            | Outcome::NotYet {
                available_at,
                error,
            } => (Some(available_at), Some(error), None),
            Outcome::Snooze { available_at } => (Some(available_at), None, None),
            Outcome::Cancel { error } => (None, error, None),
            Outcome::Discard { error } => (None, Some(error), None),
            Outcome::HandBack => (Some(now), None, None),
        };
        Self {
            state,
            outcome: recorded,
            available_at: available_at.filter(|_| state.is_waiting()),
            error,
            result,
            uncounted: matches!(
                recorded,
                AttemptOutcome::Snoozed | AttemptOutcome::HandedBack
            ),
        }
    }

    /// The end of an attempt whose lease expired: the job runs again at once, is discarded if its
    /// attempts are used up, or ends as it was asked to.
    #[must_use]
    pub fn of_lost(
        attempt: u32,
        max_attempts: u32,
        stop: Option<StopRequest>,
        now: Timestamp,
    ) -> Self {
        let (state, available_at) = if let Some(stop) = stop {
            (stop.leads_to(), None)
        } else if attempt >= max_attempts {
            (JobState::Discarded, None)
        } else {
            (JobState::Available, Some(now))
        };
        Self {
            state,
            outcome: AttemptOutcome::Lost,
            available_at,
            error: Some(AttemptError::new(
                LEASE_EXPIRED,
                "the worker vanished: its lease expired before the attempt was settled",
            )),
            result: None,
            uncounted: false,
        }
    }
}

/// Who ran the attempt that ends, and since when.
#[derive(Clone, Debug)]
pub struct RunningAttempt {
    /// Its number.
    pub attempt: u32,
    /// Its claim.
    pub claim: u32,
    /// Who ran it.
    pub worker: WorkerId,
    /// When the job became due before the claim.
    pub due_at: Timestamp,
    /// When it was claimed.
    pub claimed_at: Timestamp,
}

impl RunningAttempt {
    /// The record of this attempt once it has ended.
    #[must_use]
    pub fn record(
        self,
        ending: &Ending,
        span: Option<(TraceId, SpanId)>,
        now: Timestamp,
    ) -> AttemptRecord {
        AttemptRecord {
            attempt: self.attempt,
            claim: self.claim,
            worker: self.worker,
            due_at: self.due_at,
            claimed_at: self.claimed_at,
            ended_at: now,
            outcome: ending.outcome,
            error: ending.error.clone(),
            trace_id: span.map(|(trace_id, _)| trace_id),
            span_id: span.map(|(_, span_id)| span_id),
        }
    }
}

impl Job {
    /// Applies a claim. The caller has checked that the job is due and its queue not paused.
    pub fn apply_claim(&mut self, worker: &WorkerId, expires_at: Timestamp, now: Timestamp) {
        self.state = JobState::Running;
        self.attempt = self.attempt.saturating_add(1);
        self.claim = self.claim.saturating_add(1);
        self.worker = Some(worker.clone());
        self.claimed_at = Some(now);
        self.lease_expires_at = Some(expires_at);
        self.progress = None;
    }

    /// Applies a settle whose lease the caller has checked.
    pub fn apply_settlement(&mut self, settlement: &Settlement, now: Timestamp) {
        let ending = Ending::of(settlement.outcome.clone(), self.stop_requested, now);
        if self.trace.keep.is_none() {
            self.trace.keep.clone_from(&settlement.keep);
        }
        self.apply_ending(ending, settlement.span, now);
    }

    /// Applies the loss of a lease that the caller has found expired; gives back the record.
    pub fn apply_rescue(&mut self, now: Timestamp) -> Option<AttemptRecord> {
        let ending = Ending::of_lost(self.attempt, self.max_attempts, self.stop_requested, now);
        self.apply_ending(ending, None, now);
        self.history.last().cloned()
    }

    fn apply_ending(&mut self, ending: Ending, span: Option<(TraceId, SpanId)>, now: Timestamp) {
        if let Some(running) = self.running_attempt() {
            self.history.push(running.record(&ending, span, now));
        }
        let excess = self.history.len().saturating_sub(AttemptRecord::MAX_KEPT);
        self.history.drain(..excess);
        self.state = ending.state;
        self.finished_at = ending.state.is_final().then_some(now);
        if let Some(available_at) = ending.available_at {
            self.available_at = available_at;
        }
        if ending.uncounted {
            self.attempt = self.attempt.saturating_sub(1);
        }
        if ending.result.is_some() {
            self.result = ending.result;
        }
        if ending.state.is_final() {
            self.stop_requested = None;
            self.checkpoint = None;
        }
        self.worker = None;
        self.claimed_at = None;
        self.lease_expires_at = None;
        self.progress = None;
    }

    /// The attempt that runs now, if one does.
    #[must_use]
    pub fn running_attempt(&self) -> Option<RunningAttempt> {
        Some(RunningAttempt {
            attempt: self.attempt,
            claim: self.claim,
            worker: self.worker.clone()?,
            due_at: self.available_at,
            claimed_at: self.claimed_at?,
        })
    }

    /// Applies a request to cancel or discard; gives back the state after. Of several requests to
    /// one that runs, the last one counts.
    pub fn apply_stop(&mut self, stop: StopRequest, now: Timestamp) -> JobState {
        match self.state {
            JobState::Running => self.stop_requested = Some(stop),
            state if state.is_waiting() => {
                self.state = stop.leads_to();
                self.finished_at = Some(now);
                self.checkpoint = None;
            }
            _ => {}
        }
        self.state
    }

    /// Applies a manual retry; gives back the state after.
    ///
    /// # Errors
    /// `Conflict` if the job runs.
    pub fn apply_retry_now(&mut self, now: Timestamp) -> Result<JobState, StoreError> {
        if self.state == JobState::Running {
            return Err(StoreError::new(
                ErrorKind::Conflict,
                format!("job {} is running; cancel it first, or wait", self.id),
            ));
        }
        if self.state.is_final() || self.available_at > now {
            self.available_at = now;
        }
        self.state = JobState::Available;
        self.finished_at = None;
        self.result = None;
        self.max_attempts = self.max_attempts.max(self.attempt.saturating_add(1));
        Ok(self.state)
    }
}
