//! A store of Longshore's, called directly by one caller. The measurements of stores use this file,
//! too.

use std::time::Duration;

use anyhow::{Result, bail};
use longshore_core::{ClaimRequest, NewJob, Outcome, Place, Settlement, Store, WorkerId};

/// The queue, and the kind of the jobs.
pub const QUEUE: &str = "bench";
pub const KIND: &str = "noop";

pub async fn new_jobs(store: &dyn Store, count: usize) -> Result<Vec<NewJob>> {
    let ids = store.mint(&vec![Place::new(QUEUE.parse()?); count]).await?;
    ids.into_iter()
        .map(|id| Ok(NewJob::new(id, QUEUE.parse()?, KIND.parse()?, "null")))
        .collect()
}

/// Enqueues jobs in calls of `batch`.
pub async fn enqueue(store: &dyn Store, jobs: usize, batch: usize) -> Result<()> {
    let mut made = 0;
    while made < jobs {
        let count = batch.min(jobs - made);
        for answer in store.enqueue(new_jobs(store, count).await?).await? {
            answer?;
        }
        made += count;
    }
    Ok(())
}

/// Claims jobs by `batch` and settles them, one call after the other.
pub async fn drain(store: &dyn Store, jobs: usize, batch: usize) -> Result<()> {
    let (worker, lease) = (WorkerId::new("longshore-bench"), Duration::from_secs(60));
    let mut request = ClaimRequest::new(worker, vec![QUEUE.parse()?], batch, lease);
    let mut done = 0;
    while done < jobs {
        let claimed = store.claim(&request).await?;
        request.turn += claimed.len() as u64;
        if claimed.is_empty() {
            bail!("the store ran out of jobs after {done} of {jobs}");
        }
        done += claimed.len();
        let settlements = claimed.into_iter().map(|claimed| Settlement {
            job_id: claimed.lease.job_id,
            token: claimed.lease.token,
            outcome: Outcome::Complete { result: None },
            follow_ups: Vec::new(),
            keep: None,
            span: None,
        });
        for answer in store.settle(settlements.collect()).await? {
            answer?;
        }
    }
    Ok(())
}
