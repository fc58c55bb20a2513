//! Sealed files in a real object store: written by the trace store, copied, found and brought back,
//! and read there by another tool.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use longshore_archive::{Archive, ArchiveError, Copier};
use longshore_core::{Clock, Random, SpanId, SystemClock, SystemRandom, Timestamp, TraceId};
use longshore_instrument::Span;
use longshore_spanlog::{ByClass, Class, FrameHeader, Writer, WriterOptions};
use longshore_telemetry::encode::{self, Resource};
use longshore_testkit::s3_server::{S3Program, S3Server};
use longshore_tracestore::{
    Kept, Sealer, TraceStore, TraceStoreOptions, Upkeep, sealed_files, sealed_folder,
};

/// A folder that is gone when the test is over.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let number = SystemRandom.next_u64();
        let path = std::env::temp_dir().join(format!("longshore-archive-{number:016x}"));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Writes a trace to the log and seals it into a file of its own.
    fn seal(&self, number: u64) {
        self.write(number);
        assert_eq!(self.upkeep(0).sealed_spans, 3);
    }

    fn write(&self, number: u64) {
        let clock = Arc::new(SystemClock::new());
        let options = WriterOptions::default();
        let mut writer = Writer::open(&self.0, options, clock, &SystemRandom).unwrap();
        let at = Timestamp::from_unix_millis(1_777_624_200_000 + number.cast_signed());
        let spans = (1..=3).map(|span| Span {
            name: "work".into(),
            start: at,
            end: at,
            ..Span::unknown(trace(number), SpanId::from_u64(span))
        });
        let spans: Vec<Span> = spans.collect();
        let resource = Resource::new([("service.name".to_owned(), "shop".to_owned())]);
        let header = FrameHeader::of_spans(Class::Base, 3, at, at);
        writer
            .append(&header, &encode::request(&resource, &spans))
            .unwrap();
    }

    /// A turn of upkeep that seals all, and puts files of less than so many spans together.
    fn upkeep(&self, small_spans: u64) -> Kept {
        let upkeep = Upkeep {
            small_spans,
            min_age: Duration::ZERO,
            min_bytes: 0,
            local_flags: None,
            max_age: ByClass::default(),
            ..Upkeep::default()
        };
        let kept = Sealer::new([&self.0]).turn(&upkeep, SystemClock::new().now());
        kept.unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

fn trace(number: u64) -> TraceId {
    TraceId::from_u128(u128::from(number) << 64 | 0xabc)
}

fn open(server: &S3Server) -> Archive {
    let url = format!("s3://{}/our/traces/", S3Server::BUCKET);
    let variables = server.variables();
    let variables = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()));
    Archive::open(&url, variables).unwrap()
}

fn spans_in(folder: &Path, number: u64) -> usize {
    let store = TraceStore::open(TraceStoreOptions::new(folder)).unwrap();
    store.refresh_all().unwrap();
    store
        .trace(trace(number))
        .unwrap()
        .map_or(0, |spans| spans.len())
}

#[tokio::test]
async fn sealed_files_are_copied_found_and_brought_back() {
    let Some(server) = S3Server::start(S3Program::Ministack) else {
        return;
    };
    let (folder, archive) = (Folder::new(), open(&server));
    let mut copier = Copier::new(archive.clone(), &folder.0);
    assert_eq!(copier.turn().await.unwrap().files, 0);
    for number in 1..=4 {
        folder.seal(number);
    }
    let copied = copier.turn().await.unwrap();
    assert_eq!((copied.files, copied.busy, copier.waiting()), (4, false, 0));
    let so_far = copier.so_far();
    assert_eq!((so_far.files, so_far.bytes), (4, copied.bytes));
    assert_eq!(copier.turn().await.unwrap().files, 0);
    folder.seal(5);
    assert_eq!(copier.waiting(), 1);
    assert_eq!(copier.turn().await.unwrap().files, 1);
    // One at a time copies; whoever comes after it knows what is there.
    let mut other = Copier::new(archive.clone(), &folder.0);
    assert!(other.turn().await.unwrap().busy);
    folder.seal(6);
    // They wait for the one who copies.
    assert_eq!((other.so_far().waiting, copier.so_far().waiting), (0, 1));
    assert_eq!(copier.turn().await.unwrap().files, 1);
    drop(copier);
    let copied = other.turn().await.unwrap();
    assert_eq!((copied.files, copied.busy), (0, false));

    let archived = archive.list().await.unwrap();
    let names: Vec<_> = archived.iter().map(|file| file.name).collect();
    let here = sealed_files(&sealed_folder(&folder.0)).unwrap();
    assert_eq!(
        names
            .iter()
            .copied()
            .collect::<std::collections::BTreeSet<_>>(),
        here
    );
    assert!(names.is_sorted_by_key(|name| std::cmp::Reverse(name.last())));

    // This machine has forgotten all of it.
    fs::remove_dir_all(sealed_folder(&folder.0)).unwrap();
    let back = Folder::new();
    for file in &archived {
        if archive.may_hold(file, trace(3)).await.unwrap() {
            archive.fetch(file, &sealed_folder(&back.0)).await.unwrap();
            // Again is no other.
            archive.fetch(file, &sealed_folder(&back.0)).await.unwrap();
        }
    }
    assert_eq!(sealed_files(&sealed_folder(&back.0)).unwrap().len(), 1);
    assert_eq!((spans_in(&back.0, 3), spans_in(&back.0, 2)), (3, 0));
}

#[tokio::test]
async fn what_is_not_taken_waits_and_is_told() {
    let Some(server) = S3Server::start(S3Program::Ministack) else {
        return;
    };
    let (folder, archive) = (Folder::new(), open(&server));
    let nowhere = Archive::open(
        "s3://no-such-bucket/x",
        server
            .variables()
            .iter()
            .map(|(name, value)| (*name, value.as_str())),
    );
    folder.seal(1);
    let mut copier = Copier::new(nowhere.unwrap(), &folder.0);
    for turn in 1..=2 {
        let failed = copier.turn().await.unwrap_err();
        assert!(matches!(failed, ArchiveError::Store { .. }), "{failed:?}");
        assert!(
            failed.to_string().contains("s3://no-such-bucket/x"),
            "{failed}"
        );
        assert_eq!((copier.failures(), copier.waiting()), (turn, 1));
        let so_far = copier.so_far();
        assert_eq!(
            (so_far.failures, so_far.waiting, so_far.files),
            (turn, 1, 0)
        );
    }
    drop(copier);
    // Sealing goes on meanwhile.
    folder.seal(2);
    let mut copier = Copier::new(archive, &folder.0);
    assert_eq!(copier.turn().await.unwrap().files, 2);
    assert_eq!((copier.failures(), copier.waiting()), (0, 0));
}

#[tokio::test]
async fn small_files_that_were_put_together_are_one_in_the_archive_too() {
    let Some(server) = S3Server::start(S3Program::Ministack) else {
        return;
    };
    let (folder, archive) = (Folder::new(), open(&server));
    let mut copier = Copier::new(archive.clone(), &folder.0);
    for number in 1..=8 {
        folder.seal(number);
    }
    assert_eq!(copier.turn().await.unwrap().files, 8);
    assert_eq!(folder.upkeep(100).merged_files, 8);
    let copied = copier.turn().await.unwrap();
    assert_eq!((copied.files, copied.deleted), (1, 8));
    let archived = archive.list().await.unwrap();
    assert_eq!(archived.len(), 1);
    assert!(archive.may_hold(&archived[0], trace(5)).await.unwrap());
    // Of what was not copied yet nothing is to be deleted.
    for number in 11..=17 {
        folder.seal(number);
    }
    assert_eq!(folder.upkeep(100).merged_files, 8);
    let copied = copier.turn().await.unwrap();
    assert_eq!((copied.files, copied.deleted), (1, 1));
    let so_far = copier.so_far();
    assert_eq!((so_far.files, so_far.deleted), (10, 9));
    let first = Folder::new();
    for file in archive.list().await.unwrap() {
        archive
            .fetch(&file, &sealed_folder(&first.0))
            .await
            .unwrap();
    }
    assert_eq!((spans_in(&first.0, 5), spans_in(&first.0, 17)), (3, 3));
}

#[tokio::test]
async fn a_copier_that_died_before_it_deleted_small_files_leaves_that_to_the_next_one() {
    let Some(server) = S3Server::start(S3Program::Ministack) else {
        return;
    };
    let (folder, archive) = (Folder::new(), open(&server));
    for number in 1..=8 {
        folder.seal(number);
    }
    let small = Folder::new();
    let (from, to) = (sealed_folder(&folder.0), sealed_folder(&small.0));
    fs::create_dir(&to).unwrap();
    for name in sealed_files(&from).unwrap() {
        fs::copy(from.join(name.to_string()), to.join(name.to_string())).unwrap();
    }
    assert_eq!(folder.upkeep(100).merged_files, 8);
    Copier::new(archive.clone(), &folder.0)
        .turn()
        .await
        .unwrap();
    Copier::new(archive.clone(), &small.0).turn().await.unwrap();
    assert_eq!(archive.list().await.unwrap().len(), 9);
    let copied = Copier::new(archive.clone(), &folder.0)
        .turn()
        .await
        .unwrap();
    assert_eq!((copied.files, copied.deleted), (0, 8));
    assert_eq!(archive.list().await.unwrap().len(), 1);
}

#[test]
fn what_is_no_place_is_said_so() {
    for url in ["", "traces", "s3://", "s3:///x", "gs://b/x"] {
        let refused = Archive::open(url, []).unwrap_err();
        assert!(
            refused.to_string().contains("s3://BUCKET/PREFIX"),
            "{refused}"
        );
    }
}

const READ: &str = "
import sys
from pyarrow import dataset, fs
s3 = fs.S3FileSystem(access_key='test', secret_key='test', region='us-east-1',
                     scheme='http', endpoint_override=sys.argv[1])
table = dataset.dataset('bucket/our/traces', filesystem=s3, format='parquet').to_table()
print(table.num_rows, sorted({row.hex() for row in table.column('trace_id').to_pylist()}))
";

#[tokio::test]
async fn another_tool_reads_it_where_it_is() {
    let (Some(server), Some(python)) = (S3Server::start(S3Program::Ministack), python()) else {
        return;
    };
    let (folder, archive) = (Folder::new(), open(&server));
    folder.seal(1);
    folder.seal(2);
    Copier::new(archive, &folder.0).turn().await.unwrap();
    let output = Command::new(python)
        .args(["-c", READ, &server.address()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let expected = format!("6 ['{}', '{}']", trace(1), trace(2));
    assert_eq!(said.trim(), expected, "{errors}");
}

/// A Python that has pyarrow, if there is one.
#[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("LONGSHORE_PYARROW").map(PathBuf::from);
    let there = named.filter(|program| program.is_file());
    let ci = std::env::var_os("LONGSHORE_CI").is_some();
    assert!(there.is_some() || !ci, "CI must have LONGSHORE_PYARROW");
    if there.is_none() {
        eprintln!("skipped: LONGSHORE_PYARROW does not name a Python that has pyarrow");
    }
    there
}
