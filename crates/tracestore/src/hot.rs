//! A folder of the span log while it is written.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use longshore_core::TraceId;
use longshore_spanlog::{FileName, Frame, LogError, Lookup, Reader, WriterId};

use crate::body::{self, Hold, What};
use crate::index::{FrameId, Index, Source};

/// A frame of the index, and the traces in it.
#[derive(Debug)]
struct Noted {
    file: FileName,
    frame: FrameId,
    traces: Vec<TraceId>,
}

/// Reads a folder into the index.
#[derive(Debug)]
pub(crate) struct Hot {
    number: usize,
    reader: Reader,
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
        Ok(Self {
            number,
            reader: Reader::open(path)?,
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
                return Ok((false, frames));
            };
            *budget = budget.saturating_sub(frame.body.len().max(64));
            frames += usize::from(self.take(&frame, index));
        }
        Ok((true, frames))
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

/// The index. What a thread that panicked left of it is still good for a look.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
