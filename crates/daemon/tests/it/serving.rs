//! Connections: taken, answered, ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;

use longshore_core::SystemClock;
use longshore_daemon::serve::{ServerOptions, Tls, serve, serve_within};
use longshore_daemon::{AppState, app};
use longshore_memory::MemoryStore;
use longshore_testkit::Port;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::otlp::bed::{Folder, PATIENCE};

fn state() -> AppState {
    AppState::new(Arc::new(MemoryStore::new()), Arc::new(SystemClock::new()))
}

#[tokio::test]
async fn a_request_is_answered_and_the_server_stops_when_told() {
    // Nobody else listens there afterwards.
    let port = Port::reserve().unwrap();
    let address = port.address();
    let listener = TcpListener::bind(address).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(
        listener,
        app(state()),
        ServerOptions::default(),
        async {
            let _told = stopped.await;
        },
    ));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.ends_with("ok\n"), "{answer}");
    stop.send(()).unwrap();
    assert!(server.await.unwrap(), "every connection ended in time");
    assert!(TcpStream::connect(address).await.is_err());
}

/// A certificate for localhost and its key in PEM files, and a client that trusts it.
fn certified(folder: &std::path::Path) -> (std::path::PathBuf, std::path::PathBuf, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (certificate, key, TlsConnector::from(Arc::new(client)))
}

#[tokio::test]
async fn within_tls_the_same_is_answered_and_without_it_nothing() {
    let folder = Folder::new();
    let (certificate, key, client) = certified(&folder.0);
    let tls = Tls::from_files(&certificate, &key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = ServerOptions::default();
    let never = std::future::pending();
    tokio::spawn(serve_within(
        Some(tls),
        listener,
        app(state()),
        options,
        never,
    ));
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(request).await.unwrap();
    let _broken_off = plain.read_to_string(&mut answer).await;
    assert!(!answer.contains("200"), "{answer}");
    let stream = TcpStream::connect(address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut stream = client.connect(name, stream).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

/// A moment that is over soon, where what is waited for is that it is over.
const MOMENT: Duration = Duration::from_millis(50);
/// Longer than any test waits.
const AGES: Duration = Duration::from_secs(3600);

/// What nobody has to wait for, unless a test says so.
fn patient() -> ServerOptions {
    ServerOptions {
        head: AGES,
        taking: AGES,
        grace: AGES,
        ..ServerOptions::default()
    }
}

/// A server that is told to stop.
struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<bool>,
}

impl Served {
    async fn start(router: Router, options: ServerOptions, tls: Option<Tls>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let told = async {
            let _told = stopped.await;
        };
        let task = tokio::spawn(serve_within(tls, listener, router, options, told));
        Self {
            address,
            stop,
            task,
        }
    }

    /// A connection on which these bytes were sent.
    async fn sent(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// The answer to the simplest of all questions.
    async fn health(&self) -> String {
        let asked = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        answer(self.sent(asked).await).await
    }

    /// Asks until there is an answer: whoever takes too long to ask, on a slow machine, has none.
    async fn answers(&self) {
        let asked = async { while !self.health().await.starts_with("HTTP/1.1 200") {} };
        tokio::time::timeout(PATIENCE, asked).await.unwrap();
    }

    /// Whether every connection ended by itself once the server was told to stop.
    async fn stopped(self) -> bool {
        self.stop.send(()).unwrap();
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        // A server that is told to stop does.
        ended.unwrap().unwrap()
    }
}

/// All that comes until the other end closes.
async fn answer(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // What was sent and not read makes of the end an error.
    let _reset = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The beginning of HTTP/2, after which nothing is asked.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

#[tokio::test]
async fn who_connects_and_asks_nothing_is_let_go_and_others_are_answered() {
    let options = ServerOptions {
        connections: 2,
        head: MOMENT,
        ..patient()
    };
    let served = Served::start(app(state()), options, None).await;
    let beginnings: [&[u8]; 4] = [b"", b"PRI * HT", PREFACE, b"GET /healthz HTTP/1.1\r\nhost"];
    let mut silent = Vec::new();
    for beginning in beginnings.iter().cycle().take(12) {
        silent.push(served.sent(beginning).await);
    }
    served.answers().await;
    for stream in silent {
        let told = answer(stream).await;
        assert!(!told.contains("200 OK"), "{told}");
    }
    assert!(served.stopped().await);
}

#[tokio::test]
async fn who_asked_once_may_be_silent_within_what_http_allows() {
    let options = ServerOptions {
        head: MOMENT,
        ..patient()
    };
    let (go, gone) = tokio::sync::watch::channel(false);
    let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let slow = move || {
        let mut gone = gone.clone();
        begin.send(()).unwrap();
        async move {
            let _told = gone.wait_for(|gone| *gone).await;
            "done"
        }
    };
    let served = Served::start(Router::new().route("/slow", get(slow)), options, None).await;
    let asked = b"GET /slow HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    // Where it takes too long until it is said, it is asked again.
    let stream = loop {
        let stream = served.sent(asked).await;
        tokio::select! {
            _begun = begun.recv() => break stream,
            _let_go = stream.readable() => {}
        }
    };
    // One that came later and said nothing is gone, so its time is over for the first one too.
    let _later = answer(served.sent(b"").await).await;
    go.send(true).unwrap();
    assert!(answer(stream).await.ends_with("done"));
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_is_let_go() {
    let options = ServerOptions {
        connections: 1,
        taking: MOMENT,
        ..patient()
    };
    let large = || async { vec![b'x'; 64 << 20] };
    let router = app(state()).route("/large", get(large));
    let served = Served::start(router, options, None).await;
    let asked = b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let deaf = served.sent(asked).await;
    assert!(served.health().await.starts_with("HTTP/1.1 200"));
    let taken = answer(deaf).await;
    assert!(taken.len() < 64 << 20, "{}", taken.len());
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let options = ServerOptions {
        head_bytes: 8 << 10,
        ..patient()
    };
    let served = Served::start(app(state()), options, None).await;
    let long = "x".repeat(100 << 10);
    let asked = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-long: {long}\r\n\r\n");
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let _broken_off = stream.write_all(asked.as_bytes()).await;
    let told = answer(stream).await;
    assert!(
        told.is_empty() || told.starts_with("HTTP/1.1 431"),
        "{told}"
    );
    assert!(served.health().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn who_has_not_begun_does_not_keep_a_server_from_stopping() {
    let folder = Folder::new();
    let (certificate, key, _client) = certified(&folder.0);
    let tls = Tls::from_files(&certificate, &key).unwrap();
    for tls in [None, Some(tls)] {
        let served = Served::start(app(state()), patient(), tls).await;
        let silent = [served.sent(b"").await, served.sent(b"PRI").await];
        // What comes after them was taken after them.
        let _answered_or_no_tls = answer(served.sent(b"GET / HTTP/1.0\r\n\r\n").await).await;
        assert!(served.stopped().await);
        for stream in silent {
            let told = answer(stream).await;
            assert!(!told.contains("HTTP"), "{told}");
        }
    }
}

#[tokio::test]
async fn who_does_not_end_is_broken_off_after_the_grace() {
    let options = ServerOptions {
        grace: MOMENT,
        ..patient()
    };
    let served = Served::start(app(state()), options, None).await;
    let head = "host: localhost\r\ncontent-type: application/json\r\n";
    let asked = format!("GET /api/v1/live HTTP/1.1\r\n{head}\r\n");
    let mut listens = served.sent(asked.as_bytes()).await;
    let mut begun = [0; 12];
    listens.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200");
    let asked = format!("POST /api/v1/jobs HTTP/1.1\r\n{head}content-length: 99\r\n\r\n{{");
    let half = served.sent(asked.as_bytes()).await;
    assert!(served.health().await.starts_with("HTTP/1.1 200"));
    assert!(!served.stopped().await, "some did not end by themselves");
    assert_eq!(answer(half).await, "");
    let _rest = answer(listens).await;
}

#[test]
fn files_that_hold_no_certificate_or_no_key_are_named() {
    let folder = Folder::new();
    let (certificate, key, _client) = certified(&folder.0);
    let said = |certificate, key| Tls::from_files(certificate, key).unwrap_err().to_string();
    assert!(said(&key, &key).contains("server.key holds no certificate"));
    assert!(said(&certificate, &certificate).contains("server.pem holds no private key"));
    let missing = folder.0.join("missing.pem");
    assert!(said(&missing, &key).contains("missing.pem cannot be read"));
}
