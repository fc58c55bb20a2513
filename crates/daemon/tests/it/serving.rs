//! Connections: taken, answered, ended.

use std::sync::Arc;

use longshore_core::SystemClock;
use longshore_daemon::serve::{ServerOptions, serve};
use longshore_daemon::{AppState, app};
use longshore_memory::MemoryStore;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

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
