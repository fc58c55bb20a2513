//! `serve`: one process that answers, takes spans and runs workers.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::time::Duration;

use longshore_spanlog::Reader;
use serde_json::Value;

use crate::shell::Shell;

/// Long enough for a loaded machine; nothing waits this long unless the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A daemon that ends with the test.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Child,
    said: Value,
    /// All that it says to people, once it has ended.
    errors: mpsc::Receiver<String>,
}

impl Daemon {
    pub(crate) fn start(shell: &Shell) -> Self {
        Self::listening(shell, "0")
    }

    /// Takes spans by HTTP at an address.
    fn listening(shell: &Shell, http: &str) -> Self {
        let free = ["--listen", "0", "--otlp-grpc", "0", "--otlp-http", http];
        let words = [&["serve", "--json"], &free[..]].concat();
        let mut process = shell.start(&words);
        // Nobody may stop reading, or the daemon could not go on.
        let stderr = process.stderr.take().unwrap();
        let (ended, errors) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(stderr).lines();
            let said: Vec<String> = lines.map_while(Result::ok).collect();
            let _nobody_asks = ended.send(said.join("\n"));
        });
        let mut line = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let said = serde_json::from_str(&line).unwrap();
        Self {
            process,
            said,
            errors,
        }
    }

    pub(crate) fn host(&self, key: &str) -> String {
        let url = self.said[key].as_str().unwrap();
        url.strip_prefix("http://").unwrap().to_owned()
    }

    /// Sends a request, and gives back status and body.
    pub(crate) fn ask(
        &self,
        key: &str,
        request: &str,
        headers: &[&str],
        body: &str,
    ) -> (u16, String) {
        ask(&self.host(key), request, headers, body).unwrap()
    }

    /// Asks it to stop, and waits until it has.
    fn stop(self) -> Option<i32> {
        self.last_words().0
    }

    /// The same, with all that it said to people.
    fn last_words(self) -> (Option<i32>, String) {
        self.terminate();
        self.ended()
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        let id = self.process.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
    }

    /// The code it ended with, and all that it said to people.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let said = self.errors.recv_timeout(PATIENCE);
        let said = said.expect("a daemon that is asked to stop does");
        (self.process.wait().unwrap().code(), said)
    }
}

/// Sends a request to a daemon that may be gone, and gives back status and body.
pub(crate) fn ask(
    host: &str,
    request: &str,
    headers: &[&str],
    body: &str,
) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let more: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    let parts = answer.split_once("\r\n\r\n");
    let (Some(status), Some((_head, body))) = (status, parts) else {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, answer));
    };
    Ok((status, body.to_owned()))
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended_before = self.process.kill();
        let _reaped = self.process.wait();
    }
}

#[test]
fn where_no_span_is_written_down_none_is_taken_and_none_is_shown() {
    for settings in [
        "[telemetry]\nspan_log = 'off'\n",
        "[telemetry]\nspan_log = 'spans'\nenabled = false\n",
    ] {
        let shell = Shell::new();
        shell.write("longshore.toml", settings);
        let daemon = Daemon::start(&shell);
        for key in ["otlp_grpc", "otlp_http"] {
            assert!(daemon.said[key].is_null(), "{settings}: {}", daemon.said);
        }
        let (_status, body) = daemon.ask("url", "GET /api/v1/about", &[], "");
        let about: Value = serde_json::from_str(&body).unwrap();
        assert!(about["traces"].is_null(), "{settings}: {about}");
        let (code, said) = daemon.last_words();
        assert_eq!(code, Some(0));
        assert!(said.contains("other programs are not taken"), "{said}");
    }
}

#[test]
fn a_door_for_spans_alone_that_others_reach_is_warned_of_too() {
    let shell = Shell::new().with("LONGSHORE_SERVE_TOKEN", TOKEN);
    settings(&shell);
    let said = |http: &str| Daemon::listening(&shell, http).last_words().1;
    assert!(!said("0").contains("unencrypted"));
    let said = said("0.0.0.0:0");
    assert!(
        said.contains("tokens and jobs travel unencrypted"),
        "{said}"
    );
}

fn settings(shell: &Shell) {
    shell.write(
        "longshore.toml",
        "trace_url = 'jaeger=https://traces.example'\n\
         [telemetry]\nspan_log = 'spans'\n[[serve.workers]]\nqueue = 'q'\nexec = 'cat'\n",
    );
}

/// All bytes of the span log as text.
fn span_log(shell: &Shell) -> String {
    let mut reader = Reader::open(shell.folder.join("spans")).unwrap();
    let frames = std::iter::from_fn(|| reader.next_frame().unwrap());
    frames
        .map(|frame| String::from_utf8_lossy(&frame.body).into_owned())
        .collect()
}

#[test]
fn a_job_goes_from_a_request_through_a_worker_within_as_one_trace() {
    let shell = Shell::new();
    settings(&shell);
    let daemon = Daemon::start(&shell);
    let traceparent = format!("traceparent: 00-{TRACE}-b7ad6b7169203331-01");
    let job = r#"{"queue":"q","kind":"k","args":{"to":"ann"}}"#;
    let (status, body) = daemon.ask("url", "POST /api/v1/jobs", &[&traceparent], job);
    assert_eq!(status, 201, "{body}");
    let made: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(made["trace_id"], TRACE);
    let id = made["id"].as_str().unwrap().to_owned();
    loop {
        let path = format!("GET /api/v1/jobs/{id}");
        let (status, body) = daemon.ask("url", &path, &[], "");
        assert_eq!(status, 200, "{body}");
        let job: Value = serde_json::from_str(&body).unwrap();
        if job["state"] == "completed" {
            assert_eq!(job["result"]["to"], "ann");
            break;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    // A program sends a span of its own.
    let span = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{TRACE}","spanId":"b7ad6b7169203331",
        "name":"checkout of ada@example.com"}}]}}]}}]}}"#
    );
    let (status, body) = daemon.ask("otlp_http", "POST /v1/traces", &[], &span);
    assert_eq!((status, body.as_str()), (200, "{}"));
    let (_status, body) = daemon.ask("url", "GET /api/v1/about", &[], "");
    let about: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(about["trace_url"], "jaeger=https://traces.example");
    let (status, body) = daemon.ask("url", "GET /metrics", &[], "");
    assert_eq!(status, 200, "{body}");
    for line in [
        r#"longshore_receiver_requests_total{protocol="http/json",outcome="taken"} 1"#,
        r#"longshore_receiver_received_total{signal="spans"} 1"#,
        r#"longshore_receiver_accepted_total{signal="spans"} 1"#,
        r#"longshore_receiver_dropped_total{signal="spans",reason="busy"} 0"#,
        r#"longshore_receiver_redacted_total{rule="email"} 1"#,
    ] {
        assert!(body.lines().any(|own| own == line), "{line}\n{body}");
    }
    assert_eq!(daemon.stop(), Some(0));
    let spans = span_log(&shell);
    for name in [
        "daemon.start",
        "http.request",
        "queue.enqueue",
        "job.process",
        "checkout of",
    ] {
        assert!(spans.contains(name), "{name}");
    }
    assert!(!spans.contains("ada@example.com"));
}

#[test]
fn without_a_token_nobody_else_is_answered() {
    let shell = Shell::new();
    let everywhere = ["serve", "--no-otlp", "--listen", "0.0.0.0:0"];
    let refused = shell.run(&everywhere);
    assert_eq!(refused.code, 2);
    assert!(
        refused.err.contains("LONGSHORE_SERVE_TOKEN"),
        "{}",
        refused.err
    );
    let refused = shell.run(&[
        "serve",
        "--listen",
        "0",
        "--otlp-http",
        "[::]:0",
        "--otlp-grpc",
        "off",
    ]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("--otlp-http"), "{}", refused.err);
    let short = Shell::new().with("LONGSHORE_SERVE_TOKEN", "secret");
    let refused = short.run(&everywhere);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("16"), "{}", refused.err);
    assert!(!refused.err.contains("secret"), "{}", refused.err);
}

#[test]
fn with_a_token_it_is_asked_for_everywhere() {
    let shell = Shell::new().with("LONGSHORE_SERVE_TOKEN", TOKEN);
    settings(&shell);
    let daemon = Daemon::start(&shell);
    assert_eq!(daemon.said["token"], true);
    let token = format!("authorization: Bearer {TOKEN}");
    let empty = r#"{"resourceSpans":[]}"#;
    for (key, request, body) in [
        ("url", "GET /api/v1/jobs", ""),
        ("url", "POST /v1/traces", empty),
        ("otlp_http", "POST /v1/traces", empty),
        ("otlp_grpc", "POST /v1/traces", empty),
    ] {
        let (status, _) = daemon.ask(key, request, &[], body);
        assert_eq!(status, 401, "{key} {request}");
        let (status, said) = daemon.ask(key, request, &[&token], body);
        assert_eq!(status, 200, "{key} {request}: {said}");
    }
    let (status, _) = daemon.ask("url", "GET /healthz", &[], "");
    assert_eq!(status, 200);
    assert_eq!(daemon.stop(), Some(0));
    let shown = shell.run(&["config", "show"]);
    assert!(!shown.out.contains(TOKEN), "{}", shown.out);
}

#[test]
fn a_port_in_use_is_said_with_its_flag() {
    let shell = Shell::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = shell.run(&["serve", "--no-otlp", "--listen", &port]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("--listen") && refused.err.contains("another process"));
    let refused = shell.run(&["serve", "--listen", "0", "--otlp-grpc", &port]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("--otlp-grpc") && refused.err.contains("--no-otlp"));
}

#[test]
fn what_a_worker_lacks_is_said_before_anything_starts() {
    let shell = Shell::new();
    shell.write("longshore.toml", "[[serve.workers]]\nqueue = 'q'\n");
    let refused = shell.run(&["serve", "--listen", "0", "--no-otlp"]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.err.contains("worker 1: `exec` is missing"),
        "{}",
        refused.err
    );
}
