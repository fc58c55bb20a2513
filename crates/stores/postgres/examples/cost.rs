//! What a job costs: CPU time of the server and of this process, bytes of the log, calls.
//!
//! ```sh
//! cargo run --release -p longshore-postgres --example cost -- \
//!     postgres://postgres@127.0.0.1:5432/postgres PROCESS 20000 1 10 100 1x100w 4x25w
//! ```
//!
//! The arguments are the URL, the server's first process, how many jobs go each way, and what to
//! measure: `10` are calls of ten jobs to the store, `4x25w` four workers that run 25 jobs at a time,
//! which do nothing, or `4x25w2` for 2 ms. Counts of calls need `track_functions = pl`. CPU time is
//! the processes' own, which a busy machine changes less than the rates.

#![expect(
    clippy::print_stdout,
    reason = "an example says what it found where it was asked"
)]

use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore_core::{
    ClaimRequest, NewJob, Outcome, Place, QueueName, Settlement, Store, WorkerId,
};
use longshore_postgres::sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, query};
use longshore_postgres::{PostgresOptions, PostgresStore};
use longshore_queue::{Attempt, JobError, Worker};
use tokio::sync::Notify;
use tokio::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// CPU time of a process and of the children that have ended, in microseconds.
fn cpu_of(process: &str) -> Option<(u32, f64)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let time = |at: usize| fields.get(at)?.parse::<f64>().ok();
    // Linux counts in hundredths of a second.
    let times = time(11)? + time(12)? + time(13)? + time(14)?;
    Some((fields.get(1)?.parse().ok()?, times * 10_000.0))
}

/// The same of the server and all its processes.
fn cpu_of_server(first: u32) -> Result<f64> {
    let mut sum = 0.0;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let is_first = name == first.to_string();
        match cpu_of(&name) {
            Some((parent, time)) if is_first || parent == first => sum += time,
            _ => {}
        }
    }
    Ok(sum)
}

struct Server {
    conn: PgConnection,
    process: u32,
}

/// What was used up to some moment.
struct Used {
    at: Instant,
    server: f64,
    client: f64,
    log: f64,
    claims: f64,
    settles: f64,
}

impl Server {
    async fn number(&mut self, sql: &str) -> Result<f64> {
        let sql = AssertSqlSafe(format!("SELECT ({sql})::float8"));
        let row = query(sql)
            .persistent(false)
            .fetch_one(&mut self.conn)
            .await?;
        Ok(row.try_get::<Option<f64>, _>(0)?.unwrap_or_default())
    }

    async fn calls(&mut self, of: &str) -> Result<f64> {
        let sum = format!("SELECT sum(calls) FROM pg_stat_user_functions WHERE funcname = '{of}'");
        self.number(&sum).await
    }

    async fn used(&mut self) -> Result<Used> {
        // Counts arrive a little after the calls.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        Ok(Used {
            claims: self.calls("claim").await?,
            settles: self.calls("settle").await?,
            log: self.number("pg_current_wal_lsn() - '0/0'").await?,
            server: cpu_of_server(self.process)?,
            client: cpu_of("self").ok_or("no /proc")?.1,
            at: Instant::now(),
        })
    }

    async fn print(
        &mut self,
        what: &str,
        jobs: usize,
        took: Duration,
        before: &Used,
    ) -> Result<()> {
        let all = jobs as f64;
        let now = self.used().await?;
        println!(
            "| {what} | {:.1} | {:.1} | {:.0} | {:.1} | {:.1} | {:.0} |",
            (now.client - before.client) / all,
            (now.server - before.server) / all,
            (now.log - before.log) / all,
            all / (now.claims - before.claims),
            all / (now.settles - before.settles),
            all / took.as_secs_f64(),
        );
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("give URL PROCESS JOBS");
    let (url, process, jobs) = (next()?, next()?.parse()?, next()?.parse::<usize>()?);
    let conn = PgConnection::connect(url.split('?').next().unwrap_or(&url)).await?;
    let mut server = Server { conn, process };
    let store = PostgresStore::open(PostgresOptions::from_url(&url)?)?;
    println!("| what | µs client | µs server | bytes of log | jobs a claim | a settle | jobs/s |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for wish in arguments {
        match wish.split_once('w') {
            Some((workers, lasting)) => {
                let lasting = lasting.parse().unwrap_or(0);
                let lasting = Duration::from_millis(lasting);
                let (workers, each) = workers.split_once('x').ok_or("say 4x25w")?;
                let workers = (workers.parse()?, each.parse()?);
                work(&mut server, &store, jobs, workers, lasting).await?;
            }
            None => direct(&mut server, &store, jobs, wish.parse()?).await?,
        }
    }
    Ok(())
}

fn name() -> Result<QueueName> {
    Ok("work".try_into()?)
}

async fn enqueue(store: &PostgresStore, count: usize) -> Result<()> {
    let places = vec![Place::new(name()?); count];
    let mut jobs = Vec::with_capacity(count);
    for id in store.mint(&places).await? {
        jobs.push(NewJob::new(
            id,
            name()?,
            "count".try_into()?,
            "{\"to\":\"ann@example.org\"}",
        ));
    }
    for answer in store.enqueue(jobs).await? {
        answer?;
    }
    Ok(())
}

async fn direct(
    server: &mut Server,
    store: &PostgresStore,
    jobs: usize,
    batch: usize,
) -> Result<()> {
    let calls = jobs / batch;
    let before = server.used().await?;
    for _ in 0..calls {
        enqueue(store, batch).await?;
    }
    let took = before.at.elapsed();
    server
        .print(&format!("enqueue by {batch}"), jobs, took, &before)
        .await?;
    let before = server.used().await?;
    let worker = WorkerId::new("worker-1");
    let request = ClaimRequest::new(worker, vec![name()?], batch, Duration::from_secs(60));
    let mut held = Vec::with_capacity(calls);
    for _ in 0..calls {
        let claimed = store.claim(&request).await?;
        let settlement = |claimed: longshore_core::Claimed| Settlement {
            job_id: claimed.job.id,
            token: claimed.lease.token,
            outcome: Outcome::Complete { result: None },
            follow_ups: Vec::new(),
            keep: None,
            span: None,
        };
        held.push(claimed.into_iter().map(settlement).collect::<Vec<_>>());
        // Settled a little later, as workers do.
        if held.len() > 2 {
            store.settle(held.remove(0)).await?;
        }
    }
    for settlements in held {
        store.settle(settlements).await?;
    }
    let took = before.at.elapsed();
    server
        .print(&format!("claim, settle by {batch}"), jobs, took, &before)
        .await
}

/// How many jobs have run, and who is told when that are all.
#[derive(Default)]
struct Tally {
    left: AtomicUsize,
    over: Notify,
}

async fn work(
    server: &mut Server,
    store: &PostgresStore,
    jobs: usize,
    (workers, each): (usize, usize),
    lasting: Duration,
) -> Result<()> {
    for _ in 0..jobs.div_ceil(1000) {
        enqueue(store, 1000).await?;
    }
    let all = jobs.div_ceil(1000) * 1000;
    let tally = Arc::new(Tally::default());
    tally.left.store(all, Ordering::Relaxed);
    let before = server.used().await?;
    let stop = Arc::new(Notify::new());
    let mut running = Vec::new();
    for _ in 0..workers {
        let tally = Arc::clone(&tally);
        let worker = Worker::builder(Arc::new(store.clone()))
            .queue("work")
            .concurrency(each)
            .handler_with(
                "count",
                tally,
                move |tally: Arc<Tally>, _: serde_json::Value, _: Attempt| async move {
                    if !lasting.is_zero() {
                        tokio::time::sleep(lasting).await;
                    }
                    if tally.left.fetch_sub(1, Ordering::Relaxed) == 1 {
                        tally.over.notify_one();
                    }
                    Ok::<(), JobError>(())
                },
            )
            .build()?;
        let stop = Arc::clone(&stop);
        running.push(tokio::spawn(
            async move { worker.run(stop.notified()).await },
        ));
    }
    tally.over.notified().await;
    let took = before.at.elapsed();
    stop.notify_waiters();
    for worker in running {
        worker.await??;
    }
    let what = format!(
        "{workers} workers, {each} at a time, {} ms",
        lasting.as_millis()
    );
    server.print(&what, all, took, &before).await
}
