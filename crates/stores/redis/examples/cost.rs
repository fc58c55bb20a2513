//! What a job costs the server: its CPU time, commands, calls and memory, by batch.
//!
//! ```sh
//! redis-server --port 7399 --save '' & cargo run -p longshore-redis --example cost -- 7399 $! 20000
//! ```
//!
//! The arguments are the port, the server's process, how many jobs go each way, and perhaps the
//! batches; `1x16` are calls of one job, sixteen at a time. `queues` compares one store of eight
//! queues with eight stores of one. The time is the process's own, which a slow client does not
//! change; a busy machine does.

#![expect(
    clippy::print_stdout,
    reason = "an example says what it found where it was asked"
)]

use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use longshore_core::{
    ClaimRequest, Clock, NewJob, Outcome, Place, QueueName, Settlement, Store, SystemClock,
    WorkerId,
};
use longshore_redis::{RedisOptions, RedisStore};
use redis::{Client, Connection, cmd};
use tokio::sync::Mutex;

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
    let connection = Client::open(format!("redis://127.0.0.1:{port}"))?.get_connection()?;
    let mut server = Server {
        connection,
        process,
    };
    let open = |prefix: String| -> Result<RedisStore> {
        let url = format!("redis://127.0.0.1:{port}?prefix={prefix}");
        Ok(RedisStore::open(RedisOptions::from_url(&url)?))
    };
    let mut wishes: Vec<String> = arguments.collect();
    if wishes.is_empty() {
        wishes = ["1", "1x16", "10", "100"].map(str::to_owned).to_vec();
    }
    println!("| batch | part | server's CPU per job | commands | calls | bytes | jobs/s here |");
    println!("| ---: | --- | ---: | ---: | ---: | ---: | ---: |");
    for wish in wishes {
        if wish == "queues" {
            let stores: Vec<_> = (0..8)
                .map(|number| open(format!("cost-{number}")))
                .collect::<Result<_>>()?;
            queues(&mut server, &stores, jobs).await?;
            continue;
        }
        let (batch, lanes) = wish.split_once('x').unwrap_or((&wish, "1"));
        let store = open(format!("cost-{wish}"))?;
        let lane = Lane::new(&store, batch.parse()?, &["mail"])?;
        let lanes = vec![lane; lanes.parse()?];
        for part in [Part::Enqueue, Part::Claim, Part::Settle] {
            measure(&wish, part, &mut server, &lanes, jobs).await?;
        }
    }
    Ok(())
}

/// Eight jobs of eight queues: claimed by one call, and by a call to a store each.
async fn queues(server: &mut Server, stores: &[RedisStore], jobs: usize) -> Result<()> {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let [first, ..] = stores else { return Ok(()) };
    let together = vec![Lane::new(first, 8, &names)?];
    let apart = stores
        .iter()
        .zip(names)
        .map(|(store, name)| Lane::new(store, 1, &[name]))
        .collect::<Result<Vec<Lane>>>()?;
    for (name, lanes) in [("8 queues, 1 store", together), ("8 stores", apart)] {
        for part in [Part::Enqueue, Part::Claim, Part::Settle] {
            measure(name, part, server, &lanes, jobs).await?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Enqueue,
    Claim,
    Settle,
}

/// One who makes calls, one after the other.
#[derive(Clone)]
struct Lane {
    store: RedisStore,
    batch: usize,
    queues: Vec<QueueName>,
    /// What was claimed and not settled yet.
    held: Arc<Mutex<Vec<Settlement>>>,
}

async fn measure(
    name: &str,
    part: Part,
    server: &mut Server,
    lanes: &[Lane],
    jobs: usize,
) -> Result<()> {
    let before = (server.memory()?, server.cpu()?, server.commands()?);
    let clock = SystemClock::new();
    let started = clock.now();
    let a_round: usize = lanes.iter().map(|lane| lane.batch).sum();
    for _ in 0..jobs / a_round {
        try_join_all(lanes.iter().map(|lane| lane.call(part))).await?;
    }
    let seconds = clock.now().since(started).as_secs_f64();
    let all = (jobs / a_round * a_round) as f64;
    let commands = server.commands()?;
    println!(
        "| {name} | {part:?} | {:.1} µs | {:.2} | {:.2} | {:.0} | {:.0} |",
        (server.cpu()? - before.1) / all,
        (commands.0 - before.2.0) as f64 / all,
        (commands.1 - before.2.1) as f64 / all,
        (server.memory()? - before.0) / all,
        all / seconds,
    );
    Ok(())
}

impl Lane {
    fn new(store: &RedisStore, batch: usize, queues: &[&str]) -> Result<Self> {
        let queues = queues.iter().map(|name| (*name).try_into());
        Ok(Self {
            store: store.clone(),
            batch,
            queues: queues.collect::<std::result::Result<_, _>>()?,
            held: Arc::default(),
        })
    }

    async fn call(&self, part: Part) -> Result<()> {
        match part {
            Part::Enqueue => self.enqueue().await,
            Part::Claim => self.claim().await,
            Part::Settle => {
                let some = self.held.lock().await.drain(..self.batch).collect();
                for answer in self.store.settle(some).await? {
                    answer?;
                }
                Ok(())
            }
        }
    }

    async fn enqueue(&self) -> Result<()> {
        let queues = || self.queues.iter().cycle().take(self.batch).cloned();
        let places: Vec<Place> = queues().map(Place::new).collect();
        let args = format!("{{\"to\":\"{}\"}}", "a".repeat(90));
        let mut jobs = Vec::new();
        for (id, queue) in self.store.mint(&places).await?.into_iter().zip(queues()) {
            jobs.push(NewJob::new(
                id,
                queue,
                "send_mail".try_into()?,
                args.clone(),
            ));
        }
        for answer in self.store.enqueue(jobs).await? {
            answer?;
        }
        Ok(())
    }

    async fn claim(&self) -> Result<()> {
        let lease = Duration::from_secs(600);
        let worker = WorkerId::new("worker-1");
        let request = ClaimRequest::new(worker, self.queues.clone(), self.batch, lease);
        let claimed = self.store.claim(&request).await?;
        if claimed.len() != self.batch {
            return Err("the store was not empty, or jobs are lost".into());
        }
        let settlements = claimed.into_iter().map(|claimed| Settlement {
            job_id: claimed.job.id,
            token: claimed.lease.token,
            outcome: Outcome::Complete { result: None },
            follow_ups: Vec::new(),
            keep: None,
            span: None,
        });
        self.held.lock().await.extend(settlements);
        Ok(())
    }
}
