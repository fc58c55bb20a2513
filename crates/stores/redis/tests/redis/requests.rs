//! What the store asks the server for is in the traces of the jobs.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::round_trip::{self, Answer, RoundTrip, Server as Named, Target};
use longshore_core::{Clock, ErrorKind, Store, StoreError, SystemClock};
use longshore_redis::{RedisOptions, RedisStore};
use longshore_testkit::faulty_line::{Fault, FaultyLine};
use longshore_testkit::storage::{
    assert_calls, assert_no_connection_shows, assert_tree, assert_trouble_shows, spans_of, waited,
};

use crate::server::{self, Server, Stores as _, next_number, tested};

#[tokio::test]
async fn each_call_has_its_requests_beneath_it() {
    let Some(server) = server::shared() else {
        return;
    };
    let store: Arc<dyn Store> = Arc::new(server.store());
    // The command is another where the server keeps no functions.
    let mut spans = spans_of(&store).await;
    for span in &mut spans {
        span.name = span.name.replace("EVALSHA", "FCALL").into();
    }
    let tree = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/redis/requests.txt");
    assert_tree(&spans, Path::new(tree));
    // The first one has waited for its connection.
    assert_eq!(waited(&spans).first(), Some(&"FCALL read_document"));
}

/// On a server of its own, since the functions of a server are all tests'.
#[tokio::test]
async fn functions_that_are_loaded_again_are_in_the_trace_of_the_job() {
    let Some(server) = Server::start() else {
        return;
    };
    let store: Arc<dyn Store> = Arc::new(server.store());
    store.now().await.unwrap();
    for what in ["FUNCTION", "SCRIPT"] {
        server.command(&[what, "FLUSH"]).unwrap();
    }
    let spans = spans_of(&store).await;
    let load = spans.iter().find(|span| span.name == "LOAD").unwrap();
    let mut above = spans.iter();
    let above = above.find(|span| Some(span.span_id) == load.parent_span_id);
    assert_eq!(above.unwrap().name, "queue.enqueue");
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_is_in_the_trace_of_the_job() {
    let Some(server) = server::shared() else {
        return;
    };
    let line = FaultyLine::to(SocketAddr::from(([127, 0, 0, 1], server.port))).unwrap();
    let (port, number) = (line.address().port(), next_number());
    let url = format!("redis://127.0.0.1:{port}?prefix=away-{number}");
    let options = RedisOptions::from_url(&url).unwrap();
    let options = options.with_response_timeout(Duration::from_secs(2));
    let store = Arc::new(RedisStore::open(options));
    assert_no_connection_shows(store, &line, "connection").await;
}

#[tokio::test]
async fn a_broken_connection_is_in_the_trace_of_the_job() {
    let Some(server) = server::shared() else {
        return;
    };
    for fault in [Fault::ResetRequest(0), Fault::ResetAnswer(0)] {
        let address = SocketAddr::from(([127, 0, 0, 1], server.port));
        let line = FaultyLine::to(address).unwrap();
        let (port, number) = (line.address().port(), next_number());
        let url = format!("redis://127.0.0.1:{port}?prefix=trouble-{number}");
        let options = RedisOptions::from_url(&url).unwrap();
        let options = options.with_response_timeout(Duration::from_secs(2));
        let store = Arc::new(RedisStore::open(options));
        assert_trouble_shows(store, Arc::new(line), fault).await;
    }
}

#[tokio::test]
async fn each_call_of_the_contract_says_what_it_asks_for() {
    let Some(server) = server::shared() else {
        return;
    };
    let calls = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/redis/calls.txt");
    // The command is the same whether or not the server keeps functions.
    let open = |clock, random| RedisStore::open(tested(&server, clock, random).with_script());
    let asked = assert_calls(open, Path::new(calls)).await;
    let named = Named {
        system: "redis",
        namespace: Some("0".to_owned()),
        address: Some("127.0.0.1".to_owned()),
        port: Some(server.port),
    };
    assert_eq!(*asked, named);
}

/// The request of a call that fails, and the kind of its error.
async fn failed<T: Debug>(
    call: impl Future<Output = Result<T, StoreError>>,
) -> (ErrorKind, RoundTrip) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let call = Box::pin(async {
        let error = call.await.unwrap_err();
        (error.kind(), round_trip::take().list.remove(0))
    });
    round_trip::watch(Some(&clock), call).await
}

/// On a server of its own, whose memory is full.
#[tokio::test]
async fn a_refusal_of_the_server_is_told_with_its_code() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = server.store();
    store.read_document("limits").await.unwrap();
    server
        .command(&["CONFIG", "SET", "maxmemory", "1"])
        .unwrap();
    let written = store.write_document("limits", 0, "{}".into());
    let (kind, request) = failed(written).await;
    assert_eq!(kind, ErrorKind::Unavailable);
    assert_eq!(request.answer, Answer::code("OOM"));
}

#[tokio::test]
async fn a_store_that_is_refused_is_told_with_why() {
    let Some(server) = server::shared() else {
        return;
    };
    let prefix = format!("newer-{}", next_number());
    let layout = format!("{{{prefix}}}:layout");
    server.command(&["SET", &layout, "99"]).unwrap();
    let options = server.options().with_prefix(&prefix).unwrap();
    let store = RedisStore::open(options);
    let (kind, request) = failed(store.read_document("limits")).await;
    assert_eq!(kind, ErrorKind::Invalid);
    let told = (request.operation, request.answer);
    assert_eq!(told, ("CONNECT", Answer::failed("invalid")));
}

/// Of two calls that need a connection at once one makes it, or fails to; both tell of it.
#[tokio::test]
async fn who_waits_for_the_connection_of_another_says_so() {
    let Some(server) = server::shared() else {
        return;
    };
    let line = FaultyLine::to(SocketAddr::from(([127, 0, 0, 1], server.port))).unwrap();
    let (port, number) = (line.address().port(), next_number());
    let url = format!("redis://127.0.0.1:{port}?prefix=both-{number}");
    let store = RedisStore::open(RedisOptions::from_url(&url).unwrap());
    line.set(Fault::Refused);
    let read = || failed(store.read_document("limits"));
    let (one, other) = tokio::join!(read(), read());
    for (_, request) in [one, other] {
        let told = (request.operation, request.answer);
        assert_eq!(told, ("CONNECT", Answer::failed("connection")));
    }
    line.set(Fault::None);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let read = || {
        let read = Box::pin(async {
            store.read_document("limits").await.unwrap();
            round_trip::take().list
        });
        round_trip::watch(Some(&clock), read)
    };
    let (one, other) = tokio::join!(read(), read());
    for requests in [one, other] {
        let [request] = &requests[..] else {
            panic!("{requests:?}");
        };
        assert_eq!(request.target, Target::Procedure("read_document"));
        assert!(!request.waited.is_zero(), "{request:?}");
    }
}
