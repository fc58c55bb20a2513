//! Clauses C-7 and C-8: claims within quotas, and tenants that take turns.

use std::collections::BTreeSet;

use longshore_core::{ClaimRequest, Claimed, Group, JobId, NewJob, Quota, Spread};

use crate::harness::{Harness, name};

/// C-7: no more than that many of a queue, a kind, a tenant or of nobody; all of the others.
pub async fn a_quota_bounds_its_group(h: &Harness) {
    let groups = [queue("a"), kind("x"), tenant("ann"), tenant("")];
    for group in groups {
        for _ in 0..4 {
            add(h, "a", "y", "bob", 2).await;
            add(h, "b", "x", "bob", 2).await;
            add(h, "b", "y", "ann", 2).await;
            add(h, "b", "y", "", 2).await;
        }
        let mut request = wish(&["a", "b"], 100);
        request.quotas = vec![quota(&group, 1)];
        let got = claim(h, &request).await;
        assert_eq!((got.len(), of(&got, &group)), (13, 1), "{group:?}");
        request.quotas = vec![quota(&group, 0)];
        assert_eq!(claim(h, &request).await.len(), 0, "{group:?}");
        request.quotas.clear();
        assert_eq!(claim(h, &request).await.len(), 3, "{group:?}");
    }
}

/// C-7: a quota for each tenant is not for all of them, nor for those named, nor for nobody's jobs.
pub async fn a_quota_for_each_tenant_is_for_each(h: &Harness) {
    let add_some = async || {
        for who in ["ann", "bob", "cleo", ""].repeat(4) {
            add(h, "q", "k", who, 2).await;
        }
    };
    let counted = |got: &[Claimed]| ["ann", "bob", "cleo", ""].map(|who| of(got, &tenant(who)));
    let mut request = wish(&["q"], 100);
    for (each, expected) in [(2, [2, 3, 2, 4]), (0, [0, 3, 0, 4])] {
        add_some().await;
        request.quotas = vec![quota(&Group::EachTenant, each), quota(&tenant("bob"), 3)];
        let got = claim(h, &request).await;
        assert_eq!(counted(&got), expected);
        request.quotas.clear();
        claim(h, &request).await;
    }
    add_some().await;
    request.quotas = vec![quota(&Group::EachTenant, 1)];
    request.spread = Some(Spread {
        after: None,
        each: 9,
    });
    assert_eq!(counted(&claim(h, &request).await), [1, 1, 1, 4]);
}

/// C-7: a job counts in its queue, its kind and its tenant; of two quotas for one group the smaller
/// holds.
pub async fn a_job_is_within_every_quota_of_its_groups(h: &Harness) {
    for _ in 0..4 {
        for (kind, tenant) in [("x", "ann"), ("x", "bob"), ("y", "ann"), ("y", "bob")] {
            add(h, "q", kind, tenant, 2).await;
        }
    }
    let mut request = wish(&["q"], 100);
    request.quotas = vec![
        quota(&kind("x"), 9),
        quota(&kind("x"), 3),
        quota(&kind("y"), 5),
        quota(&tenant("ann"), 3),
        quota(&tenant("ann"), 7),
    ];
    let got = claim(h, &request).await;
    let counts = [kind("x"), kind("y"), tenant("ann"), tenant("bob")].map(|group| of(&got, &group));
    assert_eq!((got.len(), counts), (8, [3, 5, 3, 5]));
    request.quotas = vec![quota(&queue("q"), 2)];
    assert_eq!(claim(h, &request).await.len(), 2);
}

/// C-7, C-2, C-3: what a quota holds back neither stands in front nor is the best one due.
pub async fn quotas_leave_order_and_turns_as_they_are(h: &Harness) {
    let least = add(h, "q", "open", "", 4).await;
    for _ in 0..20 {
        add(h, "q", "closed", "", 1).await;
        add(h, "q", "closed", "", 3).await;
    }
    let mut usual = Vec::new();
    for who in ["", "ann"].repeat(10) {
        usual.push(add(h, "q", "open", who, 2).await);
    }
    let mut request = wish(&["q"], 10);
    request.quotas = vec![quota(&kind("closed"), 0)];
    let got = ids(&claim(h, &request).await);
    assert_eq!(got[..7], usual[..7]);
    assert_eq!(got[7], least);
    assert_eq!(got[8..], usual[7..9]);
    // One of them is let in, and the others are held back again.
    request.quotas = vec![quota(&kind("closed"), 1)];
    let got = claim(h, &request).await;
    assert_eq!(got[0].job.kind.as_str(), "closed");
    assert_eq!(ids(&got)[1..], usual[9..18]);
}

/// C-7: quotas for what is not there, or larger than the claim, change nothing.
pub async fn a_quota_for_nobody_does_no_harm(h: &Harness) {
    let mut added = Vec::new();
    for who in ["ann", "", "bob", "ann"] {
        added.push(add(h, "q", "k", who, 2).await);
    }
    let mut request = wish(&["q", "empty", "q"], 3);
    let absent = [queue("absent"), kind("absent"), tenant("absent")];
    let large = [queue("q"), kind("k"), tenant("ann"), tenant("")];
    let absent = absent.iter().map(|group| quota(group, 0));
    let large = large.iter().map(|group| quota(group, usize::MAX));
    request.quotas = absent.chain(large).collect();
    assert_eq!(ids(&claim(h, &request).await), added[..3]);
    assert_eq!(ids(&claim(h, &request).await), added[3..]);
}

/// C-7: jobs are found behind thousands that a quota holds back.
pub async fn what_is_held_back_does_not_stand_in_front(h: &Harness) {
    for (group, held_kind, held_tenant) in [
        (kind("held"), "held", None),
        (tenant("held"), "k", Some("held")),
        (tenant(""), "k", None),
    ] {
        let mut jobs = h.new_jobs("q", 3000).await;
        for job in &mut jobs {
            job.kind = held_kind.parse().unwrap();
            job.tenant_id = held_tenant.map(str::to_owned);
        }
        add_all(h, jobs).await;
        let mut behind = Vec::new();
        for who in ["ann", "bob", "ann"] {
            behind.push(add(h, "q", "k", who, 2).await);
        }
        let mut request = wish(&["q"], 2);
        request.quotas = vec![quota(&group, 0)];
        assert_eq!(ids(&claim(h, &request).await), behind[..2], "{group:?}");
        assert_eq!(ids(&claim(h, &request).await), behind[2..], "{group:?}");
        assert!(claim(h, &request).await.is_empty(), "{group:?}");
        request.limit = ClaimRequest::MAX_LIMIT;
        request.quotas.clear();
        while !claim(h, &request).await.is_empty() {}
    }
}

/// C-8: each tenant in its turn, jobs without one as one more, until nobody has any left.
pub async fn tenants_take_turns(h: &Harness) {
    let turns = [
        (0, ["", "ann", "bob", "ann", "bob", "ann", "ann", "ann"]),
        (1, ["", "ann", "bob", "ann", "bob", "ann", "ann", "ann"]),
        (2, ["", "ann", "ann", "bob", "bob", "ann", "ann", "ann"]),
        (9, ["", "ann", "ann", "ann", "ann", "ann", "bob", "bob"]),
    ];
    for (each, expected) in turns {
        for who in ["bob", "ann", "ann", "ann", "ann", "", "ann", "bob"] {
            add(h, "q", "k", who, 2).await;
        }
        let mut request = wish(&["q"], 5);
        request.spread = Some(Spread { after: None, each });
        let got = claim(h, &request).await;
        assert_eq!(tenants(&got), expected[..5], "{each}");
        request.limit = 100;
        assert_eq!(claim(h, &request).await.len(), 3, "{each}");
    }
}

/// C-8: the first turn is that of the tenant after the one that is named, be it there or not.
pub async fn turns_begin_after_a_tenant(h: &Harness) {
    let turns = [
        (None, ["", "ann", "bob", "", "ann"]),
        (Some(""), ["ann", "bob", "", "ann", ""]),
        (Some("a"), ["ann", "bob", "", "ann", ""]),
        (Some("ann"), ["bob", "", "ann", "", "ann"]),
        (Some("az"), ["bob", "", "ann", "", "ann"]),
        (Some("bob"), ["", "ann", "bob", "", "ann"]),
        (Some("zoe"), ["", "ann", "bob", "", "ann"]),
    ];
    for (after, expected) in turns {
        for who in ["bob", "ann", "", "ann", ""] {
            add(h, "q", "k", who, 2).await;
        }
        let mut request = wish(&["q"], 100);
        let after = after.map(str::to_owned);
        request.spread = Some(Spread { after, each: 1 });
        let got = claim(h, &request).await;
        assert_eq!(tenants(&got), expected, "{:?}", request.spread);
    }
}

/// C-8, C-2, C-3: of its own jobs a tenant gets the most urgent and the oldest first, and the share
/// of lower priorities.
pub async fn a_turn_goes_by_priority_and_due_time(h: &Harness) {
    let mut jobs = Vec::new();
    for who in ["ann", "bob"] {
        let mut mine = Vec::new();
        for _ in 0..12 {
            let least = add(h, "q", "x", who, 4).await;
            let first = add(h, "q", "y", who, 1).await;
            mine.push((first, least));
        }
        jobs.push(mine.into_iter());
    }
    let mut request = wish(&["q"], 24);
    request.turn = 5;
    request.spread = Some(Spread {
        after: None,
        each: 1,
    });
    let mut waiting: Vec<(Vec<JobId>, Vec<JobId>)> =
        jobs.into_iter().map(Iterator::unzip).collect();
    let mut expected = Vec::new();
    for slot in 0..24_usize {
        let (first, least) = &mut waiting[slot % 2];
        let lower = request.favours_lower(slot as u64) || first.is_empty();
        expected.push(if lower { least } else { first }.remove(0));
    }
    let shares = (0..24).filter(|slot| request.favours_lower(*slot)).count();
    assert!(shares > 1, "the check looks at {shares} shares");
    assert_eq!(ids(&claim(h, &request).await), expected);
}

/// C-8: a tenant has one turn for its jobs in all queues.
pub async fn turns_go_through_all_queues(h: &Harness) {
    let ann_b = add(h, "b", "k", "ann", 2).await;
    let bob_b = add(h, "b", "k", "bob", 2).await;
    let ann_a = add(h, "a", "k", "ann", 2).await;
    let none_b = add(h, "b", "k", "", 2).await;
    let none_a = add(h, "a", "k", "", 1).await;
    let zoe_a = add(h, "a", "k", "zoe", 2).await;
    let mut request = wish(&["a", "b", "a"], 100);
    request.spread = Some(Spread {
        after: Some("bob".to_owned()),
        each: 1,
    });
    let got = ids(&claim(h, &request).await);
    assert_eq!(got, [zoe_a, none_a, ann_b, bob_b, none_b, ann_a]);
}

/// C-8, C-7, C-4: who may have no more, or waits in a paused queue, has no turn.
pub async fn turns_keep_to_quotas_and_pauses(h: &Harness) {
    for _ in 0..3 {
        for who in ["ann", "bob", "cid", ""] {
            add(h, "q", "open", who, 2).await;
            add(h, "q", "closed", who, 2).await;
            add(h, "paused", "open", who, 1).await;
        }
    }
    h.store.pause(&name("paused")).await.unwrap();
    let mut request = wish(&["q", "paused"], 100);
    request.spread = Some(Spread {
        after: Some("ann".to_owned()),
        each: 1,
    });
    request.quotas = vec![
        quota(&kind("closed"), 1),
        quota(&tenant("bob"), 0),
        quota(&tenant("cid"), 2),
    ];
    let got = claim(h, &request).await;
    let closed = of(&got, &kind("closed"));
    assert_eq!((of(&got, &queue("q")), closed), (got.len(), 1));
    let expected = ["cid", "", "ann", "cid", "", "ann", "", "ann"];
    assert_eq!(tenants(&got), expected);
}

/// C-8: ten thousand tenants are served once each before one is served again, over many claims.
pub async fn ten_thousand_tenants_take_turns(h: &Harness) {
    for batch in 0..20 {
        let mut jobs = h.new_jobs("q", 1000).await;
        for (at, job) in jobs.iter_mut().enumerate() {
            job.tenant_id = Some(format!("{:05}", (batch % 10) * 1000 + at));
        }
        add_all(h, jobs).await;
    }
    let mut request = wish(&["q"], ClaimRequest::MAX_LIMIT);
    request.spread = Some(Spread {
        after: Some("04999".to_owned()),
        each: 1,
    });
    let mut served = Vec::new();
    while served.len() < 10_000 {
        let got = tenants(&claim(h, &request).await);
        assert!(!got.is_empty(), "{} served", served.len());
        served.extend(got);
        request.spread = Some(Spread {
            after: served.last().cloned(),
            each: 1,
        });
    }
    let expected: Vec<String> = (5000..15_000)
        .map(|number| format!("{:05}", number % 10_000))
        .collect();
    assert_eq!(served, expected);
}

/// C-2, C-7: a thousand kinds in a queue go by due time together, and any of them may be held back.
pub async fn a_thousand_kinds_share_a_queue(h: &Harness) {
    let mut first = h.new_jobs("q", 1000).await;
    for (at, job) in first.iter_mut().enumerate() {
        job.kind = format!("kind-{at}").parse().unwrap();
    }
    let mut then = h.new_jobs("q", 1000).await;
    for (at, job) in then.iter_mut().enumerate() {
        job.kind = format!("kind-{at}").parse().unwrap();
    }
    add_all(h, first).await;
    add_all(h, then).await;
    let mut request = wish(&["q"], 800);
    request.quotas = (0..500)
        .map(|at| quota(&kind(&format!("kind-{at}")), 0))
        .collect();
    let kinds = |got: &[Claimed]| -> BTreeSet<String> {
        let kinds = got.iter().map(|claimed| claimed.job.kind.to_string());
        kinds.collect()
    };
    let got = claim(h, &request).await;
    let open: BTreeSet<String> = (500..1000).map(|at| format!("kind-{at}")).collect();
    assert_eq!(kinds(&got[..500]), open);
    assert_eq!(kinds(&got[500..]).len(), 300);
    request.quotas.clear();
    let got = claim(h, &request).await;
    let held: BTreeSet<String> = (0..500).map(|at| format!("kind-{at}")).collect();
    assert_eq!(kinds(&got[..500]), held);
}

fn wish(queues: &[&str], limit: usize) -> ClaimRequest {
    let mut request = Harness::request("q", limit);
    request.queues = queues.iter().map(|queue| name(queue)).collect();
    request
}

fn queue(text: &str) -> Group {
    Group::Queue(name(text))
}

fn kind(text: &str) -> Group {
    Group::Kind(text.parse().unwrap())
}

fn tenant(text: &str) -> Group {
    Group::Tenant(text.to_owned())
}

fn quota(group: &Group, at_most: usize) -> Quota {
    let group = group.clone();
    Quota { group, at_most }
}

async fn add(h: &Harness, queue: &str, kind: &str, tenant: &str, priority: u8) -> JobId {
    let mut new = h.new_job(queue).await;
    new.kind = kind.parse().unwrap();
    new.tenant_id = (!tenant.is_empty()).then(|| tenant.to_owned());
    new.priority = priority.try_into().unwrap();
    h.enqueue(h.placed(new).await).await
}

/// Enqueues jobs in one call; then a millisecond passes.
async fn add_all(h: &Harness, jobs: Vec<NewJob>) {
    for answer in h.store.enqueue(jobs).await.unwrap() {
        answer.unwrap();
    }
    h.advance(std::time::Duration::from_millis(1));
}

async fn claim(h: &Harness, request: &ClaimRequest) -> Vec<Claimed> {
    h.store.claim(request).await.unwrap()
}

fn ids(claimed: &[Claimed]) -> Vec<JobId> {
    let ids = claimed.iter().map(|claimed| claimed.job.id.clone());
    ids.collect()
}

fn tenants(claimed: &[Claimed]) -> Vec<String> {
    let of = |claimed: &Claimed| claimed.job.tenant_id.clone().unwrap_or_default();
    claimed.iter().map(of).collect()
}

/// How many of these jobs belong to a group.
fn of(claimed: &[Claimed], group: &Group) -> usize {
    let jobs = claimed.iter().map(|claimed| &claimed.job);
    jobs.filter(|job| match group {
        Group::Queue(queue) => job.queue == *queue,
        Group::Kind(kind) => job.kind == *kind,
        Group::Tenant(tenant) => job.tenant_id.as_deref().unwrap_or_default() == tenant,
        Group::EachTenant => job.tenant_id.is_some(),
    })
    .count()
}
