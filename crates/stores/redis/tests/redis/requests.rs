//! What the store asks the server for is in the traces of the jobs.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::Store;
use longshore_redis::{RedisOptions, RedisStore};
use longshore_testkit::faulty_line::{Fault, FaultyLine};
use longshore_testkit::storage::{
    assert_no_connection_shows, assert_tree, assert_trouble_shows, spans_of, waited,
};

use crate::server::{self, Server, Stores as _, next_number};

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
    assert_no_connection_shows(Arc::new(RedisStore::open(options)), &line).await;
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
