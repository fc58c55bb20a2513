//! A store of Longshore's, called directly by one caller.

use std::time::Duration;

use anyhow::{Result, bail};
use longshore_core::{ClaimRequest, NewJob, Outcome, Place, Settlement, Store, WorkerId};

use crate::ours::KIND;
use crate::side::QUEUE;

/// Enqueues jobs in calls of `batch`.
pub async fn enqueue(store: &dyn Store, jobs: usize, batch: usize) -> Result<()> {
    let mut made = 0;
    while made < jobs {
        let count = batch.min(jobs - made);
        let ids = store.mint(&vec![Place::new(QUEUE.parse()?); count]).await?;
        let job = |id| Ok(NewJob::new(id, QUEUE.parse()?, KIND.parse()?, "null"));
        let jobs = ids.into_iter().map(job).collect::<Result<Vec<_>>>()?;
        for answer in store.enqueue(jobs).await? {
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
