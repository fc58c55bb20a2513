//! Why a job that is due is not run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use longshore_api::Backend as _;
use longshore_api::job::Holder;
use longshore_api::trace::StoryOf;
use longshore_core::limit::{Limit, Scope};
use longshore_core::register::{WorkerEntry, WorkerState};
use longshore_core::{Clock, JobId, JobState, Store, SystemRandom, Timestamp, WorkerId};
use longshore_daemon::{LocalBackend, LocalOptions};
use longshore_memory::MemoryStore;
use longshore_queue::{
    Admin, Attempt, JobError, JobRequest, LimitControl, PauseNote, Producer, RawArgs, RawResult,
    Worker, Workers,
};
use longshore_testkit::ManualClock;
use tokio::sync::Notify;

use crate::daemon::Daemon;

/// What a job says of itself; the daemon and the view beside the store say the same.
async fn held_back(daemon: &Daemon, id: &str) -> String {
    let far = daemon.client(None).job(id).await.unwrap();
    let local = LocalBackend::new(Arc::clone(&daemon.store), LocalOptions::default());
    let near = local.job(id).await.unwrap();
    assert_eq!(
        near.held_back.len(),
        far.held_back.len(),
        "{near:?} {far:?}"
    );
    assert_eq!(near.held_by, far.held_by);
    let of = StoryOf::Job(id.to_owned());
    let told = local.story(&of).await.unwrap().job.unwrap();
    assert_eq!(told.held_by, near.held_by);
    assert_eq!(told.held_back.len(), near.held_back.len(), "{told:?}");
    near.held_back.join("\n")
}

/// The jobs and workers that hold a job back.
async fn held_by(daemon: &Daemon, id: &JobId) -> Vec<Holder> {
    daemon.client(None).job(id.as_str()).await.unwrap().held_by
}

async fn enqueue(daemon: &Daemon, kind: &str) -> JobId {
    let producer = Producer::new(Arc::clone(&daemon.store));
    let sent = producer.enqueue(JobRequest::new("mail", kind)).await;
    sent.unwrap().id().clone()
}

/// Puts a worker into the register.
async fn register(daemon: &Daemon, id: &str, running: u32, jobs: &[&JobId]) {
    let now = daemon.store.now().await.unwrap();
    let entry = WorkerEntry {
        id: WorkerId::new(id),
        host: "node-3".to_owned(),
        pid: 1,
        version: String::new(),
        queues: vec!["mail".parse().unwrap()],
        more_queues: 0,
        kinds: None,
        more_kinds: 0,
        concurrency: 2,
        running,
        jobs: jobs.iter().map(|&id| id.clone()).collect(),
        state: WorkerState::Running,
        started_at: now,
        seen_at: now,
    };
    let name = WorkerEntry::document(&entry.id);
    let written = daemon
        .store
        .write_document(&name, 0, entry.encode().unwrap());
    written.await.unwrap();
}

#[tokio::test]
async fn pauses_and_workers_that_are_missing_or_busy_are_said() {
    let daemon = Daemon::start().await;
    let id = enqueue(&daemon, "welcome").await;
    let unserved = "no worker that is seen takes welcome from mail, and it has waited ";
    let start = "start one, such as `longshore worker --queue mail --exec PROGRAM`";
    let said = held_back(&daemon, id.as_str()).await;
    assert!(
        said.starts_with(unserved) && said.ends_with(start),
        "{said}"
    );
    let admin = Admin::new(Arc::clone(&daemon.store));
    let note = PauseNote::default().by("ann@web-1").because("it is late");
    let queue = "mail".parse().unwrap();
    admin.pause_noted(&queue, &note).await.unwrap();
    let said = held_back(&daemon, id.as_str()).await;
    assert!(said.starts_with("the queue was paused "), "{said}");
    let both = format!(" ago by ann@web-1: it is late\n{unserved}");
    assert!(said.contains(&both) && said.ends_with(start), "{said}");
    admin.resume(&queue).await.unwrap();
    admin
        .limits()
        .pause_kind("welcome".parse().unwrap())
        .await
        .unwrap();
    let said = held_back(&daemon, id.as_str()).await;
    assert!(said.starts_with("the kind was paused "), "{said}");
    admin
        .limits()
        .resume_kind("welcome".parse().unwrap())
        .await
        .unwrap();

    let other = enqueue(&daemon, "other").await;
    register(&daemon, "w-1", 2, &[&other]).await;
    let busy = format!("the only worker that takes it, w-1, is busy: {other}");
    assert_eq!(held_back(&daemon, id.as_str()).await, busy);
    let holders = [
        Holder::Worker("w-1".to_owned()),
        Holder::Job(other.to_string()),
    ];
    assert_eq!(held_by(&daemon, &id).await, holders);
    register(&daemon, "w-2", 2, &[]).await;
    let busy = format!("all 2 workers that take it are busy: {other}");
    assert_eq!(held_back(&daemon, id.as_str()).await, busy);
    // A worker with room may have it any moment.
    register(&daemon, "w-3", 1, &[]).await;
    let said = held_back(&daemon, id.as_str()).await;
    let is_patient = said.is_empty() || said.starts_with("not known: w-3 takes it and had room");
    assert!(is_patient, "{said}");
    let later = JobRequest::new("mail", "welcome").delay(Duration::from_secs(600));
    let producer = Producer::new(Arc::clone(&daemon.store));
    let later = producer.enqueue(later).await.unwrap().id().clone();
    admin.pause(&queue).await.unwrap();
    assert_eq!(held_back(&daemon, later.as_str()).await, "");
}

#[tokio::test]
async fn a_full_limit_is_said_with_the_jobs_that_hold_it() {
    let daemon = Daemon::start().await;
    let at_once = Limit {
        concurrency: Some(1),
        ..Limit::default()
    };
    let limits = LimitControl::new(Arc::clone(&daemon.store));
    limits
        .set("kind:charge".parse().unwrap(), at_once)
        .await
        .unwrap();
    let first = enqueue(&daemon, "charge").await;
    let (began, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (beginning, going) = (Arc::clone(&began), Arc::clone(&go));
    let worker = Worker::builder(Arc::clone(&daemon.store))
        .queue("mail")
        .concurrency(4)
        .handler("charge", move |_args: RawArgs, _attempt: Attempt| {
            let (began, go) = (Arc::clone(&beginning), Arc::clone(&going));
            async move {
                began.notify_one();
                go.notified().await;
                Ok::<_, JobError>(RawResult::default())
            }
        })
        .drain(true)
        .build()
        .unwrap();
    let worker = tokio::spawn(worker.run(std::future::pending()));
    began.notified().await;
    // What holds a job back names workers too: it says the same from when this one is registered.
    while Workers::list(&*daemon.store)
        .await
        .unwrap()
        .entries
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
    let second = enqueue(&daemon, "charge").await;
    let said = held_back(&daemon, second.as_str()).await;
    let full = "the limit of kind:charge is full: 1 at once; 1 held by job charge ";
    assert!(said.starts_with(&format!("{full}{first} for ")), "{said}");
    let holder = Holder::Job(first.to_string());
    assert_eq!(held_by(&daemon, &second).await, [holder]);
    assert_eq!(held_back(&daemon, first.as_str()).await, "");
    go.notify_one();
    began.notified().await;
    go.notify_one();
    worker.await.unwrap().unwrap();
    let over = daemon.store.get(&second).await.unwrap().unwrap();
    assert_eq!(over.state, JobState::Completed);
    assert_eq!(held_back(&daemon, second.as_str()).await, "");
}

/// Once it has run, its story says what it waited for.
#[tokio::test]
async fn a_wait_that_is_over_is_told_by_who_held_the_limit_meanwhile() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_millis(
        1_777_624_200_000,
    )));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::with(
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::new(SystemRandom),
    ));
    let at_once = Limit {
        concurrency: Some(1),
        ..Limit::default()
    };
    let limits = LimitControl::new(Arc::clone(&store));
    let scope: Scope = "kind:charge".parse().unwrap();
    limits.set(scope.clone(), at_once).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let producer = Producer::new(Arc::clone(&store));
        let sent = producer.enqueue(JobRequest::new("mail", "charge")).await;
        ids.push(sent.unwrap().id().clone());
        clock.advance(Duration::from_millis(1));
    }
    // The first takes four seconds, the second one.
    let (passing, first) = (Arc::clone(&clock), Arc::new(AtomicBool::new(true)));
    let worker = Worker::builder(Arc::clone(&store))
        .queue("mail")
        .concurrency(4)
        .handler("charge", move |_args: RawArgs, _attempt: Attempt| {
            let takes = if first.swap(false, Ordering::Relaxed) {
                4
            } else {
                1
            };
            passing.advance(Duration::from_secs(takes));
            async { Ok::<_, JobError>(RawResult::default()) }
        })
        .drain(true)
        .build()
        .unwrap();
    worker.run(std::future::pending()).await.unwrap();
    let local = LocalBackend::new(Arc::clone(&store), LocalOptions::default());
    let of = StoryOf::Job(ids[1].to_string());
    let waited = async || -> String {
        let found = local.story(&of).await.unwrap().findings;
        let waited = found.into_iter().find(|found| found.what == "waited");
        waited.unwrap().text
    };
    let said = waited().await;
    let full = "for the limit of kind:charge (1 at once), which was full for 4.0";
    assert!(
        said.starts_with("it waited 4.0") && said.contains(full),
        "{said}"
    );
    assert!(said.ends_with(&format!("held by job {}", ids[0])), "{said}");
    // Without one it was the workers.
    limits.remove(&scope).await.unwrap();
    let said = waited().await;
    assert!(
        said.contains("for a worker") && said.ends_with("no limit that is set now was full"),
        "{said}"
    );
}
