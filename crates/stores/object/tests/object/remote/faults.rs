//! Lines that break, servers that are killed: nothing acknowledged is lost, nothing runs twice at
//! once.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_core::{
    Beat, BeatAnswer, Claimed, Clock as _, ErrorKind, JobId, JobState, Store, StoreError,
    SystemClock,
};
use longshore_object::RemoteStore;
use longshore_testkit::faulty_line::{Fault, FaultyLine};
use longshore_testkit::s3_server::{S3Program, S3Server};

use super::jobs::{completion, enqueue, new_jobs, patiently, wish};
use super::{options, store};

const LEASE: Duration = Duration::from_secs(600);

/// A store behind a line, and the same store beside it.
fn behind_a_line(server: &S3Server) -> (FaultyLine, RemoteStore, RemoteStore) {
    let line = FaultyLine::to(server.address().parse().unwrap()).unwrap();
    let through = options(&line.address().to_string(), "line");
    let through = through.with_patience(Duration::from_millis(1500));
    let through = RemoteStore::open(&through).unwrap();
    (line, through, store(server, "line"))
}

/// Completes what is held, asking again while the store is unavailable.
async fn complete(store: &dyn Store, held: &[Claimed]) {
    let settlements: Vec<_> = held.iter().map(completion).collect();
    let answers = patiently(async || {
        let answers = store.settle(settlements.clone()).await?;
        let unknown = |answer: &&Result<_, longshore_core::StoreError>| matches!(answer, Err(error) if error.kind() == ErrorKind::Unavailable);
        match answers.iter().position(|answer| unknown(&answer)) {
            Some(place) => Err(answers.into_iter().nth(place).unwrap().unwrap_err()),
            None => Ok(answers),
        }
    });
    for answer in answers.await {
        // An earlier try may have landed, unseen.
        let refused = answer.err().map(|error| error.kind());
        assert!(
            matches!(refused, None | Some(ErrorKind::LeaseLost)),
            "{refused:?}"
        );
    }
}

/// Completes each of these by a call of its own; gives back those of which that was acknowledged.
async fn completed(store: &dyn Store, held: Vec<Claimed>) -> Vec<JobId> {
    let mut done = Vec::new();
    for claimed in held {
        let settled = store.settle(vec![completion(&claimed)]).await;
        if settled.is_ok_and(|answers| answers.iter().all(Result::is_ok)) {
            done.push(claimed.job.id);
        }
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_cut_lose_nothing() {
    let Some(server) = S3Server::start(S3Program::Ministack) else {
        return;
    };
    let (line, through, beside) = behind_a_line(&server);
    // What a store does first is not cut.
    patiently(async || through.queue_stats().await).await;
    let mut all = BTreeSet::new();
    // Cut in what is asked and in what is answered, from the first byte to beyond the last.
    for cut in [0, 100, 700, 1500] {
        for fault in [Fault::ResetRequest(cut), Fault::ResetAnswer(cut)] {
            let jobs = new_jobs(&beside, 3).await;
            line.set(fault);
            let _perhaps = through.enqueue(jobs.clone()).await;
            line.set(Fault::None);
            all.extend(enqueue(&through, &jobs).await);

            line.set(fault);
            let lost = through.claim(&wish("through", 2, LEASE)).await;
            line.set(Fault::None);
            let mut held = lost.unwrap_or_default();
            let rest = wish("through", 9, LEASE);
            held.extend(patiently(async || through.claim(&rest).await).await);
            let unique: BTreeSet<_> = held.iter().map(|claimed| &claimed.job.id).collect();
            assert_eq!(unique.len(), held.len(), "a job was claimed twice");

            line.set(fault);
            let settlements = held.iter().map(completion).collect();
            let _perhaps = through.settle(settlements).await;
            line.set(Fault::None);
            complete(&through, &held).await;
            for claimed in &held {
                let job = beside.get(&claimed.job.id).await.unwrap().unwrap();
                assert_eq!((job.state, job.history.len()), (JobState::Completed, 1));
            }
        }
    }
    // What is due by the server's clock, which is known to a second, may not be due at once.
    for turn in 0.. {
        let held = beside.claim(&wish("beside", 100, LEASE)).await.unwrap();
        complete(&beside, &held).await;
        let mut waiting = 0;
        for id in &all {
            let job = beside.get(id).await.unwrap();
            let state = job.expect("an acknowledged job is lost").state;
            // A claim whose answer was cut has the lease, and nobody knows.
            waiting += usize::from(!matches!(state, JobState::Completed | JobState::Running));
        }
        if waiting == 0 {
            break;
        }
        assert!(turn < 200, "{waiting} jobs can never be claimed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_break_anywhere_let_every_job_run_once() {
    let Some(server) = S3Server::start(S3Program::Ministack) else {
        return;
    };
    let (line, through, beside) = behind_a_line(&server);
    patiently(async || through.queue_stats().await).await;
    for seed in 0..6 {
        let jobs = new_jobs(&beside, 10).await;
        line.set(Fault::Erratic { seed });
        let ids = enqueue(&through, &jobs).await;
        let mut done = BTreeSet::new();
        // Leases that nobody knows of run out, and are taken back.
        for turn in 0.. {
            assert!(
                turn < 2000,
                "{} of {} jobs were done",
                done.len(),
                ids.len()
            );
            let (worker, store) = match turn % 2 {
                0 => ("through", &through),
                _ => ("beside", &beside),
            };
            let lease = Duration::from_secs(3);
            let held = store
                .claim(&wish(worker, 3, lease))
                .await
                .unwrap_or_default();
            for id in completed(store, held).await {
                assert!(done.insert(id.clone()), "{id} was done twice");
            }
            let _perhaps = store.rescue(100).await;
            let open = ids.iter().filter(|id| !done.contains(id));
            let mut over = true;
            for id in open {
                let job = beside.get(id).await.unwrap().unwrap();
                over &= job.state == JobState::Completed;
            }
            if over {
                break;
            }
        }
        line.set(Fault::None);
    }
}

/// Claims the one job that there is. The server's clock is known to a second, so that what was
/// enqueued just now may not be due yet.
async fn one(store: &RemoteStore, worker: &str, lease: Duration) -> Claimed {
    patiently(async || {
        let held = store.claim(&wish(worker, 1, lease)).await?;
        let not_yet = || StoreError::new(ErrorKind::Unavailable, "nothing is due yet");
        held.into_iter().next().ok_or_else(not_yet)
    })
    .await
}

/// A worker that hears nothing for longer than its lease loses it, to one other alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_longer_than_the_lease_fences_the_worker() {
    let Some(server) = S3Server::start(S3Program::Ministack) else {
        return;
    };
    let (line, through, beside) = behind_a_line(&server);
    let id = enqueue(&beside, &new_jobs(&beside, 1).await)
        .await
        .remove(0);
    let lease = Duration::from_secs(2);
    let mine = one(&through, "mine", lease).await;
    line.set(Fault::BlackHole);
    let beat = Beat {
        job_id: id.clone(),
        token: mine.lease.token,
        extend_by: Duration::from_secs(60),
        progress: None,
        checkpoint: None,
    };
    let beats = std::slice::from_ref(&beat);
    let error = through.heartbeat(beats).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let clock = SystemClock::new();
    let started = clock.now();
    let rescued = loop {
        let rescued = beside.rescue(10).await.unwrap();
        if !rescued.is_empty() || clock.now().since(started) > Duration::from_secs(60) {
            break rescued;
        }
    };
    assert_eq!(rescued.len(), 1);
    let theirs = one(&beside, "theirs", LEASE).await;
    line.set(Fault::None);
    let answers = patiently(async || through.heartbeat(beats).await).await;
    assert_eq!(answers, [BeatAnswer::Lost]);
    let late = patiently(async || through.settle(vec![completion(&mine)]).await).await;
    assert_eq!(late[0].as_ref().unwrap_err().kind(), ErrorKind::LeaseLost);
    let settled = beside.settle(vec![completion(&theirs)]).await.unwrap();
    assert_eq!(settled[0].as_ref().unwrap().state, JobState::Completed);
    let job = through.get(&id).await.unwrap().unwrap();
    assert_eq!(job.history.len(), 2);
}

/// Claims ten jobs, of which some may not be due yet, as with [`one`].
async fn ten(store: &RemoteStore) -> Vec<Claimed> {
    let mut held = Vec::new();
    while held.len() < 10 {
        let wish = wish("worker", 10 - held.len(), LEASE);
        held.extend(patiently(async || store.claim(&wish).await).await);
    }
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_comes_back_has_all_that_was_acknowledged() {
    let Some(mut server) = S3Server::start(S3Program::KeptMinistack) else {
        return;
    };
    let options = options(&server.address(), "kept").with_patience(Duration::from_secs(2));
    let store = RemoteStore::open(&options).unwrap();
    let ids = enqueue(&store, &new_jobs(&store, 20).await).await;
    let held = ten(&store).await;
    server.kill();
    let error = store.settle(held.iter().map(completion).collect()).await;
    let unknown = match error {
        Err(error) => error.kind() == ErrorKind::Unavailable,
        Ok(answers) => answers
            .into_iter()
            .all(|answer| answer.is_err_and(|error| error.kind() == ErrorKind::Unavailable)),
    };
    assert!(unknown, "nobody can have acknowledged that");
    server.revive();
    complete(&store, &held).await;
    let rest = ten(&store).await;
    complete(&store, &rest).await;
    for id in ids {
        let job = store.get(&id).await.unwrap().unwrap();
        assert_eq!((job.state, job.history.len()), (JobState::Completed, 1));
    }
}
