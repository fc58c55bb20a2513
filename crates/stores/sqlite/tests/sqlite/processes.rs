//! Several handles and several processes on one file.

use std::collections::HashSet;
use std::io::BufRead;
use std::path::Path;
use std::time::Duration;

use longshore_core::{JobId, JobState, Place, QueueName, Store, UniqueKey, UniqueScope};

use longshore_sqlite::rusqlite::Connection;
use longshore_sqlite::{Durability, SqliteOptions, SqliteStore};

use crate::child::{child, given_file};
use crate::support::{Folder, claim, claim_of, complete, job, jobs, open, queue};

/// The ids a child has printed, one after a mark in each line.
fn printed(line: &str) -> Option<JobId> {
    let (_, id) = line.split_once("id=")?;
    id.parse().ok()
}

#[tokio::test]
async fn part_enqueue_forever() {
    let Some(file) = given_file() else { return };
    enqueue_forever(open(Path::new(&file))).await;
}

#[tokio::test]
async fn part_enqueue_forever_relaxed() {
    let Some(file) = given_file() else { return };
    let options = SqliteOptions::at(Path::new(&file)).with_durability(Durability::Relaxed);
    enqueue_forever(SqliteStore::open(options).unwrap()).await;
}

#[expect(clippy::print_stdout, reason = "the parent process reads it")]
async fn enqueue_forever(store: SqliteStore) {
    loop {
        for enqueued in store.enqueue(jobs(&store, 3).await).await.unwrap() {
            println!("id={}", enqueued.unwrap().id());
        }
    }
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the parent process reads it")]
async fn part_drain() {
    let Some(file) = given_file() else { return };
    let store = open(Path::new(&file));
    loop {
        let claimed = claim(&store, 7).await;
        if claimed.is_empty() {
            return;
        }
        for claimed in &claimed {
            println!("id={}", claimed.job.id);
        }
        let settlements = claimed.iter().map(complete).collect();
        for settled in store.settle(settlements).await.unwrap() {
            settled.unwrap();
        }
    }
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the parent process reads it")]
async fn part_wait_for_a_job() {
    let Some(file) = given_file() else { return };
    let store = open(Path::new(&file));
    println!("ready");
    while claim(&store, 1).await.is_empty() {
        store.wait(&[queue()], Duration::from_secs(60)).await;
    }
    println!("id=got-one");
}

/// How many keys processes race for.
const KEYS: usize = 90;

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the parent process reads it")]
async fn part_race_for_keys() {
    let Some(file) = given_file() else { return };
    let store = open(Path::new(&file));
    for number in 0..KEYS {
        let mut new = jobs(&store, 1).await.remove(0);
        let scope = match number % 3 {
            0 => UniqueScope::Unfinished,
            1 => UniqueScope::Waiting,
            _ => UniqueScope::Window(Duration::from_secs(3600)),
        };
        let key = format!("key-{number}");
        new.unique_key = Some(UniqueKey::new(key, &new.kind, &new.args).with_scope(scope));
        let enqueued = store.enqueue(vec![new]).await.unwrap().remove(0).unwrap();
        println!("{} {number} id={}", enqueued.as_str(), enqueued.id());
    }
}

/// E-4: of several processes that want a key one gets it, in every scope, and all hear which job
/// that is.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_processes_gets_a_key() {
    let folder = Folder::new();
    let store = folder.store();
    let children: Vec<_> = (0..3)
        .map(|_| child("processes::part_race_for_keys", &folder.file()))
        .collect();
    let (mut created, mut answers) = (0, HashSet::new());
    for (mut child, output) in children {
        for line in output.lines().map_while(Result::ok) {
            let (what, answer) = line.split_once(' ').unwrap_or_default();
            created += usize::from(what == "created");
            if printed(&line).is_some() {
                answers.insert(answer.to_owned());
            }
        }
        assert!(child.wait().unwrap().success());
    }
    assert_eq!((created, answers.len()), (KEYS, KEYS), "{answers:?}");
    let available = store.queue_stats().await.unwrap()[0].available;
    assert_eq!(available, u64::try_from(KEYS).unwrap());
}

#[tokio::test]
async fn what_a_killed_process_acknowledged_is_there() {
    is_there_after_a_kill("processes::part_enqueue_forever").await;
}

#[tokio::test]
async fn relaxed_durability_survives_a_killed_process() {
    is_there_after_a_kill("processes::part_enqueue_forever_relaxed").await;
}

async fn is_there_after_a_kill(part: &str) {
    let folder = Folder::new();
    let store = folder.store();
    let (mut child, output) = child(part, &folder.file());
    let mut lines = output.lines().map_while(Result::ok);
    let mut ids: Vec<JobId> = lines
        .by_ref()
        .filter_map(|line| printed(&line))
        .take(300)
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    ids.extend(lines.filter_map(|line| printed(&line)));
    for id in &ids {
        let job = store.get(id).await.unwrap().unwrap();
        assert_eq!(job.state, JobState::Available);
    }
    let available = store.queue_stats().await.unwrap()[0].available;
    assert!(available >= u64::try_from(ids.len()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_work_and_never_a_job() {
    let folder = Folder::new();
    let store = folder.store();
    store.enqueue(jobs(&store, 1000).await).await.unwrap();
    let children: Vec<_> = (0..2)
        .map(|_| child("processes::part_drain", &folder.file()))
        .collect();
    let mut seen = HashSet::new();
    for (mut child, output) in children {
        let lines = output.lines().map_while(Result::ok);
        for id in lines.filter_map(|line| printed(&line)) {
            assert!(seen.insert(id), "a job was claimed twice");
        }
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(seen.len(), 1000);
    assert_eq!(store.queue_stats().await.unwrap()[0].completed, 1000);
}

/// Claims until nothing is left.
async fn drain(store: SqliteStore) -> Vec<JobId> {
    let mut ids = Vec::new();
    loop {
        let claimed = claim(&store, 3).await;
        if claimed.is_empty() {
            return ids;
        }
        ids.extend(claimed.into_iter().map(|claimed| claimed.job.id));
    }
}

/// Enqueues, claims and settles in many tasks, so that its next group never has to wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn part_loop_tightly() {
    let Some(file) = given_file() else { return };
    let store = open(Path::new(&file));
    let queue: QueueName = format!("of-{}", std::process::id()).parse().unwrap();
    let loops: Vec<_> = (0..12)
        .map(|_| tokio::spawn(loop_tightly(store.clone(), queue.clone())))
        .collect();
    for one in loops {
        one.await.unwrap();
    }
}

#[expect(clippy::print_stdout, reason = "the parent process reads it")]
async fn loop_tightly(store: SqliteStore, queue: QueueName) {
    loop {
        let place = Place::new(queue.clone());
        let id = store.mint(&[place]).await.unwrap().remove(0);
        let mut new = job(id, "{}");
        new.queue = queue.clone();
        store.enqueue(vec![new]).await.unwrap()[0].as_ref().unwrap();
        let claimed = claim_of(&store, &queue).await;
        for settled in store
            .settle(claimed.iter().map(complete).collect())
            .await
            .unwrap()
        {
            settled.unwrap();
        }
        println!("t");
    }
}

/// How many turns each process must have made while both were at it.
const TURNS: usize = 1000;
/// How many of the one there may be for one of the other.
const MOST_FOR_ONE: usize = 6;

#[tokio::test]
async fn processes_in_tight_loops_share_the_file_fairly() {
    let folder = Folder::new();
    let store = folder.store();
    let children: Vec<_> = (0..2)
        .map(|_| child("processes::part_loop_tightly", &folder.file()))
        .collect();
    // The first who has made its turns waits for the other, whose pipe is read after it.
    let mut running = Vec::new();
    for (child, output) in children {
        let mut lines = output.lines().map_while(Result::ok);
        let turns = lines.by_ref().filter(|line| line == "t");
        assert_eq!(turns.take(TURNS).count(), TURNS, "a call failed");
        running.push((child, lines));
    }
    for (mut child, _) in running {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let order = queues_in_order(&folder.file());
    let first = &order[0];
    let both = order.iter().position(|queue| queue != first).unwrap();
    let mut shares = [0; 2];
    for queue in &order[both..] {
        shares[usize::from(queue == first)] += 1;
        if shares.iter().all(|share| *share >= TURNS / 2) {
            break;
        }
    }
    let (less, more) = (shares[0].min(shares[1]), shares[0].max(shares[1]));
    assert!(less >= TURNS / 2, "{shares:?}: one never got its turns");
    assert!(more <= less * MOST_FOR_ONE, "{shares:?}: one is starved");
    assert_eq!(store.examine().await.unwrap().damage, [] as [String; 0]);
}

/// The queues of all jobs, in the order in which they were enqueued.
fn queues_in_order(file: &Path) -> Vec<String> {
    let conn = Connection::open(file).unwrap();
    let mut statement = conn
        .prepare("SELECT queue FROM longshore_job ORDER BY seq")
        .unwrap();
    let queues = statement.query_map([], |row| row.get(0)).unwrap();
    queues.map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_handles_never_claim_one_job_twice() {
    let folder = Folder::new();
    let store = folder.store();
    store.enqueue(jobs(&store, 500).await).await.unwrap();
    let handles: Vec<_> = (0..4)
        .map(|_| {
            let store = folder.store();
            tokio::spawn(drain(store))
        })
        .collect();
    let mut ids = Vec::new();
    for handle in handles {
        ids.extend(handle.await.unwrap());
    }
    let distinct: HashSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (500, 500));
}

#[tokio::test]
async fn a_job_enqueued_here_wakes_a_process_that_waits() {
    let folder = Folder::new();
    let store = folder.store();
    let (mut child, output) = child("processes::part_wait_for_a_job", &folder.file());
    let mut lines = output.lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line.contains("ready")));
    let new = job("the-job".parse().unwrap(), "{}");
    store.enqueue(vec![new]).await.unwrap();
    assert!(lines.any(|line| line.contains("id=got-one")));
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn a_job_enqueued_here_wakes_who_waits_here() {
    let folder = Folder::new();
    let store = folder.store();
    let waiter = store.clone();
    let waits = tokio::spawn(async move {
        while claim(&waiter, 1).await.is_empty() {
            waiter.wait(&[queue()], Duration::from_secs(600)).await;
        }
    });
    tokio::task::yield_now().await;
    store.enqueue(jobs(&store, 1).await).await.unwrap();
    waits.await.unwrap();
}
