//! Several handles and several processes on one file.

use std::collections::HashSet;
use std::io::BufRead;
use std::path::Path;
use std::time::Duration;

use longshore_core::{JobId, JobState, Store};

use longshore_sqlite::SqliteStore;

use crate::child::{child, given_file};
use crate::support::{Folder, claim, complete, job, jobs, open, queue};

/// The ids a child has printed, one after a mark in each line.
fn printed(line: &str) -> Option<JobId> {
    let (_, id) = line.split_once("id=")?;
    id.parse().ok()
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the parent process reads it")]
async fn part_enqueue_forever() {
    let Some(file) = given_file() else { return };
    let store = open(Path::new(&file));
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

#[tokio::test]
async fn what_a_killed_process_acknowledged_is_there() {
    let folder = Folder::new();
    let store = folder.store();
    let (mut child, output) = child("processes::part_enqueue_forever", &folder.file());
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
