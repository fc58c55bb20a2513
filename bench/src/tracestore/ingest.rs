//! OTLP that is sent to the receiver of `longshore serve`, in a process of its own, and acknowledged
//! once it is in the span log.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use longshore_core::SystemClock;
use longshore_daemon::otlp::{JournalOptions, Receiver, ReceiverOptions};
use longshore_daemon::serve::{ServerOptions, serve as answer};
use longshore_spanlog::{Policy, SyncPolicy};
use longshore_telemetry::Redactor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::corpus::{BATCH, Corpus};
use crate::measure::{Samples, Scale, Table};
use crate::sink::Sink;

/// Senders at the same time.
const SENDERS: usize = 4;

/// The other process.
pub async fn serve(folder: &str) -> Result<()> {
    let journal = JournalOptions {
        folder: folder.into(),
        policy: Policy::default(),
        sync: SyncPolicy::default(),
    };
    let clock = Arc::new(SystemClock::new());
    let redactor = Arc::new(Redactor::default());
    let receiver = Receiver::start(journal, redactor, ReceiverOptions::default(), clock)?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    answer(
        listener,
        receiver.router(),
        ServerOptions::default(),
        std::future::pending(),
    )
    .await;
    Ok(())
}

/// How spans are sent.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    grpc: bool,
    json: bool,
    packing: &'static str,
}

const fn way(name: &'static str, grpc: bool, json: bool, packing: &'static str) -> Way {
    Way {
        name,
        grpc,
        json,
        packing,
    }
}

const WAYS: [Way; 8] = [
    way("gRPC", true, false, ""),
    way("gRPC, gzip", true, false, "gzip"),
    way("gRPC, zstd", true, false, "zstd"),
    way("HTTP, protobuf", false, false, ""),
    way("HTTP, protobuf, gzip", false, false, "gzip"),
    way("HTTP, protobuf, zstd", false, false, "zstd"),
    way("HTTP, JSON", false, true, ""),
    way("HTTP, JSON, gzip", false, true, "gzip"),
];

pub async fn rows(corpora: &[Corpus], path: &dyn Fn() -> PathBuf, scale: Scale) -> Result<()> {
    let mut table = Table::new(
        format!(
            "OTLP taken, screened, redacted and acknowledged in the log: {BATCH} spans a request, {SENDERS} senders"
        ),
        &[
            "how",
            "k spans/s and core of the server, of the engine",
            "of others",
            "k spans/s altogether, of the engine",
            "of others",
        ],
    );
    let rounds = scale.rounds(5);
    for way in WAYS {
        let mut cells = vec![way.name.to_owned()];
        let (mut by_core, mut by_time) = (Vec::new(), Vec::new());
        for corpus in corpora {
            let bodies = Arc::new(bodies(corpus, way)?);
            let mut cores = Vec::new();
            let mut times = Vec::new();
            for _round in 0..rounds {
                let path = path();
                let (core, time) = round(way, &bodies, &path).await?;
                cores.push(core / 1e3);
                times.push(time / 1e3);
                std::fs::remove_dir_all(&path)?;
            }
            by_core.push(cores.into_iter().collect::<Samples>().cell(0));
            by_time.push(times.into_iter().collect::<Samples>().cell(0));
        }
        cells.extend(by_core);
        cells.extend(by_time);
        table.row(cells);
    }
    table.print();
    Ok(())
}

/// Spans a second of the server's CPU, and a second.
async fn round(way: Way, bodies: &Arc<Vec<Bytes>>, path: &Path) -> Result<(f64, f64)> {
    std::fs::create_dir_all(path)?;
    let text = path.display().to_string();
    let server = Sink::start_as(&["otlp-receiver", &text])?;
    let address = server.url.clone();
    // What a first request has to set up is not measured.
    send(way, &address, bodies, 0, bodies.len().min(8)).await?;
    let idle = server.cpu_so_far()?;
    let started = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let (address, bodies) = (address.clone(), Arc::clone(bodies));
        senders.spawn(async move { send(way, &address, &bodies, sender, bodies.len()).await });
    }
    let mut sent = 0;
    while let Some(count) = senders.join_next().await {
        sent += count??;
    }
    let took = started.elapsed();
    let cpu = server.cpu_so_far()?.saturating_sub(idle);
    let spans = (sent * BATCH) as f64;
    Ok((
        spans / cpu.max(Duration::from_millis(1)).as_secs_f64(),
        spans / took.as_secs_f64(),
    ))
}

/// Sends every fourth body; how many.
async fn send(
    way: Way,
    address: &str,
    bodies: &[Bytes],
    first: usize,
    most: usize,
) -> Result<usize> {
    let some: Vec<Bytes> = bodies[..most]
        .iter()
        .skip(first)
        .step_by(SENDERS)
        .cloned()
        .collect();
    let count = some.len();
    if way.grpc {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build(connector);
        for body in some {
            let request = hyper::Request::post(format!(
                "http://{address}/opentelemetry.proto.collector.trace.v1.TraceService/Export"
            ));
            let mut request = request
                .header("content-type", "application/grpc")
                .header("te", "trailers");
            if !way.packing.is_empty() {
                request = request.header("grpc-encoding", way.packing);
            }
            let response = client.request(request.body(Full::new(body))?).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await?;
            let status = body
                .trailers()
                .and_then(|trailers| trailers.get("grpc-status"));
            let status = status.or_else(|| head.headers.get("grpc-status"));
            ensure!(
                status.is_some_and(|status| status == "0"),
                "gRPC status {status:?}"
            );
        }
        return Ok(count);
    }
    let address = address.to_owned();
    tokio::task::spawn_blocking(move || post(way, &address, &some)).await??;
    Ok(count)
}

/// One connection over HTTP/1.1, as most SDKs have it.
fn post(way: Way, address: &str, bodies: &[Bytes]) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let kind = if way.json { "json" } else { "x-protobuf" };
    let packing = match way.packing {
        "" => String::new(),
        packing => format!("content-encoding: {packing}\r\n"),
    };
    for body in bodies {
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/{kind}\r\n\
             content-length: {}\r\n{packing}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let (mut line, mut length, mut status) = (String::new(), 0, String::new());
        loop {
            line.clear();
            ensure!(answers.read_line(&mut line)? > 0, "the receiver left");
            let line = line.trim_end().to_ascii_lowercase();
            if status.is_empty() {
                status = line;
                continue;
            }
            if line.is_empty() {
                break;
            }
            if let Some(said) = line.strip_prefix("content-length:") {
                length = said.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        answers.read_exact(&mut answer)?;
        ensure!(
            status.contains(" 200"),
            "{status}: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    Ok(())
}

fn bodies(corpus: &Corpus, way: Way) -> Result<Vec<Bytes>> {
    let some = corpus.frames.iter().take(200);
    some.map(|frame| {
        let message = match way.json {
            true => serde_json::to_vec(&ExportTraceServiceRequest::decode(frame.clone())?)?,
            false => frame.to_vec(),
        };
        let packed = match way.packing {
            "gzip" => {
                let mut packer =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                packer.write_all(&message)?;
                packer.finish()?
            }
            "zstd" => zstd::encode_all(message.as_slice(), 3)?,
            _ => message,
        };
        if !way.grpc {
            return Ok(packed.into());
        }
        let length = u32::try_from(packed.len()).context("a message is small")?;
        let flag = u8::from(!way.packing.is_empty());
        Ok([&[flag], length.to_be_bytes().as_slice(), &packed]
            .concat()
            .into())
    })
    .collect()
}
