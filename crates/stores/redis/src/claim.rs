//! Claims: what a worker asks for, and what it gets.

use std::collections::BTreeMap;

use longshore_core::{ClaimRequest, Claimed, Group, Lease, Random, StoreError};
use redis::Value;

use crate::answer::{array, corrupt};
use crate::call::Call;
use crate::{contract, micros, row};

/// The call for a request.
pub(crate) fn call(request: &ClaimRequest, random: &dyn Random) -> Call {
    let limit = request.limit.min(ClaimRequest::MAX_LIMIT);
    let favours: String = (0..limit as u64)
        .map(|slot| {
            if request.favours_lower(slot) {
                '1'
            } else {
                '0'
            }
        })
        .collect();
    // Exact in a double, with the number of the slot added.
    let token = random.next_u64() >> 12;
    let mut call = Call::new(&contract::CLAIM);
    call.text(&row::write_worker(&request.worker))
        .number(micros::lasting(request.lease))
        .count(limit)
        .text(&token.to_string())
        .text(&favours);
    let mut queues: Vec<&str> = request
        .queues
        .iter()
        .map(longshore_core::QueueName::as_str)
        .collect();
    queues.sort_unstable();
    queues.dedup();
    call.count(queues.len());
    for queue in queues {
        call.text(queue);
    }
    quotas(&mut call, request);
    match &request.spread {
        None => {
            call.text("0");
        }
        Some(spread) => {
            call.text("1")
                .text(if spread.after.is_some() { "1" } else { "0" })
                .some(spread.after.as_deref())
                .count(spread.each.max(1));
        }
    }
    call
}

/// The quotas, each group once: of two for the same the smaller counts.
fn quotas(call: &mut Call, request: &ClaimRequest) {
    let mut groups: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for quota in &request.quotas {
        let group = match &quota.group {
            Group::Queue(queue) => ("q", queue.as_str()),
            Group::Kind(kind) => ("k", kind.as_str()),
            Group::Tenant(tenant) => ("t", tenant.as_str()),
            Group::EachTenant => ("e", ""),
        };
        let most = groups.entry(group).or_insert(quota.at_most);
        *most = (*most).min(quota.at_most);
    }
    call.count(groups.len());
    for ((group, name), most) in groups {
        call.text(group).text(name).count(most);
    }
}

/// The claimed jobs, each with its lease.
pub(crate) fn read(answer: Value) -> Result<Vec<Claimed>, StoreError> {
    let missing = || corrupt("claimed job", "its lease is missing");
    array(answer)?
        .into_iter()
        .map(|value| {
            let row = row::read(value, false)?.ok_or_else(missing)?;
            let lease = Lease {
                job_id: row.job.id.clone(),
                token: row.token.ok_or_else(missing)?,
                expires_at: row.job.lease_expires_at.ok_or_else(missing)?,
            };
            Ok(Claimed {
                job: row.job,
                lease,
            })
        })
        .collect()
}
