//! Putting small sealed files together.
//!
//! The new file is complete and on the disk before those that it is made of lose their names, and
//! says which those are: a turn that is cut short in between leaves spans in both, which count once,
//! and the next turn brings it to its end. Those who read the small ones at this moment find them for
//! a while.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use longshore_core::Timestamp;
use longshore_spanlog::{Class, FileName, Lookup, folder};

use super::{Kept, Log, Upkeep};
use crate::error::TraceStoreError;
use crate::sealed::{Parts, SealedName, remove_replaced, set_aside};

/// So many small files are worth putting together; fewer are if that is small no more.
const WORTH_IT: usize = 8;
/// Most time between the ends of the first and of the last file that are put together, since all of
/// it goes at once when it is too old; less where that is more than a part of the age at which it
/// goes.
const MAX_SPREAD: Duration = Duration::from_secs(24 * 60 * 60);
const SPREAD_OF_AGE: u32 = 8;
/// How long files are left that were put together, for those who read them.
const LEFT_FOR: Duration = Duration::from_secs(60);

impl Log {
    /// Puts the oldest small files together that are worth it, and deletes those of earlier turns.
    pub(super) fn merge(
        &mut self,
        folder: &Path,
        upkeep: &Upkeep,
        now: Timestamp,
        kept: &mut Kept,
    ) -> Result<(), TraceStoreError> {
        let sealed = |source| TraceStoreError::Sealed { source };
        self.look_at_sealed(folder).map_err(sealed)?;
        self.bring_to_its_end(folder, now).map_err(sealed)?;
        remove_replaced(folder, now, LEFT_FOR).map_err(sealed)?;
        let small = self.small(upkeep);
        let groups = Class::ALL.map(|class| {
            let of_class = small.iter().filter(|(name, _)| name.class == class);
            groups(of_class.copied().collect(), upkeep)
        });
        let mut groups = groups.into_iter().flatten();
        let Some(names) = groups.next() else {
            return Ok(());
        };
        let parts = match Parts::open(folder, names.clone()) {
            Ok(parts) => parts,
            Err(damaged) => {
                if let Some(known) = self.sealed.get_mut(&damaged) {
                    known.is_sound = false;
                }
                kept.more = true;
                return Ok(());
            }
        };
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| TraceStoreError::Seal {
            folder: folder.to_owned(),
            source,
        };
        let sources = self.sources_of(&names)?;
        parts
            .write(folder, sources)
            .map_err(|error| failed(error.into()))?;
        for name in &names {
            set_aside(&folder.join(name.to_string()), now).map_err(sealed)?;
            self.sealed.remove(name);
        }
        folder::sync_names(folder).map_err(sealed)?;
        kept.merged_files += names.len() as u64;
        kept.more |= groups.next().is_some();
        Ok(())
    }

    /// Takes their names from files that are in another one, which a turn before had not done.
    fn bring_to_its_end(&mut self, folder: &Path, now: Timestamp) -> std::io::Result<()> {
        let parts = self.sealed.values().flat_map(|known| &known.parts);
        let left: Vec<SealedName> = parts
            .filter(|name| self.sealed.contains_key(name))
            .copied()
            .collect();
        for name in left {
            set_aside(&folder.join(name.to_string()), now)?;
            self.sealed.remove(&name);
        }
        Ok(())
    }

    /// The small files with the bytes that reading them takes, the oldest first.
    fn small(&self, upkeep: &Upkeep) -> Vec<(SealedName, u64)> {
        let is_small = |(name, known): &(&SealedName, &super::Known)| {
            known.is_sound
                && name.spans < upkeep.small_spans
                && known.unpacked <= upkeep.max_bytes_per_turn / 2
        };
        let all = self.sealed.iter().filter(is_small);
        let mut small: Vec<_> = all.map(|(name, known)| (*name, known.unpacked)).collect();
        small.sort_by_key(|(name, _)| (name.last_millis, *name));
        small
    }

    /// Those log files of which the files were made that are still there, one a line.
    fn sources_of(&self, names: &[SealedName]) -> Result<String, TraceStoreError> {
        let there = Lookup::new(&self.path).files()?;
        let there: Option<HashSet<String>> =
            there.map(|files| files.iter().map(FileName::to_string).collect());
        let known = names.iter().filter_map(|name| self.sealed.get(name));
        let sources = known.flat_map(|known| &known.sources);
        let left = sources.filter(|name| there.as_ref().is_none_or(|there| there.contains(*name)));
        Ok(left.map(String::as_str).collect::<Vec<_>>().join("\n"))
    }
}

/// Which of the small files of a class, the oldest first, are to be one.
fn groups(small: Vec<(SealedName, u64)>, upkeep: &Upkeep) -> Vec<Vec<SealedName>> {
    let mut groups = Vec::new();
    let mut group = Group::default();
    for (name, unpacked) in small {
        if !group.takes(&name, unpacked, upkeep) {
            groups.push(std::mem::take(&mut group));
        }
        group.spans += name.spans;
        group.unpacked += unpacked;
        group.names.push(name);
    }
    groups.push(group);
    let is_worth_it = |group: &Group| {
        group.names.len() >= WORTH_IT
            || (group.names.len() > 1 && group.spans >= upkeep.small_spans)
    };
    let worth_it = groups.into_iter().filter(is_worth_it);
    worth_it.map(|group| group.names).collect()
}

/// Files that may be one.
#[derive(Default)]
struct Group {
    names: Vec<SealedName>,
    spans: u64,
    unpacked: u64,
}

impl Group {
    fn takes(&self, name: &SealedName, unpacked: u64, upkeep: &Upkeep) -> bool {
        let Some(first) = self.names.first() else {
            return true;
        };
        let age = upkeep.max_age.of(name.class);
        let spread = age.map_or(MAX_SPREAD, |age| (age / SPREAD_OF_AGE).min(MAX_SPREAD));
        self.spans + name.spans <= upkeep.small_spans * 2
            && self.unpacked + unpacked <= upkeep.max_bytes_per_turn
            && name.last().since(first.last()) <= spread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(second: u64, spans: u64) -> (SealedName, u64) {
        let name = SealedName {
            class: Class::Base,
            first_millis: second * 1_000,
            last_millis: second * 1_000,
            spans,
            sum: second,
        };
        (name, spans * 100)
    }

    fn sizes(files: Vec<(SealedName, u64)>, upkeep: &Upkeep) -> Vec<usize> {
        let groups = groups(files, upkeep).into_iter();
        groups.map(|group| group.len()).collect()
    }

    #[test]
    fn small_neighbours_are_one_if_there_are_many_or_they_are_small_no_more() {
        let upkeep = Upkeep::default();
        let few = |count| (0..count).map(|second| name(second, 10)).collect();
        assert_eq!(sizes(few(7), &upkeep), [0_usize; 0]);
        assert_eq!(sizes(few(8), &upkeep), [8]);
        assert_eq!(sizes(vec![name(1, 9_000), name(2, 9_000)], &upkeep), [2]);
        assert_eq!(sizes(vec![name(1, 9_000)], &upkeep), [0_usize; 0]);
        // No file is to have more than twice what is small.
        let many = (0..5).map(|second| name(second, 15_000)).collect();
        assert_eq!(sizes(many, &upkeep), [2, 2]);
    }

    #[test]
    fn what_goes_at_another_time_stays_apart() {
        let hours = |count: u64| (0..count).map(|hour| name(hour * 3_600, 10)).collect();
        let mut upkeep = Upkeep::default();
        // Of a day, 25 at most: the eighth part of seven days is 21 hours.
        assert_eq!(sizes(hours(30), &upkeep), [22, 8]);
        upkeep.max_age.base = Some(Duration::from_secs(8 * 3_600));
        assert_eq!(sizes(hours(30), &upkeep), [0_usize; 0]);
        upkeep.max_age.base = None;
        assert_eq!(sizes(hours(33), &upkeep), [25, 8]);
    }

    #[test]
    fn what_takes_too_much_memory_to_read_stays_apart() {
        let upkeep = Upkeep {
            max_bytes_per_turn: 8_000,
            ..Upkeep::default()
        };
        let some = (0..16).map(|second| name(second, 10)).collect();
        assert_eq!(sizes(some, &upkeep), [8, 8]);
    }
}
