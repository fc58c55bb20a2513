//! What a job costs the server: its CPU time, commands, calls and memory, by batch.
//!
//! ```sh
//! redis-server --port 7399 --save '' & cargo run -p longshore-redis --example cost -- 7399 $! 20000
//! ```
//!
//! The arguments are the port, the server's process, how many jobs go each way, and perhaps the
//! batches. The time is the process's own, which a slow client does not change; a busy machine does.

#![expect(
    clippy::print_stdout,
    reason = "an example says what it found where it was asked"
)]

use std::error::Error;
use std::fs;
use std::time::Duration;

use longshore_core::{
    ClaimRequest, Clock, NewJob, Outcome, Place, QueueName, Settlement, Store, SystemClock,
    WorkerId,
};
use longshore_redis::{RedisOptions, RedisStore};
use redis::{Client, Connection, cmd};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The server, beside the store.
struct Server {
    connection: Connection,
    process: u32,
}

impl Server {
    /// Microseconds of CPU that its process has used.
    fn cpu(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process))?;
        let (_, fields) = stat.rsplit_once(") ").ok_or("no such process")?;
        let mut times = fields.split(' ').skip(11);
        let mut next = || -> Result<f64> { Ok(times.next().ok_or("no time")?.parse()?) };
        // Linux counts in hundredths of a second.
        Ok((next()? + next()?) * 10_000.0)
    }

    /// Bytes of memory in use.
    fn memory(&mut self) -> Result<f64> {
        let said: String = cmd("INFO").arg("memory").query(&mut self.connection)?;
        let bytes = said
            .split("used_memory:")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        Ok(bytes.unwrap_or_default().parse()?)
    }

    /// Commands that were called, by functions too; and calls of functions.
    fn commands(&mut self) -> Result<(u64, u64)> {
        let said: String = cmd("INFO")
            .arg("commandstats")
            .query(&mut self.connection)?;
        let (mut all, mut functions) = (0, 0);
        for line in said.lines() {
            let Some((name, rest)) = line.split_once(":calls=") else {
                continue;
            };
            let calls: u64 = rest.split(',').next().unwrap_or("0").parse()?;
            match name {
                "cmdstat_fcall" | "cmdstat_evalsha" => functions += calls,
                "cmdstat_info" => {}
                _ => all += calls,
            }
        }
        Ok((all, functions))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("give PORT PROCESS JOBS");
    let (port, process, jobs) = (next()?, next()?.parse()?, next()?.parse()?);
    let url = format!("redis://127.0.0.1:{port}?prefix=cost");
    let connection = Client::open(url.as_str())?.get_connection()?;
    let mut server = Server {
        connection,
        process,
    };
    let store = RedisStore::open(RedisOptions::from_url(&url)?);
    let mut batches: Vec<usize> = arguments
        .map(|batch| batch.parse())
        .collect::<std::result::Result<_, _>>()?;
    if batches.is_empty() {
        batches = vec![1, 10, 100];
    }
    println!("| batch | part | server's CPU per job | commands | calls | bytes | jobs/s here |");
    println!("| ---: | --- | ---: | ---: | ---: | ---: | ---: |");
    for batch in batches {
        for part in [Part::Enqueue, Part::Claim, Part::Settle] {
            part.measure(&store, &mut server, jobs, batch).await?;
        }
        HELD.with_borrow_mut(Vec::clear);
    }
    Ok(())
}

thread_local! {
    /// What was claimed and not settled yet.
    static HELD: std::cell::RefCell<Vec<Settlement>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Enqueue,
    Claim,
    Settle,
}

impl Part {
    async fn measure(
        self,
        store: &RedisStore,
        server: &mut Server,
        jobs: usize,
        batch: usize,
    ) -> Result<()> {
        let queue: QueueName = "mail".try_into()?;
        let (memory, cpu, commands) = (server.memory()?, server.cpu()?, server.commands()?);
        let clock = SystemClock::new();
        let started = clock.now();
        for _ in 0..jobs / batch {
            match self {
                Self::Enqueue => enqueue(store, &queue, batch).await?,
                Self::Claim => claim(store, &queue, batch).await?,
                Self::Settle => {
                    let some = HELD.with_borrow_mut(|held| held.drain(..batch).collect());
                    for answer in store.settle(some).await? {
                        answer?;
                    }
                }
            }
        }
        let seconds = clock.now().since(started).as_secs_f64();
        let (cpu, after) = (server.cpu()? - cpu, server.commands()?);
        let all = jobs as f64;
        println!(
            "| {batch} | {self:?} | {:.1} µs | {:.2} | {:.2} | {:.0} | {:.0} |",
            cpu / all,
            (after.0 - commands.0) as f64 / all,
            (after.1 - commands.1) as f64 / all,
            (server.memory()? - memory) / all,
            all / seconds,
        );
        Ok(())
    }
}

async fn enqueue(store: &RedisStore, queue: &QueueName, batch: usize) -> Result<()> {
    let ids = store.mint(&vec![Place::new(queue.clone()); batch]).await?;
    let args = format!("{{\"to\":\"{}\"}}", "a".repeat(90));
    let mut jobs = Vec::new();
    for id in ids {
        let job = NewJob::new(id, queue.clone(), "send_mail".try_into()?, args.clone());
        jobs.push(job);
    }
    for answer in store.enqueue(jobs).await? {
        answer?;
    }
    Ok(())
}

async fn claim(store: &RedisStore, queue: &QueueName, batch: usize) -> Result<()> {
    let lease = Duration::from_secs(600);
    let worker = WorkerId::new("worker-1");
    let request = ClaimRequest::new(worker, vec![queue.clone()], batch, lease);
    let claimed = store.claim(&request).await?;
    if claimed.len() != batch {
        return Err("the store was not empty, or jobs are lost".into());
    }
    HELD.with_borrow_mut(|held| {
        held.extend(claimed.into_iter().map(|claimed| Settlement {
            job_id: claimed.job.id,
            token: claimed.lease.token,
            outcome: Outcome::Complete { result: None },
            follow_ups: Vec::new(),
            keep: None,
            span: None,
        }));
    });
    Ok(())
}
