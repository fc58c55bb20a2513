//! A receiver that is killed while it takes spans.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use longshore_core::SystemClock;
use longshore_daemon::otlp::{Receiver, ReceiverOptions};
use longshore_daemon::serve::{ServerOptions, serve};
use longshore_telemetry::Redactor;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;

use super::bed::{Folder, journal, request, span, spans};

/// Names the folder to this program when it runs as the child of itself.
const FOLDER: &str = "LONGSHORE_DAEMON_TEST_FOLDER";
/// Senders at once, and how many requests are answered before the receiver is killed.
const SENDERS: u64 = 4;
const ANSWERED: usize = 300;

/// The child: takes spans until it is killed. In an ordinary run of the tests it does nothing.
#[tokio::test]
async fn part_receiver() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let redactor = Arc::new(Redactor::default());
    let clock = Arc::new(SystemClock::new());
    let options = ReceiverOptions::default();
    let receiver = Receiver::start(journal(Path::new(&folder)), redactor, options, clock).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // The test runner has begun the line.
    let port = listener.local_addr().unwrap().port();
    let mut output = std::io::stdout();
    writeln!(output, "\nport {port}").unwrap();
    let router = receiver.router();
    serve(
        listener,
        router,
        ServerOptions::default(),
        std::future::pending(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_there_after_a_kill() {
    let folder = Folder::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "otlp::killed::part_receiver", "--nocapture"])
        .env(FOLDER, &folder.0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ports = lines.map_while(Result::ok).filter_map(|line| {
        let port = line.strip_prefix("port ")?;
        port.parse::<u16>().ok()
    });
    let url = format!("http://127.0.0.1:{}/v1/traces", ports.next().unwrap());
    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    for sender in 0..SENDERS {
        let (url, answered) = (url.clone(), answered.clone());
        tokio::spawn(async move { keep_sending(sender, &url, &answered).await });
    }
    drop(answered);
    let mut numbers = BTreeSet::new();
    while let Some(number) = answers.recv().await {
        numbers.insert(number);
        if numbers.len() == ANSWERED {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    let there: BTreeSet<u64> = spans(&folder.0)
        .iter()
        .map(|span| u64::from_be_bytes(*span.span_id.first_chunk().unwrap()))
        .collect();
    let missing: Vec<&u64> = numbers.difference(&there).collect();
    assert!(numbers.len() >= ANSWERED);
    assert!(missing.is_empty(), "{missing:?} of {}", numbers.len());
}

/// Sends spans with numbers of their own until the receiver is gone.
async fn keep_sending(sender: u64, url: &str, answered: &UnboundedSender<u64>) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    for number in (1_u64..).map(|turn| turn * SENDERS + sender) {
        let post = axum::http::Request::post(url)
            .header("content-type", "application/x-protobuf")
            .body(Full::new(Bytes::from(request(vec![span(number)]))));
        let Ok(answer) = client.request(post.unwrap()).await else {
            return;
        };
        assert_eq!(answer.status(), 200);
        if answered.send(number).is_err() {
            return;
        }
    }
}
