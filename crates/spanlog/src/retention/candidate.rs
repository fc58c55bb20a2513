//! What lies in a folder, as retention looks at it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longshore_core::Timestamp;

use super::Policy;
use crate::bundle::{Bundles, Member, Place};
use crate::cursor::Cursor;
use crate::folder::{self, Listing};
use crate::frame::FrameHeader;
use crate::name::{BundleName, FileName, WriterId};
use crate::position::{Position, Progress};
use crate::scan::{self, Scan, Step};

/// A file of the folder, alone or with others in a bundle, and what the sweep knows of it.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) bundle: Option<BundleName>,
    /// The name by which its turn comes.
    pub(super) name: FileName,
    pub(super) bytes: u64,
    /// When it was written to last.
    pub(super) modified: Timestamp,
    pub(super) age: Duration,
    pub(super) closed: bool,
    pub(super) parts: Vec<Part>,
    /// Whether some of what is in it counts as part of another bundle.
    pub(super) has_doubles: bool,
}

/// A file of the log, wherever it lies.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) name: FileName,
    pub(super) place: Place,
    pub(super) len: u64,
    pub(super) shipped: u64,
}

impl Candidate {
    pub(super) fn is_expired(&self, policy: &Policy) -> bool {
        let limit = policy.max_age.of(self.name.class());
        limit.is_some_and(|limit| self.age > limit)
            || (policy.delete_shipped && self.parts.iter().all(Part::is_shipped))
    }
}

impl Part {
    pub(super) const fn is_shipped(&self) -> bool {
        self.shipped >= self.len
    }
}

/// Looks at every file. One that vanishes meanwhile is left out.
pub(super) fn candidates(
    folder: &Path,
    listing: &Listing,
    bundles: &Bundles,
    now: Timestamp,
) -> Vec<Candidate> {
    let mut newest = BTreeMap::new();
    for name in &listing.files {
        newest.insert(name.lane(), *name);
    }
    let mut shipped = Shipped::new(folder, listing, bundles);
    let mut live: BTreeMap<WriterId, bool> = BTreeMap::new();
    let mut candidates = Vec::with_capacity(listing.alone.len());
    for name in listing
        .alone
        .iter()
        .filter(|name| !bundles.contains(**name))
    {
        // Before its length, which is final only if nobody was there to append any more.
        let live = live
            .entry(name.writer())
            .or_insert_with(|| folder::is_live(folder, name.writer()));
        let place = Place::alone(folder, *name);
        let Ok(metadata) = fs::metadata(&place.path) else {
            continue;
        };
        let len = metadata.len();
        let closed = !*live
            || newest.get(&name.lane()) != Some(name)
            || scan::ends_properly(folder, *name, len).unwrap_or(false);
        candidates.push(Candidate {
            path: place.path.clone(),
            bundle: None,
            name: *name,
            bytes: len,
            modified: folder::modified(&metadata),
            age: age(&metadata, now),
            closed,
            parts: vec![Part {
                name: *name,
                shipped: shipped.of(*name, len),
                place,
                len,
            }],
            has_doubles: false,
        });
    }
    candidates.extend(bundled(folder, bundles, &mut shipped, now));
    candidates
}

/// Looks at every bundle.
fn bundled(
    folder: &Path,
    bundles: &Bundles,
    shipped: &mut Shipped<'_>,
    now: Timestamp,
) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    // A sweep that was cut short may have left a file in two bundles.
    let mut met = BTreeSet::new();
    for (bundle, members) in bundles.iter() {
        let path = folder.join(bundle.to_string());
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        let part = |(start, member): &(u64, Member)| Part {
            name: member.name,
            place: Place {
                path: path.clone(),
                start: *start,
                len: Some(member.len),
            },
            len: member.len,
            shipped: shipped.of(member.name, member.len),
        };
        let members = members.unwrap_or_default();
        let singles = members.iter().filter(|(_, one)| met.insert(one.name));
        let parts: Vec<Part> = singles.map(part).collect();
        candidates.push(Candidate {
            bundle: Some(bundle),
            name: bundle.as_file(),
            bytes: metadata.len(),
            modified: folder::modified(&metadata),
            age: age(&metadata, now),
            closed: true,
            has_doubles: parts.len() < members.len(),
            parts,
            path: path.clone(),
        });
    }
    candidates
}

/// How far files were shipped: by the cursors of their writers, and by what bundles say.
struct Shipped<'a> {
    folder: &'a Path,
    listing: &'a Listing,
    bundles: &'a Bundles,
    known: BTreeMap<WriterId, Progress>,
}

impl<'a> Shipped<'a> {
    const fn new(folder: &'a Path, listing: &'a Listing, bundles: &'a Bundles) -> Self {
        Self {
            folder,
            listing,
            bundles,
            known: BTreeMap::new(),
        }
    }

    fn of(&mut self, name: FileName, len: u64) -> u64 {
        let writer = name.writer();
        if self.listing.delivered.contains(&writer) {
            return len;
        }
        let (folder, listing, bundles) = (self.folder, self.listing, self.bundles);
        let progress = self.known.entry(writer).or_insert_with(|| {
            let mut progress = Progress::default();
            if listing.asides.contains(&writer) {
                let cursor = Cursor::at(folder.join(writer.cursor_file()));
                progress = cursor
                    .load()
                    .map_or(progress, |stored| stored.into_progress());
            }
            for position in bundles.shipped(writer) {
                progress.advance(position);
            }
            progress
        });
        progress.done_of(name, len)
    }
}

pub(super) fn age(metadata: &fs::Metadata, now: Timestamp) -> Duration {
    now.since(folder::modified(metadata))
}

/// Reads the frames behind the place to which a file was shipped; gives each with its bytes.
pub(super) fn unshipped(part: &Part, mut each: impl FnMut(&FrameHeader, u64)) {
    let _all = find_unshipped(part, |header, bytes| {
        each(header, bytes);
        false
    });
}

/// Whether there is such a frame among those behind the place to which a file was shipped.
pub(super) fn find_unshipped(
    part: &Part,
    mut is_it: impl FnMut(&FrameHeader, u64) -> bool,
) -> bool {
    if part.is_shipped() {
        return false;
    }
    let from = Position {
        file: part.name,
        offset: part.shipped,
    };
    let Ok(mut scan) = Scan::open(&part.place, from, Vec::new()) else {
        return false;
    };
    loop {
        match scan.step(true) {
            Ok(Step::Frame(frame)) => {
                if is_it(&frame.header, frame.end.offset - frame.position.offset) {
                    return true;
                }
            }
            Ok(Step::Damage { .. } | Step::Unknown { .. }) => {}
            Ok(Step::Pending | Step::End { .. } | Step::Unsupported) | Err(_) => return false,
        }
    }
}
