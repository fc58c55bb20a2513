//! Where frames lie, by small numbers.

use std::collections::{BTreeMap, HashMap};

use longshore_core::Timestamp;
use longshore_spanlog::{FileName, Position};

use super::Place;
use crate::token::Token;

/// Most tokens that are held of a frame: so many, and so many more for each span.
const TOKENS: (usize, usize) = (64, 16);

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
    /// What the spans of each frame say, sorted; nothing if that is too much to be held.
    tokens: Vec<Option<Box<[Token]>>>,
    free: Vec<u32>,
    files: Vec<Option<File>>,
    by_name: HashMap<(usize, FileName), u32>,
}

#[derive(Debug)]
struct File {
    folder: usize,
    name: FileName,
    /// By their places in it.
    frames: BTreeMap<u64, FrameId>,
    /// When the span in it that began last did so.
    latest: Timestamp,
}

impl Frames {
    pub(super) fn add(&mut self, (folder, position): Place) -> FrameId {
        let number = match self.by_name.get(&(folder, position.file)) {
            Some(number) => *number,
            None => self.new_file(folder, position.file),
        };
        let at = match self.free.pop() {
            Some(free) => free as usize,
            None => {
                self.places.push(None);
                self.tokens.push(None);
                self.places.len() - 1
            }
        };
        let frame = FrameId(u32::try_from(at).unwrap_or(u32::MAX));
        if let Some(slot) = self.places.get_mut(at) {
            *slot = Some((number, position.offset));
        }
        if let Some(Some(file)) = self.files.get_mut(number as usize) {
            file.frames.insert(position.offset, frame);
        }
        frame
    }

    /// Takes note of what the spans of a frame say.
    pub(super) fn say(&mut self, frame: FrameId, spans: usize, tokens: Vec<Token>) {
        let (some, each) = TOKENS;
        if let Some(slot) = self.tokens.get_mut(frame.0 as usize) {
            let is_held = tokens.len() <= some + each * spans;
            *slot = is_held.then(|| tokens.into());
        }
    }

    /// Takes note of when the last of a frame's spans began.
    pub(super) fn reach(&mut self, frame: FrameId, latest: Timestamp) {
        let place = self.places.get(frame.0 as usize).copied().flatten();
        let file = place.and_then(|(file, _)| self.files.get_mut(file as usize)?.as_mut());
        if let Some(file) = file {
            file.latest = file.latest.max(latest);
        }
    }

    /// The frames whose spans may say one of these.
    pub(super) fn saying(&self, tokens: &[Token]) -> Vec<FrameId> {
        let says = |held: &Option<Box<[Token]>>| {
            held.as_deref()
                .is_none_or(|held| tokens.iter().any(|one| held.binary_search(one).is_ok()))
        };
        let all = self.places.iter().zip(&self.tokens).zip(0_u32..);
        let found = all.filter(|((place, held), _)| place.is_some() && says(held));
        found.map(|(_, number)| FrameId(number)).collect()
    }

    fn new_file(&mut self, folder: usize, name: FileName) -> u32 {
        let file = Some(File {
            folder,
            name,
            frames: BTreeMap::new(),
            latest: Timestamp::default(),
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
        let at = frame.0 as usize;
        let Some((file, offset)) = self.places.get_mut(at).and_then(Option::take) else {
            return;
        };
        if let Some(tokens) = self.tokens.get_mut(at) {
            *tokens = None;
        }
        self.free.push(frame.0);
        let Some(slot) = self.files.get_mut(file as usize) else {
            return;
        };
        let Some(of) = slot else { return };
        of.frames.remove(&offset);
        if of.frames.is_empty() {
            self.by_name.remove(&(of.folder, of.name));
            *slot = None;
        }
    }

    /// The frames of a folder whose files are not there any more, and a moment after which none of
    /// their spans began.
    pub(super) fn of_others(
        &self,
        folder: usize,
        is_there: impl Fn(&FileName) -> bool,
    ) -> (Vec<FrameId>, Timestamp) {
        let files = self.files.iter().flatten();
        let gone = files.filter(|file| file.folder == folder && !is_there(&file.name));
        let gone: Vec<&File> = gone.collect();
        let latest = gone.iter().map(|file| file.latest).max();
        let frames = gone.iter().flat_map(|file| file.frames.values().copied());
        (frames.collect(), latest.unwrap_or_default())
    }
}
