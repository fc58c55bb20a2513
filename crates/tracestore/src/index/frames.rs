//! Where frames lie, by small numbers.

use std::collections::HashMap;

use longshore_spanlog::{FileName, Position};

use super::Place;

/// The number of a frame, as long as the index has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FrameId(u32);

impl FrameId {
    /// Of what lies in no frame.
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// Places of frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    places: Vec<Option<(u32, u64)>>,
    free: Vec<u32>,
    files: Vec<Option<File>>,
    by_name: HashMap<(usize, FileName), u32>,
}

#[derive(Debug)]
struct File {
    folder: usize,
    name: FileName,
    frames: u32,
}

impl Frames {
    pub(super) fn add(&mut self, (folder, position): Place) -> FrameId {
        let file = self.file(folder, position.file);
        let place = Some((file, position.offset));
        if let Some(free) = self.free.pop()
            && let Some(slot) = self.places.get_mut(free as usize)
        {
            *slot = place;
            return FrameId(free);
        }
        self.places.push(place);
        FrameId(u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX))
    }

    /// The number of a file, which has a frame more now.
    fn file(&mut self, folder: usize, name: FileName) -> u32 {
        let number = match self.by_name.get(&(folder, name)) {
            Some(number) => *number,
            None => self.new_file(folder, name),
        };
        if let Some(Some(file)) = self.files.get_mut(number as usize) {
            file.frames += 1;
        }
        number
    }

    fn new_file(&mut self, folder: usize, name: FileName) -> u32 {
        let file = Some(File {
            folder,
            name,
            frames: 0,
        });
        let at = match self.files.iter_mut().position(|slot| slot.is_none()) {
            Some(at) => at,
            None => {
                self.files.push(None);
                self.files.len() - 1
            }
        };
        if let Some(slot) = self.files.get_mut(at) {
            *slot = file;
        }
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        self.by_name.insert((folder, name), number);
        number
    }

    pub(super) fn place(&self, frame: FrameId) -> Option<Place> {
        let (file, offset) = (*self.places.get(frame.0 as usize)?)?;
        let file = self.files.get(file as usize)?.as_ref()?;
        let position = Position {
            file: file.name,
            offset,
        };
        Some((file.folder, position))
    }

    pub(super) fn remove(&mut self, frame: FrameId) {
        let Some((file, _)) = self.places.get_mut(frame.0 as usize).and_then(Option::take) else {
            return;
        };
        self.free.push(frame.0);
        let Some(slot) = self.files.get_mut(file as usize) else {
            return;
        };
        let Some(of) = slot else { return };
        of.frames -= 1;
        if of.frames == 0 {
            self.by_name.remove(&(of.folder, of.name));
            *slot = None;
        }
    }

    /// The frames of a folder whose files are not there any more.
    pub(super) fn of_others(
        &self,
        folder: usize,
        is_there: impl Fn(&FileName) -> bool,
    ) -> Vec<FrameId> {
        let gone: Vec<bool> = self
            .files
            .iter()
            .map(|file| {
                let of_folder = file.as_ref().filter(|file| file.folder == folder);
                of_folder.is_some_and(|file| !is_there(&file.name))
            })
            .collect();
        if !gone.contains(&true) {
            return Vec::new();
        }
        let numbered = self.places.iter().zip(0_u32..);
        let is_gone = |file: u32| gone.get(file as usize).copied().unwrap_or(false);
        numbered
            .filter(|(place, _)| place.is_some_and(|(file, _)| is_gone(file)))
            .map(|(_, number)| FrameId(number))
            .collect()
    }
}
