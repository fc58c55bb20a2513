//! What is malformed, hostile or too much.

use axum::http::{Method, Request};
use longshore_core::SystemClock;
use longshore_daemon::Access;
use longshore_daemon::otlp::{Receiver, ReceiverOptions};
use longshore_daemon::serve::Peer;
use longshore_telemetry::Redactor;
use std::sync::Arc;
use tower::ServiceExt as _;

use super::bed::{Bed, journal, request, span, until};
use super::protocols::{EXPORT, GRPC, JSON, PROTOBUF, frame};

#[tokio::test]
async fn what_is_malformed_is_refused_for_good_with_the_reason() {
    let bed = Bed::new().await;
    let long = ("content-encoding", "br");
    for (headers, body, status, said) in [
        (vec![PROTOBUF], b"no protobuf".to_vec(), 400, "is no OTLP"),
        (vec![JSON], b"{".to_vec(), 400, "line 1"),
        (
            vec![PROTOBUF, ("content-encoding", "gzip")],
            vec![1, 2],
            400,
            "cannot be unpacked",
        ),
        (vec![PROTOBUF, long], vec![], 415, "gzip or zstd"),
        (
            vec![("content-type", "text/plain")],
            b"{}".to_vec(),
            415,
            "application/json",
        ),
        (vec![], b"{}".to_vec(), 415, "application/json"),
        (
            vec![JSON, ("origin", "https://evil.example")],
            b"{}".to_vec(),
            403,
            "web pages",
        ),
    ] {
        let answer = bed.send("/v1/traces", &headers, body).await;
        assert_eq!(answer.status, status, "{headers:?}");
        assert!(
            answer.text().contains(said),
            "{headers:?}: {}",
            answer.text()
        );
        assert_eq!(answer.header("retry-after"), "", "{headers:?}");
    }
    let short = frame(false, &request(vec![span(1)]));
    for (headers, body, status) in [
        (vec![GRPC], b"".to_vec(), "3"),
        (vec![GRPC], frame(false, b"no protobuf"), "3"),
        (vec![GRPC], short[..short.len() - 1].to_vec(), "3"),
        (vec![GRPC], [short.as_slice(), &short].concat(), "3"),
        (
            vec![GRPC, ("grpc-encoding", "snappy")],
            frame(true, b"x"),
            "12",
        ),
    ] {
        let answer = bed.send(EXPORT, &headers, body).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("grpc-status"), status, "{headers:?}");
        assert_ne!(answer.header("grpc-message"), "");
    }
    assert!(bed.frames().is_empty());
    let counters = bed.receiver.counters();
    assert_eq!(counters.requests.values().sum::<u64>(), 12);
    assert_eq!(counters.requests_of("taken"), 0);
    // The receiver goes on.
    let answer = bed
        .send("/v1/traces", &[PROTOBUF], request(vec![span(1)]))
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn other_methods_are_told_which_one_there_is() {
    let bed = Bed::new().await;
    let get = Request::builder().method(Method::GET).uri("/v1/traces");
    let request = get.body(axum::body::Body::empty()).unwrap();
    let response = bed.receiver.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "POST");
}

#[tokio::test]
async fn what_is_too_large_is_refused_for_good_packed_or_not() {
    let bed = Bed::with(ReceiverOptions {
        body_bytes: 10_000,
        ..ReceiverOptions::default()
    })
    .await;
    let large = request((1..1000).map(span).collect());
    let answer = bed.send("/v1/traces", &[PROTOBUF], large.clone()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (413, ""));
    let packed = zstd::encode_all(&*vec![0_u8; 100 << 20], 1).unwrap();
    assert!(packed.len() < 10_000 || packed.len() < 20_000);
    let headers = [GRPC, ("grpc-encoding", "zstd")];
    let answer = bed.send(EXPORT, &headers, frame(true, &packed)).await;
    assert_eq!(answer.header("grpc-status"), "8");
    let details = answer.header("grpc-status-details-bin");
    assert!(!details.is_empty());
    assert_eq!(bed.receiver.counters().requests_of("too_large"), 2);
}

#[tokio::test]
async fn when_more_comes_than_can_be_written_senders_are_told_to_pause() {
    let bed = Bed::with(ReceiverOptions {
        waiting_bytes: 10,
        ..ReceiverOptions::default()
    })
    .await;
    let message = request(vec![span(1)]);
    let answer = bed.send("/v1/traces", &[PROTOBUF], message.clone()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "1"));
    let answer = bed.send(EXPORT, &[GRPC], frame(false, &message)).await;
    assert_eq!(answer.header("grpc-status"), "14");
    let status = decoded_details(answer.header("grpc-status-details-bin"));
    assert!(status.contains("google.rpc.RetryInfo"), "{status}");
    assert_eq!(bed.receiver.counters().requests_of("busy"), 2);
}

/// Who sends too often is told when to send again, and loses nothing.
#[tokio::test]
async fn who_tries_tokens_is_told_to_pause() {
    let bed = Bed::new().await;
    let access = Access::by_token("write-0123456789", None).unwrap();
    let router = bed.receiver.clone().with_access(access).router();
    let ask = async |path: &str, media_type: &str| {
        let request = Request::post(path).header("content-type", media_type);
        let request = request.header("authorization", "Bearer wrong-0123456789");
        let mut request = request.body(axum::body::Body::empty()).unwrap();
        request
            .extensions_mut()
            .insert(Peer(([127, 0, 0, 1], 1).into()));
        router.clone().oneshot(request).await.unwrap()
    };
    let mut answer = ask("/v1/traces", "application/json").await;
    for _try in 0..1000 {
        if answer.status() != 401 {
            break;
        }
        answer = ask("/v1/traces", "application/json").await;
    }
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    // On a slow machine the pause may be over by now.
    let mut answer = ask(EXPORT, GRPC.1).await;
    for _try in 0..1000 {
        if answer.headers()["grpc-status"] == "8" {
            break;
        }
        answer = ask(EXPORT, GRPC.1).await;
    }
    assert_eq!(answer.headers()["grpc-status"], "8");
    let details = answer.headers()["grpc-status-details-bin"]
        .to_str()
        .unwrap();
    assert!(decoded_details(details).contains("google.rpc.RetryInfo"));
    assert!(bed.receiver.counters().requests_of("too_often") >= 2);
}

#[tokio::test]
async fn when_too_many_send_at_once_others_are_told_to_pause() {
    let bed = Bed::with(ReceiverOptions {
        at_once: 1,
        ..ReceiverOptions::default()
    })
    .await;
    let body = axum::body::Body::from_stream(futures_util::stream::pending::<
        Result<bytes::Bytes, std::io::Error>,
    >());
    let slow = Request::post("/v1/traces").header("content-type", PROTOBUF.1);
    let mut slow = slow.header("host", "localhost").body(body).unwrap();
    slow.extensions_mut()
        .insert(Peer(([127, 0, 0, 1], 1).into()));
    let router: axum::Router = bed.receiver.router();
    let slow = tokio::spawn(router.oneshot(slow));
    let message = request(vec![span(1)]);
    let answer = loop {
        let answer = bed.send("/v1/traces", &[PROTOBUF], message.clone()).await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((answer.status, answer.header("retry-after")), (429, "1"));
    slow.abort();
    let _gone = slow.await;
    let answer = bed.send("/v1/traces", &[PROTOBUF], message).await;
    assert_eq!(answer.status, 200);
}

fn decoded_details(base64: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD_NO_PAD.decode(base64);
    String::from_utf8_lossy(&bytes.unwrap()).into_owned()
}

/// A file stands where the folder was: nothing can be written, and senders keep what they have.
#[tokio::test]
async fn what_cannot_be_written_is_not_answered_as_if_it_were() {
    let bed = Bed::new().await;
    let message = request(vec![span(1)]);
    let answer = bed.send("/v1/traces", &[PROTOBUF], message.clone()).await;
    assert_eq!(answer.status, 200);
    std::fs::remove_dir_all(&bed.folder.0).unwrap();
    std::fs::write(&bed.folder.0, "in the way").unwrap();
    let answer = bed.send("/v1/traces", &[PROTOBUF], message.clone()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "10"));
    assert!(
        answer.text().contains("cannot be written down"),
        "{}",
        answer.text()
    );
    let spans = bed.receiver.counters().spans;
    assert_eq!((spans.received, spans.accepted), (2, 1));
    assert_eq!(spans.dropped["unwritable"], 1);
    std::fs::remove_file(&bed.folder.0).unwrap();
    let answer = bed.send("/v1/traces", &[PROTOBUF], message).await;
    assert_eq!(answer.status, 200, "it is made anew");
    assert_eq!(bed.spans().len(), 1);
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let bed = Bed::with(ReceiverOptions {
        patience: std::time::Duration::from_millis(50),
        ..ReceiverOptions::default()
    })
    .await;
    let mut stream = tokio::net::TcpStream::connect(bed.address).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 408");
    until(|| bed.receiver.counters().requests_of("broken_off") == 1).await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_had_is_said_at_once() {
    let folder = super::bed::Folder::new();
    let file = folder.0.join("file");
    std::fs::write(&file, "").unwrap();
    let clock = Arc::new(SystemClock::new());
    let redactor = Arc::new(Redactor::default());
    let refused = Receiver::start(journal(&file), redactor, ReceiverOptions::default(), clock);
    assert!(refused.unwrap_err().to_string().contains("file"));
}
