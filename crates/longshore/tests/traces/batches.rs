//! Batches: what follows them, once, after all members are over, in traces that link to them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore::{
    Attempt, Batch, BatchId, BatchState, BatchStatus, Batches, ErrorKind, Job, JobError, JobFilter,
    JobId, JobRequest, JobState, Producer, RawArgs, RawResult, StoreError, Unique,
};
use longshore_core::ClaimRequest;
use longshore_testkit::harness::completion;
use longshore_testkit::way::{Around, Effect, Way};

use crate::world::World;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn member(number: u32) -> JobRequest {
    JobRequest::new("orders", "member")
        .args(&number)
        .traceparent(CALLER, "", "")
        .max_attempts(1)
}

fn callback(kind: &str) -> JobRequest {
    JobRequest::new("orders", kind)
}

fn batch(members: u32) -> Batch {
    Batch::new((0..members).map(member))
        .id("b")
        .on_end(callback("on_end"))
        .on_success(callback("on_success"))
}

fn id() -> BatchId {
    "b".parse().unwrap()
}

async fn status(world: &World) -> BatchStatus {
    let batches = Batches::new(world.producer());
    batches.get(&id()).await.unwrap().unwrap()
}

/// All jobs of a kind.
async fn of_kind(world: &World, kind: &str) -> Vec<Job> {
    let filter = JobFilter {
        kind: Some(kind.parse().unwrap()),
        ..JobFilter::default()
    };
    world.store.list(&filter, None, 1000).await.unwrap().jobs
}

async fn documents(world: &World) -> Vec<String> {
    let listed = world
        .store
        .list_documents("batch", None, 1000)
        .await
        .unwrap();
    listed.into_iter().map(|entry| entry.name).collect()
}

async fn succeed(_args: RawArgs, _attempt: Attempt) -> Result<RawResult, JobError> {
    Ok(RawResult(None))
}

/// Member 1 fails for good.
async fn fail_one(args: RawArgs, attempt: Attempt) -> Result<RawResult, JobError> {
    match (&*args.0, attempt.job().kind.as_str()) {
        (b"1", "member") => Err(JobError::discard("refused", "no")),
        _ => Ok(RawResult(None)),
    }
}

async fn run_for(world: &World, seconds: u64) {
    let worker = world.worker().fallback(succeed).build().unwrap();
    let over = tokio::time::sleep(Duration::from_secs(seconds));
    worker.run(over).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_follows_links_to_the_members() {
    let world = World::new();
    let enqueued = world.producer().enqueue_batch(batch(2)).await.unwrap();
    assert!(enqueued.created);
    assert_eq!(status(&world).await.state, BatchState::Running);
    world.drain(succeed).await;
    world.assert_tree("batch_followed");
    world.assert_one_enqueue_span_each();
    let status = status(&world).await;
    assert_eq!(status.state, BatchState::Ended);
    assert_eq!((status.members, status.counts.completed), (2, 2));
    for callback in ["on_end", "on_success"] {
        let jobs = of_kind(&world, callback).await;
        assert_eq!(jobs.len(), 1);
        assert_eq!(jobs[0].state, JobState::Completed);
    }
    let spans = world.spans.spans();
    let count = |key| {
        spans
            .iter()
            .filter(|span| span.attribute(key).is_some())
            .count()
    };
    assert_eq!(count("longshore.batch.id"), 3, "the call and two attempts");
    assert_eq!(
        count("longshore.batch.ended"),
        4,
        "two calls and two attempts"
    );
    let left = documents(&world).await;
    assert_eq!(
        left,
        ["batch-ends/b/00000", "batch-members/b/00000", "batches/b"]
    );
}

#[tokio::test(start_paused = true)]
async fn success_follows_only_if_all_succeed() {
    let world = World::new();
    world.producer().enqueue_batch(batch(3)).await.unwrap();
    world.drain(fail_one).await;
    let counts = status(&world).await.counts;
    assert_eq!((counts.completed, counts.discarded), (2, 1));
    assert_eq!(of_kind(&world, "on_end").await.len(), 1);
    assert_eq!(of_kind(&world, "on_success").await.len(), 0);
    let unsuccessful = Batches::new(world.producer())
        .unsuccessful(&id(), 9)
        .await
        .unwrap();
    assert_eq!(unsuccessful.len(), 1);
    // A person has it run again: the batch is over all the same.
    world
        .store
        .retry_now(&[unsuccessful[0].0.clone()])
        .await
        .unwrap()[0]
        .as_ref()
        .unwrap();
    world.drain(succeed).await;
    run_for(&world, 30).await;
    assert_eq!(of_kind(&world, "on_end").await.len(), 1);
    assert_eq!(of_kind(&world, "on_success").await.len(), 0);
}

/// A member that failed and succeeded when a person had it run again counts as a success, if the
/// batch is not over yet.
#[tokio::test(start_paused = true)]
async fn a_member_may_still_succeed() {
    let world = World::new();
    let late = member(2).delay(Duration::from_secs(60));
    let members = [member(0), member(1), late];
    let batch = Batch::new(members)
        .id("b")
        .on_success(callback("on_success"));
    world.producer().enqueue_batch(batch).await.unwrap();
    let worker = world.worker().fallback(fail_one).build().unwrap();
    worker
        .run(tokio::time::sleep(Duration::from_secs(5)))
        .await
        .unwrap();
    let failed = of_kind(&world, "member").await;
    let failed = failed
        .iter()
        .find(|job| job.state == JobState::Discarded)
        .unwrap();
    world
        .store
        .retry_now(std::slice::from_ref(&failed.id))
        .await
        .unwrap()[0]
        .as_ref()
        .unwrap();
    run_for(&world, 70).await;
    assert_eq!(of_kind(&world, "on_success").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_empty_batch_is_over_at_once() {
    let world = World::new();
    let producer = world.producer();
    assert!(producer.enqueue_batch(batch(0)).await.unwrap().created);
    assert!(!producer.enqueue_batch(batch(0)).await.unwrap().created);
    assert_eq!(of_kind(&world, "on_end").await.len(), 1);
    assert_eq!(of_kind(&world, "on_success").await.len(), 1);
    world.drain(succeed).await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_made_once() {
    let world = World::new();
    let producer = world.producer();
    assert!(producer.enqueue_batch(batch(2)).await.unwrap().created);
    assert!(!producer.enqueue_batch(batch(2)).await.unwrap().created);
    assert_eq!(of_kind(&world, "member").await.len(), 2);
    let other = producer.enqueue_batch(batch(3)).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Conflict);
    let unnamed = Batch::new([member(0)]);
    let (one, other) = (unnamed.clone(), unnamed);
    let one = producer.enqueue_batch(one).await.unwrap().id;
    assert_ne!(one, producer.enqueue_batch(other).await.unwrap().id);
}

/// The line breaks before a batch is known to be whole; one member has ended and is pruned when the
/// call is repeated. It does not run again.
#[tokio::test(start_paused = true)]
async fn what_is_over_and_pruned_is_not_enqueued_again() {
    for to_come in [1, 1000] {
        let world = World::new();
        let line = BrokenAt::new(4);
        let store = Arc::new(Around::through(world.store.clone(), line));
        let (clock, random) = world.clock();
        let producer = Producer::new(store).with_clock(clock, random);
        let members = || {
            let later = (1..=to_come).map(|number| member(number).delay(Duration::from_secs(60)));
            Batch::new(std::iter::once(member(0)).chain(later)).id("b")
        };
        let broken = producer.enqueue_batch(members()).await.unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::Unavailable);
        run_for(&world, 5).await;
        let now = world.store.now().await.unwrap();
        let request = longshore_core::PruneRequest::before(now, 10);
        assert_eq!(world.store.prune(&request).await.unwrap(), 1);
        assert!(producer.enqueue_batch(members()).await.unwrap().created);
        let there = of_kind(&world, "member").await;
        assert_eq!(there.len(), usize::try_from(to_come).unwrap());
        assert!(there.iter().all(|job| &*job.args != b"0"), "it runs again");
        run_for(&world, 70).await;
        let status = status(&world).await;
        assert_eq!(status.counts.completed, to_come + 1, "{status:?}");
    }
}

/// Refuses one of the writes of documents, the first being 0.
#[derive(Debug)]
struct BrokenAt(AtomicUsize);

impl BrokenAt {
    fn new(write: usize) -> Self {
        Self(AtomicUsize::new(write))
    }
}

impl Way for BrokenAt {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        let is_it = method == "write_document" && self.0.fetch_sub(1, Ordering::SeqCst) == 0;
        match is_it {
            true => Err(StoreError::new(ErrorKind::Unavailable, "the line is cut")),
            false => effect.await,
        }
    }
}

/// Nobody makes a job a member of a batch, or the job of a schedule, by saying so.
#[tokio::test(start_paused = true)]
async fn membership_cannot_be_forged() {
    let world = World::new();
    let forged = || {
        member(0)
            .metadata("longshore.batch", "b")
            .metadata("longshore.batch.member", "0")
    };
    let producer = world.producer();
    let one = producer.enqueue(forged()).await.unwrap_err();
    let many = producer
        .enqueue_many(vec![forged()])
        .await
        .unwrap()
        .remove(0)
        .unwrap_err();
    let inside = producer
        .enqueue_batch(Batch::new([forged()]))
        .await
        .unwrap_err();
    let after = Batch::new([]).on_end(callback("k").metadata("longshore.batch.ended", "b"));
    let after = producer.enqueue_batch(after).await.unwrap_err();
    for refused in [one, many, inside, after] {
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        let said = refused.to_string();
        assert!(said.contains("\"longshore.batch"), "{said}");
        assert!(said.contains("choose another key"), "{said}");
    }
    assert_eq!(of_kind(&world, "member").await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_in_a_batch_is_refused_before_anything_is_stored() {
    let world = World::new();
    let refused = async |batch: Batch| {
        let refused = world.producer().enqueue_batch(batch).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        refused.to_string()
    };
    let unique = member(1).unique(Unique::by_key("k"));
    let said = refused(Batch::new([member(0), unique])).await;
    assert!(said.contains("unique key"), "{said}");
    let said = refused(Batch::new([]).on_end(callback("k").id("mine"))).await;
    assert!(said.contains("id"), "{said}");
    let said = refused(Batch::new([]).on_end(callback("k").delay(Duration::from_secs(9)))).await;
    assert!(said.contains("delay"), "{said}");
    refused(Batch::new([]).id("no spaces")).await;
    refused(Batch::new([member(0).priority(9)])).await;
    assert_eq!(documents(&world).await, [""; 0]);
    assert_eq!(of_kind(&world, "member").await.len(), 0);
}

/// A member adds two others, and the batch waits for those.
#[tokio::test(start_paused = true)]
async fn a_member_adds_others() {
    let world = World::new();
    world.producer().enqueue_batch(batch(1)).await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noting = seen.clone();
    world
        .drain(move |args: RawArgs, attempt: Attempt| {
            let noting = noting.clone();
            async move {
                let kind = attempt.job().kind.to_string();
                if let (Some(batch), b"0") = (attempt.batch(), &*args.0) {
                    let added = [member(7).delay(Duration::from_secs(9)), member(8)];
                    assert_eq!(batch.add(added.to_vec()).await.unwrap(), 2);
                }
                let ended = attempt.ended_batch().map(|id| id.to_string());
                noting.lock().unwrap().push((kind, ended));
                Ok::<_, JobError>(RawResult(None))
            }
        })
        .await;
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 5);
    assert!(
        seen[..3].iter().all(|(kind, _)| kind == "member"),
        "{seen:?}"
    );
    assert_eq!(seen[3].1.as_deref(), Some("b"));
    assert_eq!(status(&world).await.members, 3);
}

/// Ends a member without noting it, as a worker does that dies then.
async fn end_unnoted(world: &World) -> JobId {
    let request = ClaimRequest::new(
        longshore_core::WorkerId::new("dead"),
        vec!["orders".parse().unwrap()],
        1,
        Duration::from_secs(30),
    );
    let claimed = world.store.claim(&request).await.unwrap().remove(0);
    let answers = world
        .store
        .settle(vec![completion(&claimed)])
        .await
        .unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    claimed.job.id
}

/// What nobody noted is found, also of a member that is deleted already; and without a worker's
/// help, of a job that was cancelled.
#[tokio::test(start_paused = true)]
async fn what_nobody_noted_is_found() {
    for (deleted, follow) in [(false, 1), (true, 0)] {
        let world = World::new();
        world.producer().enqueue_batch(batch(2)).await.unwrap();
        end_unnoted(&world).await;
        end_unnoted(&world).await;
        if deleted {
            let now = world
                .store
                .now()
                .await
                .unwrap()
                .after(Duration::from_secs(1));
            let request = longshore_core::PruneRequest::before(now, 10);
            assert_eq!(world.store.prune(&request).await.unwrap(), 2);
        }
        run_for(&world, 15).await;
        assert_eq!(of_kind(&world, "on_end").await.len(), 1);
        assert_eq!(of_kind(&world, "on_success").await.len(), follow);
        let counts = status(&world).await.counts;
        assert_eq!(
            (counts.completed, counts.gone),
            if deleted { (0, 2) } else { (2, 0) }
        );
    }
}

#[tokio::test(start_paused = true)]
async fn who_cancels_a_member_notes_it() {
    let world = World::new();
    world.producer().enqueue_batch(batch(1)).await.unwrap();
    let job = of_kind(&world, "member").await.remove(0);
    world
        .store
        .cancel(std::slice::from_ref(&job.id))
        .await
        .unwrap()[0]
        .as_ref()
        .unwrap();
    let batches = Batches::new(world.producer());
    batches.note(&job).await.unwrap();
    assert_eq!(
        of_kind(&world, "on_end").await.len(),
        0,
        "it was not cancelled then"
    );
    batches.note(&world.job(&job.id).await).await.unwrap();
    assert_eq!(of_kind(&world, "on_end").await.len(), 1);
    assert_eq!(status(&world).await.counts.cancelled, 1);
}

/// A page of a thousand, one more, and a member that takes long: the batch is over a week longer
/// than it is kept, but it is removed only then.
#[tokio::test(start_paused = true)]
async fn a_batch_of_several_pages_is_kept_for_a_week() {
    let world = World::new();
    world.producer().enqueue_batch(batch(1001)).await.unwrap();
    assert_eq!(documents(&world).await.len(), 6);
    world.drain(succeed).await;
    let all = Batches::new(world.producer()).list(None, 10).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].members, all[0].counts.completed), (1001, 1001));
    let span = |name| {
        world
            .spans
            .spans()
            .iter()
            .filter(|span| span.name == name)
            .count()
    };
    assert_eq!(
        span("queue.enqueue"),
        3,
        "one for all members, and two callbacks"
    );
    tokio::time::sleep(Duration::from_secs(6 * 86_400)).await;
    run_for(&world, 20).await;
    assert_eq!(documents(&world).await.len(), 5);
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    run_for(&world, 20).await;
    assert_eq!(documents(&world).await, [""; 0]);
}
