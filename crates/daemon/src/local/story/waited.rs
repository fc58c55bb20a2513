//! What a job waited for: a place under a limit, or a worker.
//!
//! No claim notes why it left a job where it was. But what ran meanwhile is in the records of the
//! other jobs, sampled or not: where as many of them held a limit as it allows, the limit was full.

use std::sync::Arc;
use std::time::Duration;

use longshore_api::trace::Finding;
use longshore_core::limit::{Limit, Limits, Scope};
use longshore_core::{Job, JobFilter, JobId, JobState, Store, StoreError, Timestamp};
use longshore_queue::LimitControl;
use longshore_trace::chart::Marks;
use longshore_trace::{Chart, duration};

/// Jobs of a page that is looked at.
const PAGE: usize = 200;
/// Most pages that are looked at for a limit.
const PAGES: usize = 5;
/// Which share of a wait a limit has to be full for, in percent, so that it was that which was
/// waited for: workers hear of a free place a moment later.
const MOST_OF_IT: u128 = 90;
/// Most jobs that are named.
const NAMED: usize = 3;

/// An attempt of a job, cut to the time of a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    from: Timestamp,
    to: Timestamp,
    job: JobId,
}

/// Says of a wait that stands out what it was for, as far as limits that are set now and records
/// that are still there tell. One that goes on is told by what holds the job back now.
pub(super) async fn explain(
    store: &Arc<dyn Store>,
    finding: &mut Finding,
    chart: &Chart,
    jobs: &[Job],
) -> Result<(), StoreError> {
    let row = finding.row.and_then(|row| chart.row(row as usize));
    let Some(row) = row.filter(|row| !row.marks.has(Marks::OPEN)) else {
        return Ok(());
    };
    let Some(job) = jobs
        .iter()
        .find(|job| Some(job.id.as_str()) == chart.job(row))
    else {
        return Ok(());
    };
    let limits = LimitControl::new(Arc::clone(store)).read().await?;
    let wait = (row.start, row.end);
    let mut only_counts = true;
    for (scope, limit) in of(&limits, job) {
        only_counts &= limit.rate.is_none() && !limit.paused;
        let Some(most) = limit.concurrency else {
            continue;
        };
        let (held, whole) = holding(&**store, &scope, job, wait).await?;
        let full = full_for(&held, wait, most);
        if full.as_nanos() * 100 < wait.1.since(wait.0).as_nanos() * MOST_OF_IT {
            only_counts &= whole;
            continue;
        }
        let (text, _) = finding.text.split_once(" for a worker").unwrap_or_default();
        let holders = named(held);
        finding.text = format!(
            "{text} for the limit of {scope} ({most} at once), which was full for {}: held by {holders}",
            duration::format(full)
        );
        return Ok(());
    }
    if only_counts {
        finding.text = finding.text.replace(
            ", busy or paused, or a limit was full",
            ", busy or paused; no limit that is set now was full",
        );
    }
    Ok(())
}

/// The limits that hold back the attempts of a job.
fn of<'l>(limits: &'l Limits, job: &Job) -> Vec<(Scope, &'l Limit)> {
    let tenant = job.tenant_id.as_deref().filter(|tenant| !tenant.is_empty());
    let tenant = tenant.and_then(|tenant| {
        let limit = limits.of_tenant(tenant)?;
        Some((Scope::Tenant(tenant.to_owned()), limit))
    });
    let named = [
        Scope::Kind(job.kind.clone()),
        Scope::Queue(job.queue.clone()),
    ];
    let named = named.into_iter().filter_map(|scope| {
        let limit = limits.get(&scope)?;
        Some((scope, limit))
    });
    let all = named.chain(tenant);
    all.filter(|(_, limit)| limit.holds_workers()).collect()
}

/// The attempts of other jobs in a scope during a wait, and whether all jobs were looked at.
async fn holding(
    store: &dyn Store,
    scope: &Scope,
    job: &Job,
    wait: (Timestamp, Timestamp),
) -> Result<(Vec<Held>, bool), StoreError> {
    let mut filter = JobFilter {
        enqueued_before: Some(wait.1),
        ..JobFilter::default()
    };
    match scope {
        Scope::Queue(queue) => filter.queue = Some(queue.clone()),
        Scope::Kind(kind) => filter.kind = Some(kind.clone()),
        Scope::Tenant(tenant) => filter.tenant_id = Some(tenant.clone()),
        Scope::EveryTenant => return Ok((Vec::new(), true)),
    }
    let (mut held, mut cursor) = (Vec::new(), None::<String>);
    for _ in 0..PAGES {
        let page = store.list(&filter, cursor.as_deref(), PAGE).await?;
        let others = page.jobs.iter().filter(|other| other.id != job.id);
        held.extend(others.flat_map(|other| attempts(other, wait)));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok((held, true));
        }
    }
    Ok((held, false))
}

/// When a job was run during a wait.
fn attempts(job: &Job, (from, to): (Timestamp, Timestamp)) -> Vec<Held> {
    let ended = job.history.iter();
    let ended = ended.map(|record| (record.claimed_at, record.ended_at));
    let runs = job.claimed_at.filter(|_| job.state == JobState::Running);
    let all = ended.chain(runs.map(|claimed_at| (claimed_at, Timestamp::MAX)));
    let cut = all.map(|(claimed_at, ended_at)| Held {
        from: claimed_at.max(from),
        to: ended_at.min(to),
        job: job.id.clone(),
    });
    cut.filter(|held| held.from < held.to).collect()
}

/// For how much of a wait at least `most` attempts went on.
fn full_for(held: &[Held], wait: (Timestamp, Timestamp), most: u32) -> Duration {
    let begins = held.iter().map(|held| (held.from, 1_i64));
    let mut moments: Vec<(Timestamp, i64)> = begins
        .chain(held.iter().map(|held| (held.to, -1)))
        .collect();
    moments.sort_unstable();
    let (mut running, mut since, mut full) = (0, wait.0, Duration::ZERO);
    for (at, change) in moments {
        if running >= i64::from(most) {
            full = full.saturating_add(at.since(since));
        }
        (running, since) = (running + change, at);
    }
    full
}

/// The jobs that held it longest.
fn named(mut held: Vec<Held>) -> String {
    held.sort_by_key(|held| std::cmp::Reverse(held.to.since(held.from)));
    let mut ids: Vec<String> = Vec::new();
    for id in held.iter().map(|held| held.job.to_string()) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let more = ids.len().saturating_sub(NAMED);
    ids.truncate(NAMED);
    let what = if ids.len() + more == 1 { "job" } else { "jobs" };
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{what} {}{more}", ids.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(job: &str, from: i64, to: i64) -> Held {
        let at = Timestamp::from_unix_millis;
        let job = job.parse().unwrap();
        Held {
            from: at(from),
            to: at(to),
            job,
        }
    }

    #[test]
    fn a_limit_is_full_while_as_many_run_as_it_allows() {
        let wait = (
            Timestamp::from_unix_millis(0),
            Timestamp::from_unix_millis(100),
        );
        let all = [
            held("one", 0, 60),
            held("two", 20, 100),
            held("three", 60, 80),
        ];
        let millis = Duration::from_millis;
        assert_eq!(full_for(&all, wait, 1), millis(100));
        assert_eq!(full_for(&all, wait, 2), millis(60));
        assert_eq!(full_for(&all, wait, 3), Duration::ZERO);
        assert_eq!(full_for(&[], wait, 1), Duration::ZERO);
    }

    #[test]
    fn who_held_it_longest_is_named_first() {
        let all = vec![held("one", 0, 5), held("two", 5, 20), held("one", 20, 22)];
        assert_eq!(named(all), "jobs two, one");
        assert_eq!(named(vec![held("one", 0, 5)]), "job one");
        let many = ["a", "b", "c", "d", "e"].map(|id| held(id, 0, 5)).to_vec();
        assert_eq!(named(many), "jobs a, b, c and 2 more");
    }
}
