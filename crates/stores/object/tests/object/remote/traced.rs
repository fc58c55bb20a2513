//! What the store asks the server for is in the traces of the jobs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::Store;
use longshore_object::RemoteStore;
use longshore_testkit::faulty_line::{Fault, FaultyLine};
use longshore_testkit::s3_server::{S3Program, S3Server, shared};
use longshore_testkit::storage::{assert_trouble_shows, is_request, spans_of, waited};

use super::{options, store};

/// Which requests each call makes is the business of the protocol, whose tests count them: here it
/// is that they are there, with what the conventions say of them.
#[tokio::test]
async fn each_call_has_its_requests_beneath_it() {
    let Some(server) = S3Server::start(S3Program::Ministack) else {
        return;
    };
    let store: Arc<dyn Store> = Arc::new(store(&server, "shop"));
    let spans = spans_of(&store).await;
    for call in ["queue.enqueue", "queue.claim", "job.settle", "queue.admin"] {
        let call = spans.iter().find(|span| span.name == call).unwrap();
        let below = spans.iter().filter(|span| is_request(span));
        let below = below.filter(|span| span.parent_span_id == Some(call.span_id));
        let names: BTreeSet<&str> = below.map(|span| &*span.name).collect();
        assert!(
            names.iter().all(|name| name.starts_with("S3 ")),
            "{names:?}"
        );
        assert!(names.contains("S3 PutObject"), "{} {names:?}", call.name);
    }
    for request in spans.iter().filter(|span| is_request(span)) {
        let said = |key: &str| request.attribute(key).is_some();
        assert!(
            ["rpc.method", "aws.s3.bucket", "aws.s3.key"]
                .into_iter()
                .all(said),
            "{request:?}"
        );
        assert!(!request.status.is_error(), "{request:?}");
    }
    // Each has waited for its turn; a producer's clock here stands nearly still.
    let claim = spans
        .iter()
        .find(|span| span.name == "queue.claim")
        .unwrap();
    let below = spans.iter().cloned();
    let below = below.filter(|span| span.parent_span_id == Some(claim.span_id));
    let of_claim: Vec<_> = below.collect();
    assert!(!waited(&of_claim).is_empty(), "{of_claim:?}");
    // That conditions are tried out, and what else is asked once, is no part of the first call.
    let keys = spans.iter().filter_map(|span| span.attribute("aws.s3.key"));
    let keys: Vec<String> = keys.map(|key| format!("{key:?}")).collect();
    let is_of_once = |key: &&String| key.contains("/probe/") || key.contains("/root");
    assert_eq!(keys.iter().filter(is_of_once).count(), 0, "{keys:?}");
}

#[tokio::test]
async fn a_broken_connection_is_in_the_trace_of_the_job() {
    let Some(server) = shared() else {
        return;
    };
    for (number, fault) in [Fault::ResetRequest(0), Fault::ResetAnswer(0)]
        .into_iter()
        .enumerate()
    {
        let line = FaultyLine::to(server.address().parse().unwrap()).unwrap();
        let through = options(&line.address().to_string(), &format!("trouble-{number}"));
        let through = through.with_patience(Duration::from_millis(1500));
        let store = Arc::new(RemoteStore::open(&through).unwrap());
        assert_trouble_shows(store, Arc::new(line), fault).await;
    }
}
