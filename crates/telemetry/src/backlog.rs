//! Encoded spans between the thread that writes them down and the exporter: in a span log on disk,
//! or in memory.
//!
//! A [`Parcel`] is encoded once; merging parcels into one export is putting their bytes one after
//! the other, which is how protobuf merges messages.

mod between;
mod log;
mod memory;

use std::sync::Arc;

use bytes::Bytes;
use longshore_core::Timestamp;
use longshore_spanlog::{Class, Position};

pub use log::SpanLogSettings;
pub(crate) use log::{LogInlet, LogOutlet};
pub(crate) use memory::MemoryBacklog;

use crate::counters::DropReason;
use crate::open_spans::OpenFrame;

/// Spans as they leave, and what is known of them.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    /// An OTLP `ExportTraceServiceRequest`.
    pub(crate) body: Bytes,
    /// How many spans are in it.
    pub(crate) spans: usize,
    pub(crate) class: Class,
    pub(crate) stage: Stage,
    /// When its first span started, and its last one ended.
    pub(crate) times: (Timestamp, Timestamp),
}

/// Whether the spans of a parcel leave as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// They do.
    Final,
    /// Only if the process dies before it writes their final form under the same number.
    Held(u64),
    /// They are the final form of what was held; none if a lease was lost.
    Released(u64),
}

/// A parcel that was handed to the exporter, and how to say that it is dealt with.
#[derive(Clone, Debug)]
pub(crate) struct Handed {
    pub(crate) body: Bytes,
    pub(crate) spans: usize,
    /// Whether this process wrote it.
    pub(crate) is_own: bool,
    pub(crate) mark: Mark,
}

/// What identifies a parcel to its backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Nothing has to be remembered of it.
    Memory,
    /// It ends here.
    Log(Position),
}

/// The end where parcels go in.
#[derive(Debug)]
pub(crate) enum Inlet {
    Memory(Arc<MemoryBacklog>),
    Log(Box<LogInlet>),
}

/// A parcel that could not be put in: why, and in words.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) reason: DropReason,
    pub(crate) what: String,
}

impl Inlet {
    /// Puts a parcel in. In a log it survives the process from then on.
    pub(crate) fn append(&mut self, parcel: Parcel) -> Result<(), Refused> {
        match self {
            Self::Memory(memory) => {
                memory.append(parcel);
                Ok(())
            }
            Self::Log(log) => log.append(&parcel),
        }
    }

    /// Writes down what is open, for those who read the log; elsewhere nobody can.
    pub(crate) fn append_open(&mut self, frame: &OpenFrame, now: Timestamp) -> Result<(), Refused> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Log(log) => log.append_open(frame, now),
        }
    }

    /// To be called about once a second.
    pub(crate) fn tick(&mut self) {
        if let Self::Log(log) = self {
            log.tick();
        }
    }

    /// Most bytes of one parcel.
    pub(crate) const fn max_bytes(&self) -> usize {
        log::MAX_BYTES
    }

    /// Whether what is held survives the process: if not, holding it serves nobody.
    pub(crate) const fn is_durable(&self) -> bool {
        matches!(self, Self::Log(_))
    }
}

/// The end where the exporter takes parcels out.
#[derive(Debug)]
pub(crate) enum Outlet {
    Memory(Arc<MemoryBacklog>),
    Log(Box<LogOutlet>),
}

impl Outlet {
    /// The next parcel to be exported, if there is one now.
    pub(crate) fn next(&mut self) -> Option<Handed> {
        match self {
            Self::Memory(memory) => memory.next(),
            Self::Log(log) => log.next(),
        }
    }

    /// A parcel was exported, or is given up.
    pub(crate) fn delivered(&mut self, mark: Mark) {
        if let Self::Log(log) = self {
            log.dealt_with(mark);
        }
    }

    /// Remembers over restarts what was delivered.
    pub(crate) fn save(&mut self) {
        if let Self::Log(log) = self {
            log.save();
        }
    }

    /// To be called about once a second: takes over what dead processes left.
    pub(crate) fn tick(&mut self) {
        if let Self::Log(log) = self {
            log.tick();
        }
    }

    /// Empties what only memory has; gives back how many spans that were.
    pub(crate) fn abandon(&mut self) -> usize {
        match self {
            Self::Memory(memory) => memory.abandon(),
            Self::Log(_) => 0,
        }
    }

    /// Whether what is not exported now can be exported by a process to come.
    pub(crate) const fn is_durable(&self) -> bool {
        matches!(self, Self::Log(_))
    }
}
