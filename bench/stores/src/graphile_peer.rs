//! graphile_worker, the one in Rust.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, TaskHandler, WorkerContext, WorkerOptions,
    WorkerUtils,
};
use serde::{Deserialize, Serialize};

use crate::side::{Running, Side, Stopped, Tally};

pub struct Graphile {
    url: String,
    utils: Option<WorkerUtils>,
}

#[derive(Clone, Debug)]
struct Seen(Arc<Tally>);

#[derive(Clone, Deserialize, Serialize)]
struct Noop {
    stamp: u64,
}

impl TaskHandler for Noop {
    const IDENTIFIER: &'static str = "noop";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        if let Some(seen) = context.get_ext::<Seen>() {
            seen.0.ran(self.stamp);
        }
        Ok::<(), String>(())
    }
}

impl Graphile {
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            utils: None,
        }
    }

    fn options(&self) -> WorkerOptions {
        WorkerOptions::default()
            .database_url(&self.url)
            .max_pg_conn(10)
            .listen_os_shutdown_signals(false)
            .define_job::<Noop>()
    }

    async fn utils(&mut self) -> Result<&WorkerUtils> {
        if self.utils.is_none() {
            let worker = self.options().init().await;
            let worker = worker.map_err(|error| anyhow!("{error}"))?;
            self.utils = Some(worker.create_utils());
        }
        self.utils.as_ref().ok_or_else(|| anyhow!("no connection"))
    }
}

impl Side for Graphile {
    async fn set_up(&mut self) -> Result<String> {
        self.utils().await?;
        Ok(
            "local_queue of 500, complete_job_batch_delay 5 ms, poll_interval 500 ms and \
             notifications, 10 connections; deletes jobs that are over"
                .to_owned(),
        )
    }

    async fn enqueue(&mut self, stamps: &[u64]) -> Result<()> {
        let utils = self.utils().await?;
        let spec = JobSpec::default();
        let job = |&stamp: &u64| Noop { stamp };
        let added = match stamps {
            [stamp] => utils.add_job(job(stamp), spec).await.map(drop),
            stamps => {
                let jobs: Vec<_> = stamps.iter().map(|stamp| (job(stamp), &spec)).collect();
                utils.add_jobs::<Noop>(&jobs).await.map(drop)
            }
        };
        added.map_err(|error| anyhow!("{error}"))
    }

    async fn work(&mut self, concurrency: usize, tally: Arc<Tally>) -> Result<Running> {
        let worker = self
            .options()
            .concurrency(concurrency)
            .poll_interval(Duration::from_millis(500))
            .complete_job_batch_delay(Duration::from_millis(5))
            .local_queue(LocalQueueConfig::default().with_size(500))
            .add_extension(Seen(tally))
            .init()
            .await;
        let worker = Arc::new(worker.map_err(|error| anyhow!("{error}"))?);
        Ok(Running::start(|stopped: Stopped| async move {
            let stopping = Arc::clone(&worker);
            tokio::spawn(async move {
                let _stopped = stopped.await;
                stopping.request_shutdown();
            });
            worker.run().await.map_err(|error| anyhow!("{error}"))
        }))
    }
}
