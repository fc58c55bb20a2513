//! `worker --metrics`, as a person, a careless client and a real Prometheus see it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use longshore_core::{SpanId, TraceId};
use longshore_testkit::Port;
use longshore_testkit::collector::Collector;
use serde_json::Value;

use crate::serve::Daemon;
use crate::shell::Shell;

/// Long enough for a loaded machine; nothing waits this long unless the test fails.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at another process.
const LOOK: Duration = Duration::from_millis(100);
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Jobs of the kind `bad` fail, all others do not.
const PROGRAM: &str = "case $LONGSHORE_KIND in bad) exit 9;; esac";

/// A process that ends with the test.
#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_before = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A worker for the queue `q`, and the address of its metrics.
fn worker(shell: &Shell, address: &str) -> (Running, String) {
    worker_of(shell, address, PROGRAM)
}

/// The same, running another program.
fn worker_of(shell: &Shell, address: &str, program: &str) -> (Running, String) {
    let mut worker = Running(shell.start(&[
        "worker",
        "--queue",
        "q",
        "--metrics",
        address,
        "--exec",
        program,
    ]));
    let stderr = BufReader::new(worker.0.stderr.take().unwrap());
    let mut lines = stderr.lines().map(Result::unwrap);
    let told = lines.find_map(|line| {
        let url = line.strip_prefix("Metrics at http://")?;
        Some(url.strip_suffix("/metrics.")?.to_owned())
    });
    // Nobody may stop reading, or the worker could not go on.
    std::thread::spawn(move || lines.for_each(drop));
    (worker, told.expect("the worker says where its metrics are"))
}

/// An answer to a request: status, head and body.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

fn send(address: &str, request: &str) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((&reply, ""));
    Reply {
        status: head
            .split(' ')
            .nth(1)
            .map_or(0, |code| code.parse().unwrap()),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

fn get(address: &str, path: &str, accept: &str) -> Reply {
    send(
        address,
        &format!("GET {path} HTTP/1.0\r\nHost: here\r\nAccept: {accept}\r\n\r\n"),
    )
}

/// What `look` finds at last.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
        if let Some(found) = look() {
            return found;
        }
        std::thread::park_timeout(LOOK);
    }
    panic!("{what}: not within {PATIENCE:?}");
}

#[test]
fn a_worker_tells_its_metrics_in_the_format_that_is_asked_for() {
    let shell = Shell::new().with("LONGSHORE_TELEMETRY_SPAN_LOG", "off");
    let (_worker, address) = worker(&shell, "0");
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    for kind in ["good", "bad"] {
        shell.enqueue(&["q", kind, "--max-attempts", "1"]);
    }
    let outcome = |outcome: &str| format!("longshore_job_outcome=\"{outcome}\"");
    let page = until("both jobs are over", || {
        let page = get(&address, "/metrics", "*/*").body;
        let over = ["completed", "discarded"]
            .iter()
            .all(|end| page.contains(&outcome(end)));
        over.then_some(page)
    });
    assert!(page.contains("error_type=\"exit_9\""), "{page}");
    // Jobs that are measured are not traced for that, and carry nothing that says so.
    assert!(
        page.contains("queue_trace_sampling_ratio{queue_name=\"q\"} 0\n"),
        "{page}"
    );
    let id = shell.enqueue(&["q", "good"]);
    let job = until("the job is over", || {
        let job = shell.job(&id);
        (job["state"] == "completed").then_some(job)
    });
    assert_eq!(job["history"][0]["trace_id"], Value::Null, "{job}");
    until("the queue was looked at", || {
        let page = get(&address, "/metrics", "*/*").body;
        page.contains("longshore_queue_depth{").then_some(())
    });

    let classic = get(&address, "/metrics", "text/plain");
    assert!(
        classic
            .head
            .contains("content-type: text/plain; version=0.0.4; charset=utf-8")
    );
    let open = get(
        &address,
        "/metrics",
        "application/openmetrics-text;version=1.0.0,*/*;q=0.1",
    );
    assert!(open.head.contains(&format!("content-type: {OPENMETRICS}")));
    assert!(open.body.ends_with("# EOF\n"));
    let health = get(&address, "/healthz", "*/*");
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
}

/// What programs send to the worker that runs them is on its page, and on that of a daemon.
#[test]
fn what_programs_send_is_counted() {
    let program = "printf %s \"$OTEL_EXPORTER_OTLP_TRACES_ENDPOINT\"";
    let shell = Shell::new().with("LONGSHORE_TELEMETRY_SPAN_LOG", "spans");
    let (_worker, of_worker) = worker_of(&shell, "0", program);
    let within = Shell::new().with("LONGSHORE_TELEMETRY_SPAN_LOG", "spans");
    within.write(
        "longshore.toml",
        format!("[[serve.workers]]\nqueue = 'q'\nexec = '{program}'\n"),
    );
    let daemon = Daemon::start(&within);
    for (shell, address) in [(shell, of_worker), (within, daemon.host("url"))] {
        let id = shell.enqueue(&["q", "k"]);
        let told = until("the program ran", || {
            let job = shell.job(&id);
            (job["state"] == "completed").then(|| job["result"].as_str().unwrap().to_owned())
        });
        let told = told.strip_prefix("http://").unwrap();
        let (receiver, path) = told.split_once('/').unwrap();
        let sent = send(
            receiver,
            &format!(
                "POST /{path} HTTP/1.0\r\nHost: {receiver}\r\nContent-Type: application/json\r\n\
                 Content-Length: 2\r\n\r\n{{}}"
            ),
        );
        assert_eq!(sent.status, 200, "{sent:?}");
        let page = send(
            &address,
            &format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n"),
        );
        let counted =
            "longshore_receiver_requests_total{protocol=\"http/json\",outcome=\"taken\"} 1\n";
        assert!(page.body.contains(counted), "{page:?}");
    }
}

#[test]
fn what_is_no_request_for_metrics_is_refused() {
    let shell = Shell::new();
    let (_worker, address) = worker(&shell, "127.0.0.1:0");
    assert_eq!(get(&address, "/", "*/*").status, 404);
    let posted = send(
        &address,
        "POST /metrics HTTP/1.0\r\nContent-Length: 1\r\n\r\nx",
    );
    assert_eq!(posted.status, 405);
    assert!(posted.head.contains("allow: get, head"), "{}", posted.head);
    let head = send(&address, "HEAD /metrics HTTP/1.0\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let long = format!(
        "GET /metrics HTTP/1.0\r\nX: {}\r\n\r\n",
        "a".repeat(100_000)
    );
    let mut stream = TcpStream::connect(&address).unwrap();
    let _refused_midway = stream.write_all(long.as_bytes());
    assert_eq!(send(&address, "nonsense\r\n\r\n").status, 400);
    // More of those who say nothing than are served at once: they are hung up on in time.
    let silent: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    assert_eq!(get(&address, "/healthz", "*/*").status, 200);
    drop(silent);
}

#[test]
fn an_address_that_cannot_be_had_is_named_and_what_to_do() {
    let shell = Shell::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let in_use = listener.local_addr().unwrap().to_string();
    for (address, code, said) in [
        (in_use.as_str(), 1, "another process listens there"),
        ("nonsense", 2, "use HOST:PORT"),
        ("127.0.0.1:99999", 2, "use HOST:PORT"),
        ("203.0.113.7:9464", 1, "does not have that address"),
    ] {
        let answer = shell.run(&[
            "worker",
            "--queue",
            "q",
            "--drain",
            "--metrics",
            address,
            "--exec",
            "true",
        ]);
        assert_eq!(answer.code, code, "{answer:?}");
        assert!(answer.err.contains(said), "{}", answer.err);
        assert!(answer.err.contains(address), "{}", answer.err);
    }
}

/// Whether there is a Prometheus, which `.ci/run` installs.
#[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
fn has_prometheus() -> bool {
    let Err(error) = Command::new("prometheus").arg("--version").output() else {
        return true;
    };
    let ci = std::env::var_os("LONGSHORE_CI").is_some();
    assert!(!ci, "CI must have prometheus: {error}");
    eprintln!("skipped, since Prometheus, of Debian's package prometheus, is absent: {error}");
    false
}

/// A Prometheus that scrapes `target` every second, and its address.
fn prometheus(shell: &Shell, target: &str) -> (Running, Port) {
    let config = shell.write(
        "prometheus.yml",
        format!(
            "global: {{scrape_interval: 1s}}\n\
             scrape_configs: [{{job_name: longshore, static_configs: [{{targets: ['{target}']}}]}}]\n"
        ),
    );
    let port = Port::reserve().unwrap();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={config}"))
        .arg(format!("--storage.tsdb.path={}", shell.path("prometheus")))
        .arg(format!("--web.listen-address={}", port.address()))
        .arg("--enable-feature=exemplar-storage")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let server = Running(command.spawn().unwrap());
    until("Prometheus listens", || {
        TcpStream::connect(port.address()).ok()
    });
    (server, port)
}

fn data(prometheus: &str, path: &str) -> Value {
    let reply = get(prometheus, path, "*/*");
    let answer: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    answer["data"].clone()
}

/// The exemplars of a metric: the labels of the series, the trace and the span.
fn exemplars(prometheus: &str, metric: &str) -> Vec<(Value, TraceId, SpanId)> {
    let series = data(
        prometheus,
        &format!("/api/v1/query_exemplars?query={metric}"),
    );
    let mut all = Vec::new();
    for one in series.as_array().into_iter().flatten() {
        for exemplar in one["exemplars"].as_array().into_iter().flatten() {
            let label = |name: &str| exemplar["labels"][name].as_str().unwrap().to_owned();
            let trace_id = u128::from_str_radix(&label("trace_id"), 16).unwrap();
            let span_id = u64::from_str_radix(&label("span_id"), 16).unwrap();
            let span = (TraceId::from_u128(trace_id), SpanId::from_u64(span_id));
            all.push((one["seriesLabels"].clone(), span.0, span.1));
        }
    }
    all
}

#[test]
fn prometheus_gives_back_exemplars_and_each_is_a_trace_that_the_collector_has() {
    if !has_prometheus() {
        return;
    }
    let collector = Collector::start().unwrap();
    // No trace is sampled, so that every one that leaves was kept.
    let shell = Shell::new()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.http_endpoint())
        .with("OTEL_BSP_SCHEDULE_DELAY", "50")
        .with("LONGSHORE_TELEMETRY_SAMPLING_RATIO", "0");
    let (_worker, address) = worker(&shell, "0");
    let (_server, port) = prometheus(&shell, &address);
    let prometheus = port.address().to_string();
    for kind in ["good", "bad", "bad", "good"] {
        shell.enqueue(&["q", kind, "--max-attempts", "1"]);
    }
    for metric in [
        "longshore_attempts_total",
        "messaging_process_duration_seconds_bucket",
        "longshore_queue_wait_seconds_bucket",
    ] {
        let found = until(metric, || {
            let found = exemplars(&prometheus, metric);
            (!found.is_empty()).then_some(found)
        });
        for (labels, trace_id, span_id) in found {
            assert_eq!(
                labels["longshore_job_kind"], "bad",
                "only failures are kept: {labels}"
            );
            let trace = until("the trace of an exemplar", || {
                let trace = collector.trace(trace_id);
                (!trace.is_empty()).then_some(trace)
            });
            let example = trace.iter().find(|span| span.span_id == span_id);
            assert_eq!(example.expect("its span").name, "job.process");
        }
    }
    let up = data(&prometheus, "/api/v1/query?query=up");
    assert_eq!(up["result"][0]["value"][1], "1", "{up}");
    let targets = data(&prometheus, "/api/v1/targets");
    assert_eq!(targets["activeTargets"][0]["lastError"], "", "{targets}");
}

/// From a figure to its trace: an alert names a series, Prometheus knows an exemplar of it, and the
/// daemon that was scraped tells the trace.
#[test]
fn an_exemplar_leads_to_a_trace_that_the_daemon_tells() {
    if !has_prometheus() {
        return;
    }
    let shell = Shell::new()
        .with("LONGSHORE_TELEMETRY_SPAN_LOG", "spans")
        .with("LONGSHORE_TELEMETRY_SAMPLING_RATIO", "0");
    shell.write(
        "longshore.toml",
        format!("[[serve.workers]]\nqueue = 'q'\nexec = '{PROGRAM}'\n"),
    );
    let daemon = Daemon::start(&shell);
    let (_server, port) = prometheus(&shell, &daemon.host("url"));
    let prometheus = port.address().to_string();
    let ids = ["good", "bad"].map(|kind| shell.enqueue(&["q", kind, "--max-attempts", "1"]));
    let metric = "messaging_process_duration_seconds_bucket";
    let found = until(metric, || {
        let found = exemplars(&prometheus, metric);
        (!found.is_empty()).then_some(found)
    });
    for (_labels, trace_id, span_id) in found {
        let asked = format!("GET /api/v1/traces/{trace_id}");
        let (status, story) = daemon.ask("url", &asked, &[], "");
        assert_eq!(status, 200, "{story}");
        let story: Value = serde_json::from_str(&story).unwrap();
        assert_eq!(story["job"]["id"], ids[1], "the job that failed");
        let (rows, names) = (&story["chart"]["rows"], &story["chart"]["names"]);
        let mut rows = rows.as_array().unwrap().iter();
        let row = rows.find(|row| row["span_id"] == span_id.to_string());
        let name = row.unwrap()["name"].as_u64().unwrap();
        assert_eq!(names[usize::try_from(name).unwrap()], "job.process");
    }
}
