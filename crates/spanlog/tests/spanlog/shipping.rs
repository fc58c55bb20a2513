//! Who ships what.

use std::collections::BTreeMap;
use std::fs;
use std::thread;

use longshore_spanlog::{Frame, Scope, Shipping};

use crate::support::{Folder, append};

fn rest(shipping: &mut Shipping) -> Vec<Frame> {
    std::iter::from_fn(|| shipping.next_frame().unwrap()).collect()
}

fn bodies(frames: &[Frame]) -> Vec<&[u8]> {
    frames.iter().map(|frame| frame.body.as_slice()).collect()
}

fn deliver(shipping: &mut Shipping, frames: &[Frame]) {
    for frame in frames {
        shipping.delivered(frame.end);
    }
}

#[test]
fn a_process_ships_its_own_files_and_goes_on_after_a_restart() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    append(&mut writer, b"first");
    let mut shipping = Shipping::open(folder.path(), Some(writer.id()), Scope::Orphans);
    assert_eq!(rest(&mut shipping), [], "nothing is claimed yet");
    assert_eq!(shipping.claim().unwrap().taken, [writer.id()]);
    let frames = rest(&mut shipping);
    assert_eq!(bodies(&frames), [b"first"]);
    deliver(&mut shipping, &frames);
    shipping.save().unwrap();
    append(&mut writer, b"second");
    drop((shipping, writer));
    let mut shipping = Shipping::open(folder.path(), None, Scope::Orphans);
    shipping.claim().unwrap();
    assert_eq!(bodies(&rest(&mut shipping)), [b"second"]);
}

#[test]
fn a_process_claims_its_own_before_it_has_written() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    let mut own = Shipping::open(folder.path(), Some(writer.id()), Scope::Orphans);
    own.claim().unwrap();
    append(&mut writer, b"body");
    let mut other = Shipping::open(folder.path(), None, Scope::Unclaimed);
    assert!(other.claim().unwrap().taken.is_empty());
    assert_eq!(rest(&mut own).len(), 1);
}

#[test]
fn the_living_are_shipped_by_others_only_if_asked() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    append(&mut writer, b"body");
    let mut heir = Shipping::open(folder.path(), None, Scope::Orphans);
    assert!(heir.claim().unwrap().taken.is_empty());
    let mut all = Shipping::open(folder.path(), None, Scope::Unclaimed);
    assert_eq!(all.claim().unwrap().taken, [writer.id()]);
    assert_eq!(rest(&mut all).len(), 1);
    drop((writer, all));
    assert_eq!(heir.claim().unwrap().taken.len(), 1);
}

#[test]
fn a_dead_writer_is_shipped_by_one_and_given_back_when_done() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    let id = writer.id();
    append(&mut writer, b"first");
    append(&mut writer, b"second");
    let folder = folder.crashed();
    let mut one = Shipping::open(folder.path(), None, Scope::Orphans);
    let mut two = Shipping::open(folder.path(), None, Scope::Orphans);
    assert_eq!(one.claim().unwrap().taken, [id]);
    assert!(two.claim().unwrap().taken.is_empty());
    // Nothing read yet: nothing is done.
    assert!(one.claim().unwrap().finished.is_empty());
    let frames = rest(&mut one);
    assert_eq!(frames.len(), 2);
    deliver(&mut one, &frames[..1]);
    assert!(
        one.claim().unwrap().finished.is_empty(),
        "one is on its way"
    );
    deliver(&mut one, &frames[1..]);
    assert_eq!(one.claim().unwrap().finished, [id]);
    assert_eq!(one.claims().count(), 0);
    assert!(one.claim().unwrap().taken.is_empty(), "not again");
    // The other one sees in the folder that nothing is left to do.
    assert_eq!(two.claim().unwrap().taken, []);
    assert!(!folder.path().join(format!("{id}.lease")).exists());
}

#[test]
fn what_was_delivered_and_not_saved_is_handed_out_again() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    for number in 0..6_u8 {
        append(&mut writer, &[number]);
    }
    let folder = folder.crashed();
    let mut one = Shipping::open(folder.path(), None, Scope::Orphans);
    one.claim().unwrap();
    let frames = rest(&mut one);
    deliver(&mut one, &frames[..2]);
    one.save().unwrap();
    deliver(&mut one, &frames[2..4]);
    drop(one);
    let mut two = Shipping::open(folder.path(), None, Scope::Orphans);
    two.claim().unwrap();
    assert_eq!(bodies(&rest(&mut two)), [[2], [3], [4], [5]]);
    two.delivered(frames[2].end);
    two.rewind();
    assert_eq!(bodies(&rest(&mut two)), [[3], [4], [5]]);
    // Backwards is no way.
    two.delivered(frames[0].end);
    two.rewind();
    assert_eq!(bodies(&rest(&mut two)), [[3], [4], [5]]);
}

#[test]
fn a_damaged_cursor_is_counted_and_everything_shipped_again() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    append(&mut writer, b"body");
    let beside = |what: &str| folder.path().join(format!("{}.{what}", writer.id()));
    // Whoever stores a cursor has the lease.
    fs::write(beside("lease"), "").unwrap();
    fs::write(beside("cursor"), "nonsense").unwrap();
    drop(writer);
    let mut shipping = Shipping::open(folder.path(), None, Scope::Orphans);
    assert_eq!(shipping.claim().unwrap().damaged_cursors, 1);
    assert_eq!(shipping.damaged_cursors(), 1);
    let frames = rest(&mut shipping);
    assert_eq!(bodies(&frames), [b"body"]);
    deliver(&mut shipping, &frames);
    shipping.save().unwrap();
    drop(shipping);
    let mut shipping = Shipping::open(folder.path(), None, Scope::Orphans);
    assert_eq!(shipping.claim().unwrap().damaged_cursors, 0);
    assert_eq!(rest(&mut shipping), []);
}

#[test]
fn exporters_share_the_dead_and_ship_each_frame_once() {
    let folder = Folder::new();
    for _ in 0..40 {
        let mut writer = folder.writer();
        for number in 0..25_u8 {
            append(&mut writer, &[number]);
        }
    }
    let ship = || {
        let mut shipping = Shipping::open(folder.path(), None, Scope::Orphans);
        let mut shipped = Vec::new();
        let mut quiet = 0;
        // Another one may be at the folder's lock: try again until there is nothing to be had.
        while quiet < 100 {
            let claimed = shipping.claim().unwrap();
            let frames = rest(&mut shipping);
            let nothing = claimed.taken.is_empty() && frames.is_empty();
            quiet = if nothing { quiet + 1 } else { 0 };
            deliver(&mut shipping, &frames);
            shipping.save().unwrap();
            shipped.extend(frames.into_iter().map(|frame| frame.position));
            thread::yield_now();
        }
        shipped
    };
    let mut times = BTreeMap::new();
    thread::scope(|scope| {
        let exporters: Vec<_> = (0..3).map(|_| scope.spawn(ship)).collect();
        for exporter in exporters {
            for position in exporter.join().unwrap() {
                *times.entry(position).or_insert(0) += 1;
            }
        }
    });
    assert_eq!(times.len(), 1000);
    assert!(times.values().all(|times| *times == 1));
}

#[test]
fn a_folder_that_is_not_there_yet_is_empty() {
    let folder = Folder::new();
    let missing = folder.path().join("missing");
    let mut shipping = Shipping::open(&missing, None, Scope::Orphans);
    assert_eq!(shipping.claim().unwrap(), Default::default());
    assert_eq!(shipping.next_frame().unwrap(), None);
}
