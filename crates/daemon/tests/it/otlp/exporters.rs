//! Exporters as they are: our own, OpenTelemetry's Python SDK, and rotel, a collector that
//! forwards. `.ci/run` installs the latter two; `LONGSHORE_OTEL_PYTHON` and `LONGSHORE_ROTEL` name
//! them elsewhere.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use longshore_core::SystemClock;
use longshore_telemetry::{Config, Environment, Telemetry};
use longshore_testkit::Port;
use opentelemetry::trace::{Span as _, Tracer as _};
use opentelemetry_proto::tonic::trace::v1::Span;

use super::bed::{Bed, Folder, PATIENCE, until};

/// Sends a producer and its consumer with a link, two events and an error.
const SCRIPT: &str = include_str!("send.py");

/// The program that a variable names, if it is there. Without it the test says so and is skipped,
/// but not in CI.
#[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
fn program(variable: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let there = named.filter(|program| program.is_file());
    let ci = std::env::var_os("LONGSHORE_CI").is_some();
    assert!(there.is_some() || !ci, "CI must have {variable}");
    if there.is_none() {
        eprintln!("skipped: {variable} names no program");
    }
    there
}

async fn send(python: PathBuf, protocol: &'static str, endpoint: String) {
    let sent = tokio::task::spawn_blocking(move || {
        Command::new(python)
            .args(["-c", SCRIPT, protocol, &endpoint])
            .stdout(Stdio::null())
            .output()
            .unwrap()
    });
    let sent = tokio::time::timeout(PATIENCE, sent).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&sent.stderr).into_owned();
    assert!(sent.status.success(), "{protocol}: {said}");
}

fn assert_whole(spans: &[Span]) {
    let of = |kind| spans.iter().find(|span| span.kind == kind).unwrap();
    let (producer, consumer) = (of(4), of(5));
    assert_eq!(consumer.parent_span_id, producer.span_id);
    assert_eq!(consumer.trace_id, producer.trace_id);
    assert_eq!(consumer.links[0].span_id, producer.span_id);
    assert_eq!(consumer.links[0].attributes[0].key, "retry");
    assert_eq!(consumer.events.len(), 2);
    let status = consumer.status.as_ref().unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, "boom"));
}

#[tokio::test]
async fn the_python_sdk_is_understood() {
    let Some(python) = program("LONGSHORE_OTEL_PYTHON") else {
        return;
    };
    for (protocol, packing) in [
        ("grpc", ""),
        ("http", ""),
        ("grpc", "gzip"),
        ("http", "gzip"),
    ] {
        let bed = Bed::new().await;
        let words = format!("{protocol} {packing}");
        let endpoint = format!("{} {packing}", bed.url());
        send(python.clone(), protocol, endpoint).await;
        let spans = bed.spans();
        assert_eq!(spans.len(), 2, "{words}");
        assert_whole(&spans);
    }
}

#[tokio::test]
async fn a_collector_of_others_forwards_to_us() {
    let (Some(python), Some(rotel)) =
        (program("LONGSHORE_OTEL_PYTHON"), program("LONGSHORE_ROTEL"))
    else {
        return;
    };
    for protocol in ["grpc", "http"] {
        let bed = Bed::new().await;
        let folder = Folder::new();
        let ports = [(); 2].map(|()| Port::reserve().unwrap());
        let [grpc, http] = ports.each_ref().map(|port| port.address().to_string());
        let pid = folder.0.join("pid");
        let child = Command::new(&rotel)
            .args(["start", "--pid-file", pid.to_str().unwrap()])
            .args(["--otlp-http-endpoint", &http])
            .args(["--otlp-grpc-endpoint", &grpc])
            .args(["--exporter", "otlp"])
            .args(["--otlp-exporter-endpoint", &bed.url()])
            .args(["--otlp-exporter-protocol", protocol])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _ended = Ended(child);
        for port in &ports {
            until(|| std::net::TcpStream::connect(port.address()).is_ok()).await;
        }
        send(python.clone(), "http", format!("http://{http} ")).await;
        until(|| bed.receiver.counters().spans.accepted == 2).await;
        assert_whole(&bed.spans());
    }
}

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _status = self.0.wait();
    }
}

#[tokio::test]
async fn our_own_exporter_is_understood() {
    for protocol in ["grpc", "http/protobuf"] {
        for packing in ["none", "gzip"] {
            let bed = Bed::new().await;
            let url = bed.url();
            let environment = Environment::from_pairs([
                ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", packing),
            ]);
            let settings = Config::load(&[], &environment, &[]).unwrap().telemetry();
            let (telemetry, warnings) = Telemetry::init(&settings, Arc::new(SystemClock::new()));
            assert!(warnings.is_empty(), "{warnings:?}");
            for number in 0..100 {
                telemetry
                    .tracer("test")
                    .start(format!("span {number}"))
                    .end();
            }
            let in_time = telemetry.shutdown(Duration::from_secs(30)).await;
            let counters = telemetry.counters();
            assert!(in_time, "{counters:?}");
            assert_eq!(counters.dropped_total(), 0, "{counters:?}");
            assert_eq!(bed.spans().len(), 100);
        }
    }
}
