//! The files of one writer and class, as a reader knows them.

use std::collections::{BTreeMap, VecDeque};

use crate::name::{FileName, Lane};
use crate::position::Position;

/// The files of one writer and class.
#[derive(Debug, Default)]
pub(super) struct LaneState {
    /// How far it was read.
    pub(super) done: Option<Position>,
    /// Whether the file of `done` was read to its end.
    pub(super) finished: bool,
    /// Files beyond that one, the oldest first.
    pub(super) ahead: VecDeque<FileName>,
    /// Whether this reader has seen any of its files.
    pub(super) listed: bool,
}

impl LaneState {
    /// Gives up the files that are gone. Counts those that were not read to their end, as far as
    /// this reader can know.
    pub(super) fn lose(&mut self, gone: impl Fn(FileName) -> bool) -> u64 {
        let mut lost = self.ahead.iter().filter(|name| gone(**name)).count() as u64;
        self.ahead.retain(|name| !gone(*name));
        if self.done.is_some_and(|done| gone(done.file)) && !self.finished {
            self.finished = true;
            lost += u64::from(self.listed);
        }
        lost
    }
}

/// The files of a listing that leave none out between them. A file that is begun while a folder is
/// listed may be missing although a later one is there; a second listing has every file that is
/// older than the newest one of the first.
pub(super) fn certain(
    newest: &BTreeMap<Lane, FileName>,
    files: Vec<FileName>,
) -> impl Iterator<Item = FileName> {
    let is_certain = |name: &FileName| newest.get(&name.lane()).is_some_and(|last| name <= last);
    files.into_iter().filter(is_certain)
}

#[cfg(test)]
mod tests {
    use longshore_core::SystemRandom;

    use super::*;
    use crate::frame::Class;
    use crate::name::WriterId;

    #[test]
    fn a_file_that_the_first_listing_left_out_is_not_passed_over() {
        let (writer, other) = (WriterId::mint(&SystemRandom), WriterId::mint(&SystemRandom));
        let file = |created| FileName::new(created, writer, Class::Base);
        // The third file was listed, the second not; then a fourth one came, and another writer.
        let newest = BTreeMap::from([(file(3).lane(), file(3))]);
        let begun_since = FileName::new(2, other, Class::Base);
        let second = vec![file(1), begun_since, file(2), file(3), file(4)];
        let files: Vec<FileName> = certain(&newest, second).collect();
        assert_eq!(files, [file(1), file(2), file(3)]);
    }
}
