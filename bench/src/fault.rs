//! Jobs per second while exports fail, beside those while they do not.
//!
//! All jobs are traced. The receiver, and the line before it that fails, are a process of their
//! own, so that what they do not do does not make room for jobs.

use std::cell::Cell;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use longshore_core::SystemClock;
use longshore_queue::{Attempt, JobError, JobRequest, Producer, Worker};
use longshore_telemetry::{Config, Environment, Telemetry};
use longshore_testkit::faulty_line::{Fault, FaultyLine};
use longshore_testkit::untrusted::Untrusted;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;

use crate::Folder;
use crate::direct::{KIND, QUEUE};
use crate::measure::{Scale, Stopwatch, Table, Turns};
use crate::sink::{self, Sink};
use crate::store::open;

/// What is wrong, in a word for the other process; the first is what the others are compared with.
const FAULTS: [&str; 9] = [
    "none",
    "refused",
    "black-holed",
    "slow",
    "reset half-way",
    "429 with Retry-After",
    "503",
    "partial success",
    "wrong certificate",
];
/// With a span log alone.
const FULL_DISK: &str = "full disk";
const JOBS: usize = 10_000;

/// What one run came to.
struct Run {
    per_second: f64,
    lost: u64,
    waiting: u64,
}

/// Every fault, in turns, with a span log and without.
pub async fn rows(folder: &Folder, scale: Scale) -> Result<()> {
    let full = FullDisk::mount(&folder.path.join("full"))?;
    let mut variants: Vec<(&str, bool)> = FAULTS.iter().map(|fault| (*fault, false)).collect();
    variants.extend(FAULTS.iter().map(|fault| (*fault, true)));
    variants.extend(full.as_ref().map(|_| (FULL_DISK, true)));
    let runs = Cell::new(0);
    let turns = Turns::take(variants.len(), scale.rounds(5), async |variant| {
        let (fault, logged) = variants[variant];
        runs.set(runs.get() + 1);
        let log = match &full {
            Some(full) if fault == FULL_DISK => full.path.join("spans"),
            _ => folder.path.join(format!("spans-{}", runs.get())),
        };
        let run = drain(&folder.fresh(), fault, logged.then_some(log.as_path())).await;
        // It may never have been made.
        let _gone = std::fs::remove_dir_all(&log);
        run
    })
    .await?;
    let mut table = Table::new(
        "Jobs while exports fail, all of them traced",
        &["fault", "span log", "run/s", "of none", "lost", "waiting"],
    );
    for (variant, (fault, logged)) in variants.iter().enumerate() {
        let base = if *logged { FAULTS.len() } else { 0 };
        table.row(vec![
            (*fault).to_owned(),
            if *logged { "yes" } else { "no" }.to_owned(),
            turns.of(variant, |run| run.per_second).cell(0),
            turns.ratio(variant, base, |run| run.per_second).spread(2),
            turns.of(variant, |run| run.lost as f64).cell(0),
            turns.of(variant, |run| run.waiting as f64).cell(0),
        ]);
    }
    table.print();
    if full.is_none() {
        println!("Without a full disk: this machine does not let us mount one.\n");
    }
    Ok(())
}

async fn drain(path: &Path, fault: &str, log: Option<&Path>) -> Result<Run> {
    let store = open(path)?;
    let receiver = Sink::start_as(&["faulty-receiver", fault])?;
    let telemetry = telemetry(&receiver.url, log)?;
    let producer = Producer::new(Arc::clone(&store)).with_recorder(telemetry.recorder());
    for _batch in 0..JOBS / 100 {
        let requests = (0..100).map(|_| JobRequest::new(QUEUE, KIND)).collect();
        producer.enqueue_many(requests).await?;
    }
    let worker = Worker::builder(store)
        .queue(QUEUE)
        .concurrency(100)
        .drain(true)
        .handler(KIND, handler)
        .recorder(telemetry.recorder())
        .build()
        .context("the worker cannot be built")?;
    let watch = Stopwatch::start();
    let report = worker.run(std::future::pending()).await?;
    let per_second = watch.per_second(JOBS);
    ensure!(
        report.completed == JOBS as u64,
        "{} jobs were completed",
        report.completed
    );
    let counters = telemetry.counters();
    telemetry.shutdown(Duration::from_millis(100)).await;
    Ok(Run {
        per_second,
        lost: counters.dropped_total(),
        waiting: counters.waiting(),
    })
}

async fn handler(_args: (), _attempt: Attempt) -> Result<(), JobError> {
    Ok(())
}

fn telemetry(url: &str, log: Option<&Path>) -> Result<Telemetry> {
    let log = log.map(|log| log.to_str().context("the folder's name is no text"));
    let log = log.transpose()?.unwrap_or("off");
    let pairs = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_on"),
        ("LONGSHORE_TELEMETRY_SPAN_LOG", log),
    ];
    let config = Config::load(&[], &Environment::from_pairs(pairs), &[])?;
    let (telemetry, warnings) = Telemetry::init(&config.telemetry(), Arc::new(SystemClock::new()));
    for warning in config.warnings().iter().chain(&warnings) {
        bail!("{warning}");
    }
    Ok(telemetry)
}

/// The other process: a receiver that fails so, whose URL it prints.
pub fn serve(fault: &str) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let receiver = listener.local_addr()?;
    let answer = answer_of(fault);
    let line = FaultyLine::to(receiver)?;
    line.set(match fault {
        "refused" => Fault::Refused,
        "black-holed" => Fault::BlackHole,
        "slow" => Fault::Slow {
            bytes: 1024,
            pause: Duration::from_millis(10),
        },
        "reset half-way" => Fault::ResetRequest(20_000),
        _ => Fault::None,
    });
    let front = Untrusted::before(receiver)?;
    if fault == "wrong certificate" {
        println!("{}", front.endpoint());
    } else {
        println!("{}", line.endpoint());
    }
    std::io::stdout().flush()?;
    for stream in listener.incoming() {
        let (stream, answer) = (stream?, answer.clone());
        std::thread::spawn(move || {
            let _the_client_left = sink::answer(stream, &answer);
        });
    }
    Ok(())
}

fn answer_of(fault: &str) -> Vec<u8> {
    let head = match fault {
        "429 with Retry-After" => "429 Too Many Requests\r\nretry-after: 1",
        "503" => "503 Service Unavailable",
        _ => "200 OK",
    };
    let body = match fault {
        "partial success" => ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans: 1,
                error_message: "not this one".to_owned(),
            }),
        }
        .encode_to_vec(),
        _ => Vec::new(),
    };
    let head = format!(
        "HTTP/1.1 {head}\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// A disk with hardly any room, unmounted at the end.
struct FullDisk {
    path: PathBuf,
}

impl FullDisk {
    /// None if this user may not mount one.
    fn mount(path: &Path) -> Result<Option<Self>> {
        std::fs::create_dir_all(path)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "longshore-bench"]);
        let mounted = mount.arg(path).output();
        if !mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Ok(None);
        }
        let disk = Self {
            path: path.to_owned(),
        };
        let mut ballast = std::fs::File::create(path.join("ballast"))?;
        while ballast.write_all(&[b'x'; 4096]).is_ok() {}
        // Room for the files that say who is there, and for a few frames.
        ballast.set_len(ballast.metadata()?.len().saturating_sub(64 << 10))?;
        Ok(Some(disk))
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg(&self.path).status();
    }
}
