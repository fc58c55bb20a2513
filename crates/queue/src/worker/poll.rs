//! The claim loop: as many jobs as there are free slots, each started at once; and, while handlers
//! end quickly, some more, which start as slots come free.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use longshore_core::round_trip::{self, RoundTrips};
use longshore_core::{ClaimRequest, Claimed, ErrorKind, SpanId, StoreError, Timestamp, TraceId};
use longshore_instrument::build::{claim_span, failed_claim_span, storage_spans};
use longshore_instrument::facts::{ClaimFacts, FailedClaimFacts};
use longshore_instrument::relation::{self, AttemptContext, attempt_context};
use longshore_instrument::{Recorder, RootDecision, RootRequest, StoreCall};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::attempt::{Claim, handler_context};
use super::pace::LONGEST_WAIT;
use super::settle::Finished;
use super::timeline::Timeline;
use super::{Shared, attempt, hand_back, measure};
use crate::attempt::Attempt;
use crate::limits::admit::Admitted;
use crate::limits::holdings::Permits;
use crate::limits::plan::Plan;
use crate::meter::timed;

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

/// Claimed jobs that wait for a slot of this worker.
#[derive(Debug)]
pub(crate) struct Ahead {
    jobs: VecDeque<(Claim, Permits)>,
    /// Until when they may start; then others are to have them.
    until: Instant,
    /// Whether the last claim brought as many as it asked for, so that there may be more.
    is_more: bool,
}

impl Ahead {
    pub(crate) fn new() -> Self {
        Self {
            jobs: VecDeque::new(),
            until: Instant::now(),
            is_more: false,
        }
    }

    /// Returns once jobs have waited for too long; never, if there are none.
    async fn is_late(&self) {
        match self.jobs.is_empty() {
            true => std::future::pending().await,
            false => sleep_until(self.until).await,
        }
    }

    fn next(&mut self) -> Option<(Claim, Permits)> {
        match Instant::now() <= self.until {
            true => self.jobs.pop_front(),
            false => None,
        }
    }
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
        while !self.ahead.jobs.is_empty() {
            let slot = tokio::select! {
                biased;
                () = self.ahead.is_late() => return,
                slot = self.slot() => slot,
            };
            let Some((slot, (claim, permits))) = slot.zip(self.ahead.next()) else {
                return;
            };
            self.start(claim, permits, slot);
        }
    }

    async fn claim_until<S: Future<Output = ()>>(
        &mut self,
        mut shutdown: Pin<&mut S>,
    ) -> Result<(), StoreError> {
        let mut wait = RETRY_WAIT.0;
        loop {
            // Only the wait for a slot gives way to shutdown: a claim cut short could leave jobs
            // leased to nobody.
            let slot = tokio::select! {
                biased;
                () = &mut shutdown => return Ok(()),
                slot = self.slot() => slot,
                () = self.ahead.is_late() => {
                    self.leave_ahead();
                    continue;
                }
            };
            let Some(slot) = slot else {
                return Ok(());
            };
            if let Some((claim, permits)) = self.ahead.next() {
                self.start(claim, permits, slot);
                continue;
            }
            self.leave_ahead();
            match self.step(slot).await {
                Ok(Step::Started) => wait = RETRY_WAIT.0,
                Ok(Step::Drained) => return Ok(()),
                Ok(Step::Idle) => {
                    wait = RETRY_WAIT.0;
                    tokio::select! {
                        biased;
                        () = &mut shutdown => return Ok(()),
                        () = self.rest() => {}
                    }
                }
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    tracing::warn!(
                        "the store is unavailable ({error}); claiming again in {wait:?}"
                    );
                    tokio::select! {
                        biased;
                        () = &mut shutdown => return Ok(()),
                        () = sleep(wait) => {}
                    }
                    wait = (wait * 2).min(RETRY_WAIT.1);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One claim, `first` being a free slot.
    async fn step(&mut self, first: OwnedSemaphorePermit) -> Result<Step, StoreError> {
        let limit = self.wanted();
        let started_at = self.shared.clock.now();
        let (asked, trips) = {
            let asked = pin!(async { (self.ask(limit).await, round_trip::take()) });
            round_trip::watch(self.shared.watching(), asked).await
        };
        let (plan, claimed) = match asked {
            Ok(asked) => asked,
            Err(error) => {
                self.record_failed(&error, (started_at, trips));
                return Err(error);
            }
        };
        self.limit_rest = plan.rest;
        self.ahead.is_more = claimed.len() == limit;
        self.turn = self.turn.wrapping_add(claimed.len() as u64);
        if claimed.is_empty() {
            self.shared.desk.unused(&plan);
            drop(first);
            return self.idle().await;
        }
        let Admitted { jobs, refused } = self.shared.desk.admit(plan, claimed).await;
        let step = match jobs.is_empty() {
            true => {
                drop(first);
                Step::Idle
            }
            false => self.start_all(jobs, first, (started_at, trips)),
        };
        // Only now: what may start must not wait for an answer, its permits end meanwhile.
        hand_back::refused(&self.shared, refused).await;
        Ok(step)
    }

    /// How many jobs to ask for, one slot being free for sure.
    fn wanted(&self) -> usize {
        let free = self.slots.available_permits() + 1;
        let options = &self.shared.options;
        // What waits here holds what limits allow, as if it ran.
        let most_ahead = match self.ahead.is_more && !self.shared.desk.is_limited() {
            true => options.claim_ahead,
            false => 0,
        };
        self.shared.pace.wanted(Instant::now(), free, most_ahead)
    }

    /// Starts what may start, `first` being a free slot. The others wait until slots are free.
    fn start_all(
        &mut self,
        jobs: Vec<(Claimed, Permits)>,
        first: OwnedSemaphorePermit,
        asked: (Timestamp, RoundTrips),
    ) -> Step {
        let (claims, permits) = self.contexts(jobs);
        self.record_claim(&claims, asked, self.shared.clock.now());
        self.ahead.jobs = claims.into_iter().zip(permits).collect();
        self.ahead.until = Instant::now() + LONGEST_WAIT;
        let mut slot = Some(first);
        while let Some(free) = slot {
            let Some((claim, permits)) = self.ahead.jobs.pop_front() else {
                break;
            };
            self.start(claim, permits, free);
            slot = Arc::clone(&self.slots).try_acquire_owned().ok();
        }
        Step::Started
    }

    /// Gives back what was claimed and has not started.
    fn leave_ahead(&mut self) {
        for (claim, permits) in std::mem::take(&mut self.ahead.jobs) {
            let attempt = self.enter(&claim, permits);
            let (shared, ended) = (Arc::clone(&self.shared), self.ended.clone());
            // The settler may be behind, and nobody here waits for it.
            self.attempts.spawn(async move {
                end(&shared, &ended, Finished::unstarted(claim, attempt)).await
            });
        }
    }

    /// Finds out what limits allow, and asks the store for jobs.
    async fn ask(&self, limit: usize) -> Result<(Plan, Vec<Claimed>), StoreError> {
        let plan = self.shared.desk.plan(limit).await?;
        let claimed = match plan.is_closed {
            true => Vec::new(),
            false => self.claim(limit, &plan).await?,
        };
        Ok((plan, claimed))
    }

    async fn claim(&self, limit: usize, plan: &Plan) -> Result<Vec<Claimed>, StoreError> {
        let shared = &self.shared;
        let options = &shared.options;
        let (queues, worker) = (options.queues.clone(), shared.id.clone());
        let mut request = ClaimRequest::new(worker, queues, limit, options.lease);
        request.turn = self.turn;
        request.quotas.clone_from(&plan.quotas);
        request.spread.clone_from(&plan.spread);
        let meter = shared.meter();
        let began = meter.map(|meter| meter.reading());
        let answer = shared.store.claim(&request);
        let answer = timed(meter, StoreCall::Claim, answer).await;
        if let Some((meter, began)) = meter.zip(began) {
            measure::claim(shared, meter, &answer, began);
        }
        if answer.is_err() {
            shared.desk.unanswered(plan);
        }
        answer
    }

    /// Records a claim that failed, with what the store was asked for until then. Those are few, since
    /// each is followed by a longer wait, and always sampled.
    fn record_failed(&self, error: &StoreError, (started_at, trips): (Timestamp, RoundTrips)) {
        let shared = &self.shared;
        let Some(recorder) = &shared.recorder else {
            return;
        };
        let random = &*shared.random;
        let (trace, span) = (TraceId::generate(random), SpanId::generate(random));
        let decided = RootDecision {
            sampled: true,
            threshold: Some(0),
        };
        let mut span = failed_claim_span(&FailedClaimFacts {
            context: &relation::root(trace, span, &decided),
            queues: &shared.options.queues,
            worker: &shared.id,
            error_class: error.kind().as_str(),
            started_at,
            ended_at: shared.clock.now(),
        });
        let mut spans = storage_spans(&mut span, &trips);
        spans.push(span);
        recorder.record(spans);
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

    /// Waits for a reason to claim again.
    async fn rest(&self) {
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
