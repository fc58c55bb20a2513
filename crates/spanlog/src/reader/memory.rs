//! Frames of a writer in this process, taken from its memory instead of the file.

use std::fs;

use super::{Reader, SLICE_BYTES};
use crate::frame::{Class, Frame};
use crate::name::WriterId;
use crate::recent::{Last, Recent};

/// What a writer of this process remembers.
#[derive(Clone, Debug)]
pub(super) struct OwnWriter {
    writer: WriterId,
    recent: Recent,
    /// Bytes that may be taken from memory before files have their turn.
    left: u64,
}

impl Reader {
    /// Takes frames of this writer from its memory where it has them.
    pub(crate) fn with_recent(&mut self, writer: WriterId, recent: Recent) {
        self.memory = Some(OwnWriter {
            writer,
            recent,
            left: SLICE_BYTES,
        });
    }

    /// The next frame that memory has. It is the one that would be read from the file, which must
    /// still be there: what was deleted was counted as lost.
    pub(super) fn next_in_memory(&mut self) -> Option<Frame> {
        let memory = self.memory.as_mut()?;
        if memory.left == 0 {
            memory.left = SLICE_BYTES;
            let own = memory.writer;
            let turns = self.turns.make_contiguous();
            turns.sort_by_key(|(writer, _)| *writer == own);
            self.slice_left = SLICE_BYTES;
            return None;
        }
        for class in Class::ALL {
            let state = self.lanes.get_mut(&(memory.writer, class));
            let Some(state) = state.filter(|state| !state.finished) else {
                continue;
            };
            let frame = state.done.and_then(|reached| memory.recent.take(reached));
            let Some(frame) = frame else { continue };
            if fs::metadata(self.folder.join(frame.end.file.to_string())).is_err() {
                memory.recent.clear();
                return None;
            }
            state.done = Some(frame.end);
            let bytes = frame.end.offset - frame.position.offset;
            memory.left = memory.left.saturating_sub(bytes);
            return Some(frame);
        }
        None
    }

    /// Whether there is nothing to be read, as far as that can be told without a look at the folder:
    /// no files are read but those of the writer in this process, and all that it appended was.
    pub(super) fn is_up_to_date(&self) -> bool {
        let (Some(memory), Some(writers)) = (&self.memory, &self.writers) else {
            return false;
        };
        let alone = writers.len() == 1 && writers.contains(&memory.writer);
        let last = memory.recent.last();
        alone
            && Class::ALL.into_iter().all(|class| match last.of(class) {
                Last::Nothing => true,
                Last::Appended(end) => {
                    let state = self.lanes.get(&(memory.writer, class));
                    state.is_some_and(|state| state.done == Some(*end))
                }
                // What stands behind the last frame is for a look at the file.
                Last::Closed => false,
            })
    }
}
