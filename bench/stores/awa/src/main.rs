//! awa, driven line by line as `../src/side.rs` says: `longshore-bench-awa URL`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use awa::model::insert_many_copy_from_pool;
use awa::{Client, InsertOpts, InsertParams, JobArgs, JobResult, QueueConfig, insert_with};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

#[path = "../../src/side.rs"]
mod side;

use side::{QUEUE, Running, Side, Stopped, Tally};

struct Awa {
    pool: PgPool,
}

#[derive(Debug, Deserialize, JobArgs, Serialize)]
struct Noop {
    stamp: u64,
}

fn opts() -> InsertOpts {
    InsertOpts {
        queue: QUEUE.to_owned(),
        ..InsertOpts::default()
    }
}

impl Side for Awa {
    async fn set_up(&mut self) -> Result<String> {
        awa::migrations::run(&self.pool).await?;
        Ok(
            "insert_many_copy, poll_interval 50 ms and notifications, 20 connections; keeps jobs \
             that are over"
                .to_owned(),
        )
    }

    async fn enqueue(&mut self, stamps: &[u64]) -> Result<()> {
        if let &[stamp] = stamps {
            insert_with(&self.pool, &Noop { stamp }, opts()).await?;
            return Ok(());
        }
        let jobs = stamps
            .iter()
            .map(|&stamp| {
                Ok(InsertParams {
                    kind: Noop::kind().to_owned(),
                    args: serde_json::to_value(Noop { stamp })?,
                    opts: opts(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        insert_many_copy_from_pool(&self.pool, &jobs).await?;
        Ok(())
    }

    async fn work(&mut self, concurrency: usize, tally: Arc<Tally>) -> Result<Running> {
        let config = QueueConfig {
            max_workers: concurrency as u32,
            poll_interval: Duration::from_millis(50),
            ..QueueConfig::default()
        };
        let client = Client::builder(self.pool.clone())
            .queue(QUEUE, config)
            .register::<Noop, _, _>(move |job: Noop, _context| {
                let tally = Arc::clone(&tally);
                async move {
                    tally.ran(job.stamp);
                    Ok(JobResult::Completed)
                }
            })
            .build()?;
        client.start().await?;
        Ok(Running::start(|stopped: Stopped| async move {
            let _stopped = stopped.await;
            client.shutdown(Duration::from_secs(2)).await;
            Ok(())
        }))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    side::explain(run().await)
}

async fn run() -> Result<()> {
    let url = std::env::args()
        .nth(1)
        .context("usage: longshore-bench-awa URL")?;
    let pool = PgPoolOptions::new()
        .max_connections(20)
        .connect(&url)
        .await?;
    side::serve(Awa { pool }).await
}
