//! What a frame holds: a body of opaque bytes, and a small header that says what is in it.

use longshore_core::Timestamp;

use crate::position::Position;

/// What the body of a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(u8);

impl Kind {
    /// An OTLP `ExportTraceServiceRequest`.
    pub const SPANS: Self = Self(1);
    /// An OTLP `ExportLogsServiceRequest`.
    pub const LOGS: Self = Self(2);
    /// An OTLP `ExportMetricsServiceRequest`.
    pub const METRICS: Self = Self(3);
    /// Which traces are kept, and why.
    pub const DECISIONS: Self = Self(4);
    /// An OTLP `ExportTraceServiceRequest` of spans that have not ended: what is open in the process
    /// now. It takes the place of all that its writer wrote of this kind before.
    pub const OPEN: Self = Self(5);

    /// The kind of this number, also one that this version has no name for. Nothing for 0, which
    /// marks the end of a file.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => None,
            number => Some(Self(number)),
        }
    }

    /// The number that stands in the file.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// How long a frame is worth keeping. Each class has files of its own, so that retention can delete
/// the least worthy without touching the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Traces that the head sampler chose.
    Base,
    /// Traces that a failure, a slow run or a rule kept.
    Kept,
    /// Traces that a person wants kept.
    Pinned,
}

impl Class {
    /// Every class, the least worthy first.
    pub const ALL: [Self; 3] = [Self::Base, Self::Kept, Self::Pinned];

    /// The class as it stands in file names and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Kept => "kept",
            Self::Pinned => "pinned",
        }
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Base => 0,
            Self::Kept => 1,
            Self::Pinned => 2,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Base),
            1 => Some(Self::Kept),
            2 => Some(Self::Pinned),
            _ => None,
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }
}

/// One value for each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByClass<T> {
    /// For [`Class::Base`].
    pub base: T,
    /// For [`Class::Kept`].
    pub kept: T,
    /// For [`Class::Pinned`].
    pub pinned: T,
}

impl<T> ByClass<T> {
    /// The value of a class.
    pub const fn of(&self, class: Class) -> &T {
        match class {
            Class::Base => &self.base,
            Class::Kept => &self.kept,
            Class::Pinned => &self.pinned,
        }
    }

    /// The value of a class, to be changed.
    pub const fn of_mut(&mut self, class: Class) -> &mut T {
        match class {
            Class::Base => &mut self.base,
            Class::Kept => &mut self.kept,
            Class::Pinned => &mut self.pinned,
        }
    }
}

/// How the body is compressed. The log records it and leaves the work to its users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// As one gzip member.
    Gzip,
    /// As one Zstandard frame.
    Zstd,
}

impl Compression {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Zstd => 2,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// What is known of a body without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the body is.
    pub kind: Kind,
    /// How long it is worth keeping.
    pub class: Class,
    /// How it is compressed.
    pub compression: Compression,
    /// Eight bits for the application; the log carries them unread.
    pub flags: u8,
    /// How many spans are in it, so that a loss can be counted in spans.
    pub spans: u32,
    /// When its first span started.
    pub first: Timestamp,
    /// When its last span ended.
    pub last: Timestamp,
}

impl FrameHeader {
    /// The header of so many spans, uncompressed and without flags.
    #[must_use]
    pub const fn of_spans(class: Class, spans: u32, first: Timestamp, last: Timestamp) -> Self {
        Self {
            kind: Kind::SPANS,
            class,
            compression: Compression::None,
            flags: 0,
            spans,
            first,
            last,
        }
    }
}

/// A frame as a reader finds it, whole and as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the body is.
    pub header: FrameHeader,
    /// The bytes that were appended.
    pub body: Vec<u8>,
    /// Where the frame begins.
    pub position: Position,
    /// Where it ends: what to go on from once the frame is dealt with.
    pub end: Position,
}
