//! Clause S-5: jobs that appear with the settle of another.

use longshore_core::{Claimed, ErrorKind, Job, LeaseToken, NewJob, Outcome, UniqueKey};

use crate::harness::{Harness, assert_refused, complete, failure, retry_at, settlement};

/// S-5: follow-ups are whole jobs, enqueued when their parent is settled, whatever its outcome.
pub async fn follow_ups_appear_with_their_settle(h: &Harness) {
    let later = h.now().after(std::time::Duration::from_secs(9));
    let outcomes = [
        complete(),
        retry_at(later),
        Outcome::Snooze {
            available_at: later,
        },
        Outcome::HandBack,
        Outcome::Cancel { error: None },
        Outcome::Discard { error: failure() },
    ];
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let claimed = h.running(&format!("parent-{number}")).await;
        let mut children = h.new_jobs("child", 2).await;
        children[0].parent_correlation_id = Some(claimed.job.correlation_id.clone());
        children[1].scheduled_at = Some(later);
        let places: Vec<_> = children.iter().map(NewJob::place).collect();
        let minted = h.store.mint(&places).await.unwrap();
        for (child, id) in children.iter_mut().zip(minted) {
            child.id = id;
        }
        settle_with(h, &claimed, outcome, children.clone()).await;
        for child in children {
            let id = child.id.clone();
            assert_eq!(h.row(&id).await, Job::from_new(child, h.now()));
        }
    }
    assert_eq!(h.claim("child", 100).await.len(), 6);
}

/// S-5: repeating the settle makes no second follow-up, not even once the first is over.
pub async fn follow_ups_appear_once(h: &Harness) {
    let claimed = h.running("parent").await;
    let child = h.new_job("child").await;
    settle_with(h, &claimed, complete(), vec![child.clone()]).await;
    let running = h.claim_one("child").await;
    h.settle(&running, complete()).await;
    let before = h.row(&child.id).await;

    let mut repeated = settlement(&claimed, complete());
    repeated.follow_ups = vec![child.clone()];
    assert_refused(h.try_settle(repeated).await, ErrorKind::LeaseLost);
    assert_eq!(h.row(&child.id).await, before);
    assert!(h.claim("child", 10).await.is_empty());
}

/// S-5: a settle that is refused makes no follow-ups.
pub async fn a_lost_lease_makes_no_follow_ups(h: &Harness) {
    let claimed = h.running("parent").await;
    let child = h.new_job("child").await;
    let mut forged = settlement(&claimed, complete());
    forged.token = LeaseToken::from_bits(12_345);
    forged.follow_ups = vec![child.clone()];
    assert_refused(h.try_settle(forged.clone()).await, ErrorKind::LeaseLost);

    h.advance(Harness::LEASE * 2);
    assert_eq!(h.store.rescue(10).await.unwrap().len(), 1);
    forged.token = claimed.lease.token;
    assert_refused(h.try_settle(forged).await, ErrorKind::LeaseLost);
    assert_eq!(h.store.get(&child.id).await.unwrap(), None);
    assert!(h.claim("child", 10).await.is_empty());
}

/// S-5: a follow-up whose id is there already is a hit: that job stays as it is.
pub async fn a_follow_up_that_exists_is_a_hit(h: &Harness) {
    let claimed = h.running("parent").await;
    let mut chosen = h.new_job("child").await;
    chosen.id = "order-17".parse().unwrap();
    let existing = h.enqueue(chosen).await;
    let before = h.row(&existing).await;
    let mut child = h.new_job("elsewhere").await;
    child.id = existing.clone();
    let twin = h.new_job("elsewhere").await;
    settle_with(h, &claimed, complete(), vec![child, twin.clone(), twin]).await;
    assert_eq!(h.row(&existing).await, before);
    assert_eq!(h.claim("elsewhere", 10).await.len(), 1);
}

/// S-5: a follow-up whose unique key an unfinished job holds does not appear, and the settle goes
/// on; the key of a job that is over with this very settle is free for its follow-up.
pub async fn a_follow_up_respects_unique_keys(h: &Harness) {
    h.enqueue(keyed(h, "q", "1").await).await;
    let holder = h.claim_one("q").await;
    let claimed = h.running("parent").await;
    let same = keyed(h, "q", "1").await;
    let other = keyed(h, "q", "2").await;
    let ids = [same.id.clone(), other.id.clone()];
    settle_with(h, &claimed, complete(), vec![same, other]).await;
    for id in &ids {
        assert_eq!(h.store.get(id).await.unwrap(), None);
    }

    let next = keyed(h, "q", "2").await;
    let id = next.id.clone();
    settle_with(h, &holder, complete(), vec![next]).await;
    assert_eq!(h.claim_one("q").await.job.id, id);
}

/// S-5: a follow-up that breaks a bound refuses the whole settle, which can then be mended.
pub async fn a_broken_follow_up_refuses_the_settle(h: &Harness) {
    let claimed = h.running("parent").await;
    let good = h.new_job("child").await;
    let mut broken = h.new_job("child").await;
    broken.max_attempts = 0;
    let mut refused = settlement(&claimed, complete());
    refused.follow_ups = vec![good.clone(), broken];
    assert_refused(h.try_settle(refused).await, ErrorKind::Invalid);
    assert_eq!(h.row(&claimed.job.id).await, claimed.job);
    assert_eq!(h.store.get(&good.id).await.unwrap(), None);
    settle_with(h, &claimed, complete(), vec![good]).await;
}

async fn settle_with(h: &Harness, claimed: &Claimed, outcome: Outcome, follow_ups: Vec<NewJob>) {
    let mut settlement = settlement(claimed, outcome);
    settlement.follow_ups = follow_ups;
    h.try_settle(settlement).await.unwrap();
}

async fn keyed(h: &Harness, queue: &str, args: &'static str) -> NewJob {
    let mut new = h.new_job(queue).await;
    new.args = bytes::Bytes::from_static(args.as_bytes());
    new.unique_key = Some(UniqueKey::new("k", &new.kind, &new.args));
    new
}
