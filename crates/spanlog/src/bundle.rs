//! Bundles: files that are complete and small, put together into one.
//!
//! Each keeps its name and its bytes, so that places in it stay what they were, for readers, for
//! cursors and for checksums. Only where the bytes lie is another matter.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::frame::Class;
use crate::name::{BundleName, FileName, WriterId};
use crate::position::Position;

/// Most files of a bundle.
pub(crate) const MAX_MEMBERS: usize = 1024;
/// Most bytes of an index.
const MAX_INDEX: u64 = 1 << 20;
/// Bytes before the index.
const HEADER: usize = 32;
/// Bytes of the header that stand before its checksum.
const SUMMED: usize = 24;
/// As little like text as that of a file.
const MAGIC: [u8; 8] = *b"\xd7BUNDL\r\n";
const VERSION: u16 = 1;

/// A file in a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: FileName,
    pub(crate) len: u64,
    /// How much of it was shipped when the bundle was made.
    pub(crate) shipped: u64,
}

/// Where the bytes of a file lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) start: u64,
    /// How many they are, if it does not go on to the end.
    pub(crate) len: Option<u64>,
}

impl Place {
    /// That of a file that lies alone.
    pub(crate) fn alone(folder: &Path, name: FileName) -> Self {
        Self {
            path: folder.join(name.to_string()),
            start: 0,
            len: None,
        }
    }
}

/// What stands before the bytes of the members, which follow each other in this order.
pub(crate) fn encode_index(class: Class, members: &[Member]) -> Vec<u8> {
    let mut index = String::new();
    for Member { name, len, shipped } in members {
        // Writing to a string does not fail.
        let _written = writeln!(index, "{name} {len} {shipped}");
    }
    let mut bytes = Vec::with_capacity(HEADER + index.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.push(class.number());
    bytes.extend_from_slice(&[0; 5]);
    bytes.extend_from_slice(&(index.len() as u64).to_le_bytes());
    let sum = sum_of(&bytes, index.as_bytes());
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(index.as_bytes());
    bytes
}

fn sum_of(header: &[u8], index: &[u8]) -> u64 {
    xxh3_64(header) ^ xxh3_64(index).rotate_left(1)
}

/// The members of a bundle, each with the place where it begins; nothing if what stands there is
/// damaged or of another version.
fn read_index(path: &Path) -> io::Result<Option<Vec<(u64, Member)>>> {
    let mut file = File::open(path)?;
    let mut header = Vec::with_capacity(HEADER);
    (&mut file).take(HEADER as u64).read_to_end(&mut header)?;
    let Some(len) = index_len(&header) else {
        return Ok(None);
    };
    let mut index = Vec::new();
    file.take(len).read_to_end(&mut index)?;
    let (summed, sum) = header.split_at_checked(SUMMED).unwrap_or_default();
    if sum != sum_of(summed, &index).to_le_bytes() {
        return Ok(None);
    }
    Ok(parse_index(&index))
}

fn index_len(header: &[u8]) -> Option<u64> {
    let rest = header.strip_prefix(&MAGIC)?;
    let rest = rest.strip_prefix(&VERSION.to_le_bytes())?;
    let len = u64::from_le_bytes(*rest.get(6..)?.first_chunk()?);
    (header.len() == HEADER && len <= MAX_INDEX).then_some(len)
}

fn parse_index(index: &[u8]) -> Option<Vec<(u64, Member)>> {
    let mut members = Vec::new();
    let mut start = (HEADER + index.len()) as u64;
    for line in str::from_utf8(index).ok()?.lines() {
        let mut fields = line.split(' ');
        let member = Member {
            name: fields.next()?.parse().ok()?,
            len: fields.next()?.parse().ok()?,
            shipped: fields.next()?.parse().ok()?,
        };
        members.push((start, member));
        start = start.checked_add(member.len)?;
    }
    Some(members)
}

/// The bundles of a folder, read once each: one that is made never changes.
#[derive(Debug, Default)]
pub(crate) struct Bundles {
    /// Nothing for one that cannot be read.
    known: BTreeMap<BundleName, Option<Vec<(u64, Member)>>>,
    /// Where each writer's files lie.
    members: BTreeMap<WriterId, Vec<(BundleName, u64, Member)>>,
    /// How many were met that cannot be read.
    pub(crate) damaged: u64,
}

impl Bundles {
    /// Reads those of `names` that are new, and forgets all others. Says whether all of them were
    /// there.
    pub(crate) fn look(&mut self, folder: &Path, names: &BTreeSet<BundleName>) -> io::Result<bool> {
        let before = self.known.len();
        self.known.retain(|name, _| names.contains(name));
        let mut changed = self.known.len() != before;
        let mut are_there = true;
        for name in names {
            if self.known.contains_key(name) {
                continue;
            }
            match read_index(&folder.join(name.to_string())) {
                Ok(index) => {
                    self.damaged += u64::from(index.is_none());
                    self.known.insert(*name, index);
                    changed = true;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => are_there = false,
                Err(error) => {
                    self.sort_by_writer();
                    return Err(error);
                }
            }
        }
        if changed {
            self.sort_by_writer();
        }
        Ok(are_there)
    }

    fn sort_by_writer(&mut self) {
        self.members.clear();
        for (bundle, index) in &self.known {
            for (start, member) in index.iter().flatten() {
                let of_writer = self.members.entry(member.name.writer()).or_default();
                of_writer.push((*bundle, *start, *member));
            }
        }
    }

    /// Every bundle, with its members if it can be read.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (BundleName, Option<&[(u64, Member)]>)> {
        let known = self.known.iter();
        known.map(|(name, index)| (*name, index.as_deref()))
    }

    /// Every file, and some twice if a sweep was cut short.
    pub(crate) fn files(&self) -> impl Iterator<Item = FileName> {
        let members = self.members.values().flatten();
        members.map(|(_, _, member)| member.name)
    }

    /// Where a file lies, if it lies in a bundle.
    pub(crate) fn place(&self, folder: &Path, name: FileName) -> Option<Place> {
        let of_writer = self.members.get(&name.writer())?;
        let (bundle, start, member) = of_writer.iter().find(|(_, _, one)| one.name == name)?;
        Some(Place {
            path: folder.join(bundle.to_string()),
            start: *start,
            len: Some(member.len),
        })
    }

    pub(crate) fn contains(&self, name: FileName) -> bool {
        let of_writer = self.members.get(&name.writer());
        of_writer.is_some_and(|members| members.iter().any(|(_, _, one)| one.name == name))
    }

    /// How far the files of a writer were shipped, as far as bundles say it.
    pub(crate) fn shipped(&self, writer: WriterId) -> impl Iterator<Item = Position> {
        let members = self.members.get(&writer).into_iter().flatten();
        members
            .filter(|(_, _, member)| member.shipped > 0)
            .map(|(_, _, member)| Position {
                file: member.name,
                offset: member.shipped,
            })
    }

    /// Writers all of whose files in bundles were shipped whole.
    pub(crate) fn delivered(&self) -> impl Iterator<Item = WriterId> {
        let is_shipped = |name: FileName, members: &[(BundleName, u64, Member)]| {
            let same = members.iter().filter(|(_, _, one)| one.name == name);
            same.clone().any(|(_, _, one)| one.shipped >= one.len)
        };
        self.members
            .iter()
            .filter(move |(_, members)| {
                let mut names = members.iter().map(|(_, _, one)| one.name);
                names.all(|name| is_shipped(name, members))
            })
            .map(|(writer, _)| *writer)
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::SystemRandom;

    use super::*;

    #[test]
    fn an_index_goes_both_ways_and_no_damage_is_believed() {
        let writer = WriterId::mint(&SystemRandom);
        let members: Vec<Member> = (1..=3)
            .map(|nth| Member {
                name: FileName::new(nth, writer, Class::Kept),
                len: nth * 10,
                shipped: nth,
            })
            .collect();
        let bytes = encode_index(Class::Kept, &members);
        let path = std::env::temp_dir().join(format!("longshore-{writer}.bundle"));
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read_index(&path).unwrap()
        };
        let start = bytes.len() as u64;
        let expected = [start, start + 10, start + 30].into_iter().zip(members);
        assert_eq!(read(&bytes), Some(expected.collect()));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert_eq!(read(&damaged), None, "byte {at}");
            assert_eq!(read(&bytes[..at]), None, "{at} bytes");
        }
        std::fs::remove_file(path).unwrap();
    }

    /// A bundle that was made anew between a listing and the look at what it names.
    #[test]
    fn a_look_that_finds_a_bundle_gone_leaves_nothing_out_that_is_there() {
        let writer = WriterId::mint(&SystemRandom);
        let folder = std::env::temp_dir().join(format!("longshore-{writer}"));
        std::fs::create_dir(&folder).unwrap();
        let member = |nth| Member {
            name: FileName::new(nth, writer, Class::Base),
            len: 10,
            shipped: 10,
        };
        let name = |nth| BundleName::new(member(nth).name, nth);
        let make = |nth| {
            let bytes = encode_index(Class::Base, &[member(nth)]);
            std::fs::write(folder.join(name(nth).to_string()), bytes).unwrap();
        };
        make(1);
        make(3);
        let mut bundles = Bundles::default();
        let mut look = |names: &[u64]| {
            let names = names.iter().map(|nth| name(*nth)).collect();
            let all_there = bundles.look(&folder, &names).unwrap();
            let files: Vec<FileName> = bundles.files().collect();
            (all_there, files)
        };
        let files = |nths: &[u64]| -> Vec<FileName> {
            let members = nths.iter().map(|nth| member(*nth).name);
            members.collect()
        };
        assert_eq!(look(&[1, 2, 3]), (false, files(&[1, 3])));
        assert_eq!(look(&[1, 3]), (true, files(&[1, 3])));
        // One that was known goes in the same look, and what took its place is there in the next.
        assert_eq!(look(&[2, 3]), (false, files(&[3])));
        make(2);
        assert_eq!(look(&[2, 3]), (true, files(&[2, 3])));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
