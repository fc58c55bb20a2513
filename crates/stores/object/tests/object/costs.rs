//! What calls cost in requests: counted, and shown by `docs/object-store.md`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use longshore_core::register::WorkerEntry;
use longshore_core::{
    AttemptError, ClaimRequest, Claimed, Clock, Import, Job, JobFilter, NewJob, Outcome,
    PruneRequest, Store, Timestamp, UniqueKey, WorkerId,
};
use longshore_object::{ObjectStore, Tuning};
use longshore_testkit::{ManualClock, SeededRandom};

use crate::script::{complete, new_job, place, settlement, wish};
use crate::server::{Actor, Sent, Server};

/// A server, and processes with the usual times, but for what would make a test wait.
pub(crate) struct Bench {
    clock: Arc<ManualClock>,
    server: Arc<Server>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let server = Arc::new(Server::new(clock.clone()));
        Self { clock, server }
    }

    pub(crate) async fn process(&self, seed: u64) -> ObjectStore {
        let tuning = Tuning {
            gather: Duration::from_millis(20),
            ..Tuning::default()
        };
        self.process_with(seed, tuning).await
    }

    async fn process_with(&self, seed: u64, tuning: Tuning) -> ObjectStore {
        let actor = Arc::new(Actor::of(&self.server));
        let random = Arc::new(SeededRandom::new(seed));
        let store = ObjectStore::open_with(actor, random, tuning).await.unwrap();
        // The list of queues is known from here on, as to every process that lives for long.
        store.mint(&[place()]).await.unwrap();
        store
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// What is sent by what follows is counted from here on.
    pub(crate) fn begin(&self) {
        self.server.take_sent();
    }

    pub(crate) fn take_sent(&self) -> Sent {
        self.server.take_sent()
    }
}

/// A clock that goes on by a third of a millisecond whenever it is read.
#[derive(Debug, Default)]
struct Running(AtomicU64);

impl Clock for Running {
    fn now(&self) -> Timestamp {
        let readings = self.0.fetch_add(1, Ordering::Relaxed);
        Timestamp::UNIX_EPOCH.after(SECOND * 1_000_000 + SECOND / 3000 * readings as u32)
    }

    fn monotonic(&self) -> Duration {
        self.now().since(Timestamp::UNIX_EPOCH)
    }
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Enqueues so many jobs in calls of so many.
pub(crate) async fn enqueue(store: &ObjectStore, jobs: usize, together: usize) {
    for _ in 0..jobs / together {
        let ids = store.mint(&vec![place(); together]).await.unwrap();
        let new = ids.into_iter().map(new_job).collect();
        let answers = store.enqueue(new).await.unwrap();
        assert!(answers.iter().all(Result::is_ok));
    }
}

async fn settle_all(store: &ObjectStore, claimed: &[Claimed]) {
    let settlements = claimed.iter().map(complete).collect();
    let answers = store.settle(settlements).await.unwrap();
    assert!(answers.iter().all(Result::is_ok));
}

async fn prune(bench: &Bench, store: &ObjectStore, limit: usize) -> usize {
    bench.pass(Duration::from_secs(7200));
    let over = store.now().await.unwrap();
    store
        .prune(&PruneRequest::before(over, limit))
        .await
        .unwrap()
}

/// A row of the table: what was done, how often, and the requests of all of it.
struct Row(&'static str, u64, Sent);

impl Row {
    fn line(&self) -> String {
        let Self(what, times, sent) = self;
        let each = |count: u64| {
            let text = format!("{:.3}", count as f64 / *times as f64);
            let text = text.trim_end_matches('0').trim_end_matches('.');
            text.to_owned()
        };
        let (put, get) = (each(sent.put), each(sent.get));
        let (list, delete) = (each(sent.list), each(sent.delete));
        format!("| {what} | {put} | {get} | {list} | {delete} |")
    }
}

/// Jobs of batches of so many are enqueued by one process, and claimed and settled by another, so
/// many at a time; then they are pruned.
async fn success(what: &'static str, together: usize, at_a_time: usize) -> Row {
    let bench = Bench::new();
    let (producer, worker) = (bench.process(1).await, bench.process(2).await);
    bench.begin();
    enqueue(&producer, 1000, together).await;
    bench.pass(SECOND);
    let mut done = 0;
    while done < 1000 {
        let claimed = worker.claim(&wish("worker-1", at_a_time)).await.unwrap();
        assert_eq!(claimed.len(), at_a_time, "after {done}");
        settle_all(&worker, &claimed).await;
        done += claimed.len();
    }
    let pruned = prune(&bench, &worker, 1000).await;
    assert_eq!(pruned, 1000);
    Row(what, 1000, bench.server.take_sent())
}

async fn retried() -> Row {
    let bench = Bench::new();
    let (producer, worker) = (bench.process(1).await, bench.process(2).await);
    enqueue(&producer, 10, 1).await;
    bench.pass(SECOND);
    bench.begin();
    for round in 0..2 {
        let claimed = worker.claim(&wish("worker-1", 10)).await.unwrap();
        assert_eq!(claimed.len(), 10);
        if round == 1 {
            settle_all(&worker, &claimed).await;
            break;
        }
        let error = AttemptError::new("check", "as the test wants");
        let available_at = worker.now().await.unwrap().after(90 * SECOND);
        let outcome = Outcome::Retry {
            available_at,
            error,
        };
        let failed = claimed
            .iter()
            .map(|claimed| settlement(claimed, outcome.clone()));
        worker.settle(failed.collect()).await.unwrap();
        bench.pass(100 * SECOND);
    }
    Row(
        "claimed, failed, and run again 90 s later",
        10,
        bench.server.take_sent(),
    )
}

async fn cancelled() -> Row {
    let bench = Bench::new();
    let (producer, other) = (bench.process(1).await, bench.process(2).await);
    let ids = producer.mint(&[place()]).await.unwrap();
    let new = ids.iter().cloned().map(new_job).collect();
    producer.enqueue(new).await.unwrap();
    bench.begin();
    other.cancel(&ids).await.unwrap();
    Row(
        "a waiting job is cancelled, by another process",
        1,
        bench.server.take_sent(),
    )
}

async fn unique() -> [Row; 2] {
    let bench = Bench::new();
    let (producer, other) = (bench.process(1).await, bench.process(2).await);
    let keyed = |id| -> NewJob {
        let mut new = new_job(id);
        new.unique_key = Some(UniqueKey::new("key", &new.kind, &new.args));
        new
    };
    let mut rows = Vec::new();
    for (store, what) in [
        (&producer, "enqueued with a unique key that is free"),
        (&other, "enqueued with one that another job has: a hit"),
    ] {
        let id = store.mint(&[place()]).await.unwrap().remove(0);
        bench.begin();
        let answers = store.enqueue(vec![keyed(id)]).await.unwrap();
        assert!(answers.iter().all(Result::is_ok));
        rows.push(Row(what, 1, bench.server.take_sent()));
    }
    rows.try_into().ok().unwrap()
}

/// Jobs of another store come, and come again.
async fn brought() -> [Row; 2] {
    let bench = Bench::new();
    let store = bench.process(1).await;
    let job = |number: usize| {
        let new = new_job(format!("brought-{number}").parse().unwrap());
        Job::from_new(new, bench.clock.now())
    };
    let mut rows = Vec::new();
    for what in [
        "a job of another store is brought, with others",
        "the same that was there already",
    ] {
        bench.begin();
        for first in [0, 500] {
            let jobs = (first..first + 500).map(job).collect();
            let answers = store.import(jobs).await.unwrap();
            assert!(answers.iter().all(Result::is_ok));
        }
        rows.push(Row(what, 1000, bench.server.take_sent()));
    }
    rows.try_into().ok().unwrap()
}

/// Ten minutes of a worker that finds nothing, as the engine calls the store.
async fn idle() -> Row {
    let bench = Bench::new();
    let worker = bench.process(1).await;
    worker.claim(&wish("worker-1", 8)).await.unwrap();
    bench.begin();
    for second in 0..600 {
        bench.pass(SECOND);
        worker.claim(&wish("worker-1", 8)).await.unwrap();
        if second % 5 == 0 {
            worker.rescue(100).await.unwrap();
        }
    }
    Row(
        "a worker without jobs, a minute",
        10,
        bench.server.take_sent(),
    )
}

const BEGIN: &str = "<!-- The table of requests: LONGSHORE_WRITE_PAGES=1 writes it. -->\n";

/// The page shows what is counted here.
#[tokio::test]
async fn the_page_says_what_requests_calls_take() {
    let hundred = success("a job in a batch of 100, from enqueue to prune", 100, 100).await;
    let Sent {
        put,
        get,
        list,
        delete,
        ..
    } = hundred.2;
    let each = (put + get + list + delete) as f64 / 1000.0;
    assert!(each <= 0.15, "{each} requests a job");
    let mut rows = vec![
        hundred,
        success("the same, claimed and settled 10 at a time", 100, 10).await,
        success("a job in a batch of 10", 10, 10).await,
        success("a job in a batch of its own", 1, 100).await,
        retried().await,
        cancelled().await,
    ];
    rows.extend(unique().await);
    rows.push(idle().await);
    rows.extend(brought().await);
    let mut table =
        "| what | PUT | GET | LIST | DELETE |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for row in &rows {
        writeln!(table, "{}", row.line()).unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/object-store.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let end = rest.find("\n\n").unwrap();
    let expected = format!("{before}{BEGIN}{table}{}", &rest[end + 1..]);
    if std::env::var_os("LONGSHORE_WRITE_PAGES").is_some() {
        std::fs::write(path, &expected).unwrap();
        return;
    }
    assert!(
        page == expected,
        "docs/object-store.md is out of date; LONGSHORE_WRITE_PAGES=1 writes it:\n{table}"
    );
}

/// No call asks for more than its bound, however much there is.
#[tokio::test]
async fn calls_are_bounded_among_ten_thousand_batches() {
    let bench = Bench::new();
    let (producer, worker) = (bench.process(1).await, bench.process(2).await);
    enqueue(&producer, 10_000, 1).await;
    bench.pass(SECOND);
    let total = |sent: Sent| (sent.get, sent.list);

    bench.begin();
    let claimed = worker.claim(&wish("worker-1", 10)).await.unwrap();
    assert_eq!(claimed.len(), 10);
    let (get, list) = total(bench.server.take_sent());
    assert!(get <= 10 && list <= 2, "a claim: {get} GET, {list} LIST");

    let stats = worker.queue_stats().await.unwrap();
    let counted: Vec<(u64, u64)> = stats.iter().map(|of| (of.available, of.running)).collect();
    assert_eq!(counted, [(9990, 10)]);
    let (get, list) = total(bench.server.take_sent());
    assert!(get <= 10 && list <= 25, "a count: {get} GET, {list} LIST");

    let mut cursor = None;
    let mut seen = 0;
    for page in 0..3 {
        let filter = JobFilter::default();
        let listed = worker.list(&filter, cursor.as_deref(), 50).await.unwrap();
        seen += listed.jobs.len();
        cursor = listed.next_cursor;
        let (get, list) = total(bench.server.take_sent());
        let most = if page == 0 { 30 } else { 15 };
        assert!(
            get <= 200 && list <= most,
            "page {page}: {get} GET, {list} LIST"
        );
    }
    assert_eq!(seen, 150);

    worker.rescue(100).await.unwrap();
    let (get, list) = total(bench.server.take_sent());
    assert!(get <= 256 && list <= 1, "a rescue: {get} GET, {list} LIST");

    for _ in 0..10 {
        let claimed = worker.claim(&wish("worker-1", 1000)).await.unwrap();
        settle_all(&worker, &claimed).await;
    }
    settle_all(&worker, &claimed).await;
    bench.begin();
    let pruned = prune(&bench, &producer, 100).await;
    let sent = bench.server.take_sent();
    assert_eq!(pruned, 100);
    // With the first sweep, which the process that prunes first does.
    assert!(
        sent.get <= 2300 && sent.list <= 100 && sent.put <= 110,
        "{sent:?}"
    );
}

/// Jobs of one call share a batch however often the clock goes on while they are named.
#[tokio::test]
async fn a_running_clock_parts_no_batch() {
    let server = Arc::new(Server::new(Arc::new(Running::default())));
    let (actor, random) = (Arc::new(Actor::of(&server)), Arc::new(SeededRandom::new(1)));
    let store = ObjectStore::open(actor, random).await.unwrap();
    enqueue(&store, 100, 100).await;
    server.take_sent();
    enqueue(&store, 1000, 100).await;
    let sent = server.take_sent();
    assert_eq!((sent.put, sent.get), (10, 0), "{sent:?}");
}

/// Documents that have not changed are not read to be listed.
#[tokio::test]
async fn documents_are_read_once_to_be_listed() {
    let bench = Bench::new();
    let (writer, reader) = (bench.process(1).await, bench.process(2).await);
    for number in 0..200 {
        let name = format!("schedule/{number:03}");
        writer.write_document(&name, 0, "{}".into()).await.unwrap();
        if number % 2 == 1 {
            writer.delete_document(&name, 1).await.unwrap();
        }
    }
    for reads in [200, 0] {
        bench.begin();
        let listed = reader
            .list_documents("schedule/", None, 1000)
            .await
            .unwrap();
        assert_eq!(listed.len(), 100);
        let sent = bench.server.take_sent();
        assert_eq!((sent.get, sent.list), (reads, 1));
    }
}

/// Ten thousand batches that others run hide no batch that waits.
#[tokio::test]
async fn a_long_head_of_running_batches_hides_nothing() {
    let bench = Bench::new();
    let (producer, busy, idle) = (
        bench.process(1).await,
        bench.process(2).await,
        bench.process(3).await,
    );
    enqueue(&producer, 10_000, 1).await;
    bench.pass(SECOND);
    let mut running = 0;
    while running < 10_000 {
        running += busy.claim(&wish("worker-1", 1000)).await.unwrap().len();
    }
    enqueue(&producer, 1, 1).await;
    bench.pass(SECOND);
    bench.begin();
    let mut calls = 0;
    while idle.claim(&wish("worker-2", 1)).await.unwrap().is_empty() {
        calls += 1;
        bench.pass(SECOND);
        assert!(calls < 10, "it is not found");
    }
    let sent = bench.server.take_sent();
    assert!(sent.list <= 40 && sent.refused <= 20, "{sent:?}");
}

/// Calls that come at the same time for one batch share its writes.
#[tokio::test]
async fn settles_that_come_together_are_one_write() {
    let bench = Bench::new();
    let worker = Arc::new(bench.process(1).await);
    enqueue(&worker, 100, 100).await;
    bench.pass(SECOND);
    let claimed = worker.claim(&wish("worker-1", 100)).await.unwrap();
    let (first, others) = claimed.split_first().unwrap();
    settle_all(&worker, std::slice::from_ref(first)).await;
    bench.begin();
    let mut settles = tokio::task::JoinSet::new();
    for claimed in others {
        let (worker, settled) = (Arc::clone(&worker), complete(claimed));
        settles.spawn(async move { worker.settle(vec![settled]).await.unwrap().remove(0) });
    }
    while let Some(settled) = settles.join_next().await {
        settled.unwrap().unwrap();
    }
    let sent = bench.server.take_sent();
    assert!(sent.put <= 3, "{sent:?}");
}

/// Workers that list the same line do not all go for the same batch.
#[tokio::test]
async fn workers_take_turns() {
    let mut refused = Vec::new();
    for (turns, shards) in [(false, 1), (true, 1), (true, 4)] {
        let bench = Bench::new();
        let tuning = Tuning {
            turns,
            shards,
            ..Tuning::default()
        };
        let producer = bench.process_with(0, tuning).await;
        enqueue(&producer, 2000, 10).await;
        bench.pass(SECOND);
        let mut workers = Vec::new();
        for number in 0..10 {
            let id = WorkerId::new(&format!("worker-{number}"));
            let name = WorkerEntry::document(&id);
            producer
                .write_document(&name, 0, "{}".into())
                .await
                .unwrap();
            workers.push((id, bench.process_with(number + 1, tuning).await));
        }
        // All have listed the line before the first of them claims.
        for (_, worker) in &workers {
            worker.wait(&["q".parse().unwrap()], Duration::ZERO).await;
        }
        bench.begin();
        let mut done = 0;
        for _ in 0..8 {
            bench.pass(SECOND / 10);
            for (id, worker) in &workers {
                let queues = vec!["q".parse().unwrap()];
                let request = ClaimRequest::new(id.clone(), queues, 10, 30 * SECOND);
                let claimed = worker.claim(&request).await.unwrap();
                settle_all(worker, &claimed).await;
                done += claimed.len();
            }
        }
        refused.push((done, bench.server.take_sent().refused));
    }
    // Vain tries for a thousand jobs.
    let rates = refused
        .iter()
        .map(|(done, vain)| vain * 1000 / *done as u64);
    let [alone, turns, shards] = rates.collect::<Vec<u64>>()[..] else {
        panic!("{refused:?}");
    };
    let all_done = refused.iter().skip(1).all(|(done, _)| *done >= 700);
    assert!(
        all_done && turns * 4 <= alone && shards * 3 <= alone * 2,
        "jobs and vain tries: {refused:?}"
    );
}
