//! The settler: gathers ended attempts, settles them in batches, and records their spans once the
//! outcome is durable.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use longshore_core::round_trip::{self, RoundTrips};
use longshore_core::{
    AttemptOutcome, AttemptRecord, ErrorKind, Job, JobId, JobState, Outcome, Settled, Settlement,
    StoreError, Timestamp,
};
use longshore_instrument::build::{SettledTogether, attempt_spans};
use longshore_instrument::facts::AttemptFacts;
use longshore_instrument::relation::AttemptContext;
use longshore_instrument::{HandlerScope, HoldToken, Span, StoreCall};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::Shared;
use super::attempt::{Claim, failure};
use super::batch_spans;
use super::follow_up;
use super::keep::{self, Keeping};
use super::measure;
use super::pace::GATHER;
use super::verdict::{Decision, plain};
use crate::attempt::Attempt;
use crate::meter::timed;

/// Most settlements of one call.
const BATCH: usize = 1000;
/// Ended attempts that may wait for the settler before workers wait for it.
const BACKLOG: usize = 4 * BATCH;
/// The wait before a settle is tried again, at first and at most.
const RETRY_WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// An attempt whose handler has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) claim: Claim,
    pub(crate) attempt: Attempt,
    pub(crate) decision: Decision,
    /// When the handler began and ended; `None` if it never began.
    pub(crate) handler: Option<(Timestamp, Timestamp)>,
    pub(crate) handler_is_live: bool,
    /// Hears whether the job is kept.
    pub(crate) scope: Option<Box<dyn HandlerScope>>,
    pub(crate) keeping: Keeping,
}

impl Finished {
    /// The attempt of a job that goes back before its handler began.
    pub(crate) fn unstarted(claim: Claim, attempt: Attempt) -> Self {
        Self {
            claim,
            attempt,
            decision: plain(Outcome::HandBack),
            handler: None,
            handler_is_live: false,
            scope: None,
            keeping: Keeping::default(),
        }
    }

    /// When the job was claimed.
    pub(crate) fn claimed_at(&self) -> Timestamp {
        self.claim.timeline.claimed_at()
    }

    /// For how long the handler ran.
    pub(crate) fn run(&self) -> Duration {
        self.handler
            .map_or(Duration::ZERO, |(began, ended)| ended.since(began))
    }
}

/// A channel to the settler.
pub(crate) fn channel() -> (mpsc::Sender<Finished>, mpsc::Receiver<Finished>) {
    mpsc::channel(BACKLOG)
}

/// Settles until every sender is gone.
pub(crate) async fn run(shared: Arc<Shared>, mut ended: mpsc::Receiver<Finished>) {
    let mut batch = Vec::with_capacity(BATCH);
    while ended.recv_many(&mut batch, BATCH).await > 0 {
        gather(&shared, &mut ended, &mut batch).await;
        let settled = pin!(settle(&shared, std::mem::take(&mut batch)));
        round_trip::watch(shared.watching(), settled).await;
    }
}

/// Waits a moment for attempts that are about to end, if there are many of them.
async fn gather(shared: &Shared, ended: &mut mpsc::Receiver<Finished>, batch: &mut Vec<Finished>) {
    // What a limit allows is not free before the settle.
    if shared.desk.is_limited() {
        return;
    }
    let began = Instant::now();
    let wanted = shared.pace.soon(began).min(BATCH);
    let is_full = |batch: &[Finished]| batch.len() >= wanted.min(shared.running.len());
    while !is_full(batch) {
        let room = BATCH - batch.len();
        let more = ended.recv_many(batch, room);
        match timeout_at(began + GATHER, more).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
    }
}

async fn settle(shared: &Shared, mut batch: Vec<Finished>) {
    let sent_at: Vec<Timestamp> = batch
        .iter()
        .map(|finished| finished.claim.timeline.now(&*shared.clock))
        .collect();
    store_checkpoints(shared, &batch).await;
    batch
        .iter_mut()
        .for_each(|finished| keep::decide(shared, finished));
    let held = keep::hold(shared, &batch, &sent_at).await;
    let begun = follow_up::begin(&batch, &sent_at).await;
    let settlements: Vec<Settlement> = batch.iter().map(settlement).collect();
    let measuring = measure::Settling::begin(shared, &settlements);
    let (answers, trips) = ask(shared, &batch, settlements).await;
    let mut storage = SettledTogether::new(trips, batch.len());
    if let Some(measuring) = &measuring {
        measuring.end(shared, &batch, &answers);
    }
    let (mut sampled, mut kept) = (Vec::new(), Vec::new());
    let answers = answers.into_iter().zip(begun);
    for ((finished, (answer, begun)), sent_at) in batch.iter().zip(answers).zip(sent_at) {
        let failed = answer.as_ref().err().map(StoreError::kind);
        let now = finished.claim.timeline.now(&*shared.clock);
        sampled.extend(follow_up::end(begun, now, failed));
        let spans = if finished.keeping.is_kept {
            &mut kept
        } else {
            &mut sampled
        };
        if let Ok(settled) = &answer {
            // Before the worker is idle: a batch that is over may have more for it to do.
            let job = &finished.claim.job;
            shared.marks.hear(job, settled.state);
        }
        leave(shared, &finished.claim.job, failed);
        match answer {
            Ok(settled) => {
                shared.counters.count(outcome_of(finished, settled.state));
                shared.tell_settled(finished, &settled);
                let mut own = spans_of(shared, finished, sent_at, &settled);
                storage.add_to(&mut own);
                spans.append(&mut own);
                spans.extend(keep::companions(shared, finished));
            }
            Err(error) => {
                not_settled(shared, &finished.claim.job, &error);
                spans.extend_from_slice(keep::left_behind(finished));
            }
        }
    }
    record(shared, sampled, held.map(|token| (token, kept)));
    shared.settled.notify_waiters();
}

/// Counts an attempt that is not known to be settled. Whoever takes the job back once its lease has
/// expired writes the attempt's spans.
fn not_settled(shared: &Shared, job: &Job, error: &StoreError) {
    if error.kind() == ErrorKind::LeaseLost {
        shared.count_lost_lease(job);
        tracing::warn!(job.id = %job.id, "lease lost before the attempt was settled");
        return;
    }
    shared.counters.unsettled.fetch_add(1, Ordering::Relaxed);
    tracing::error!(
        job.id = %job.id,
        %error,
        error.kind = error.kind().as_str(),
        "the attempt could not be settled; the job runs again once its lease expires"
    );
}

/// The attempt is over for this worker. If its outcome is not stored, the store has it for running
/// until its lease ends.
fn leave(shared: &Shared, job: &Job, failed: Option<ErrorKind>) {
    match failed {
        None | Some(ErrorKind::LeaseLost) => shared.running.remove(job),
        Some(_) => {
            let until = shared.desk.covered_until();
            shared.running.remove_unsettled(job, until);
        }
    }
}

/// Hands over what is known to have happened.
fn record(shared: &Shared, mut sampled: Vec<Span>, kept: Option<(HoldToken, Vec<Span>)>) {
    let Some(recorder) = shared.recorder.as_deref() else {
        return;
    };
    if let (Some((token, mut spans)), Some(keeper)) = (kept, recorder.keeper()) {
        spans.extend(batch_spans::take(&mut sampled));
        shared.batch_spans.leave_once(&mut spans);
        keeper.release(token, spans);
    }
    shared.batch_spans.leave_once(&mut sampled);
    if !sampled.is_empty() {
        recorder.record(sampled);
    }
}

/// A checkpoint that no heartbeat has carried to its end must be there for the next attempt.
async fn store_checkpoints(shared: &Shared, batch: &[Finished]) {
    let leaves_one = |finished: &&Finished| {
        finished.attempt.left_checkpoint() && finished.decision.outcome.runs_again()
    };
    let mut leaving = batch.iter().filter(leaves_one).peekable();
    if leaving.peek().is_none() {
        return;
    }
    let under_way = shared.beating.lock().await;
    let lease = shared.options.lease;
    let beats = leaving.map(|finished| finished.attempt.beat(lease));
    let beats: Vec<_> = beats.filter(|beat| beat.checkpoint.is_some()).collect();
    drop(under_way);
    if beats.is_empty() {
        return;
    }
    let mut wait = RETRY_WAIT.0;
    while let Err(error) = shared.store.heartbeat(&beats).await {
        let kind = error.kind();
        tracing::warn!(
            error.kind = kind.as_str(),
            "the last checkpoints could not be stored"
        );
        if kind != ErrorKind::Unavailable || shared.must_give_up() {
            return;
        }
        sleep(wait).await;
        wait = (wait * 2).min(RETRY_WAIT.1);
    }
}

fn settlement(finished: &Finished) -> Settlement {
    let completes = matches!(finished.decision.outcome, Outcome::Complete { .. });
    let follow_ups = if completes {
        finished.attempt.take_follow_ups()
    } else {
        Vec::new()
    };
    let process = finished.claim.context.as_ref().map(|c| &c.process);
    Settlement {
        job_id: finished.claim.job.id.clone(),
        token: finished.claim.token,
        outcome: finished.decision.outcome.clone(),
        follow_ups,
        keep: finished.keeping.keep.clone(),
        span: process.map(|process| (process.trace_id, process.span_id)),
    }
}

/// Settles a batch; gives back what the store had to ask for, if any of its spans leave.
async fn ask(
    shared: &Shared,
    batch: &[Finished],
    settlements: Vec<Settlement>,
) -> (Vec<Result<Settled, StoreError>>, RoundTrips) {
    let leaves = |finished: &Finished| {
        let context = finished.claim.context.as_ref();
        context.is_some_and(AttemptContext::is_sampled)
    };
    let sent = pin!(send(shared, settlements));
    if batch.iter().any(leaves) {
        let answers = sent.await;
        return (answers, round_trip::take());
    }
    (round_trip::unwatched(sent).await, RoundTrips::default())
}

/// Sends settlements until the store has answered, or the worker has to give up. Repeating is
/// safe; an answer that was lost shows as a lost lease, and the job's history tells the truth, as
/// it does of a settle that was given up.
async fn send(shared: &Shared, settlements: Vec<Settlement>) -> Vec<Result<Settled, StoreError>> {
    let mut wait = RETRY_WAIT.0;
    let mut repeated = false;
    loop {
        let asked = shared.store.settle(settlements.clone());
        let asked = shared.in_time(asked);
        match timed(shared.meter(), StoreCall::Settle, asked).await {
            Ok(answers) => {
                let is_known = !answers.iter().any(is_unknown);
                if is_known && !repeated {
                    return answers;
                }
                if is_known || shared.must_give_up() {
                    return recognise(shared, &settlements, answers).await;
                }
            }
            Err(error) if error.kind() != ErrorKind::Unavailable || shared.must_give_up() => {
                let failed = |_| Err(StoreError::new(error.kind(), error.to_string()));
                let answers = settlements.iter().map(failed).collect();
                return recognise(shared, &settlements, answers).await;
            }
            Err(_away) => {}
        }
        if shared.complaints.is_due("settle", ErrorKind::Unavailable) {
            tracing::warn!(
                count = settlements.len(),
                "the store is unavailable; settling again in {wait:?}"
            );
        }
        repeated = true;
        sleep(wait).await;
        wait = (wait * 2).min(RETRY_WAIT.1);
    }
}

/// Whether a store cannot say what became of one settle among others: on object storage each batch of
/// jobs is a write of its own.
fn is_unknown(answer: &Result<Settled, StoreError>) -> bool {
    matches!(answer, Err(error) if error.kind() == ErrorKind::Unavailable)
}

/// After a settle that was repeated or given up, tells what failed from what had worked.
async fn recognise(
    shared: &Shared,
    settlements: &[Settlement],
    mut answers: Vec<Result<Settled, StoreError>>,
) -> Vec<Result<Settled, StoreError>> {
    for (settlement, answer) in settlements.iter().zip(&mut answers) {
        if answer.is_ok() {
            continue;
        }
        let Some(job) = row_of(shared, &settlement.job_id).await else {
            continue;
        };
        let attempt = shared.running.get(&settlement.job_id, settlement.token);
        let claim = attempt.map(|attempt| attempt.job().claim);
        if let Some(settled) = settled_by(&job, claim) {
            *answer = Ok(settled);
        }
    }
    answers
}

/// The job's row, which says whether a settle worked whose answer was lost.
async fn row_of(shared: &Shared, id: &JobId) -> Option<Job> {
    let mut wait = RETRY_WAIT.0;
    loop {
        match shared.in_time(shared.store.get(id)).await {
            Ok(job) => return job,
            Err(error) if error.kind() != ErrorKind::Unavailable => return None,
            Err(_) if shared.must_give_up() => return None,
            Err(_) => sleep(wait).await,
        }
        wait = (wait * 2).min(RETRY_WAIT.1);
    }
}

/// What a settle of this claim made of the job, if the job's history has it. What took the job back
/// from this claim was no settle.
fn settled_by(job: &Job, claim: Option<u32>) -> Option<Settled> {
    let of_claim = |record: &&AttemptRecord| Some(record.claim) == claim;
    let record = job.history.iter().find(of_claim)?;
    if record.outcome == AttemptOutcome::Lost {
        return None;
    }
    // A job that was asked to be discarded is, although its attempt was cancelled.
    let is_last = job.last_attempt() == Some(record);
    let state = match is_last && job.state.is_final() {
        true => job.state,
        false => record.outcome.leads_to()?,
    };
    Some(Settled {
        state,
        at: record.ended_at,
    })
}

/// How the attempt ended, the store's word counting: a job that was to wait may have been
/// cancelled or discarded instead, as someone asked.
pub(super) fn outcome_of(finished: &Finished, state: JobState) -> AttemptOutcome {
    match (state, finished.decision.outcome.recorded_as()) {
        (JobState::Discarded, AttemptOutcome::Discarded) => AttemptOutcome::Discarded,
        (JobState::Cancelled | JobState::Discarded, _) => AttemptOutcome::Cancelled,
        (_, said) => said,
    }
}

/// The attempt's own spans, as they are once it is settled; none if its trace does not leave.
pub(crate) fn spans_of(
    shared: &Shared,
    finished: &Finished,
    sent_at: Timestamp,
    settled: &Settled,
) -> Vec<Span> {
    let claim = &finished.claim;
    let Some(context) = claim.context.as_ref().filter(|c| c.is_sampled()) else {
        return Vec::new();
    };
    let ended_at = claim.timeline.now(&*shared.clock);
    attempt_spans(&AttemptFacts {
        job: &claim.job,
        context,
        worker: &shared.id,
        claimed_at: finished.claimed_at(),
        handler: finished.handler,
        handler_is_live: finished.handler_is_live,
        settle: Some((sent_at, ended_at)),
        ended_at,
        outcome: outcome_of(finished, settled.state),
        to_state: settled.state,
        error_class: failure(&finished.decision).map(|error| error.class.as_ref()),
        error_message: failure(&finished.decision).map(|error| error.message.as_str()),
        retry_delay: finished.decision.delay,
        previous: claim.job.last_attempt(),
        rebuilt: false,
    })
}
