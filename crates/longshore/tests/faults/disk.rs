//! A disk that fails beneath the span log.

use std::io::Write;
use std::path::{Path, PathBuf};

use longshore_telemetry::{DropReason, TelemetrySettings};
use longshore_testkit::collector::Protocol;
use longshore_testkit::faulty_line::Fault;

use crate::bed::{Bed, Folder, Way, until};
use crate::{child, log_lines};

const JOBS: u64 = 150;
const LOGGED: Way = Way::of(Protocol::Http, true);

/// Puts the span log elsewhere.
fn log_in(folder: &Path) -> impl FnOnce(&mut TelemetrySettings) {
    let folder = folder.to_owned();
    move |settings| settings.span_log.as_mut().unwrap().folder = folder
}

#[tokio::test]
async fn a_folder_that_is_removed_is_made_again() {
    let bed = Bed::new(LOGGED, |_| {});
    bed.run_jobs(JOBS).await;
    let before = bed.assert_accounted().await;
    std::fs::remove_dir_all(bed.span_log()).unwrap();
    bed.run_jobs(JOBS).await;
    let counters = bed.assert_accounted().await;
    assert!(counters.exported >= 2 * before.exported - 10);
    // Nothing waited when it was removed.
    assert_eq!(counters.dropped_total(), 0, "{counters:?}");
    assert!(bed.span_log().is_dir());
}

#[tokio::test]
async fn what_goes_with_a_removed_folder_is_counted() {
    let bed = Bed::new(LOGGED, |_| {});
    bed.line.set(Fault::Refused);
    // Far more than what one request takes, which is on its way when the folder goes.
    bed.run_jobs(4 * JOBS).await;
    let written = || {
        let counters = bed.telemetry.counters();
        counters.logged == counters.created && bed.failures() >= 1
    };
    until(written).await;
    let before = bed.telemetry.counters();
    std::fs::remove_dir_all(bed.span_log()).unwrap();
    bed.run_jobs(JOBS).await;
    bed.line.set(Fault::None);
    let counters = bed.assert_accounted().await;
    assert!(counters.dropped[&DropReason::LogError] > 0, "{counters:?}");
    assert_eq!(counters.dropped.len(), 1, "{counters:?}");
    // Those that came later are there.
    let later = counters.created - before.created;
    assert!(counters.exported >= later, "{counters:?}");
    assert_eq!(bed.duplicates(), 0);
}

#[test]
fn a_full_disk_costs_spans_and_no_job() {
    let folder = Folder::new();
    child::on_disk_of_its_own("disk::part_full", &folder.0, "size=2m");
}

#[tokio::test]
async fn part_full() {
    let Some((folder, _)) = child::told() else {
        return;
    };
    let folder = PathBuf::from(folder);
    let log = folder.join("spans");
    let bed = Bed::new(LOGGED, log_in(&log));
    let ballast = folder.join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    while file.write_all(&[b'x'; 4096]).is_ok() {}
    let len = file.metadata().unwrap().len();
    file.set_len(len - (64 << 10)).unwrap();
    // Its room is free only once it is closed, too.
    drop(file);
    bed.line.set(Fault::Refused);
    bed.run_jobs(JOBS).await;
    // What the writer has in hand is dropped or written once it says so.
    let queued = || {
        let counters = bed.telemetry.counters();
        counters.dropped.contains_key(&DropReason::DiskFull)
    };
    until(queued).await;
    let path = log.to_str().unwrap();
    assert_eq!(log_lines::with(path, "once a minute at most"), 1);
    bed.line.set(Fault::None);
    let full = bed.assert_accounted().await;
    assert_eq!(full.dropped.len(), 1, "{full:?}");
    assert!(full.exported > 0, "there was some room: {full:?}");

    std::fs::remove_file(&ballast).unwrap();
    bed.run_jobs(JOBS).await;
    let counters = bed.assert_accounted().await;
    assert_eq!(counters.dropped, full.dropped);
    assert!(counters.exported > full.exported);
    assert_eq!(bed.duplicates(), 0);
}

#[test]
fn a_disk_that_cannot_be_written_to_leaves_spans_in_memory() {
    let folder = Folder::new();
    child::on_disk_of_its_own("disk::part_read_only", &folder.0, "ro,size=2m");
}

#[tokio::test]
async fn part_read_only() {
    let Some((folder, _)) = child::told() else {
        return;
    };
    let log = PathBuf::from(folder).join("spans");
    let (bed, warnings) = Bed::open(LOGGED, |_, settings| log_in(&log)(settings));
    let warning = warnings.first().unwrap().to_string();
    assert!(warning.contains("the span log cannot be used"), "{warning}");
    assert!(warning.contains(log.to_str().unwrap()), "{warning}");
    bed.line.set(Fault::Refused);
    bed.run_jobs(JOBS).await;
    bed.line.set(Fault::None);
    let counters = bed.assert_accounted().await;
    assert_eq!((counters.dropped_total(), counters.logged), (0, 0));
}
