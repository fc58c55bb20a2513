//! A receiver that answers with anything.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore_telemetry::{Counters, DropReason, TelemetrySettings};
use longshore_testkit::collector::Collector;

use super::outage::until;
use super::{PATIENCE, settings, span, start};

/// A server that reads each request and answers all with the same bytes.
struct Answering {
    endpoint: String,
    requests: Arc<AtomicUsize>,
}

impl Answering {
    fn with(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        // It ends with the process: there is no telling how often it will be asked.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                read_request(&mut stream);
                counted.fetch_add(1, Ordering::SeqCst);
                // The client may have had enough.
                let _gone = stream.write_all(&answer);
            }
        });
        Self { endpoint, requests }
    }

    fn settings(&self) -> TelemetrySettings {
        settings(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &self.endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            // Nothing here is to fail for being slow.
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"),
        ])
    }
}

fn read_request(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split_once("content-length: ").unwrap().1;
    let length = length.split_once("\r\n").unwrap().0.parse().unwrap();
    stream.read_exact(&mut vec![0; length]).unwrap();
}

/// Exports three spans to a receiver that answers so; gives the counters and the number of
/// requests it took.
async fn three_spans(answer: Vec<u8>) -> (Counters, usize) {
    let server = Answering::with(answer);
    let telemetry = start(&server.settings());
    telemetry.recorder().record((1..=3).map(span).collect());
    assert!(telemetry.flush(PATIENCE).await, "the exporter is gone");
    let counters = telemetry.counters();
    // What was sent once is still alive for more.
    assert!(telemetry.flush(PATIENCE).await, "the exporter is gone");
    (counters, server.requests.load(Ordering::SeqCst))
}

fn lost(counters: &Counters, reason: DropReason) -> u64 {
    counters.dropped.get(&reason).copied().unwrap_or(0)
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A partial success that says so many spans were rejected.
fn rejecting(spans: i64) -> Vec<u8> {
    let mut number = spans.cast_unsigned();
    let mut inner = vec![0x08];
    while number >= 0x80 {
        inner.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    inner.push(number.to_le_bytes()[0]);
    let mut message = vec![0x0a, u8::try_from(inner.len()).unwrap()];
    message.extend(inner);
    message
}

#[tokio::test]
async fn what_is_taken_is_never_sent_twice_whatever_the_body() {
    let bomb = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0; 4096]].concat();
    let answers = [
        answer("200 OK\r\ncontent-type: text/html", b"<html>hello</html>"),
        answer("200 OK\r\ncontent-type: text/html", &vec![b'x'; 20 << 20]),
        answer("200 OK", &vec![0xff; 20 << 20]),
        answer("200 OK\r\ncontent-encoding: gzip", &bomb),
        answer("200 OK\r\ncontent-type: application/json", &rejecting(2)),
        answer("204 No Content", b""),
        answer("200 OK", &rejecting(-1)),
        answer("200 OK", &rejecting(0)),
    ];
    for answer in answers {
        let shown = String::from_utf8_lossy(&answer[..60]).into_owned();
        let (counters, requests) = three_spans(answer).await;
        assert_eq!((counters.exported, requests), (3, 1), "{shown}");
    }
}

#[tokio::test]
async fn no_more_spans_are_rejected_than_were_sent() {
    for (said, rejected) in [(1, 1), (3, 3), (4, 3), (i64::MAX, 3)] {
        let (counters, _) = three_spans(answer("200 OK", &rejecting(said))).await;
        assert_eq!(lost(&counters, DropReason::Rejected), rejected, "{said}");
        assert_eq!(counters.exported, 3 - rejected, "{said}");
    }
}

#[tokio::test]
async fn what_is_rejected_is_said() {
    let mut message = rejecting(2);
    let said = b"too old";
    message[1] += 2 + u8::try_from(said.len()).unwrap();
    message.extend([0x12, u8::try_from(said.len()).unwrap()]);
    message.extend(said);
    let (counters, _) = three_spans(answer("200 OK", &message)).await;
    assert_eq!(counters.export_errors[&DropReason::Rejected], 1);
    let said = counters.last_export_error.unwrap();
    assert_eq!(said, "the receiver rejected 2 spans: too old");
}

/// Records three spans, waits until an export of them has failed, and ends; gives the counters.
async fn three_spans_in_vain(answer: Vec<u8>) -> Counters {
    let server = Answering::with(answer);
    let telemetry = start(&server.settings());
    telemetry.recorder().record((1..=3).map(span).collect());
    let mut flushing = std::pin::pin!(telemetry.flush(PATIENCE));
    let failed = || !telemetry.counters().export_errors.is_empty();
    while !failed() {
        let step = Duration::from_millis(5);
        // It ends only if the spans left.
        assert!(tokio::time::timeout(step, &mut flushing).await.is_err());
    }
    assert!(!telemetry.shutdown(Duration::from_millis(100)).await);
    // The exporter may count its last batch a moment later.
    until(|| telemetry.counters().waiting() == 0).await;
    telemetry.counters()
}

#[tokio::test]
async fn a_pause_beyond_all_time_is_not_waited_for() {
    for pause in ["18446744073709551615", "9223372036854775807", "86400"] {
        let head = format!("503 Service Unavailable\r\nretry-after: {pause}");
        let counters = three_spans_in_vain(answer(&head, b"")).await;
        assert_eq!(lost(&counters, DropReason::Shutdown), 3, "{pause}");
        assert!(counters.export_errors[&DropReason::Unavailable] >= 1);
    }
}

#[tokio::test]
async fn what_is_no_http_is_a_failure_and_nothing_else() {
    let answers = [
        b"\0\xff\x16\x03\x01".to_vec(),
        Vec::new(),
        b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nshort".to_vec(),
        format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20)).into_bytes(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n".to_vec(),
    ];
    for answer in answers {
        let counters = three_spans_in_vain(answer).await;
        assert_eq!(counters.exported, 0);
        assert_eq!(lost(&counters, DropReason::Shutdown), 3);
        assert!(counters.export_errors[&DropReason::Unavailable] >= 1);
    }
}

#[tokio::test]
async fn times_beyond_all_time_are_borne() {
    let collector = Collector::start().unwrap();
    let settings = settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.http_endpoint()),
        ("LONGSHORE_TELEMETRY_TIMEOUT", "18000000000000000000s"),
        (
            "LONGSHORE_TELEMETRY_EXPORT_TIMEOUT",
            "18000000000000000000s",
        ),
    ]);
    let telemetry = start(&settings);
    telemetry.recorder().record(vec![span(1)]);
    assert!(telemetry.flush(Duration::MAX).await);
    assert!(telemetry.shutdown(Duration::MAX).await);
    assert_eq!(telemetry.counters().exported, 1);
}
