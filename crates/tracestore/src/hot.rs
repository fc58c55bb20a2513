//! A folder of the span log while it is written.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use longshore_core::TraceId;
use longshore_spanlog::{
    FileName, Frame, Kind, LogError, Lookup, Position, Reader, Through, WriterId,
};

use crate::body::{self, Hold, What};
use crate::index::{FrameId, Index, Source};

/// A frame of the index, and the traces in it.
#[derive(Debug)]
struct Noted {
    file: FileName,
    frame: FrameId,
    traces: Vec<TraceId>,
}

/// What lay in the folder already when it was opened, and was not read yet.
#[derive(Debug)]
struct Past {
    lookup: Lookup,
    /// Where it goes on in each file, the newest first.
    files: VecDeque<Position>,
    /// What was released in files that were read: what was held before that is in others does not
    /// count.
    released: HashSet<Hold>,
    /// Where writers said last what they have open: what they said before does not count.
    said: HashMap<WriterId, Position>,
}

/// Reads a folder into the index: first what is written now, and then what is over, the newest file
/// first, so that what somebody looks for most often is known at once.
#[derive(Debug)]
pub(crate) struct Hot {
    number: usize,
    reader: Reader,
    past: Option<Past>,
    lookup: Lookup,
    /// What is held and was not released yet.
    held: HashMap<Hold, Vec<Noted>>,
    /// What is open in a writer's process.
    open: HashMap<WriterId, Noted>,
    /// Frames of spans that could not be read.
    pub(crate) unreadable: u64,
}

impl Hot {
    pub(crate) fn open(number: usize, path: &Path) -> Result<Self, LogError> {
        let mut reader = Reader::open(path)?;
        let begin = |file| Position { file, offset: 0 };
        let files: VecDeque<Position> = reader.hand_over().into_iter().map(begin).collect();
        let past = Past {
            lookup: Lookup::new(path),
            files,
            released: HashSet::new(),
            said: HashMap::new(),
        };
        Ok(Self {
            number,
            reader,
            past: (!past.files.is_empty()).then_some(past),
            lookup: Lookup::new(path),
            held: HashMap::new(),
            open: HashMap::new(),
            unreadable: 0,
        })
    }

    /// Reads what was appended, as long as there is some of `budget` left, in bytes. Gives back
    /// whether there may be more, and how many frames of spans it read.
    pub(crate) fn read(
        &mut self,
        index: &Mutex<Index>,
        budget: &mut usize,
    ) -> Result<(bool, usize), LogError> {
        let mut frames = 0;
        while *budget > 0 {
            let Some(frame) = self.reader.next_frame()? else {
                frames += self.read_past(index, budget)?;
                return Ok((self.past.is_some(), frames));
            };
            *budget = budget.saturating_sub(cost(&frame));
            if let Some(past) = &mut self.past {
                past.note(&frame);
            }
            frames += usize::from(self.take(&frame, index));
        }
        Ok((true, frames))
    }

    /// Goes on with what is over. How many frames of spans it read.
    fn read_past(&mut self, index: &Mutex<Index>, budget: &mut usize) -> Result<usize, LogError> {
        let Some(mut past) = self.past.take() else {
            return Ok(0);
        };
        let mut frames = 0;
        while let Some(from) = past.files.front().copied() {
            if *budget == 0 {
                break;
            }
            let Past { lookup, .. } = &mut past;
            let mut lookup = std::mem::replace(lookup, Lookup::new(""));
            let ended = lookup.read(from, |frame| {
                *budget = budget.saturating_sub(cost(&frame));
                if past.note(&frame) {
                    frames += usize::from(self.take_older(&frame, index));
                }
                match *budget {
                    0 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            });
            past.lookup = lookup;
            match ended {
                Ok(Through::Stopped(on)) => {
                    if let Some(front) = past.files.front_mut() {
                        *front = on;
                    }
                }
                Ok(Through::Whole | Through::Foreign | Through::Gone) => {
                    past.files.pop_front();
                }
                Err(error) => {
                    // The others have their turn before it is tried again.
                    past.files.rotate_left(1);
                    self.past = Some(past);
                    return Err(error);
                }
            }
        }
        self.past = (!past.files.is_empty()).then_some(past);
        Ok(frames)
    }

    /// Takes note of a frame that is older than what is known; of one for which there is no room, as
    /// there was none for what is newer, that it was left out.
    fn take_older(&mut self, frame: &Frame, index: &Mutex<Index>) -> bool {
        let mut known = lock(index);
        if known.left_out > 0 {
            known.left_out += u64::from(frame.header.spans);
            return false;
        }
        drop(known);
        self.take(frame, index)
    }

    /// The files that are there; nothing if they are those that were there the last time, or
    /// cannot be known.
    pub(crate) fn files(&mut self) -> Result<Option<Vec<FileName>>, LogError> {
        self.lookup.changed_files()
    }

    /// Forgets what is not there any more: files that were deleted, and what was open in processes
    /// that are gone.
    pub(crate) fn forget(&mut self, files: Option<&[FileName]>, index: &Mutex<Index>) {
        if let Some(files) = files {
            lock(index).keep_files(self.number, files);
            // The numbers of their frames are those of others from now on.
            let is_there = |noted: &Noted| files.binary_search(&noted.file).is_ok();
            self.open.retain(|_, open| is_there(open));
            self.held.retain(|_, held| {
                held.retain(is_there);
                !held.is_empty()
            });
        }
        let writers: Vec<WriterId> = self.open.keys().copied().collect();
        for writer in writers {
            if !self.lookup.is_live(writer) {
                self.close(writer, index);
            }
        }
    }

    fn take(&mut self, frame: &Frame, index: &Mutex<Index>) -> bool {
        let file = frame.position.file;
        let Some(body) = body::read(frame) else {
            self.unreadable += u64::from(body::is_of_spans(frame));
            return false;
        };
        if body.what == What::Open {
            // It takes the place of all that its writer said of this before.
            self.close(file.writer(), index);
        }
        if let What::Released(hold) = body.what {
            for held in self.held.remove(&hold).into_iter().flatten() {
                lock(index).remove_frames(&[held.frame], &held.traces);
            }
        }
        if body.spans.is_empty() {
            return true;
        }
        let source = match body.what {
            What::Open => Source::Open,
            What::Ended | What::Held(_) | What::Released(_) => Source::Ended(file.class()),
        };
        let place = (self.number, frame.position);
        let (frame, traces) = lock(index).add(place, source, &body.spans);
        let noted = Noted {
            file,
            frame,
            traces,
        };
        match body.what {
            What::Held(hold) => self.held.entry(hold).or_default().push(noted),
            What::Open => drop(self.open.insert(file.writer(), noted)),
            What::Ended | What::Released(_) => {}
        }
        true
    }

    fn close(&mut self, writer: WriterId, index: &Mutex<Index>) {
        if let Some(open) = self.open.remove(&writer) {
            lock(index).remove_frames(&[open.frame], &open.traces);
        }
    }
}

impl Past {
    /// Notes what a frame says of older ones. Whether it counts itself.
    fn note(&mut self, frame: &Frame) -> bool {
        let (at, writer) = (frame.position, frame.position.file.writer());
        if let Some(hold) = body::released(frame) {
            self.released.insert(hold);
        }
        if frame.header.kind == Kind::OPEN {
            let last = self.said.entry(writer).or_insert(at);
            let is_newer = *last <= at;
            *last = at.max(*last);
            return is_newer;
        }
        let held = body::held(frame);
        held.is_none_or(|hold| !self.released.contains(&hold))
    }
}

/// What a frame takes of what may be read at once.
fn cost(frame: &Frame) -> usize {
    frame.body.len().max(64)
}

/// The index. What a thread that panicked left of it is still good for a look.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
