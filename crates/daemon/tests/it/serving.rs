//! Connections: taken, answered, ended.

use std::sync::Arc;

use longshore_core::SystemClock;
use longshore_daemon::serve::{ServerOptions, Tls, serve, serve_within};
use longshore_daemon::{AppState, app};
use longshore_memory::MemoryStore;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

use crate::otlp::bed::Folder;

fn state() -> AppState {
    AppState::new(Arc::new(MemoryStore::new()), Arc::new(SystemClock::new()))
}

#[tokio::test]
async fn a_request_is_answered_and_the_server_stops_when_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
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
