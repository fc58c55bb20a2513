//! Reading a folder while it is written.

mod lane;
mod look;
mod memory;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use longshore_core::Timestamp;

use self::lane::LaneState;
use crate::bundle::{Bundles, Place};
use crate::error::LogError;
use crate::folder::{self, Listing};
use crate::frame::Frame;
use crate::name::{FileName, Lane, WriterId};
use crate::position::{Position, Progress};
use crate::scan::{Scan, Step};

use self::memory::OwnWriter;

/// How often a file is looked for that is put into a bundle, and the bundle into another.
const MAX_MOVES: usize = 8;
/// Bytes read of one writer's class before the others get their turn.
const SLICE_BYTES: u64 = 1 << 20;

/// What a reader met that is not a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReaderCounts {
    /// Bytes that were written and cannot be read any more.
    pub damaged_bytes: u64,
    /// Frames of which the header could be read and the body not.
    pub damaged_frames: u64,
    /// Spans in those frames.
    pub damaged_spans: u64,
    /// Bytes of frames that their writers did not complete before they died. Nobody was told that
    /// these were written.
    pub torn_bytes: u64,
    /// Files that were deleted before they were read to their end.
    pub vanished_files: u64,
    /// Files of a version that this one cannot read.
    pub unsupported_files: u64,
    /// Bundles of files of which it cannot be read what is in them.
    pub damaged_bundles: u64,
}

/// Reads frames, of every writer of a folder or of some.
///
/// The frames of one writer and class come in the order in which they were appended. Between
/// writers and classes there is no order: each has its turn. Any number of readers can read one
/// folder, from any process. A reader takes no lock that a writer needs, and holds at most one file
/// open and one frame in memory.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    /// Nothing if it reads every writer's files.
    writers: Option<BTreeSet<WriterId>>,
    lanes: BTreeMap<Lane, LaneState>,
    /// Lanes that have their turn yet, before the folder is listed again.
    turns: VecDeque<Lane>,
    /// When the folder had changed last when it was listed, if it was certain then that a later
    /// change would show.
    listed_at: Option<Timestamp>,
    open: Option<Scan>,
    /// What a writer of this process remembers.
    memory: Option<OwnWriter>,
    /// Where files lie that do not lie alone.
    bundles: Bundles,
    /// Memory of the file that was read last.
    spare: Vec<u8>,
    /// Bytes that the first lane may read before the next one has its turn.
    slice_left: u64,
    counts: ReaderCounts,
}

/// How a look at a lane ended.
enum Look {
    Frame(Frame),
    /// Look at the same lane again.
    Again,
    /// There is no more to be had now.
    Idle,
}

impl Reader {
    /// Reads everything in `folder`, the oldest files first. A folder that does not exist yet is
    /// empty.
    ///
    /// # Errors
    /// [`LogError`] if the folder cannot be listed.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, LogError> {
        Self::resume(folder, &Progress::default())
    }

    /// Goes on from where a reader had come to.
    ///
    /// # Errors
    /// [`LogError`] if the folder cannot be listed.
    pub fn resume(folder: impl AsRef<Path>, progress: &Progress) -> Result<Self, LogError> {
        let mut reader = Self::new(folder.as_ref(), None);
        for position in progress.positions() {
            reader.set_out_from(position);
        }
        reader.refresh()?;
        Ok(reader)
    }

    /// A reader of no writer's files, until [`Reader::include`] names some.
    pub(crate) fn of_none(folder: &Path) -> Self {
        Self::new(folder, Some(BTreeSet::new()))
    }

    /// Reads the files of this writer as well, from here on.
    pub(crate) fn include(&mut self, writer: WriterId, progress: &Progress) {
        if let Some(writers) = &mut self.writers {
            writers.insert(writer);
        }
        self.listed_at = None;
        for position in progress.positions() {
            self.set_out_from(position);
        }
    }

    /// Reads the files of this writer no more.
    pub(crate) fn exclude(&mut self, writer: WriterId) {
        if let Some(writers) = &mut self.writers {
            writers.remove(&writer);
        }
        self.close();
        self.lanes.retain(|(of, _), _| *of != writer);
        self.turns.retain(|(of, _)| *of != writer);
    }

    fn new(folder: &Path, writers: Option<BTreeSet<WriterId>>) -> Self {
        Self {
            folder: folder.to_owned(),
            writers,
            lanes: BTreeMap::new(),
            turns: VecDeque::new(),
            listed_at: None,
            open: None,
            memory: None,
            bundles: Bundles::default(),
            spare: Vec::new(),
            slice_left: SLICE_BYTES,
            counts: ReaderCounts::default(),
        }
    }

    /// A reader of no writer's files that goes on counting where this one has stopped.
    pub(crate) fn anew(&mut self) -> Self {
        Self {
            memory: self.memory.take(),
            bundles: std::mem::take(&mut self.bundles),
            counts: self.counts,
            ..Self::of_none(&self.folder)
        }
    }

    /// What lies in the folder.
    pub(crate) fn look_around(&mut self) -> Result<Listing, LogError> {
        let listing = folder::list(&self.folder, &mut self.bundles);
        self.counts.damaged_bundles += std::mem::take(&mut self.bundles.damaged);
        listing
    }

    /// How far bundles say that the files of a writer were shipped.
    pub(crate) fn bundled_progress(&self, writer: WriterId) -> impl Iterator<Item = Position> {
        self.bundles.shipped(writer)
    }

    fn set_out_from(&mut self, position: Position) {
        let lane = self.lanes.entry(position.file.lane()).or_default();
        lane.done = Some(position);
        lane.finished = false;
    }

    /// The next frame, or nothing if everything that was appended so far has been read. It never
    /// waits: call it again later, or when a [`Wake`](crate::Wake) says so.
    ///
    /// # Errors
    /// [`LogError`] if the folder or a file cannot be read. The next call goes on with the files of
    /// another writer or class, and tries this file again once those are read.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, LogError> {
        if let Some(frame) = self.next_in_memory() {
            return Ok(Some(frame));
        }
        if self.is_up_to_date() {
            return Ok(None);
        }
        let mut refreshed = false;
        loop {
            let Some(lane) = self.turns.front().copied() else {
                if refreshed {
                    return Ok(None);
                }
                self.refresh()?;
                refreshed = true;
                continue;
            };
            match self.look(lane) {
                Ok(Look::Frame(frame)) => return Ok(Some(frame)),
                Ok(Look::Again) => {}
                Ok(Look::Idle) => self.end_turn(),
                Err(error) => {
                    self.end_turn();
                    return Err(error);
                }
            }
        }
    }

    /// Passes over everything that was appended so far, so that [`Reader::next_frame`] gives only
    /// what comes from here on.
    ///
    /// # Errors
    /// [`LogError`] if the folder or a file cannot be read.
    pub fn skip_to_end(&mut self) -> Result<(), LogError> {
        self.refresh()?;
        for lane in self.lanes.values_mut() {
            // A writer has begun its next file only once the one before was complete.
            if let Some(last) = lane.ahead.pop_back() {
                lane.ahead.clear();
                lane.done = Some(Position {
                    file: last,
                    offset: 0,
                });
                lane.finished = false;
            }
        }
        self.close();
        while self.next_frame()?.is_some() {}
        Ok(())
    }

    /// Hands over the files to which nothing more is appended, the newest first, and passes over
    /// them: for whoever reads those later, and in another order, by
    /// [`Lookup::read`](crate::Lookup::read). For a reader that has not given a frame yet.
    pub fn hand_over(&mut self) -> Vec<FileName> {
        let mut over = Vec::new();
        for ((writer, _), state) in &mut self.lanes {
            if state.done.is_some() {
                continue;
            }
            // Somebody may append to the last file of a writer that lives.
            let kept = usize::from(folder::is_live(&self.folder, *writer));
            while state.ahead.len() > kept {
                let Some(file) = state.ahead.pop_front() else {
                    break;
                };
                state.done = Some(Position { file, offset: 0 });
                state.finished = true;
                over.push(file);
            }
        }
        over.sort_unstable_by_key(|file| Reverse(*file));
        over
    }

    /// How far this reader has come: [`Reader::resume`] goes on behind the last frame that
    /// [`Reader::next_frame`] gave.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        for position in self.lanes.values().filter_map(|lane| lane.done) {
            progress.advance(position);
        }
        progress
    }

    /// What it met that is not a frame.
    #[must_use]
    pub const fn counts(&self) -> ReaderCounts {
        self.counts
    }

    /// Whether this file was read to its end, and nothing more comes in it.
    pub(crate) fn has_finished(&self, file: FileName) -> bool {
        let state = self.lanes.get(&file.lane());
        state.is_some_and(|state| {
            let done = state.done.map(|done| done.file);
            done > Some(file) || (done == Some(file) && state.finished)
        })
    }

    /// Lists the folder if that can bring anything new, and gives every lane its turn.
    fn refresh(&mut self) -> Result<(), LogError> {
        let settled = folder::settled_at(&self.folder);
        if settled.is_none() || settled != self.listed_at {
            self.list()?;
            self.listed_at = settled;
        }
        let mut turns: Vec<(FileName, Lane)> = Vec::with_capacity(self.lanes.len());
        for (lane, state) in &self.lanes {
            let reading = state.done.filter(|_| !state.finished).map(|done| done.file);
            if let Some(first) = reading.or_else(|| state.ahead.front().copied()) {
                turns.push((first, *lane));
            }
        }
        turns.sort_unstable();
        self.turns = turns.into_iter().map(|(_, lane)| lane).collect();
        self.slice_left = SLICE_BYTES;
        Ok(())
    }

    /// Ends the turn of the first lane; it has none again before the folder is listed.
    fn end_turn(&mut self) {
        self.close();
        self.turns.pop_front();
        self.slice_left = SLICE_BYTES;
    }

    fn look(&mut self, lane: Lane) -> Result<Look, LogError> {
        let Some(state) = self.lanes.get_mut(&lane) else {
            return Ok(Look::Idle);
        };
        let position = match state.done {
            Some(done) if !state.finished => done,
            _ => {
                let Some(file) = state.ahead.pop_front() else {
                    return Ok(Look::Idle);
                };
                let begin = Position { file, offset: 0 };
                state.done = Some(begin);
                state.finished = false;
                begin
            }
        };
        let followed = !state.ahead.is_empty();
        match self.step(position, followed) {
            Ok(step) => Ok(self.take(lane, step)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.counts.vanished_files += 1;
                self.finish(lane);
                Ok(Look::Again)
            }
            Err(error) => {
                let path = self.folder.join(position.file.to_string());
                Err(LogError::on("read", &path)(error))
            }
        }
    }

    /// Takes one step in the file. `followed` says that its writer has begun another.
    fn step(&mut self, position: Position, followed: bool) -> io::Result<Step> {
        if self
            .open
            .as_ref()
            .is_some_and(|scan| scan.position() != position)
        {
            self.close();
        }
        let bundled = self.bundles.contains(position.file);
        let mut scan = match self.open.take() {
            Some(scan) => scan,
            None if !followed && !bundled && self.has_no_more(position) => {
                return Ok(Step::Pending);
            }
            None => self.open_at(position)?,
        };
        let mut step = scan.step(false)?;
        if matches!(step, Step::Pending) {
            let closed =
                followed || bundled || !folder::is_live(&self.folder, position.file.writer());
            if closed {
                // What was appended until the writer was found dead is there to be read now.
                step = scan.step(true)?;
            }
        }
        self.open = Some(scan);
        Ok(step)
    }

    /// Opens a file wherever it lies, which may be elsewhere than a moment ago.
    fn open_at(&mut self, position: Position) -> io::Result<Scan> {
        let mut place = self.bundles.place(&self.folder, position.file);
        for _ in 0..MAX_MOVES {
            let tried = place.unwrap_or_else(|| Place::alone(&self.folder, position.file));
            match Scan::open(&tried, position, std::mem::take(&mut self.spare)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => return opened,
            }
            let _listed = self.look_around().map_err(|error| error.into_io())?;
            place = self.bundles.place(&self.folder, position.file);
            if place.is_none() {
                break;
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// Whether the file of a living writer has not grown since it was read, at the price of less
    /// than opening it.
    fn has_no_more(&self, position: Position) -> bool {
        let path = self.folder.join(position.file.to_string());
        let len = fs::metadata(path).map(|found| found.len());
        len.is_ok_and(|len| len == position.offset)
            && folder::is_live(&self.folder, position.file.writer())
    }

    /// Takes note of what a step met.
    fn take(&mut self, lane: Lane, step: Step) -> Look {
        let reached = self.open.as_ref().map(Scan::position);
        let state = self.lanes.entry(lane).or_default();
        let before = state.done;
        state.done = reached.or(before);
        let read = match (before, state.done) {
            (Some(before), Some(after)) => after.offset.saturating_sub(before.offset),
            _ => 0,
        };
        match step {
            Step::Frame(frame) => {
                self.spend(read);
                Look::Frame(frame)
            }
            Step::Damage {
                bytes,
                frames,
                spans,
            } => {
                self.counts.damaged_bytes += bytes;
                self.counts.damaged_frames += frames;
                self.counts.damaged_spans += spans;
                self.spend(read);
                Look::Again
            }
            Step::Unknown { bytes, spans } => {
                self.counts.damaged_bytes += bytes;
                self.counts.damaged_frames += 1;
                self.counts.damaged_spans += spans;
                self.spend(read);
                Look::Again
            }
            Step::Pending => Look::Idle,
            Step::End { torn } => {
                self.counts.torn_bytes += torn;
                self.finish(lane);
                Look::Again
            }
            Step::Unsupported => {
                self.counts.unsupported_files += 1;
                self.finish(lane);
                Look::Again
            }
        }
    }

    fn finish(&mut self, lane: Lane) {
        self.close();
        if let Some(state) = self.lanes.get_mut(&lane) {
            state.finished = true;
        }
    }

    /// Closes the file that is open, and keeps its memory.
    fn close(&mut self) {
        if let Some(scan) = self.open.take() {
            self.spare = scan.into_buffer();
        }
    }

    /// Puts the first lane last if it has had its share.
    fn spend(&mut self, bytes: u64) {
        self.slice_left = self.slice_left.saturating_sub(bytes);
        if self.slice_left == 0 && self.turns.len() > 1 {
            self.turns.rotate_left(1);
            self.slice_left = SLICE_BYTES;
            self.close();
        }
    }
}
