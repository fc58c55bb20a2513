//! The index of tokens in a sealed file: anything at all in its place, searched, and put together
//! with a file that is sound. What is damaged may cost a hit, never a wrong one.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use longshore_core::{Clock, SystemClock, SystemRandom, Timestamp};
use longshore_spanlog::{Class, FrameHeader, Writer, WriterOptions};
use longshore_trace::query;
use longshore_tracestore::{TraceStore, TraceStoreOptions, Upkeep, sealed_files, sealed_folder};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::of_traces::Folder;

const NOW: Timestamp = Timestamp::from_unix_millis(1_777_624_200_000);
/// Traces of a file, and those of them that say `common`: too many for the index to name them.
const TRACES: u64 = 24;
const COMMON: u64 = 18;

/// Two sealed files, the traces of which follow each other.
static SOUND: LazyLock<[Sound; 2]> = LazyLock::new(|| [1, 1 + TRACES].map(Sound::new));

/// A sealed file that nothing happened to.
struct Sound {
    name: String,
    bytes: Vec<u8>,
    index: Range<usize>,
}

impl Sound {
    /// Seals traces from this number on.
    fn new(first: u64) -> Self {
        let folder = Folder::new();
        let clock = Arc::new(SystemClock::new());
        let options = WriterOptions::default();
        let mut writer = Writer::open(&folder.0, options, clock, &SystemRandom).unwrap();
        let header = FrameHeader::of_spans(Class::Base, TRACES as u32, NOW, NOW);
        writer.append(&header, &request(first)).unwrap();
        drop(writer);
        let store = TraceStore::open(TraceStoreOptions::new(&folder.0)).unwrap();
        let kept = store.upkeep(&upkeep(0), SystemClock::new().now()).unwrap();
        assert_eq!(kept.sealed_spans, TRACES);
        let sealed = sealed_folder(&folder.0);
        let names = sealed_files(&sealed).unwrap();
        let name = names.first().unwrap().to_string();
        let bytes = fs::read(sealed.join(&name)).unwrap();
        let index = index(&bytes).unwrap();
        Self { name, bytes, index }
    }

    fn put(&self, folder: &Path) {
        self.put_as(folder, &self.bytes);
    }

    fn put_as(&self, folder: &Path, bytes: &[u8]) {
        fs::write(sealed_folder(folder).join(&self.name), bytes).unwrap();
    }

    /// The file with something else in the place of its index: bytes over a part of it, or a whole
    /// one of a single bucket, whose sum is right.
    fn with(&self, data: &[u8]) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let index = &mut bytes[self.index.clone()];
        let Some(([how, low, high], rest)) = data.split_first_chunk() else {
            return bytes;
        };
        let (at, more) = match how % 2 {
            0 => {
                let at = usize::from(u16::from_le_bytes([*low, *high])) % index.len();
                (at, rest.to_vec())
            }
            _ => (0, one_bucket(*low, *high, rest, index.len())),
        };
        let room = index[at..].iter_mut();
        room.zip(more).for_each(|(byte, own)| *byte = own);
        bytes
    }
}

/// An index of `room` bytes at most: tokens of `bits`, traces of `width` bytes.
fn one_bucket(bits: u8, width: u8, entries: &[u8], room: usize) -> Vec<u8> {
    let header = [b'L', b'S', b'T', b'1', bits, 0, width, 0];
    let entries = &entries[..entries.len().min(room - 20)];
    let sum = xxh3_64_with_seed(entries, u64::from_le_bytes(header)) as u32;
    let end = 4 + entries.len() as u32;
    let numbers = [0, end, sum].map(u32::to_le_bytes).concat();
    [&header[..], &numbers, entries].concat()
}

/// Where the index is, by what the footer says: where it begins, and how many bytes it has.
fn index(file: &[u8]) -> Option<Range<usize>> {
    let start = file.windows(4).rposition(|four| four == b"LST1")?;
    let text = String::from_utf8_lossy(&file[start..]);
    let (_, behind) = text.split_once("longshore.tokens")?;
    let (_, said) = behind.split_once(&format!("{start} "))?;
    let digits = said.find(|letter: char| !letter.is_ascii_digit())?;
    Some(start..start + said[..digits].parse::<usize>().ok()?)
}

fn request(first: u64) -> Vec<u8> {
    let attribute = |key: &str, value: String| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value)),
        }),
        ..KeyValue::default()
    };
    let start = NOW.unix_nanos_unsigned();
    let span = |number: u64| Span {
        trace_id: u128::from(number).to_be_bytes().into(),
        span_id: number.to_be_bytes().into(),
        name: "checkout".to_owned(),
        start_time_unix_nano: start + number,
        end_time_unix_nano: start + 2 * number,
        attributes: vec![
            attribute("shop.order", format!("o-{number}")),
            attribute("shop.tenth", format!("t-{}", number / 10)),
            attribute(
                "shop.size",
                ["large", "common"][usize::from(number % TRACES < COMMON)].into(),
            ),
        ],
        ..Span::default()
    };
    let scope = ScopeSpans {
        spans: (first..first + TRACES).map(span).collect(),
        ..ScopeSpans::default()
    };
    let resource = ResourceSpans {
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![resource],
    };
    request.encode_to_vec()
}

/// Seals at once, and puts files together that have fewer spans.
fn upkeep(small_spans: u64) -> Upkeep {
    Upkeep {
        min_age: Duration::ZERO,
        min_bytes: 0,
        local_flags: None,
        max_age: Default::default(),
        small_spans,
        ..Upkeep::default()
    }
}

/// The numbers of the traces that a search finds.
fn found(store: &TraceStore, text: &str) -> Vec<u64> {
    let query = query::parse(text, NOW).unwrap();
    let page = store.search(&query, 1_000, None).unwrap();
    let numbers = page.traces.iter().map(|trace| trace.trace_id.to_u128());
    let mut numbers: Vec<u64> = numbers.map(|number| number.try_into().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

/// Searches, each with what it finds among traces up to a number.
fn searches(last: u64) -> [(&'static str, Vec<u64>); 4] {
    let all = move |is: fn(u64) -> bool| (1..=last).filter(move |number| is(*number)).collect();
    [
        ("shop.order=o-7", all(|number| number == 7)),
        ("shop.tenth=t-1", all(|number| number / 10 == 1)),
        ("shop.size=common", all(|number| number % TRACES < COMMON)),
        ("", all(|_| true)),
    ]
}

/// A file with anything at all as its index is searched.
pub(super) fn searched(folder: &Path, data: &[u8]) {
    let [sound, _] = &*SOUND;
    sound.put_as(folder, &sound.with(data));
    let store = TraceStore::open(TraceStoreOptions::new(folder)).unwrap();
    store.refresh_all().unwrap();
    let holdings = store.holdings();
    assert_eq!((holdings.sealed_files, holdings.damaged_files), (1, 0));
    for (text, right) in searches(TRACES) {
        let found = found(&store, text);
        assert!(
            found.iter().all(|one| right.contains(one)),
            "{text}: {found:?}"
        );
        // All of them are listed without the index.
        assert!(!text.is_empty() || found == right, "{found:?}");
    }
}

/// Such a file is put together with one that is sound: what comes of it is sound.
pub(super) fn merged(folder: &Path, data: &[u8]) {
    let [one, other] = &*SOUND;
    one.put_as(folder, &one.with(data));
    other.put(folder);
    let store = TraceStore::open(TraceStoreOptions::new(folder)).unwrap();
    let kept = store
        .upkeep(&upkeep(TRACES + 1), SystemClock::new().now())
        .unwrap();
    assert_eq!(kept.merged_files, 2);
    store.refresh_all().unwrap();
    let holdings = store.holdings();
    assert_eq!(
        (holdings.sealed_files, holdings.sealed_spans),
        (1, 2 * TRACES)
    );
    for (text, right) in searches(2 * TRACES) {
        assert_eq!(found(&store, text), right, "{text}");
    }
}
