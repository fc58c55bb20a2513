//! The trace store: taking OTLP, reading it, the index of a log, sealing, and looking things up in
//! both tiers.

mod corpus;
mod duckdb;
mod ingest;
mod search;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use longshore_core::{Clock, SystemClock, SystemRandom};
use longshore_spanlog::{Class, FrameHeader, Writer, WriterOptions};
use longshore_trace::otlp::{self, Decoder};
use longshore_tracestore::{TraceStore, TraceStoreOptions, Upkeep};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::Folder;
use crate::allocator::bytes_in_use;
use crate::measure::{Samples, Scale, Table, busy};
use corpus::{BATCH, Corpus, Kind, Making};

pub use ingest::serve;
pub use search::rows as search_rows;

/// Spans that are searched, in a short run and in a long one.
const SEARCHED: [usize; 2] = [1_000_000, 10_000_000];

pub async fn rows(folder: &Folder, scale: Scale) -> Result<()> {
    let jobs = 100_000 / 5 * scale.rounds(5);
    let corpora = [
        Corpus::of(Kind::Engine, jobs * 5),
        Corpus::of(Kind::Others, jobs * 3 / 2),
    ];
    let path = || folder.fresh().with_extension("log");
    ingest::rows(&corpora, &path, scale).await?;
    read_rows(&corpora);
    store_rows(&corpora, &path)?;
    drop(corpora);
    let long = scale.rounds(5) == 5;
    for spans in SEARCHED.into_iter().take(if long { 2 } else { 1 }) {
        search::rows(&path(), spans)?;
    }
    Ok(())
}

fn read_rows(corpora: &[Corpus]) {
    let mut table = Table::new(
        "Reading OTLP, million spans a second on one core",
        &[
            "spans",
            "bytes a span",
            "walk",
            "walk and decode",
            "prost, for comparison",
        ],
    );
    for corpus in corpora {
        table.row(read_rates(corpus));
    }
    table.print();
}

fn read_rates(corpus: &Corpus) -> Vec<String> {
    let some = &corpus.frames[..corpus.frames.len().min(200)];
    let spans = some.len() * BATCH;
    let rate = |read: &mut dyn FnMut(&[u8]) -> usize| -> Samples {
        let one = |_| {
            let started = busy();
            let read: usize = some
                .iter()
                .map(|frame| black_box(read(black_box(frame))))
                .sum();
            assert!(read + BATCH > spans);
            spans as f64 / (busy() - started).as_secs_f64() / 1e6
        };
        (0..9).map(one).collect()
    };
    let mut decoder = Decoder::default();
    vec![
        corpus.kind.name().to_owned(),
        (corpus.bytes() / corpus.spans).to_string(),
        rate(&mut |frame| otlp::spans(frame).filter(Result::is_ok).count()).cell(2),
        rate(&mut |frame| decoder.decode(frame).spans.len()).cell(2),
        rate(&mut |frame| {
            let request = ExportTraceServiceRequest::decode(frame).unwrap_or_default();
            let scopes = request
                .resource_spans
                .iter()
                .flat_map(|spans| &spans.scope_spans);
            scopes.map(|scope| scope.spans.len()).sum()
        })
        .cell(2),
    ]
}

fn store_rows(corpora: &[Corpus], path: &dyn Fn() -> std::path::PathBuf) -> Result<()> {
    let mut table = Table::new(
        "The trace store, per core",
        &[
            "spans",
            "traces",
            "write log, k spans/s",
            "index it, k spans/s",
            "index, bytes a trace",
            "log, bytes a span",
            "seal, k spans/s",
            "sealed, bytes a span",
        ],
    );
    for corpus in corpora {
        let path = path();
        let started = busy();
        write(&path, corpus.frames.iter().cloned())?;
        let written = busy() - started;
        let before = bytes_in_use();
        let (store, indexed) = open(&path)?;
        let memory = (bytes_in_use() - before) / corpus.traces.len();
        let (sealed, bytes) = seal(&store, corpus.spans)?;
        let thousands =
            |took: Duration| format!("{:.0}", corpus.spans as f64 / took.as_secs_f64() / 1e3);
        table.row(vec![
            format!("{} {}", corpus.spans, corpus.kind.name()),
            corpus.traces.len().to_string(),
            thousands(written),
            thousands(indexed),
            memory.to_string(),
            (corpus.bytes() / corpus.spans).to_string(),
            thousands(sealed),
            format!("{:.1}", bytes as f64 / corpus.spans as f64),
        ]);
        drop(store);
        std::fs::remove_dir_all(&path)?;
    }
    table.print();
    Ok(())
}

/// Writes a log.
fn write(path: &Path, frames: impl Iterator<Item = bytes::Bytes>) -> Result<()> {
    let clock = Arc::new(SystemClock::new());
    let at = clock.now();
    let mut writer = Writer::open(path, WriterOptions::default(), clock, &SystemRandom)?;
    for frame in frames {
        let header = FrameHeader::of_spans(Class::Base, BATCH as u32, at, at);
        writer.append(&header, &frame)?;
    }
    Ok(())
}

/// Writes a log of about so many spans of the engine; how many.
pub fn engine_log(path: &Path, about: usize) -> Result<usize> {
    let mut making = Making::new(Kind::Engine, about);
    write(path, making.by_ref())?;
    Ok(making.spans)
}

/// Seals a log of so many spans.
pub fn seal_all(path: &Path, spans: usize) -> Result<()> {
    let (store, _) = open(path)?;
    seal(&store, spans).map(|_took| ())
}

/// A store that knows all, and the CPU time that took.
fn open(path: &Path) -> Result<(TraceStore, Duration)> {
    let store = TraceStore::open(TraceStoreOptions {
        max_indexed_spans: usize::MAX / 2,
        ..TraceStoreOptions::new(path)
    })?;
    let started = busy();
    store.refresh_all()?;
    Ok((store, busy() - started))
}

/// Seals everything; the CPU time that took, and how many bytes it came to.
fn seal(store: &TraceStore, wanted: usize) -> Result<(Duration, u64)> {
    let upkeep = Upkeep {
        min_age: Duration::ZERO,
        min_bytes: 0,
        local_flags: None,
        max_bytes: u64::MAX,
        ..Upkeep::default()
    };
    let started = busy();
    let (mut spans, mut bytes) = (0, 0);
    loop {
        let kept = store.upkeep(&upkeep, SystemClock::new().now())?;
        spans += kept.sealed_spans;
        bytes += kept.sealed_bytes;
        if !kept.more {
            break;
        }
    }
    anyhow::ensure!(
        spans == wanted as u64,
        "{spans} of {wanted} spans were sealed"
    );
    Ok((busy() - started, bytes))
}
