use longshore_core::SystemClock;
use longshore_testkit::collector::{Behaviour, Collector};

use super::*;
use crate::backlog::{Mark, MemoryBacklog};
use crate::config::{Config, Environment};

fn exporter(pairs: &[(&str, &str)]) -> Exporter {
    let environment = Environment::from_pairs(pairs.iter().copied());
    let settings = Config::load(&[], &environment, &[]).unwrap().telemetry();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (otlp, problems) = Otlp::new(&settings, Arc::clone(&clock)).unwrap();
    assert_eq!(problems, []);
    let tally = Arc::<Tally>::default();
    let memory = MemoryBacklog::new(1 << 20, Arc::clone(&tally));
    Exporter {
        signal: Signal::Traces,
        outlet: Outlet::Memory(Arc::new(memory)),
        sink: Sink::Otlp(Box::new(otlp)),
        written: Arc::default(),
        batch_size: 512,
        delay: Duration::ZERO,
        clock,
        tally,
        deadline: watch::channel(None).1,
        breaker: Breaker::default(),
        parcels: Arc::default(),
        taken: 0,
        gathered: Vec::new(),
        warning: Minutely::default(),
        upkeep: Upkeep::default(),
    }
}

/// What a request is made of is made once, however often it is sent.
#[tokio::test]
async fn a_request_that_is_sent_again_is_not_compressed_again() {
    let collector = Collector::start().unwrap();
    for protocol in ["grpc", "http/protobuf"] {
        let mut exporter = exporter(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.http_endpoint()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ]);
        collector.set_behaviour(Behaviour::Unavailable(2));
        let mut batch = Batch::of(vec![Handed {
            body: Bytes::from_static(b""),
            spans: 0,
            is_own: true,
            mark: Mark::Memory,
        }]);
        let mut made = Vec::new();
        for is_taken in [false, false, true] {
            let sent = exporter.send(&mut batch).await;
            assert_eq!(matches!(sent, Sent::Taken { .. }), is_taken);
            let framed = batch.framed.as_ref().map(|framed| framed.as_ptr());
            made.push(framed.unwrap());
        }
        made.dedup();
        assert_eq!(made.len(), 1, "{protocol}: it was made anew");
    }
    let requests = collector.requests();
    assert_eq!(requests.len(), 6);
    assert!(requests.iter().all(|request| request.compressed));
}
