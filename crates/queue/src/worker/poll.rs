//! The claim loop: as many jobs as there are free slots, each started at once; and, while handlers
//! end quickly, some more, which start as slots come free.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::round_trip::RoundTrips;
use longshore_core::{Claimed, ErrorKind, StoreError, Timestamp};
use longshore_instrument::build::{claim_span, storage_spans};
use longshore_instrument::facts::ClaimFacts;
use longshore_instrument::relation::{AttemptContext, attempt_context};
use longshore_instrument::{Recorder, RootRequest};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::ahead::Ahead;
use super::ask::{Answer, Asking, answer_of, ask};
use super::attempt::{Claim, handler_context};
use super::pace::wanted;
use super::settle::Finished;
use super::timeline::Timeline;
use super::{Shared, attempt, hand_back};
use crate::attempt::Attempt;
use crate::limits::admit::Admitted;
use crate::limits::holdings::Permits;

/// The wait after a failed claim, at first and at most.
const RETRY_WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// The rest before a store is asked to wake a worker that is held up by a limit.
const BREATH: Duration = Duration::from_millis(20);
/// How often a draining worker looks whether the queues are empty.
const DRAIN_LOOK: Duration = Duration::from_millis(50);

/// Claims until shutdown, or until the queues are drained.
pub(crate) struct Poller {
    pub(crate) shared: Arc<Shared>,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) ended: mpsc::Sender<Finished>,
    /// The attempts; they end with whoever owns the set.
    pub(crate) attempts: JoinSet<()>,
    pub(crate) turn: u64,
    pub(crate) ahead: Ahead,
    /// How long to rest at most, if a limit may be why nothing came.
    pub(crate) limit_rest: Option<Duration>,
}

impl Poller {
    /// Claims and starts attempts until `shutdown` resolves or draining is done.
    pub(crate) async fn run<S: Future<Output = ()>>(
        &mut self,
        shutdown: Pin<&mut S>,
    ) -> Result<(), StoreError> {
        let claimed = self.claim_until(shutdown).await;
        if claimed.is_ok() {
            let grace = self.shared.options.shutdown_grace;
            let _out_of_time = timeout(grace, self.start_rest()).await;
        }
        self.leave_ahead();
        claimed
    }

    /// Starts what was claimed ahead as slots come free, for as long as it may wait: what goes back
    /// loses its place in the line.
    async fn start_rest(&mut self) {
        while !self.ahead.is_empty() {
            let slot = tokio::select! {
                biased;
                () = self.ahead.is_late() => return,
                slot = self.slot() => slot,
            };
            self.start_next(slot, Instant::now());
        }
    }

    async fn claim_until<S: Future<Output = ()>>(
        &mut self,
        mut shutdown: Pin<&mut S>,
    ) -> Result<(), StoreError> {
        let mut wait = RETRY_WAIT.0;
        let mut told = false;
        let mut asking = None;
        let mut is_stopping = false;
        loop {
            if asking.is_none() && is_stopping {
                return Ok(());
            }
            if asking.is_none() && self.runs_low() {
                asking = Some(self.ask());
            }
            // A claim is never cut short: that could leave jobs leased to nobody.
            let answer = tokio::select! {
                biased;
                () = &mut shutdown, if !is_stopping => {
                    is_stopping = true;
                    continue;
                }
                answer = answer_of(&mut asking) => answer,
                () = self.ahead.is_late() => {
                    self.leave_late();
                    continue;
                }
                slot = self.slot(), if asking.is_none() || !self.ahead.is_empty() => {
                    if !self.start_next(slot, Instant::now()) && asking.is_none() {
                        asking = Some(self.ask());
                    }
                    continue;
                }
            };
            asking = None;
            let away = match self.take_in(answer).await {
                Ok(Step::Drained) => return Ok(()),
                Ok(step) => {
                    if std::mem::take(&mut told) {
                        tracing::warn!("the store answers again");
                    }
                    wait = RETRY_WAIT.0;
                    if matches!(step, Step::Started) {
                        continue;
                    }
                    None
                }
                Err(error) if error.kind() != ErrorKind::Unavailable => return Err(error),
                Err(error) => {
                    if self.shared.complaints.is_due("claim", error.kind()) {
                        tracing::warn!(
                            "the store is unavailable ({error}); claiming again until it answers"
                        );
                        told = true;
                    }
                    let rest = wait;
                    wait = (wait * 2).min(RETRY_WAIT.1);
                    Some(rest)
                }
            };
            // What is here is started before anything is waited for.
            if !is_stopping && self.ahead.is_empty() {
                tokio::select! {
                    biased;
                    () = &mut shutdown => return Ok(()),
                    () = self.rest(away) => {}
                }
            }
        }
    }

    /// Takes in what a claim brought, and starts what may start.
    async fn take_in(&mut self, answer: Answer) -> Result<Step, StoreError> {
        let Answer {
            limit,
            claimed,
            asked,
        } = answer;
        let (plan, claimed) = claimed.inspect_err(|_| self.ahead.is_more = false)?;
        self.limit_rest = plan.rest;
        self.ahead.is_more = claimed.len() == limit;
        self.turn = self.turn.wrapping_add(claimed.len() as u64);
        if claimed.is_empty() {
            self.shared.desk.unused(&plan);
            return match self.ahead.is_empty() {
                true => self.idle().await,
                false => Ok(Step::Idle),
            };
        }
        let Admitted { jobs, refused } = self.shared.desk.admit(plan, claimed).await;
        let step = match jobs.is_empty() {
            true => Step::Idle,
            false => self.start_all(jobs, asked),
        };
        // Only now: what may start must not wait for an answer, its permits end meanwhile.
        hand_back::refused(&self.shared, refused).await;
        Ok(step)
    }

    /// Asks for as many jobs as there are free slots, and those to be had ahead.
    fn ask(&self) -> Asking {
        let free = self.slots.available_permits();
        let limit = wanted(free, self.wanted_ahead(), self.ahead.len());
        Box::pin(ask(Arc::clone(&self.shared), self.turn, limit))
    }

    /// How many jobs are to wait here for a slot.
    fn wanted_ahead(&self) -> usize {
        // What waits here holds what limits allow, as if it ran.
        match self.ahead.is_more && !self.shared.desk.is_limited() {
            true => {
                let most = self.shared.options.claim_ahead;
                self.shared.pace.ahead(Instant::now(), most)
            }
            false => 0,
        }
    }

    /// Whether to ask for more although some wait here: slots would be free before an answer came.
    fn runs_low(&self) -> bool {
        !self.ahead.is_empty() && self.ahead.len() * 4 < self.wanted_ahead()
    }

    /// Starts what may start. The others wait until slots are free.
    fn start_all(&mut self, jobs: Vec<(Claimed, Permits)>, asked: (Timestamp, RoundTrips)) -> Step {
        let (claims, permits) = self.contexts(jobs);
        self.record_claim(&claims, asked, self.shared.clock.now());
        // One moment for all: what has a slot starts, however long a busy machine takes for it.
        let now = Instant::now();
        self.ahead.add(claims, permits, now);
        while let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned()
            && self.start_next(Some(slot), now)
        {}
        Step::Started
    }

    /// Starts the next job that waits here; whether there was one.
    fn start_next(&mut self, slot: Option<OwnedSemaphorePermit>, now: Instant) -> bool {
        let Some(slot) = slot else {
            return false;
        };
        let Some((claim, permits)) = self.ahead.next(now) else {
            return false;
        };
        self.start(claim, permits, slot);
        true
    }

    /// Gives back what waited for too long.
    fn leave_late(&mut self) {
        let now = Instant::now();
        while let Some((claim, permits)) = self.ahead.next_late(now) {
            self.leave(claim, permits);
        }
    }

    /// Gives back what was claimed and has not started.
    fn leave_ahead(&mut self) {
        while let Some((claim, permits)) = self.ahead.next_left() {
            self.leave(claim, permits);
        }
    }

    fn leave(&mut self, claim: Claim, permits: Permits) {
        let attempt = self.enter(&claim, permits);
        let (shared, ended) = (Arc::clone(&self.shared), self.ended.clone());
        // The settler may be behind, and nobody here waits for it.
        self.attempts.spawn(async move {
            end(&shared, &ended, Finished::unstarted(claim, attempt)).await;
        });
    }

    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).acquire_owned().await.ok()
    }

    async fn idle(&self) -> Result<Step, StoreError> {
        let draining = self.shared.options.drain && self.shared.running.is_empty();
        // What follows a batch is there before the queues are looked at.
        if draining && self.shared.marks.flush(&self.shared.producer).await {
            let is_empty = self.shared.queues_are_empty().await?;
            return Ok(if is_empty { Step::Drained } else { Step::Idle });
        }
        Ok(Step::Idle)
    }

    /// Waits for a reason to claim again, or for so long if the store is away.
    async fn rest(&self, away: Option<Duration>) {
        if let Some(wait) = away {
            return sleep(wait).await;
        }
        let options = &self.shared.options;
        let longest = if options.drain {
            DRAIN_LOOK
        } else {
            options.poll_interval
        };
        let Some(rest) = self.limit_rest else {
            self.shared.store.wait(&options.queues, longest).await;
            return;
        };
        // A store wakes at once while jobs are due, also those for which there is no room.
        let breath = BREATH.min(rest);
        let waited = async {
            sleep(breath).await;
            let longest = longest.min(rest).saturating_sub(breath);
            self.shared.store.wait(&options.queues, longest).await;
        };
        tokio::select! {
            () = self.shared.desk.freed() => {}
            () = waited => {}
        }
    }

    fn contexts(&self, claimed: Vec<(Claimed, Permits)>) -> (Vec<Claim>, Vec<Permits>) {
        let recorder = self.shared.recorder.as_deref();
        let clock = &*self.shared.clock;
        let one = |(Claimed { job, lease }, permits)| {
            let claimed_at = job.claimed_at.unwrap_or_else(|| clock.now());
            let context = recorder.map(|recorder| context_of(recorder, &job, claimed_at));
            let claim = Claim {
                token: lease.token,
                context,
                timeline: Timeline::from_claim(claimed_at, clock),
                job: Arc::new(job),
            };
            (claim, permits)
        };
        claimed.into_iter().map(one).unzip()
    }

    fn record_claim(
        &self,
        claims: &[Claim],
        (started_at, trips): (Timestamp, RoundTrips),
        ended_at: Timestamp,
    ) {
        let Some(recorder) = &self.shared.recorder else {
            return;
        };
        let contexts: Vec<_> = claims
            .iter()
            .filter_map(|claim| Some((&*claim.job, claim.context.as_ref()?)))
            .collect();
        let span = claim_span(&ClaimFacts {
            claimed: &contexts,
            worker: &self.shared.id,
            started_at,
            ended_at,
        });
        if let Some(mut span) = span {
            let mut spans = storage_spans(&mut span, &trips);
            spans.push(span);
            recorder.record(spans);
        }
    }

    /// From here on the attempt is this worker's to settle.
    fn enter(&self, claim: &Claim, permits: Permits) -> Attempt {
        let context = handler_context(&claim.job, claim.context.as_ref());
        let producer = self.shared.producer.clone();
        let attempt = Attempt::new(Arc::clone(&claim.job), claim.token, context, producer);
        self.shared.running.insert(attempt.clone(), permits);
        self.shared.tell_claimed(&claim.job);
        attempt
    }

    fn start(&mut self, claim: Claim, permits: Permits, slot: OwnedSemaphorePermit) {
        let attempt = self.enter(&claim, permits);
        let (shared, ended) = (Arc::clone(&self.shared), self.ended.clone());
        while self.attempts.try_join_next().is_some() {}
        self.attempts.spawn(async move {
            let job = Arc::clone(&claim.job);
            let run = attempt::run(&shared, claim, attempt).await;
            shared.pace.ended(Instant::now());
            match run {
                Some(finished) => {
                    // The slot is free for the next job while this one is being settled.
                    drop(slot);
                    end(&shared, &ended, finished).await;
                }
                None => shared.lease_lost(&job),
            }
        });
    }
}

/// Hands an attempt to the settler.
async fn end(shared: &Shared, ended: &mpsc::Sender<Finished>, finished: Finished) {
    let job = Arc::clone(&finished.claim.job);
    if ended.send(finished).await.is_err() {
        let until = shared.desk.covered_until();
        shared.running.remove_unsettled(&job, until);
    }
}

/// What a claim led to.
enum Step {
    /// Jobs were started.
    Started,
    /// There was nothing to claim.
    Idle,
    /// There is nothing left, and draining was asked for.
    Drained,
}

/// Where the attempt of a claimed job stands among traces.
pub(crate) fn context_of(
    recorder: &dyn Recorder,
    job: &longshore_core::Job,
    claimed_at: Timestamp,
) -> AttemptContext {
    let decide = |trace_id| recorder.decide_root(&RootRequest::of(trace_id, job));
    attempt_context(job, claimed_at, decide, |failure| {
        recorder.propagation_failed(failure);
    })
}

/// The same for an attempt of the past, about which everything was decided and counted then.
pub(crate) fn past_context(
    recorder: &dyn Recorder,
    job: &longshore_core::Job,
    claimed_at: Timestamp,
) -> AttemptContext {
    let recall = |trace_id| recorder.recall_root(&RootRequest::of(trace_id, job));
    attempt_context(job, claimed_at, recall, |_failure| {})
}
