//! A daemon among clients that say nothing, half of something, or something for ever: it answers
//! the others, ends when it is asked to, and has what it acknowledged when it starts again.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use longshore_core::{Clock as _, SystemClock};
use serde_json::Value;

use crate::serve::{Daemon, PATIENCE, ask};
use crate::shell::Shell;

const DOORS: [&str; 3] = ["url", "otlp_http", "otlp_grpc"];
/// Connections at each door on which nothing is said.
const IDLE: usize = 100;
/// What is acknowledged of each kind before the daemon is asked to stop.
const BEFORE: usize = 25;

/// Connections on which something was begun and not ended, at every door.
fn half_sent(daemon: &Daemon) -> Vec<TcpStream> {
    let beginnings: [&[u8]; 7] = [
        b"GET",
        b"GET /healthz HTTP/1.1\r\nhost: loc",
        b"POST /api/v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
          content-length: 99\r\n\r\n{\"queue\":",
        b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n\
          transfer-encoding: chunked\r\n\r\nffff\r\n\x0a",
        b"PRI * HT",
        // HTTP/2 that goes on with nothing, and with a frame that is cut off.
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x40\x00\x01",
    ];
    let begun = |(door, beginning): (&str, &[u8])| {
        let mut stream = TcpStream::connect(daemon.host(door)).unwrap();
        stream.write_all(beginning).unwrap();
        stream
    };
    let all = DOORS
        .iter()
        .flat_map(|door| beginnings.map(|of| (*door, of)));
    all.map(begun).collect()
}

/// Sends a body byte by byte, until nobody takes it any more.
fn slow_body(daemon: &Daemon, door: &str, path: &str) -> JoinHandle<()> {
    let mut stream = TcpStream::connect(daemon.host(door)).unwrap();
    let head = "host: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000000";
    write!(stream, "POST {path} HTTP/1.1\r\n{head}\r\n\r\n{{").unwrap();
    std::thread::spawn(move || {
        while stream.write_all(b" ").is_ok() {
            std::thread::park_timeout(Duration::from_millis(20));
        }
    })
}

/// Hears events, until there are no more.
fn listener(daemon: &Daemon) -> JoinHandle<()> {
    let mut stream = TcpStream::connect(daemon.host("url")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET /api/v1/live HTTP/1.1\r\nhost: localhost\r\n\r\n"
    )
    .unwrap();
    let mut begun = [0; 12];
    stream.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200");
    std::thread::spawn(move || {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).expect("events end");
    })
}

/// Asks again and again for something new, until nobody answers, and says what was acknowledged:
/// paths at which it is found.
fn client(
    host: String,
    each: impl Fn(&str, usize) -> Option<String> + Send + 'static,
) -> mpsc::Receiver<String> {
    let (acknowledged, told) = mpsc::channel();
    std::thread::spawn(move || {
        let paths = (1..).map_while(|number| each(&host, number));
        paths.for_each(|path| acknowledged.send(path).unwrap());
    });
    told
}

fn enqueue(host: &str, number: usize) -> Option<String> {
    // Every other one is run by the worker within.
    let queue = ["q", "waits"][number % 2];
    let job = format!(r#"{{"queue":"{queue}","kind":"k","args":{number}}}"#);
    let (status, body) = ask(host, "POST /api/v1/jobs", &[], &job).ok()?;
    let made: Value = serde_json::from_str(&body).ok()?;
    assert_eq!(status, 201, "{body}");
    Some(format!("jobs/{}", made["id"].as_str().unwrap()))
}

fn send_span(host: &str, number: usize) -> Option<String> {
    let now = SystemClock::new().now().unix_nanos_unsigned();
    let span = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{number:032x}",
        "spanId":"{number:016x}","name":"checkout","startTimeUnixNano":"{now}",
        "endTimeUnixNano":"{now}"}}]}}]}}]}}"#
    );
    let (status, body) = ask(host, "POST /v1/traces", &[], &span).ok()?;
    assert_eq!(status, 200, "{body}");
    Some(format!("traces/{number:032x}"))
}

#[test]
fn among_hostile_clients_it_ends_when_asked_to_and_has_what_it_acknowledged() {
    let shell = Shell::new();
    shell.write(
        "longshore.toml",
        "[telemetry]\nspan_log = 'spans'\n[[serve.workers]]\nqueue = 'q'\nexec = 'cat'\n",
    );
    let daemon = Daemon::start(&shell);
    let connect = |door| TcpStream::connect(daemon.host(door)).unwrap();
    let doors = DOORS.into_iter().cycle();
    let idle: Vec<TcpStream> = doors.take(DOORS.len() * IDLE).map(connect).collect();
    let half = half_sent(&daemon);
    let busy = [
        slow_body(&daemon, "url", "/api/v1/jobs"),
        slow_body(&daemon, "url", "/v1/traces"),
        slow_body(&daemon, "otlp_http", "/v1/traces"),
        slow_body(&daemon, "otlp_grpc", "/v1/traces"),
        listener(&daemon),
    ];
    let clients = [
        client(daemon.host("url"), enqueue),
        client(daemon.host("otlp_http"), send_span),
    ];
    let mut acknowledged = Vec::new();
    for client in &clients {
        let told = || client.recv_timeout(PATIENCE).expect("others are answered");
        acknowledged.extend(std::iter::repeat_with(told).take(BEFORE));
    }
    daemon.terminate();
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("Stopped."), "{said}");
    for thread in busy {
        thread.join().unwrap();
    }
    drop((idle, half));
    // What they were told after the daemon was asked to stop counts as much.
    acknowledged.extend(clients.iter().flatten());

    let again = Daemon::start(&shell);
    for path in acknowledged {
        let request = format!("GET /api/v1/{path}");
        let (status, body) = again.ask("url", &request, &[], "");
        assert_eq!(status, 200, "{path}: {body}");
    }
    again.terminate();
    assert_eq!(again.ended().0, Some(0));
}
