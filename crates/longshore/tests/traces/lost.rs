//! Attempts that are lost: whoever takes the job back writes their spans, and nobody else.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use longshore::{
    Attempt, AttemptOutcome, ErrorKind, JobError, JobRequest, JobState, RawArgs, RawResult,
    SpanBuffer, Store, StoreError, Worker, WorkerBuilder,
};
use longshore_core::{ClaimRequest, Claimed, Outcome, Rescued, Settlement, WorkerId};
use longshore_instrument::AttributeValue;
use longshore_testkit::way::{Around, Effect, Way};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::world::{World, order, succeed};

type Raw = Result<RawResult, JobError>;

/// The worker dies in the middle of an attempt; a second one takes the job back and writes the
/// spans that the first could not, with the ids that the first had given to its children.
#[tokio::test(start_paused = true)]
async fn lost_lease() {
    let world = World::new();
    let id = world.enqueue(order()).await;
    let started = std::sync::Arc::new(Notify::new());
    let told = started.clone();
    let worker = world
        .worker()
        .lease(Duration::from_secs(5))
        .fallback(move |_args: RawArgs, attempt: Attempt| {
            let told = told.clone();
            async move {
                let child = JobRequest::new("orders", "charge");
                attempt.enqueue(child).await.unwrap();
                told.notify_one();
                std::future::pending::<()>().await;
                Raw::Ok(RawResult(None))
            }
        })
        .concurrency(1)
        .build()
        .unwrap();
    let running = tokio::spawn(worker.run(std::future::pending()));
    started.notified().await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    world.drain(succeed).await;
    assert_eq!(world.job(&id).await.attempt, 2);
    world.assert_tree("lost_lease");
}

/// A prepared job whose first worker dies: the one who rescues it writes the enqueue span.
#[tokio::test(start_paused = true)]
async fn prepared_job_of_a_lost_worker() {
    let world = World::new();
    let jobs = world.producer().prepare(vec![order()]).unwrap();
    world.store.enqueue(jobs).await.unwrap();
    let started = std::sync::Arc::new(Notify::new());
    let told = started.clone();
    let worker = world
        .worker()
        .fallback(move |_args: RawArgs, _attempt: Attempt| {
            told.notify_one();
            std::future::pending::<Raw>()
        });
    let running = tokio::spawn(worker.build().unwrap().run(std::future::pending()));
    started.notified().await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    world.drain(succeed).await;
    world.assert_one_enqueue_span_each();
}

/// The way of a worker that cannot reach its store while it is cut.
#[derive(Clone, Debug, Default)]
struct Line {
    is_cut: Arc<AtomicBool>,
}

impl Line {
    fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
    }
}

impl Way for Line {
    async fn carry<T: Send + 'static>(
        &self,
        _method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        match self.is_cut.load(Ordering::SeqCst) {
            true => Err(StoreError::new(ErrorKind::Unavailable, "the line is cut")),
            false => effect.await,
        }
    }
}

/// The store cannot be reached: each claim that fails is a trace of its own, which says why.
#[tokio::test(start_paused = true)]
async fn a_claim_that_failed_is_told_of() {
    let world = World::new();
    let line = Line::default();
    line.cut(true);
    let store: Arc<dyn Store> = Arc::new(Around::through(world.store.clone(), line.clone()));
    let worker = world.worker_of(store).fallback(succeed).build().unwrap();
    let stop = async {
        while world.spans.spans().len() < 2 {
            sleep(Duration::from_secs(1)).await;
        }
    };
    worker.run(stop).await.unwrap();
    let spans = world.spans.spans();
    let failed: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "queue.claim")
        .collect();
    assert!(failed.len() >= 2, "{spans:?}");
    assert_ne!(failed[0].trace_id, failed[1].trace_id);
    for span in failed {
        assert!(span.status.is_error() && span.parent_span_id.is_none());
        let class = span.attribute("error.type");
        assert_eq!(class, Some(&"unavailable".into()));
    }
}

/// Its outcome cannot be stored, and another worker discards the job meanwhile, since that was its
/// last attempt: what the history says of the claim is not what became of the settle.
#[tokio::test(start_paused = true)]
async fn a_settle_that_came_too_late_is_not_taken_for_one_that_worked() {
    let world = World::new();
    let line = Line::default();
    let cut = line.clone();
    let completes = move |_: RawArgs, _: Attempt| {
        cut.cut(true);
        std::future::ready(Ok::<_, JobError>(RawResult(None)))
    };
    let id = world
        .enqueue(JobRequest::new("orders", "place_order").max_attempts(1))
        .await;
    let short = |worker: WorkerBuilder| worker.lease(Duration::from_secs(1));
    let store: Arc<dyn Store> = Arc::new(Around::through(world.store.clone(), line.clone()));
    let late = short(world.worker_of(store)).id("late").fallback(completes);
    let late = late.build().unwrap();
    let seconds = |seconds| sleep(Duration::from_secs(seconds));
    let running = tokio::spawn(async move { late.run(seconds(10)).await.unwrap() });
    seconds(3).await;
    let other = short(world.worker()).id("other").drain(true);
    let other =
        other.fallback(|_: RawArgs, _: Attempt| async { Ok::<_, JobError>(RawResult(None)) });
    let rescued = other.build().unwrap().run(std::future::pending()).await;
    assert_eq!(rescued.unwrap().rescued, 1);
    line.cut(false);
    let report = running.await.unwrap();
    assert_eq!(
        (report.leases_lost, report.completed, report.discarded),
        (1, 0, 0)
    );
    let job = world.job(&id).await;
    assert_eq!(job.state, JobState::Discarded);
    assert_eq!(job.history[0].outcome, AttemptOutcome::Lost);
    let spans = world.spans.spans();
    let attempts = spans.iter().filter(|span| span.name == "job.process");
    assert_eq!(attempts.count(), 1);
}

/// The way of a worker that dies as soon as the store has taken jobs back for it.
#[derive(Clone, Debug, Default)]
struct DiesOfRescue {
    is_dead: Arc<Notify>,
}

impl Way for DiesOfRescue {
    async fn carry<T: Send + 'static>(
        &self,
        _method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        let answer = effect.await;
        let rescued = answer.as_ref().ok().map(|answer| answer as &dyn Any);
        let rescued = rescued.and_then(|answer| answer.downcast_ref::<Vec<Rescued>>());
        if rescued.is_some_and(|rescued| !rescued.is_empty()) {
            self.is_dead.notify_one();
            std::future::pending::<()>().await;
        }
        answer
    }
}

impl World {
    /// Claims the next job and dies.
    async fn lose_next(&self) {
        let claimed = Arc::new(Notify::new());
        let told = claimed.clone();
        let worker = self.worker().id("victim").lease(Duration::from_secs(1));
        let worker = worker.fallback(move |_: RawArgs, _: Attempt| {
            told.notify_one();
            std::future::pending::<Raw>()
        });
        let running = tokio::spawn(worker.build().unwrap().run(std::future::pending()));
        claimed.notified().await;
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
    }

    /// Takes jobs back and dies before it can say so.
    async fn die_of_rescue(&self, id: &str) {
        let way = DiesOfRescue::default();
        let is_dead = way.is_dead.clone();
        let store: Arc<dyn Store> = Arc::new(Around::through(self.store.clone(), way));
        // It serves another queue, so that it claims nothing.
        let worker = Worker::builder(store).queue("mail").id(id);
        let (clock, random) = self.clock();
        let worker = worker.clock(clock, random).recorder(self.spans.clone());
        let worker = worker.lease(Duration::from_secs(1)).fallback(succeed);
        let running = tokio::spawn(worker.build().unwrap().run(std::future::pending()));
        is_dead.notified().await;
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
    }

    /// The numbers of the claims whose attempts have left, and of those the rebuilt ones.
    fn attempts_that_left(&self) -> (Vec<i64>, Vec<i64>) {
        let (mut all, mut rebuilt) = (Vec::new(), Vec::new());
        for span in self.spans.spans() {
            if span.name != "job.process" {
                continue;
            }
            let claim = match span.attribute("longshore.job.claim") {
                Some(AttributeValue::Int(claim)) => *claim,
                other => unreachable!("{other:?}"),
            };
            all.push(claim);
            if span.attribute("longshore.rebuilt").is_some() {
                rebuilt.push(claim);
            }
        }
        all.sort_unstable();
        rebuilt.sort_unstable();
        (all, rebuilt)
    }
}

fn unsampled() -> World {
    let spans = SpanBuffer::default().with_threshold(1 << 56);
    World::with_spans(spans.keeping_failures())
}

/// Two workers in a row take the job back and die before they have written anything, and a limit
/// hands it back in between: whoever ends the next attempt writes what they could not, once.
#[tokio::test(start_paused = true)]
async fn what_a_rescuer_did_not_live_to_write_leaves_with_the_next_attempt() {
    for world in [World::new(), unsampled()] {
        let id = world.enqueue(order()).await;
        for rescuer in ["r1", "r2"] {
            world.lose_next().await;
            world.die_of_rescue(rescuer).await;
        }
        let (worker, queue) = (WorkerId::new("limited"), "orders".parse().unwrap());
        let request = ClaimRequest::new(worker, vec![queue], 1, Duration::from_secs(5));
        for Claimed { job, lease } in world.store.claim(&request).await.unwrap() {
            let settlement = Settlement {
                job_id: job.id,
                token: lease.token,
                outcome: Outcome::HandBack,
                follow_ups: Vec::new(),
                keep: None,
                span: None,
            };
            world.store.settle(vec![settlement]).await.unwrap();
        }
        assert_eq!(world.attempts_that_left(), (vec![], vec![]));
        world.drain(succeed).await;
        assert_eq!(world.job(&id).await.attempt, 3);
        assert_eq!(world.attempts_that_left(), (vec![1, 2, 4], vec![1, 2]));
        world.assert_one_enqueue_span_each();
    }
}

/// The next attempt is lost as well: whoever takes the job back from that one writes both.
#[tokio::test(start_paused = true)]
async fn what_a_rescuer_did_not_live_to_write_leaves_with_the_next_loss() {
    let world = unsampled();
    world.enqueue(order().args(&1)).await;
    world.lose_next().await;
    world.die_of_rescue("r1").await;
    world.lose_next().await;
    world.drain(succeed).await;
    assert_eq!(world.attempts_that_left(), (vec![1, 2, 3], vec![1, 2]));
    world.assert_one_enqueue_span_each();
}

/// Another worker than the one that took the job back cannot know that its spans are written: they
/// leave twice, and are the same.
#[tokio::test(start_paused = true)]
async fn spans_of_a_lost_attempt_that_leave_twice_are_the_same() {
    let world = unsampled();
    world.enqueue(order()).await;
    world.lose_next().await;
    let (clock, random) = world.clock();
    let rescuer = Worker::builder(world.store.clone())
        .queue("mail")
        .clock(clock, random);
    let rescuer = rescuer.lease(Duration::from_secs(1)).fallback(succeed);
    let rescuer = rescuer.recorder(world.spans.clone()).build().unwrap();
    let report = rescuer.run(sleep(Duration::from_secs(3))).await.unwrap();
    assert_eq!(report.rescued, 1);
    world.drain(succeed).await;
    assert_eq!(world.attempts_that_left(), (vec![1, 1, 2], vec![1, 1]));
    let mut spans = world.spans.spans();
    spans.sort_by_key(|span| span.span_id);
    for pair in spans.windows(2) {
        assert!(pair[0].span_id != pair[1].span_id || pair[0] == pair[1]);
    }
}

/// No attempt follows, since it was the last one: who finds the rescuer's entry in the register long
/// after its last sign of life writes what that may have left.
#[tokio::test(start_paused = true)]
async fn what_a_rescuer_left_of_a_discarded_job_is_written_once_it_is_gone() {
    let world = unsampled();
    let id = world.enqueue(order().max_attempts(1)).await;
    world.lose_next().await;
    world.die_of_rescue("r1").await;
    assert_eq!(world.job(&id).await.state, JobState::Discarded);
    let other = world.worker().id("other").fallback(succeed);
    let running = other.build().unwrap().run(sleep(Duration::from_secs(500)));
    running.await.unwrap();
    assert_eq!(world.attempts_that_left(), (vec![], vec![]));
    let other = world.worker().id("other").fallback(succeed);
    let running = other.build().unwrap().run(sleep(Duration::from_secs(300)));
    running.await.unwrap();
    assert_eq!(world.attempts_that_left(), (vec![1], vec![1]));
    world.assert_one_enqueue_span_each();
}

/// The same, where the rescuer comes to life again under its name.
#[tokio::test(start_paused = true)]
async fn what_a_rescuer_left_of_a_discarded_job_is_written_when_it_is_back() {
    let world = unsampled();
    world.enqueue(order().max_attempts(1)).await;
    world.lose_next().await;
    world.die_of_rescue("w1").await;
    world.drain(succeed).await;
    assert_eq!(world.attempts_that_left(), (vec![1], vec![1]));
    world.assert_one_enqueue_span_each();
}
