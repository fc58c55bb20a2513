//! The last frames of a writer, for a reader in the same process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::format::{FILE_HEADER, FRAME_HEADER};
use crate::frame::{ByClass, Class, Frame, FrameHeader};
use crate::position::Position;

/// Frames that a writer has appended and that were not read yet, so that whoever ships them in the
/// same process need not read them back. It holds the newest up to a number of bytes; what is older
/// stands in the files alone, like everything that other processes wrote.
///
/// Made by [`Writer::remember`](crate::Writer::remember), for
/// [`Shipping::with_recent`](crate::Shipping::with_recent).
#[derive(Clone, Debug)]
pub struct Recent(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    held: Mutex<Held>,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Held {
    /// In the order in which they were appended, without a gap but where the disk did not confirm.
    frames: ByClass<VecDeque<Frame>>,
    bytes: usize,
    last: ByClass<Last>,
}

/// What the writer did last with files of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Last {
    /// Nothing yet.
    #[default]
    Nothing,
    /// It appended a frame that ends here.
    Appended(Position),
    /// It closed one.
    Closed,
}

impl Recent {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self(Arc::new(Shared {
            held: Mutex::default(),
            max_bytes,
        }))
    }

    /// A frame was appended, and begins there.
    pub(crate) fn note(&self, position: Position, header: &FrameHeader, body: &[u8]) {
        let end = Position {
            offset: position.offset + (FRAME_HEADER + body.len()) as u64,
            ..position
        };
        let fits = body.len() <= self.0.max_bytes;
        let body = if fits { body.to_vec() } else { Vec::new() };
        let mut held = self.held();
        *held.last.of_mut(header.class) = Last::Appended(end);
        if !fits {
            return;
        }
        held.bytes += body.len();
        let frame = Frame {
            header: *header,
            body,
            position,
            end,
        };
        held.frames.of_mut(header.class).push_back(frame);
        while held.bytes > self.0.max_bytes {
            // Those of its own class first, then others, the least worthy before.
            let classes = [header.class].into_iter().chain(Class::ALL);
            let mut oldest = classes.filter_map(|class| held.frames.of_mut(class).pop_front());
            let Some(oldest) = oldest.next() else { break };
            held.bytes -= oldest.body.len();
        }
    }

    /// Takes out the frame of a class that a reader who has come this far reads next; nothing if it
    /// is not held.
    pub(crate) fn take(&self, reached: Position) -> Option<Frame> {
        let begins = match reached.offset {
            // What stands before the first frame of a file tells a reader nothing more.
            0 => FILE_HEADER as u64,
            offset => offset,
        };
        let reached = Position {
            offset: begins,
            ..reached
        };
        let mut held = self.held();
        let frames = held.frames.of_mut(reached.file.class());
        let mut passed = 0;
        // Those before it were read from the file.
        while let Some(frame) = frames.pop_front_if(|frame| frame.position < reached) {
            passed += frame.body.len();
        }
        let found = frames.pop_front_if(|frame| frame.position == reached);
        held.bytes -= passed + found.as_ref().map_or(0, |frame| frame.body.len());
        found
    }

    /// The file of a class was closed.
    pub(crate) fn closed(&self, class: Class) {
        *self.held().last.of_mut(class) = Last::Closed;
    }

    /// What the writer did last, for each class.
    pub(crate) fn last(&self) -> ByClass<Last> {
        self.held().last
    }

    /// Forgets all frames. What there is to be read in files stays known.
    pub(crate) fn clear(&self) {
        let mut held = self.held();
        *held = Held {
            last: held.last,
            ..Held::default()
        };
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
