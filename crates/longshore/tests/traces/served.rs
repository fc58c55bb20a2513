//! Spans name the store whose jobs they are of, with no word from the program.

use std::sync::Arc;
use std::time::Duration;

use longshore::otel::{Config, Environment, Telemetry};
use longshore::{JobRequest, Producer, SqliteOptions, SqliteStore, Worker};
use longshore_core::SystemClock;
use longshore_instrument::table::key;
use longshore_testkit::collector::Collector;

use crate::world::succeed;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn every_span_of_a_program_says_which_store_it_has_to_do_with() {
    let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/served");
    std::fs::create_dir_all(folder).unwrap();
    let file = format!("{folder}/{}.db", std::process::id());
    let collector = Collector::start().unwrap();
    let endpoint = collector.grpc_endpoint();
    let environment = Environment::from_pairs([("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint)]);
    let config = Config::load(&[], &environment, &[]).unwrap();
    // Two processes of one program: who asks for jobs and who runs them.
    let start = || Telemetry::init(&config.telemetry(), Arc::new(SystemClock::new())).0;
    let (web, backend) = (start(), start());
    let store = Arc::new(SqliteStore::open(SqliteOptions::at(&file)).unwrap());
    let producer = Producer::new(store.clone()).with_recorder(web.recorder());
    let request = JobRequest::new("orders", "place_order").args(&7);
    producer.enqueue(request).await.unwrap();
    let worker = Worker::builder(store)
        .queue("orders")
        .recorder(backend.recorder())
        .fallback(succeed)
        .drain(true)
        .build()
        .unwrap();
    worker.run(std::future::pending()).await.unwrap();
    assert!(web.shutdown(PATIENCE).await && backend.shutdown(PATIENCE).await);
    let whole = std::fs::canonicalize(&file).unwrap();
    let name = format!("sqlite:{}", whole.display());
    let requests = collector.requests();
    assert!(requests.len() >= 2, "one of each at least");
    for request in requests {
        assert_eq!(request.resource.get(key::STORE), Some(&name));
    }
    std::fs::remove_file(&file).unwrap();
}
