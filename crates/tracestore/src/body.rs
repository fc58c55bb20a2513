//! What the frames of a span log hold, as those that write spans mark them.

use std::borrow::Cow;
use std::io::Read;

use longshore_spanlog::{Compression, Frame, FrameHeader, Kind, WriterId};

/// Flags of a frame of spans: its body begins with the number of a hold. What is held becomes
/// final, or is superseded by the frame that releases the same number.
const HELD: u8 = 1;
const RELEASED: u8 = 2;
/// Bytes of that number.
const NUMBER: usize = 8;
/// Most bytes that a body may have once it is unpacked.
const MAX_UNPACKED: usize = 64 << 20;

/// Which hold of which writer.
pub(crate) type Hold = (WriterId, u64);

/// What a frame means to the trace store.
#[derive(Debug)]
pub(crate) struct Body<'a> {
    pub(crate) what: What,
    /// An OTLP `ExportTraceServiceRequest`.
    pub(crate) spans: Cow<'a, [u8]>,
}

/// What the spans of a frame are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// They have ended.
    Ended,
    /// They have ended, and stand until their hold is released.
    Held(Hold),
    /// They take the place of what was held.
    Released(Hold),
    /// They are what was open in the writer's process, all of it.
    Open,
}

/// Reads a frame; nothing if it holds no spans, or none that this version can read.
pub(crate) fn read(frame: &Frame) -> Option<Body<'_>> {
    let FrameHeader { kind, flags, .. } = frame.header;
    let numbered = match (kind, flags & (HELD | RELEASED)) {
        (Kind::SPANS, HELD | RELEASED) => frame.body.split_first_chunk::<NUMBER>(),
        _ => None,
    };
    let hold = |number: &[u8; NUMBER]| (frame.position.file.writer(), u64::from_le_bytes(*number));
    let (what, packed) = match (kind, numbered) {
        (Kind::SPANS, Some((number, spans))) if flags & HELD != 0 => {
            (What::Held(hold(number)), spans)
        }
        (Kind::SPANS, Some((number, spans))) => (What::Released(hold(number)), spans),
        (Kind::SPANS, None) if flags & (HELD | RELEASED) == 0 => (What::Ended, &*frame.body),
        (Kind::OPEN, _) => (What::Open, &*frame.body),
        _ => return None,
    };
    let spans = unpack(frame.header.compression, packed)?;
    Some(Body { what, spans })
}

/// The hold that a frame releases, if it releases one.
pub(crate) fn released(frame: &Frame) -> Option<Hold> {
    hold(frame, RELEASED)
}

/// The hold that a frame belongs to, if its spans are held.
pub(crate) fn held(frame: &Frame) -> Option<Hold> {
    hold(frame, HELD)
}

fn hold(frame: &Frame, flag: u8) -> Option<Hold> {
    let FrameHeader { kind, flags, .. } = frame.header;
    let is_meant = kind == Kind::SPANS && flags & (HELD | RELEASED) == flag;
    let number = frame.body.first_chunk::<NUMBER>().filter(|_| is_meant)?;
    let writer = frame.position.file.writer();
    Some((writer, u64::from_le_bytes(*number)))
}

fn unpack(compression: Compression, packed: &[u8]) -> Option<Cow<'_, [u8]>> {
    let limit = MAX_UNPACKED as u64 + 1;
    let mut unpacked = Vec::new();
    let read = match compression {
        Compression::None => return Some(Cow::Borrowed(packed)),
        Compression::Gzip => {
            let mut reader = flate2::read::GzDecoder::new(packed).take(limit);
            reader.read_to_end(&mut unpacked)
        }
        Compression::Zstd => zstd::stream::read::Decoder::new(packed)
            .and_then(|reader| reader.take(limit).read_to_end(&mut unpacked)),
    };
    (read.is_ok() && unpacked.len() <= MAX_UNPACKED).then_some(Cow::Owned(unpacked))
}

/// Whether a frame is to hold spans.
pub(crate) fn is_of_spans(frame: &Frame) -> bool {
    matches!(frame.header.kind, Kind::SPANS | Kind::OPEN)
}
