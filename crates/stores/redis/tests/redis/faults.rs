//! Lines that break at any place: nothing acknowledged is lost, nothing runs twice at once.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use longshore_core::{Clock, ErrorKind, JobState, Store, SystemClock};
use longshore_redis::{RedisOptions, RedisStore};
use longshore_testkit::faulty_line::{Fault, FaultyLine};

use crate::jobs::{complete, enqueue, new_jobs, patiently, settlement, wish};
use crate::server::{self, Server, next_number};

/// A store behind a line, and the same store beside it.
fn behind_a_line(server: &Server) -> (FaultyLine, RedisStore, RedisStore) {
    let address = SocketAddr::from(([127, 0, 0, 1], server.port));
    let line = FaultyLine::to(address).unwrap();
    let number = next_number();
    let at = |port| {
        let url = format!("redis://127.0.0.1:{port}?prefix=line-{number}");
        RedisOptions::from_url(&url).unwrap()
    };
    let through = at(line.address().port()).with_response_timeout(Duration::from_secs(2));
    let beside = RedisStore::open(at(server.port));
    (line, RedisStore::open(through), beside)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_and_a_settle_that_are_cut_lose_nothing() {
    let Some(server) = Server::start() else {
        return;
    };
    let (line, through, beside) = behind_a_line(&server);
    // Cut in what is asked and in what is answered, from the first byte to beyond the last.
    for cut in [0, 1, 40, 300, 700, 1200] {
        for fault in [Fault::ResetRequest(cut), Fault::ResetAnswer(cut)] {
            let ids: BTreeSet<_> = enqueue(&beside, 4).await.into_iter().collect();
            enqueue(&through, 1).await;
            line.set(fault);
            let lost = through.claim(&wish(2)).await;
            line.set(Fault::None);
            // What the cut claim took, if it did, is leased to nobody who knows; the rest can be had.
            let mut held = lost.unwrap_or_default();
            held.extend(patiently(async || through.claim(&wish(9)).await).await);
            let unique: BTreeSet<_> = held.iter().map(|claimed| claimed.job.id.clone()).collect();
            assert_eq!(unique.len(), held.len(), "a job was claimed twice");
            assert!(held.len() >= 3, "{fault:?}: {}", held.len());

            line.set(fault);
            let settlements: Vec<_> = held
                .iter()
                .map(|claimed| settlement(claimed, complete()))
                .collect();
            let _perhaps = through.settle(settlements.clone()).await;
            line.set(Fault::None);
            let answers = patiently(async || through.settle(settlements.clone()).await).await;
            for (claimed, answer) in held.iter().zip(answers) {
                let state = beside.get(&claimed.job.id).await.unwrap().unwrap().state;
                assert_eq!(state, JobState::Completed);
                let refused = answer.err().map(|error| error.kind());
                assert!(
                    matches!(refused, None | Some(ErrorKind::LeaseLost)),
                    "{refused:?}"
                );
            }
            for id in &ids {
                assert!(beside.get(id).await.unwrap().is_some(), "{id} is gone");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enqueue_that_is_repeated_is_there_once() {
    let Some(server) = Server::start() else {
        return;
    };
    let (line, through, beside) = behind_a_line(&server);
    for seed in 0..24 {
        let jobs = new_jobs(&beside, 5).await;
        enqueue(&through, 1).await;
        line.set(Fault::Erratic { seed });
        let _perhaps = through.enqueue(jobs.clone()).await;
        line.set(Fault::None);
        let answers = patiently(async || through.enqueue(jobs.clone()).await).await;
        for (job, answer) in jobs.iter().zip(answers) {
            assert_eq!(answer.unwrap().id(), &job.id);
        }
    }
    let held = beside.claim(&wish(1000)).await.unwrap();
    assert_eq!(held.len(), 24 * 6);
}

/// A worker that hears nothing for longer than its lease loses it, to one other alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_longer_than_the_lease_fences_the_worker() {
    let Some(server) = Server::start() else {
        return;
    };
    let (line, through, beside) = behind_a_line(&server);
    let id = enqueue(&beside, 1).await.remove(0);
    let mut request = wish(1);
    request.lease = Duration::from_millis(300);
    let mine = through.claim(&request).await.unwrap().remove(0);
    line.set(Fault::BlackHole);
    let beat = longshore_core::Beat {
        job_id: id.clone(),
        token: mine.lease.token,
        extend_by: Duration::from_secs(60),
        progress: None,
        checkpoint: None,
    };
    let error = through
        .heartbeat(std::slice::from_ref(&beat))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let clock = SystemClock::new();
    let started = clock.now();
    let rescued = loop {
        let rescued = beside.rescue(10).await.unwrap();
        if !rescued.is_empty() || clock.now().since(started) > Duration::from_secs(60) {
            break rescued;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(rescued.len(), 1);
    let theirs = beside.claim(&wish(1)).await.unwrap().remove(0);
    line.set(Fault::None);
    let answers = patiently(async || through.heartbeat(std::slice::from_ref(&beat)).await).await;
    assert_eq!(answers, [longshore_core::BeatAnswer::Lost]);
    let late = through
        .settle(vec![settlement(&mine, complete())])
        .await
        .unwrap();
    assert_eq!(late[0].as_ref().unwrap_err().kind(), ErrorKind::LeaseLost);
    let settled = beside
        .settle(vec![settlement(&theirs, complete())])
        .await
        .unwrap();
    assert_eq!(settled[0].as_ref().unwrap().state, JobState::Completed);
}

#[tokio::test]
async fn calls_that_wait_for_one_connection_fail_with_it() {
    let Some(server) = server::shared() else {
        return;
    };
    let line = FaultyLine::to(SocketAddr::from(([127, 0, 0, 1], server.port))).unwrap();
    let (port, number) = (line.address().port(), next_number());
    let url = format!("redis://127.0.0.1:{port}?prefix=silent-{number}");
    let store = RedisStore::open(RedisOptions::from_url(&url).unwrap());
    line.set(Fault::ResetAnswer(0));
    let calls = (0..16).map(|_| store.queue_stats());
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(line.connections(), 1);
    // Who comes later tries again.
    line.set(Fault::None);
    store.queue_stats().await.unwrap();
}
