//! Lines that break and servers that go away.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{
    Beat, BeatAnswer, Clock, ErrorKind, JobId, JobState, NewJob, Store, SystemClock,
};
use longshore_postgres::{Pooler, PostgresStore};
use longshore_testkit::faulty_line::{Fault, FaultyLine};
use longshore_testkit::{ManualClock, SeededRandom};

use crate::server::{self, Private, Server};
use crate::support::{claim, complete, enqueue, jobs, queue, unless_away};

const LEASE: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(3600);
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn line_to(server: &Server) -> FaultyLine {
    FaultyLine::to(([127, 0, 0, 1], server.port).into()).unwrap()
}

/// Stores jobs, the same again until it is known that they are there.
async fn store_surely(store: &dyn Store, jobs: &[NewJob]) -> Vec<JobId> {
    loop {
        if let Some(answers) = unless_away(store.enqueue(jobs.to_vec()).await) {
            return answers
                .into_iter()
                .map(|answer| answer.unwrap().id().clone())
                .collect();
        }
    }
}

/// Runs what there is; gives back what the store said was done.
async fn work(store: &dyn Store, done: &mut BTreeSet<JobId>) {
    let claimed = claim(store, 7, LEASE).await;
    let Some(claimed) = unless_away(claimed) else {
        return;
    };
    let settlements: Vec<_> = claimed.iter().map(complete).collect();
    // Whoever does not hear the answer asks again, and may then hear that the lease is gone.
    for _ in 0..5 {
        let settled = store.settle(settlements.clone()).await;
        let Some(settled) = unless_away(settled) else {
            continue;
        };
        for (settled, job) in settled.into_iter().zip(&claimed) {
            match settled {
                Ok(_) => assert!(
                    done.insert(job.job.id.clone()),
                    "done twice: {}",
                    job.job.id
                ),
                Err(error) => assert_eq!(error.kind(), ErrorKind::LeaseLost, "{error}"),
            }
        }
        return;
    }
}

/// E-2, C-1, S-1: connections that are cut anywhere, in the middle of a claim or a settle, lose no
/// acknowledged job, and no settle counts twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_cut_anywhere() {
    let Some(server) = server::shared() else {
        return;
    };
    let line = line_to(server);
    let clock = Arc::new(ManualClock::default());
    let options = server::options(&server.url()).with_clock(clock.clone());
    let direct = PostgresStore::open(options.clone()).unwrap();
    let through = server::options(&server::url(line.address().port()));
    let through = through.with_schema(&server::schema_of(&options)).unwrap();
    let through = through
        .with_clock(clock.clone())
        .with_random(Arc::new(SeededRandom::new(7)));
    let store = PostgresStore::open(through.with_connections(3)).unwrap();
    let (mut acknowledged, mut done) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..12 {
        line.set(Fault::Erratic { seed });
        for _ in 0..4 {
            let jobs = jobs(&direct, 5).await;
            acknowledged.extend(store_surely(&store, &jobs).await);
            work(&store, &mut done).await;
            clock.advance(Duration::from_secs(20));
            unless_away(store.rescue(100).await);
        }
    }
    line.set(Fault::None);
    let all_over = async || {
        let stats = direct.queue_stats().await.unwrap();
        stats
            .iter()
            .map(longshore_core::QueueStats::unfinished)
            .sum::<u64>()
            == 0
    };
    while !all_over().await {
        clock.advance(LEASE * 2);
        direct.rescue(1000).await.unwrap();
        work(&direct, &mut done).await;
    }
    assert_eq!(acknowledged.len(), 12 * 4 * 5);
    for id in acknowledged {
        let job = direct.get(&id).await.unwrap().unwrap();
        assert_eq!(job.state, JobState::Completed, "{id}");
        let ends = job.history.windows(2);
        let apart = |pair: &[longshore_core::AttemptRecord]| pair[0].ended_at <= pair[1].claimed_at;
        assert!(
            ends.into_iter().all(apart),
            "two leases at a time: {:?}",
            job.history
        );
    }
}

/// R-3, L-2, S-1: a worker that cannot be reached for longer than its lease loses its jobs.
#[tokio::test]
async fn a_partition_outlasts_the_lease() {
    let Some(server) = server::shared() else {
        return;
    };
    let line = line_to(server);
    let clock = Arc::new(ManualClock::default());
    let options = server::options(&server.url()).with_clock(clock.clone());
    let direct = PostgresStore::open(options.clone()).unwrap();
    let through = server::options(&server::url(line.address().port()));
    let through = through.with_schema(&server::schema_of(&options)).unwrap();
    let through = through
        .with_clock(clock.clone())
        .with_timeout(Duration::from_secs(1));
    let store = PostgresStore::open(through).unwrap();
    enqueue(&store, 1).await;
    let lost = claim(&store, 1, LEASE).await.unwrap().remove(0);
    line.set(Fault::BlackHole);
    let beat = Beat {
        job_id: lost.job.id.clone(),
        token: lost.lease.token,
        extend_by: LEASE,
        progress: None,
        checkpoint: None,
    };
    let beats = [beat];
    let error = store.heartbeat(&beats).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    clock.advance(LEASE * 2);
    assert_eq!(direct.rescue(10).await.unwrap().len(), 1);
    let held = claim(&direct, 1, LEASE).await.unwrap().remove(0);
    line.set(Fault::None);
    let beaten = loop {
        if let Some(answers) = unless_away(store.heartbeat(&beats).await) {
            break answers;
        }
    };
    assert_eq!(beaten, [BeatAnswer::Lost]);
    let refused = store.settle(vec![complete(&lost)]).await.unwrap().remove(0);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::LeaseLost);
    direct
        .settle(vec![complete(&held)])
        .await
        .unwrap()
        .remove(0)
        .unwrap();
}

/// E-2: what was acknowledged is there after the server was killed, and the store goes on by
/// itself once it is back.
#[tokio::test]
async fn the_server_is_killed_and_comes_back() {
    let Some(server) = Private::start("-c fsync=on") else {
        return;
    };
    let options = server::options(&server.url());
    let store = PostgresStore::open(options.with_timeout(Duration::from_secs(5))).unwrap();
    let ids = enqueue(&store, 20).await;
    let held = claim(&store, 5, LEASE).await.unwrap();
    server.kill();
    let error = store.get(&ids[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    server.launch();
    let settlements: Vec<_> = held.iter().map(complete).collect();
    let settled = loop {
        if let Some(settled) = unless_away(store.settle(settlements.clone()).await) {
            break settled;
        }
    };
    assert_eq!(settled.iter().flatten().count(), 5);
    // Another connection of the pool may have died with the server.
    let left = loop {
        if let Some(claimed) = unless_away(claim(&store, 100, LEASE).await) {
            break claimed;
        }
    };
    assert_eq!(left.len(), 15);
}

/// Who waits for a connection to a server that is gone is told so, not that there are too few.
#[tokio::test]
async fn a_server_that_is_gone_is_told_from_a_pool_that_is_busy() {
    let Some(server) = Private::start("-c fsync=off") else {
        return;
    };
    for pooler in [Pooler::None, Pooler::Transaction] {
        let options = server::options(&server.url()).with_pooler(pooler);
        let options = options
            .with_timeout(Duration::from_secs(2))
            .with_connections(1);
        let store = PostgresStore::open(options).unwrap();
        let ids = enqueue(&store, 1).await;
        server.kill();
        // The first call may find the connection that broke.
        let _broken = store.get(&ids[0]).await.unwrap_err();
        let error = store.get(&ids[0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("Connection refused"), "{error}");
        server.launch();
        while unless_away(store.get(&ids[0]).await).is_none() {}
    }
}

/// W-1: a lost connection that listens is made anew, and until then whoever waits polls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_listener_comes_back() {
    let Some(server) = server::shared() else {
        return;
    };
    let line = line_to(server);
    let options = server::options(&server.url());
    let direct = PostgresStore::open(options.clone()).unwrap();
    let through = server::options(&server::url(line.address().port()));
    let through = through.with_schema(&server::schema_of(&options)).unwrap();
    // Nobody finds a job by looking again.
    let store = PostgresStore::open(through.with_poll(LONG)).unwrap();
    for _ in 0..3 {
        let waits = store.clone();
        let got = tokio::spawn(async move {
            let got = async || unless_away(claim(&waits, 1, LEASE).await);
            while got().await.is_none_or(|got| got.is_empty()) {
                waits.wait(&[queue()], LONG).await;
            }
        });
        enqueue(&direct, 1).await;
        tokio::time::timeout(PATIENCE, got).await.unwrap().unwrap();
        // All connections are cut.
        line.set(Fault::None);
    }
}

/// W-1: where nobody can listen, whoever waits looks for itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_listen_polls() {
    let Some(server) = server::shared() else {
        return;
    };
    let options = server::options(&server.url());
    let direct = PostgresStore::open(options.clone()).unwrap();
    let polls = options
        .with_pooler(Pooler::Transaction)
        .with_poll(Duration::from_millis(20));
    let store = PostgresStore::open(polls).unwrap();
    let waits = store.clone();
    let got = tokio::spawn(async move {
        while claim(&waits, 1, LEASE).await.unwrap().is_empty() {
            waits.wait(&[queue()], LONG).await;
        }
    });
    enqueue(&direct, 1).await;
    tokio::time::timeout(PATIENCE, got).await.unwrap().unwrap();
}

/// T-1: the time is the server's.
#[tokio::test]
async fn the_clock_is_the_servers() {
    let Some(server) = server::shared() else {
        return;
    };
    let store = PostgresStore::open(server::options(&server.url())).unwrap();
    let (now, here) = (store.now().await.unwrap(), SystemClock::new().now());
    assert!(now.since(here).max(here.since(now)) < Duration::from_secs(60));
}
