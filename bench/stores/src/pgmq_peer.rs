//! pgmq, by its SQL-only installation and its own client.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use pgmq::PGMQueueExt;
use serde_json::Value;
use sqlx::postgres::PgPoolOptions;

use crate::side::{QUEUE, Running, Side, Stopped, Tally};

pub struct Pgmq {
    queue: PGMQueueExt,
}

impl Pgmq {
    pub async fn new(url: &str) -> Result<Self> {
        // Its own way to connect wants a password in the URL.
        let pool = PgPoolOptions::new()
            .max_connections(10)
            .connect(url)
            .await?;
        let queue = PGMQueueExt::new_with_pool(pool).await;
        Ok(Self { queue })
    }
}

/// For how long a message that was read is hidden from others, in seconds.
const HIDDEN: i32 = 30;

impl Side for Pgmq {
    async fn set_up(&mut self) -> Result<String> {
        self.queue.install_sql_from_embedded().await?;
        self.queue.create(QUEUE).await?;
        Ok(
            "read_with_poll of as many as run at a time every 10 ms, deleted in one call; no \
             retries, no record of jobs that are over"
                .to_owned(),
        )
    }

    async fn enqueue(&mut self, stamps: &[u64]) -> Result<()> {
        match stamps {
            [stamp] => drop(self.queue.send(QUEUE, stamp).await?),
            stamps => drop(self.queue.send_batch(QUEUE, stamps).await?),
        }
        Ok(())
    }

    async fn work(&mut self, concurrency: usize, tally: Arc<Tally>) -> Result<Running> {
        let (queue, most) = (self.queue.clone(), concurrency as i32);
        Ok(Running::start(|mut stopped: Stopped| async move {
            let (wait, poll) = (Duration::from_secs(1), Duration::from_millis(10));
            loop {
                let read = queue.read_batch_with_poll::<u64, Value>(
                    QUEUE,
                    HIDDEN,
                    most,
                    Some(wait),
                    Some(poll),
                );
                let messages = tokio::select! {
                    messages = read => messages?,
                    _ = &mut stopped => return Ok(()),
                };
                for message in &messages {
                    tally.ran(message.message);
                }
                let ids: Vec<i64> = messages.iter().map(|message| message.msg_id).collect();
                if !ids.is_empty() {
                    queue.delete_batch(QUEUE, &ids).await?;
                }
            }
        }))
    }
}
