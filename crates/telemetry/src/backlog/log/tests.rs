//! What the two ends of a span log hand on.

use longshore_core::Timestamp;
use longshore_testkit::{ManualClock, SeededRandom};

use super::*;

/// A log in a folder of the test's own, which is there until the test succeeds.
fn open(name: &str, is_exported: bool, tally: &Arc<Tally>) -> LogInlet {
    let name = format!("longshore-log-{name}-{}", std::process::id());
    let settings = SpanLogSettings {
        folder: std::env::temp_dir().join(name),
        policy: Policy {
            max_bytes: 16_000,
            ..Policy::default()
        },
    };
    // Each opening is another writer.
    let random = SeededRandom::new(fastrand::u64(..));
    let clock = Arc::new(ManualClock::default());
    LogInlet::open(&settings, is_exported, clock, &random, tally.clone()).unwrap()
}

fn parcel(stage: Stage, spans: usize, bytes: usize) -> Parcel {
    Parcel {
        body: Bytes::from(vec![0; bytes]),
        spans,
        class: Class::Kept,
        stage,
        times: (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH),
    }
}

fn handed(outlet: &mut LogOutlet) -> Vec<usize> {
    let mut spans = Vec::new();
    while let Some(handed) = outlet.next() {
        spans.push(handed.spans);
        outlet.dealt_with(handed.mark);
    }
    outlet.save();
    spans
}

/// What is too large for one frame is held in several; the last one that is released says that
/// all of them are there.
#[test]
fn what_is_held_in_parts_is_superseded_as_a_whole() {
    let tally = Arc::<Tally>::default();
    let mut log = open("parts", true, &tally);
    for stage in [Stage::Held(7), Stage::Held(7), Stage::Final] {
        log.append(&parcel(stage, 1, 10)).unwrap();
    }
    log.append(&parcel(Stage::Released(7), 2, 10)).unwrap();
    assert_eq!(handed(&mut log.outlet()), [1, 2]);
    let folder = log.folder.clone();
    drop(log);
    let next = open("parts", true, &tally);
    assert_eq!(
        handed(&mut next.outlet()),
        [0; 0],
        "all of it was dealt with"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

/// Held first and released later, a span is written twice.
#[test]
fn what_is_held_counts_once_it_is_released() {
    let tally = Arc::<Tally>::default();
    let mut log = open("counted", true, &tally);
    log.append(&parcel(Stage::Held(7), 3, 10)).unwrap();
    assert_eq!(tally.snapshot().logged, 0);
    log.append(&parcel(Stage::Released(7), 2, 10)).unwrap();
    log.append(&parcel(Stage::Final, 1, 10)).unwrap();
    assert_eq!(tally.snapshot().logged, 3);
    std::fs::remove_dir_all(&log.folder).unwrap();
}

#[test]
fn what_is_held_in_parts_leaves_whole_if_its_process_dies() {
    let tally = Arc::<Tally>::default();
    let mut log = open("died", true, &tally);
    log.append(&parcel(Stage::Held(7), 1, 10)).unwrap();
    log.append(&parcel(Stage::Held(7), 2, 10)).unwrap();
    let folder = log.folder.clone();
    drop(log);
    let next = open("died", true, &tally);
    assert_eq!(handed(&mut next.outlet()), [1, 2]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn pressure_follows_how_much_of_the_folder_waits_for_the_back_end() {
    for is_exported in [true, false] {
        let tally = Arc::<Tally>::default();
        let mut log = open("press", is_exported, &tally);
        tally.created_by_application(10);
        log.append(&parcel(Stage::Final, 10, 10_000)).unwrap();
        assert_eq!(tally.pressure.level(), if is_exported { 3 } else { 0 });
        tally.exported(5);
        log.tick();
        assert_eq!(tally.pressure.level(), 0);
        std::fs::remove_dir_all(&log.folder).unwrap();
    }
}
