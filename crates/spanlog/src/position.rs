//! Places in the log.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::frame::Class;
use crate::name::{FileName, Lane, WriterId};

/// A place in a file of the log: the file's name and an offset in bytes, as text `NAME:OFFSET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The file.
    pub file: FileName,
    /// Bytes from its beginning.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)
    }
}

/// A text that is no position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a position in a span log, which is a file name, a colon and an offset")]
pub struct InvalidPosition(String);

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let parse = || {
            let (file, offset) = text.split_once(':')?;
            Some(Self {
                file: file.parse().ok()?,
                offset: offset.parse().ok()?,
            })
        };
        parse().ok_or_else(|| InvalidPosition(text.to_owned()))
    }
}

/// How far a folder was read: one position for each writer and class. A writer's earlier files of
/// the class are behind it, its later ones ahead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    lanes: BTreeMap<Lane, Position>,
}

impl Progress {
    /// Notes that everything up to here is done. An earlier position than the one noted changes
    /// nothing.
    pub fn advance(&mut self, to: Position) {
        let lane = self.lanes.entry(to.file.lane()).or_insert(to);
        *lane = to.max(*lane);
    }

    /// How far the files of this writer and class were read.
    #[must_use]
    pub fn of(&self, writer: WriterId, class: Class) -> Option<Position> {
        self.lanes.get(&(writer, class)).copied()
    }

    /// Every position, by writer and class.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        self.lanes.values().copied()
    }

    /// How many bytes of a file are done, if the file is so long.
    pub(crate) fn done_of(&self, file: FileName, len: u64) -> u64 {
        match self.lanes.get(&file.lane()) {
            Some(position) if position.file > file => len,
            Some(position) if position.file == file => position.offset.min(len),
            _ => 0,
        }
    }
}
