//! What jobs cost in requests on a server, beside a scheme of one object for each job.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::Store as _;
use longshore_object::{Landing, Objects, Range, RemoteObjects, Requests};
use longshore_testkit::s3_server::{S3Program, S3Server};

use super::jobs::{completion, enqueue, new_jobs, patiently, wish};
use super::{options, store};

const JOBS: usize = 300;
/// Dollars for a million PUTs and LISTs, and for a million GETs, as the guide has them; DELETEs are free
/// with each.
const PRICES: [(&str, [f64; 2]); 4] = [
    ("S3", [5.0, 0.4]),
    ("GCS", [5.0, 0.4]),
    ("R2", [4.5, 0.36]),
    ("Azure", [5.0, 0.4]),
];

/// Enqueues, claims and completes jobs, so many in each call; gives back what was sent for a job.
async fn sent_for_a_job(server: &S3Server, together: usize) -> [f64; 5] {
    let store = store(server, &format!("costs-{together}"));
    // What a store does first, and once for a queue, is not counted.
    enqueue(&store, &new_jobs(&store, 1).await).await;
    let lease = Duration::from_secs(600);
    let mut first = Vec::new();
    while first.is_empty() {
        first = store.claim(&wish("worker", 1, lease)).await.unwrap();
    }
    let settled = store.settle(first.iter().map(completion).collect()).await;
    assert!(settled.unwrap().iter().all(Result::is_ok));
    let before = store.requests();
    let mut done = 0;
    while done < JOBS {
        enqueue(&store, &new_jobs(&store, together).await).await;
        let mut held = Vec::new();
        // The server's clock is known to a second, and what was enqueued just now may not be due.
        while held.len() < together {
            let wish = wish("worker", together - held.len(), lease);
            held.extend(patiently(async || store.claim(&wish).await).await);
        }
        let settled = store
            .settle(held.iter().map(completion).collect())
            .await
            .unwrap();
        done += settled.iter().filter(|settled| settled.is_ok()).count();
    }
    for_a_job(store.requests().since(&before), done)
}

/// PUT, GET, DELETE, LIST and bytes sent, each for one of so many jobs.
fn for_a_job(requests: Requests, jobs: usize) -> [f64; 5] {
    let Requests {
        put,
        get,
        delete,
        list,
        sent_bytes,
        ..
    } = requests;
    [put, get, delete, list, sent_bytes].map(|count| count as f64 / jobs as f64)
}

/// A state object, a marker of readiness and one of the lease for each job, as the queue `oq` has
/// them: found by a listing, claimed by replacing the state, done by replacing it again.
async fn sent_for_an_object_each(server: &S3Server) -> [f64; 5] {
    let remote = RemoteObjects::new(&options(&server.address(), "oq")).unwrap();
    let body = |state: &str, number: usize| {
        let text =
            format!("{{\"id\":{number},\"kind\":\"check\",\"state\":\"{state}\",\"args\":{{}}}}");
        Bytes::from(text)
    };
    let before = remote.requests();
    for number in 0..JOBS / 10 {
        let (task, ready) = (format!("tasks/{number}"), format!("ready/{number}"));
        let lease = format!("leases/{number}");
        remote.create(&task, body("pending", number)).await.unwrap();
        remote.create(&ready, Bytes::new()).await.unwrap();
        let range = Range {
            prefix: "ready/",
            after: None,
            end: None,
            limit: 100,
        };
        assert!(!remote.list(range).await.unwrap().is_empty());
        for state in ["running", "done"] {
            let read = remote.get(&task).await.unwrap().unwrap();
            let landed = remote
                .replace(&task, body(state, number), &read.version)
                .await;
            assert!(matches!(landed, Ok(Landing::Landed(_))));
            if state == "running" {
                remote.create(&lease, Bytes::new()).await.unwrap();
                remote.delete(&ready).await.unwrap();
            }
        }
        remote.delete(&lease).await.unwrap();
        // Who asked for the job reads what came of it.
        remote.get(&task).await.unwrap();
    }
    for_a_job(remote.requests().since(&before), JOBS / 10)
}

/// Dollars for a million jobs, at each provider.
fn dollars([put, get, _, list, _]: [f64; 5]) -> String {
    let each = PRICES.map(|(provider, [write, read])| {
        let dollars = (put + list).mul_add(write, get * read);
        format!("{provider} ${dollars:.2}")
    });
    each.join(", ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stderr, reason = "the figures are what is of interest")]
async fn jobs_that_come_together_share_their_requests() {
    let Some(server) = S3Server::start(S3Program::Ministack) else {
        return;
    };
    let each = sent_for_an_object_each(&server).await;
    eprintln!("an object each: {each:.3?}, {} a million", dollars(each));
    // At most so many requests a job; beyond them jobs no longer share them. On a slow machine a
    // claim may find part of a batch due and ask once more, so that exact numbers are for the
    // counts on a server whose clock stands still. Listings are as many as there was time for.
    for (together, most) in [(1, 8.0), (10, 1.3), (100, 0.15)] {
        let sent = sent_for_a_job(&server, together).await;
        eprintln!(
            "{together} together: {sent:.3?}, {} a million",
            dollars(sent)
        );
        let all: f64 = sent.iter().take(3).sum();
        assert!(all <= most, "{together} together take {all} requests a job");
    }
}
