//! Looking for files in a folder in which others put them together and delete them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Reader;
use super::lane::certain;
use crate::error::LogError;
use crate::folder::{self, Listing};
use crate::name::{FileName, Lane};

/// How often a listing is repeated that lacks files, before they count as gone.
///
/// One bundle that is made while a folder is listed shows, and the listing begins again. When that
/// bundle is put into another one meanwhile, a directory may be read so that neither is seen; a
/// reader that believed it would forget how far it was in a file, and read it twice.
const LOOKS_FOR_MISSING: usize = 3;

impl Reader {
    pub(super) fn list(&mut self) -> Result<(), LogError> {
        let first = self.look_around()?;
        let wanted = |name: &&FileName| {
            let writers = self.writers.as_ref();
            writers.is_none_or(|writers| writers.contains(&name.writer()))
        };
        let newest: BTreeMap<Lane, FileName> = first
            .files
            .iter()
            .filter(wanted)
            .map(|name| (name.lane(), *name))
            .collect();
        let mut listing = if newest.values().any(|name| self.is_new(*name)) {
            self.look_around()?
        } else {
            first
        };
        for _look in 0..LOOKS_FOR_MISSING {
            if !self.misses(&listing) {
                break;
            }
            let again = self.look_around()?;
            listing.files.extend(again.files);
            listing.files.sort_unstable();
            listing.files.dedup();
            listing.cut_short |= again.cut_short;
        }
        if !listing.cut_short {
            self.forget_missing(&listing.files);
        }
        let mut found: BTreeMap<Lane, VecDeque<FileName>> = BTreeMap::new();
        for name in certain(&newest, listing.files) {
            found.entry(name.lane()).or_default().push_back(name);
        }
        for (lane, files) in found {
            let state = self.lanes.entry(lane).or_default();
            let ahead = |name: &FileName| state.done.is_none_or(|done| *name > done.file);
            state.ahead = files.into_iter().filter(ahead).collect();
            state.listed = true;
        }
        Ok(())
    }

    /// Whether the file was begun after all that this reader knows of.
    fn is_new(&self, name: FileName) -> bool {
        let known = self.lanes.get(&name.lane()).and_then(|state| {
            let done = state.done.map(|done| done.file);
            state.ahead.back().copied().max(done)
        });
        known < Some(name)
    }

    /// Whether a listing lacks what this reader would forget then. A folder is not listed in one
    /// moment: a file that is put into a bundle meanwhile can be in neither place.
    fn misses(&self, listing: &Listing) -> bool {
        let lanes = lanes_of(&listing.files);
        let is_there = |name: &FileName| listing.files.binary_search(name).is_ok();
        !listing.cut_short
            && self.lanes.iter().any(|(lane, state)| {
                !lanes.contains(lane) && !folder::is_live(&self.folder, lane.0)
                    || !state.ahead.iter().all(is_there)
            })
    }

    /// Forgets the files that are no more, and the lanes that have none and get none. `files` are
    /// sorted.
    fn forget_missing(&mut self, files: &[FileName]) {
        for state in self.lanes.values_mut() {
            self.counts.vanished_files += state.lose(|name| files.binary_search(&name).is_err());
        }
        let lanes = lanes_of(files);
        let folder = &self.folder;
        self.lanes
            .retain(|lane, _| lanes.contains(lane) || folder::is_live(folder, lane.0));
    }
}

fn lanes_of(files: &[FileName]) -> BTreeSet<Lane> {
    files.iter().map(|name| name.lane()).collect()
}
