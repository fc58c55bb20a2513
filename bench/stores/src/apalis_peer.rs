//! apalis 1.0 with its PostgreSQL and its Redis backend.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use apalis::layers::WorkerBuilderExt;
use apalis::prelude::*;
use apalis_postgres::{PgPool, PostgresStorage};
use apalis_redis::RedisStorage;
use sqlx::postgres::PgPoolOptions;

use crate::side::{QUEUE, Running, Side, Stopped, Tally};

/// How often workers look, beside what they are told: its documents show no shorter one.
const POLL: Duration = Duration::from_millis(10);

/// How jobs are pushed and run: the same calls for either backend, whose types share no trait that has
/// them all.
macro_rules! run_by_apalis {
    () => {
        async fn enqueue(&mut self, stamps: &[u64]) -> Result<()> {
            let mut items = futures::stream::iter(stamps.to_vec());
            let pushed = self.backend.push_stream(&mut items).await;
            pushed.map_err(|error| anyhow!("cannot push: {error}"))
        }

        async fn work(&mut self, concurrency: usize, tally: Arc<Tally>) -> Result<Running> {
            let worker = WorkerBuilder::new(name())
                .backend(self.backend.clone().poll_with_interval(POLL))
                .concurrency(concurrency)
                .data(tally)
                .build(ran);
            Ok(Running::start(|stopped: Stopped| async move {
                let stop = async {
                    let _stopped = stopped.await;
                    Ok::<(), std::io::Error>(())
                };
                let run = worker.run_until(stop).await;
                run.map_err(|error| anyhow!("{error}"))
            }))
        }
    };
}

pub struct Postgres {
    pool: PgPool,
    backend: PostgresStorage<u64>,
}

impl Postgres {
    pub async fn new(url: &str) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(10)
            .connect(url)
            .await?;
        let config = apalis_postgres::Config::default()
            .queue(QUEUE)
            .batch_size(100);
        let backend = PostgresStorage::new(&pool).with_config(config);
        Ok(Self { pool, backend })
    }
}

impl Side for Postgres {
    async fn set_up(&mut self) -> Result<String> {
        PostgresStorage::setup(&self.pool).await?;
        Ok(
            "batch_size 100, a poll every 10 ms, 10 connections; keeps jobs that are over"
                .to_owned(),
        )
    }

    run_by_apalis!();
}

pub struct Redis {
    backend: RedisStorage<u64>,
}

impl Redis {
    pub async fn new(url: &str) -> Result<Self> {
        let config = apalis_redis::Config::default().queue(QUEUE).batch_size(100);
        let connection = apalis_redis::connect(url).await?;
        let backend = RedisStorage::new(connection).with_config(config);
        Ok(Self { backend })
    }
}

impl Side for Redis {
    async fn set_up(&mut self) -> Result<String> {
        Ok(
            "batch_size 100, a poll every 10 ms; keeps jobs that are over; at most 7,000 jobs \
             waiting, since its workers end with `too many results to unpack` from 8,000 on"
                .to_owned(),
        )
    }

    run_by_apalis!();
}

/// Workers of one name would take each other's jobs for lost.
fn name() -> String {
    format!("bench-{}", std::process::id())
}

async fn ran(stamp: u64, tally: Data<Arc<Tally>>) -> Result<(), BoxDynError> {
    tally.ran(stamp);
    Ok(())
}
