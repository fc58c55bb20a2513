//! Requests and bytes of a job on object storage, counted by the bucket, beside the scheme of oq.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use longshore_core::{PruneRequest, Store as _, SystemRandom};
use longshore_object::{Landing, ObjectStore, Objects, Range};

use crate::bucket::{Bucket, Count};
use crate::direct;
use crate::measure::Table;

const JOBS: usize = 10_000;

/// Dollars for a million requests to S3 in us-east-1: PUT and LIST, and GET. DELETE costs nothing.
const PUT: f64 = 5.0;
const GET: f64 = 0.4;

pub async fn rows() -> Result<()> {
    let mut table = Table::new(
        format!(
            "Object storage: requests a job, {JOBS} jobs enqueued and then run, one caller, pruned \
             later"
        ),
        &[
            "queue",
            "in a call",
            "PUT",
            "GET",
            "DELETE",
            "LIST",
            "all",
            "of these, pruning",
            "bytes written",
            "bytes read",
            "$ per million jobs on S3",
        ],
    );
    for batch in [1, 10, 100] {
        let jobs = if batch == 1 { JOBS / 10 } else { JOBS };
        let bucket = Arc::new(Bucket::default());
        let (run, pruned) = ours(&bucket, jobs, batch).await?;
        table.row(cells("Longshore", batch, jobs, run, pruned));
    }
    let (run, pruned) = oq(JOBS / 10).await?;
    table.row(cells("oq's scheme", 1, JOBS / 10, run, pruned));
    table.print();
    println!(
        "Both are called as fast as they answer, so that the share of listing is that of a \
         backlog; who waits for jobs lists at its own pace. oq (buquet) is run by its scheme: a \
         task is an object that is replaced by each transition, with markers for those that are \
         ready and those that are leased; it keeps tasks that are over.\n"
    );
    Ok(())
}

fn cells(name: &str, batch: usize, jobs: usize, run: Count, pruned: Count) -> Vec<String> {
    let sum = |of: fn(&Count) -> usize| (of(&run) + of(&pruned)) as f64 / jobs as f64;
    let requests = |count: &Count| count.put + count.get + count.delete + count.list;
    let (put, get) = (sum(|count| count.put), sum(|count| count.get));
    let list = sum(|count| count.list);
    vec![
        name.to_owned(),
        batch.to_string(),
        format!("{put:.3}"),
        format!("{get:.3}"),
        format!("{:.3}", sum(|count| count.delete)),
        format!("{list:.3}"),
        format!("{:.3}", sum(requests)),
        format!("{:.3}", requests(&pruned) as f64 / jobs as f64),
        format!("{:.0}", sum(|count| count.bytes_in)),
        format!("{:.0}", sum(|count| count.bytes_out)),
        format!("{:.2}", (put + list) * PUT + get * GET),
    ]
}

async fn ours(bucket: &Arc<Bucket>, jobs: usize, batch: usize) -> Result<(Count, Count)> {
    let objects: Arc<dyn Objects> = Arc::<Bucket>::clone(bucket);
    let producer = ObjectStore::open(Arc::clone(&objects), Arc::new(SystemRandom)).await?;
    // Another process, which has to look for what there is.
    let worker = ObjectStore::open(objects, Arc::new(SystemRandom)).await?;
    let _opening = bucket.take_count();
    direct::enqueue(&producer, jobs, batch).await?;
    direct::drain(&worker, jobs, batch).await?;
    let run = bucket.take_count();
    bucket.pass(Duration::from_secs(4 * 3600));
    // A call takes as many as it finds by a bounded number of reads.
    let mut pruned = 0;
    while pruned < jobs {
        let request = PruneRequest::before(bucket.now(), jobs);
        match worker.prune(&request).await? {
            0 => bail!("{pruned} of {jobs} jobs were pruned"),
            some => pruned += some,
        }
    }
    Ok((run, bucket.take_count()))
}

/// oq's requests for `jobs` tasks that are submitted, and then run one by one.
async fn oq(jobs: usize) -> Result<(Count, Count)> {
    let bucket = Bucket::default();
    let task = |status: &str| {
        Bytes::from(format!(
            "{{\"id\":\"01890a5d-ac96-774b-bcce-b302099a8057\",\"shard\":\"0\",\
             \"task_type\":\"noop\",\"input\":null,\"output\":null,\"timeout_seconds\":300,\
             \"max_retries\":3,\"retry_count\":0,\"retry_policy\":{{\"initial_ms\":1000,\
             \"max_ms\":60000,\"multiplier\":2.0,\"jitter\":0.25}},\"status\":\"{status}\",\
             \"created_at\":\"2026-11-20T12:00:00Z\",\"available_at\":\"2026-11-20T12:00:00Z\",\
             \"attempt\":0,\"updated_at\":\"2026-11-20T12:00:00Z\"}}"
        ))
    };
    for number in 0..jobs {
        bucket
            .create(&format!("tasks/0/{number:08}.json"), task("pending"))
            .await?;
        bucket
            .create(&format!("ready/0/0029667600/{number:08}"), Bytes::new())
            .await?;
    }
    loop {
        // A page of markers, then what they lead to, each by itself.
        let range = Range {
            prefix: "ready/0/",
            after: None,
            end: None,
            limit: 100,
        };
        let listed = bucket.list(range).await?;
        if listed.is_empty() {
            return Ok((bucket.take_count(), Count::default()));
        }
        for marker in listed {
            let id = marker
                .key
                .rsplit('/')
                .next()
                .context("no marker")?
                .to_owned();
            let (key, lease) = (
                format!("tasks/0/{id}.json"),
                format!("leases/0/29667605/{id}"),
            );
            // Its type first, then the claim.
            bucket.get(&key).await?.context("no task")?;
            let read = bucket.get(&key).await?.context("no task")?;
            replace(&bucket, &key, task("running"), &read.version).await?;
            bucket.create(&lease, Bytes::new()).await?;
            bucket.delete(&marker.key).await?;
            let read = bucket.get(&key).await?.context("no task")?;
            replace(&bucket, &key, task("completed"), &read.version).await?;
            bucket.delete(&lease).await?;
        }
    }
}

async fn replace(
    bucket: &Bucket,
    key: &str,
    bytes: Bytes,
    version: &longshore_object::Version,
) -> Result<()> {
    match bucket.replace(key, bytes, version).await? {
        Landing::Landed(_) => Ok(()),
        landing => bail!("a replace: {landing:?}"),
    }
}
