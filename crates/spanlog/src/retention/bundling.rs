//! Putting small files together. Whoever does it holds the lock of the folder.
//!
//! A bundle is complete and on the disk before it gets its name; then the files that are in it are
//! deleted, and then what tells how far they were shipped, since the bundle says it. A sweep that
//! is cut short in between leaves some of them twice, which all who read know, and which the next
//! one puts right.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use longshore_core::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

use super::candidate::{Candidate, Part, unshipped};
use super::{Policy, Swept};
use crate::bundle::{self, Bundles, MAX_MEMBERS, Member};
use crate::folder::{self, Listing};
use crate::frame::Class;
use crate::name::{BundleName, FileName, WriterId};

/// So many small files, and what is left beside them, are worth putting together.
const WORTH_IT: usize = 64;
/// So many writers whose locks and cursors a bundle makes unnecessary are worth making it anew.
const WORTH_ANEW: usize = 16;
/// A file of less bytes is small.
const SMALL: u64 = 1 << 20;
/// Most bytes of a bundle, but for its index.
const MAX_BYTES: u64 = 16 << 20;
/// How much time there may be between the first and the last file of a bundle: all of it goes at
/// once when it is too old.
const MAX_SPAN: Duration = Duration::from_secs(24 * 60 * 60);

/// Dead writers whose lock, lease or cursor is there and which nobody ships. Nobody will as long as
/// the folder is locked.
pub(super) fn unused(folder: &Path, listing: &Listing) -> BTreeSet<WriterId> {
    let is_unused = |writer: &WriterId| {
        !folder::is_live(folder, *writer) && !folder::is_leased(folder, *writer)
    };
    listing.asides.iter().copied().filter(is_unused).collect()
}

/// Deletes files that are in a bundle already.
pub(super) fn remove_doubles(folder: &Path, listing: &Listing, bundles: &Bundles) {
    for name in listing.alone.iter().filter(|name| bundles.contains(**name)) {
        // What cannot be deleted is left to the next sweep.
        let _left = folder::remove(&folder.join(name.to_string()));
    }
}

/// Puts small files together if there are many. Gives back what lies in the folder afterwards.
pub(super) fn bundle(
    folder: &Path,
    files: Vec<Candidate>,
    unused: &BTreeSet<WriterId>,
    policy: &Policy,
    swept: &mut Swept,
) -> Vec<Candidate> {
    let loose: BTreeSet<WriterId> = files
        .iter()
        .filter(|file| !is_small(file))
        .flat_map(|file| file.parts.iter())
        .filter(|part| part.place.len.is_none())
        .map(|part| part.name.writer())
        .collect();
    // Of these nothing needs to be left beside their files.
    let done: BTreeSet<WriterId> = unused.difference(&loose).copied().collect();
    let small = files.iter().filter(|file| is_small(file)).count();
    let has_doubles = files.iter().any(|file| file.has_doubles);
    if small + done.len() < WORTH_IT && !has_doubles {
        return files;
    }
    let joins =
        |file: &Candidate| is_small(file) || file.bundle.is_some() && is_worth_anew(file, &done);
    let (sources, mut left): (Vec<_>, Vec<_>) = files.into_iter().partition(joins);
    let mut bundles = BTreeSet::new();
    for class in Class::ALL {
        let of_class = |file: &&Candidate| file.name.class() == class;
        let sources: Vec<&Candidate> = sources.iter().filter(of_class).collect();
        match join(folder, class, &sources, policy) {
            Ok(made) => {
                swept.bundled += made.iter().map(|file| file.parts.len() as u64).sum::<u64>();
                remove(folder, &sources, &made);
                bundles.extend(made.iter().filter_map(|file| file.bundle));
                left.extend(made);
            }
            // All of it is where it was.
            Err(_) => left.extend(sources.into_iter().cloned()),
        }
    }
    forget(folder, &left, &bundles, &done);
    left
}

fn is_small(file: &Candidate) -> bool {
    file.bundle.is_none() && file.closed && file.bytes < SMALL
}

/// Whether a bundle is to be made anew: it has room for more, or holds what is held elsewhere, or
/// makes many cursors unnecessary.
fn is_worth_anew(file: &Candidate, done: &BTreeSet<WriterId>) -> bool {
    if file.parts.is_empty() {
        // One that cannot be read is left alone.
        return file.has_doubles;
    }
    file.has_doubles
        || file.parts.len() < MAX_MEMBERS / 2 && file.bytes < MAX_BYTES / 2
        || writers(file).intersection(done).nth(WORTH_ANEW).is_some()
}

fn writers(file: &Candidate) -> BTreeSet<WriterId> {
    file.parts.iter().map(|part| part.name.writer()).collect()
}

/// Makes as few bundles of these files as their bounds allow.
fn join(
    folder: &Path,
    class: Class,
    sources: &[&Candidate],
    policy: &Policy,
) -> io::Result<Vec<Candidate>> {
    let mut parts: BTreeMap<FileName, (&Part, Timestamp)> = BTreeMap::new();
    for source in sources {
        for part in &source.parts {
            parts.entry(part.name).or_insert((part, source.modified));
        }
    }
    let mut made = Vec::new();
    let mut group: Vec<(&Part, Timestamp)> = Vec::new();
    for (part, modified) in parts.into_values() {
        if !fits(&group, part) {
            made.push(publish(folder, class, &group, policy)?);
            group.clear();
        }
        group.push((part, modified));
    }
    if !group.is_empty() {
        made.push(publish(folder, class, &group, policy)?);
    }
    Ok(made)
}

fn fits(group: &[(&Part, Timestamp)], part: &Part) -> bool {
    let Some((first, _)) = group.first() else {
        return true;
    };
    let bytes: u64 = group.iter().map(|(part, _)| part.len).sum();
    let begun = |part: &Part| Duration::from_millis(part.name.created_millis());
    group.len() < MAX_MEMBERS
        && bytes + part.len <= MAX_BYTES
        && begun(part).saturating_sub(begun(first)) <= MAX_SPAN
}

/// Writes a bundle and gives it its name.
fn publish(
    folder: &Path,
    class: Class,
    group: &[(&Part, Timestamp)],
    policy: &Policy,
) -> io::Result<Candidate> {
    let (oldest, _) = group.first().ok_or(io::ErrorKind::InvalidInput)?;
    let members: Vec<Member> = group
        .iter()
        .map(|(part, _)| Member {
            name: part.name,
            len: part.len,
            shipped: if is_for_nobody(part, policy) {
                part.len
            } else {
                part.shipped
            },
        })
        .collect();
    let index = bundle::encode_index(class, &members);
    let bundle = BundleName::new(oldest.name, xxh3_64(&index));
    let path = folder.join(bundle.to_string());
    let hidden = folder::temporary(&path);
    // One that a killed process left behind is of no use.
    let _gone = fs::remove_file(&hidden);
    let modified = group.iter().map(|(_, modified)| *modified).max();
    let modified = modified.unwrap_or(Timestamp::UNIX_EPOCH);
    let written = write(&hidden, &index, group, modified)
        .and_then(|()| fs::rename(&hidden, &path))
        .and_then(|()| folder::sync_names(folder));
    if let Err(error) = written {
        let _gone = fs::remove_file(&hidden);
        return Err(error);
    }
    let mut start = index.len() as u64;
    let mut parts = Vec::with_capacity(members.len());
    for member in members {
        parts.push(Part {
            name: member.name,
            place: bundle::Place {
                path: path.clone(),
                start,
                len: Some(member.len),
            },
            len: member.len,
            shipped: member.shipped,
        });
        start += member.len;
    }
    Ok(Candidate {
        path,
        bundle: Some(bundle),
        name: bundle.as_file(),
        bytes: start,
        modified,
        age: Duration::ZERO,
        closed: true,
        parts,
        has_doubles: false,
    })
}

/// Whether nobody ever ships what is left of a file.
fn is_for_nobody(part: &Part, policy: &Policy) -> bool {
    if policy.unshipped_flags == 0 {
        return false;
    }
    let mut for_nobody = true;
    unshipped(part, |header, _| {
        for_nobody &= header.flags & policy.unshipped_flags != 0;
    });
    for_nobody
}

fn write(
    path: &Path,
    index: &[u8],
    group: &[(&Part, Timestamp)],
    modified: Timestamp,
) -> io::Result<()> {
    let mut bundle = folder::create(path)?;
    bundle.write_all(index)?;
    for (part, _) in group {
        let mut source = File::open(&part.place.path)?;
        source.seek(SeekFrom::Start(part.place.start))?;
        if io::copy(&mut source.take(part.len), &mut bundle)? != part.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    bundle.set_modified(SystemTime::UNIX_EPOCH + modified.since(Timestamp::UNIX_EPOCH))?;
    bundle.sync_all()
}

/// Deletes what is in a bundle now.
fn remove(folder: &Path, sources: &[&Candidate], made: &[Candidate]) {
    let names: BTreeSet<&Path> = made.iter().map(|file| file.path.as_path()).collect();
    for source in sources {
        // The same files, shipped as far as before, are the same bundle.
        if !names.contains(source.path.as_path()) {
            let _left = folder::remove(&source.path);
        }
    }
    let _unsynced = folder::sync_names(folder);
}

/// Deletes what the writers in `done` left beside their files, if all of these are in bundles that
/// were made now and say how far they were shipped. The cursor goes before the lease: alone it
/// would say that all was delivered.
fn forget(
    folder: &Path,
    left: &[Candidate],
    made: &BTreeSet<BundleName>,
    done: &BTreeSet<WriterId>,
) {
    let is_made = |file: &&Candidate| file.bundle.is_some_and(|bundle| made.contains(&bundle));
    let (made, others): (Vec<_>, Vec<_>) = left.iter().partition(is_made);
    let others: BTreeSet<WriterId> = others.into_iter().flat_map(writers).collect();
    let made: BTreeSet<WriterId> = made.into_iter().flat_map(writers).collect();
    for writer in made
        .intersection(done)
        .filter(|writer| !others.contains(writer))
    {
        for aside in [
            writer.live_file(),
            writer.cursor_file(),
            writer.lease_file(),
        ] {
            if folder::remove(&folder.join(aside)).is_err() {
                break;
            }
        }
    }
}
