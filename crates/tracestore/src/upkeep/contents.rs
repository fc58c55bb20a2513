//! What log files come down to, read whole.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use bytes::Bytes;
use longshore_spanlog::{FileName, LogError, Lookup, Position, Through, WriterId};

use crate::body::{self, Hold, What};

/// Spans of a frame, or that a hold was released.
#[derive(Debug)]
enum Event {
    Spans(Bytes),
    Held(Hold, Bytes),
}

/// What became of reading a file.
#[derive(Debug)]
pub(super) enum Read {
    /// All of its spans that count, as OTLP requests.
    All(Vec<Bytes>),
    /// It holds something that this version does not know.
    Foreign,
    /// It is not final yet, or elsewhere at this moment.
    Later,
}

/// Reads log files and finds out what of them counts.
#[derive(Debug)]
pub(super) struct Contents {
    lookup: Lookup,
    /// What is known of the holds of writers.
    holds: HashMap<WriterId, Holds>,
}

/// The holds of a writer.
#[derive(Debug)]
struct Holds {
    /// Whether the writer lived before its files were read.
    was_live: bool,
    released: HashSet<u64>,
}

impl Contents {
    pub(super) fn new(lookup: Lookup) -> Self {
        Self {
            lookup,
            holds: HashMap::new(),
        }
    }

    /// What is in closed files that go together.
    pub(super) fn read(&mut self, files: &[FileName]) -> Result<Read, LogError> {
        let mut bodies = Vec::new();
        for file in files {
            match self.read_file(*file)? {
                Read::All(more) => bodies.extend(more),
                other => return Ok(other),
            }
        }
        Ok(Read::All(bodies))
    }

    fn read_file(&mut self, file: FileName) -> Result<Read, LogError> {
        let mut events = Vec::new();
        let mut is_known = true;
        let ended = self.lookup.read(begin(file), |frame| {
            let Some(body) = body::read(&frame) else {
                is_known = false;
                return ControlFlow::Break(());
            };
            let spans = || Bytes::from(body.spans.to_vec());
            match body.what {
                // Who said so is gone, or has said something else since.
                What::Open => {}
                What::Held(hold) => events.push(Event::Held(hold, spans())),
                What::Ended | What::Released(_) if body.spans.is_empty() => {}
                What::Ended | What::Released(_) => events.push(Event::Spans(spans())),
            }
            ControlFlow::Continue(())
        })?;
        match ended {
            _ if !is_known => return Ok(Read::Foreign),
            Through::Foreign => return Ok(Read::Foreign),
            Through::Gone | Through::Stopped(_) => return Ok(Read::Later),
            Through::Whole => {}
        }
        let mut bodies = Vec::with_capacity(events.len());
        for event in events {
            match event {
                Event::Spans(body) => bodies.push(body),
                Event::Held(hold, body) => match self.stands(hold)? {
                    Some(true) => bodies.push(body),
                    Some(false) => {}
                    None => return Ok(Read::Later),
                },
            }
        }
        Ok(Read::All(bodies))
    }

    /// Whether what is held stands, which it does for good once its writer is dead; nothing as long
    /// as that is open.
    fn stands(&mut self, (writer, number): Hold) -> Result<Option<bool>, LogError> {
        if !self.holds.contains_key(&writer) {
            let holds = self.look(writer)?;
            self.holds.insert(writer, holds);
        }
        let Some(holds) = self.holds.get(&writer) else {
            return Ok(None);
        };
        if holds.released.contains(&number) {
            return Ok(Some(false));
        }
        Ok((!holds.was_live).then_some(true))
    }

    /// Reads which holds a writer has released, in all of its files.
    fn look(&mut self, writer: WriterId) -> Result<Holds, LogError> {
        // Before its files are listed: only if it is dead by then none is missing.
        let mut holds = Holds {
            was_live: self.lookup.is_live(writer),
            released: HashSet::new(),
        };
        let Some(files) = self.lookup.files()? else {
            holds.was_live = true;
            return Ok(holds);
        };
        for file in files.into_iter().filter(|file| file.writer() == writer) {
            let released = &mut holds.released;
            let ended = self.lookup.read(begin(file), |frame| {
                released.extend(body::released(&frame).map(|(_, number)| number));
                ControlFlow::Continue(())
            })?;
            // What was not read may release anything.
            holds.was_live |= ended != Through::Whole;
        }
        Ok(holds)
    }
}

const fn begin(file: FileName) -> Position {
    Position { file, offset: 0 }
}
