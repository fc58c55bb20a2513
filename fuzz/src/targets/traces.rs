//! The trace store: any export in its log, told alike before and after it is sealed; and anything at
//! all in the place of a sealed file, or of the index of tokens within one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, SystemClock, SystemRandom, TraceId};
use longshore_instrument::Span;
use longshore_spanlog::{ByClass, Class, FrameHeader, Writer, WriterOptions};
use longshore_trace::query::Query;
use longshore_tracestore::{TraceStore, TraceStoreOptions, Upkeep};

use super::of_token_index;

/// The first byte says what the rest is.
pub fn trace_store(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let folder = Folder::new();
    match first % 4 {
        0 => export(&folder.0, rest),
        1 => sealed(&folder.0, rest),
        2 => of_token_index::searched(&folder.0, rest),
        _ => of_token_index::merged(&folder.0, rest),
    }
}

/// A folder of a trace store that ends with the input.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let name = format!("longshore-fuzz-{:016x}", fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("sealed")).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

fn export(folder: &Path, body: &[u8]) {
    let clock = Arc::new(SystemClock::new());
    let now = clock.now();
    let mut writer = Writer::open(folder, WriterOptions::default(), clock, &SystemRandom).unwrap();
    let header = FrameHeader::of_spans(Class::Base, 1, now, now);
    writer.append(&header, body).unwrap();
    drop(writer);
    let store = TraceStore::open(TraceStoreOptions::new(folder)).unwrap();
    let before = all(&store);
    let upkeep = Upkeep {
        min_age: Duration::ZERO,
        min_bytes: 0,
        local_flags: None,
        max_age: ByClass::default(),
        ..Upkeep::default()
    };
    let kept = store.upkeep(&upkeep, now).unwrap();
    assert_eq!(kept.sealed_spans, before.len() as u64);
    assert_eq!(all(&store), before);
}

fn sealed(folder: &Path, bytes: &[u8]) {
    let name = "base-000000000000000-999999999999999-17-0000000000000000.parquet";
    fs::write(folder.join("sealed").join(name), bytes).unwrap();
    let store = TraceStore::open(TraceStoreOptions::new(folder)).unwrap();
    let _some = all(&store);
    let holdings = store.holdings();
    assert_eq!(holdings.sealed_files + holdings.damaged_files, 1);
}

/// Every span that a listing leads to, as far as both tiers promise it: in events, links and
/// resources the order of attributes is none.
fn all(store: &TraceStore) -> Vec<String> {
    store.refresh_all().unwrap();
    let (mut traces, mut cursor): (Vec<TraceId>, _) = (Vec::new(), None);
    loop {
        let page = store
            .search(&Query::default(), 7, cursor.as_deref())
            .unwrap();
        traces.extend(page.traces.iter().map(|trace| trace.trace_id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let spans = traces.iter().flat_map(|trace| store.trace(*trace).unwrap());
    let told = |span: Span| {
        let events: Vec<_> = span
            .events
            .iter()
            .map(|event| (&event.name, event.at))
            .collect();
        let links: Vec<_> = span.links.iter().map(|link| &link.context).collect();
        let service = span.service().unwrap_or_default();
        format!(
            "{:?}",
            (
                (
                    span.trace_id,
                    span.span_id,
                    span.parent_span_id,
                    span.parent_is_remote
                ),
                (
                    span.flags,
                    &span.trace_state,
                    &span.name,
                    span.kind,
                    span.start,
                    span.end
                ),
                (
                    &span.attributes,
                    events,
                    links,
                    &span.status,
                    &span.scope,
                    span.dropped,
                    service
                ),
            )
        )
    };
    let mut told: Vec<String> = spans.flatten().map(told).collect();
    told.sort();
    told
}
