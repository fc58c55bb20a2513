//! The bytes of a file. `docs/span-log.md` describes them for those who write a reader of their
//! own.

use longshore_core::Timestamp;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::frame::{Class, Compression, FrameHeader, Kind};
use crate::name::FileName;

/// Bytes of the header of a file.
pub(crate) const FILE_HEADER: usize = 32;
/// Bytes of the header of a frame.
pub(crate) const FRAME_HEADER: usize = 48;
/// Most bytes of a body, in any file. A length beyond it is damage.
pub const MAX_BODY_BYTES: usize = 16 << 20;

/// Not text, so that no tool takes the file for it, and changed by every tool that mends line ends.
const FILE_MAGIC: [u8; 8] = *b"\xd7SPANS\r\n";
/// The first byte begins no UTF-8 character and ends no varint of a single byte.
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"\xd7\xf6LS";
const VERSION: u16 = 1;
/// The kind of the frame without a body that a writer puts last.
const END: u8 = 0;
/// Where the checksum stands in a frame's header.
const SUMMED: usize = 40;

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileHeader {
    /// A file whose frames are sealed with this id.
    Valid(u64),
    /// A file of another version.
    Unsupported,
    /// Not what a writer wrote.
    Damaged,
}

/// The header of a frame, with what is needed to check its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) content: Content,
    pub(crate) body_len: usize,
    pub(crate) spans: u32,
    body_sum: u64,
}

/// What a valid frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Frame(FrameHeader),
    /// The writer is done with the file.
    End,
    /// A value that this version does not know.
    Unknown,
}

/// What the frames of a file are sealed with, so that bytes of a frame that lie in another file, or
/// in a body, are never taken for a frame. It follows from the name, which a damaged file still has.
pub(crate) fn file_id(name: FileName) -> u64 {
    xxh3_64(name.to_string().as_bytes())
}

pub(crate) fn encode_file_header(name: FileName) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FILE_HEADER);
    bytes.extend_from_slice(&FILE_MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.push(name.class().number());
    bytes.extend_from_slice(&[0; 5]);
    bytes.extend_from_slice(&file_id(name).to_le_bytes());
    let sum = xxh3_64(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

pub(crate) fn decode_file_header(bytes: &[u8]) -> FileHeader {
    parse_file_header(bytes).unwrap_or(FileHeader::Damaged)
}

fn parse_file_header(bytes: &[u8]) -> Option<FileHeader> {
    let (summed, mut rest) = bytes.split_at_checked(FILE_HEADER - 8)?;
    if u64::from_le_bytes(take(&mut rest)?) != xxh3_64(summed) {
        return None;
    }
    let mut fields = summed;
    if take(&mut fields)? != FILE_MAGIC {
        return None;
    }
    if u16::from_le_bytes(take(&mut fields)?) != VERSION {
        return Some(FileHeader::Unsupported);
    }
    let [_class, ..] = take::<6>(&mut fields)?;
    Some(FileHeader::Valid(u64::from_le_bytes(take(&mut fields)?)))
}

/// Appends a frame to `out`.
pub(crate) fn encode_frame(out: &mut Vec<u8>, id: u64, header: &FrameHeader, body: &[u8]) {
    encode(out, id, header.kind.number(), header, body);
}

/// Appends the frame that ends a file to `out`.
pub(crate) fn encode_end(out: &mut Vec<u8>, id: u64, class: Class, at: Timestamp) {
    encode(out, id, END, &FrameHeader::of_spans(class, 0, at, at), &[]);
}

fn encode(out: &mut Vec<u8>, id: u64, kind: u8, header: &FrameHeader, body: &[u8]) {
    let start = out.len();
    // The writer refuses bodies beyond MAX_BODY_BYTES before it comes here.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    out.reserve(FRAME_HEADER + body.len());
    out.extend_from_slice(&FRAME_MAGIC);
    out.extend_from_slice(&length.to_le_bytes());
    out.push(kind);
    out.push(header.class.number());
    out.push(header.compression.number());
    out.push(header.flags);
    out.extend_from_slice(&header.spans.to_le_bytes());
    out.extend_from_slice(&header.first.unix_nanos().to_le_bytes());
    out.extend_from_slice(&header.last.unix_nanos().to_le_bytes());
    out.extend_from_slice(&xxh3_64(body).to_le_bytes());
    let sum = xxh3_64_with_seed(out.get(start..).unwrap_or_default(), id);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(body);
}

/// Reads the header of a frame at the beginning of `bytes`. Nothing, if there is none that was
/// written for this file.
pub(crate) fn decode_frame_header(bytes: &[u8], id: u64) -> Option<Sealed> {
    if !bytes.starts_with(&FRAME_MAGIC) {
        return None;
    }
    let (summed, mut rest) = bytes.split_at_checked(SUMMED)?;
    if u64::from_le_bytes(take(&mut rest)?) != xxh3_64_with_seed(summed, id) {
        return None;
    }
    let mut fields = summed;
    let _magic: [u8; 4] = take(&mut fields)?;
    let body_len = usize::try_from(u32::from_le_bytes(take(&mut fields)?)).ok()?;
    if body_len > MAX_BODY_BYTES {
        return None;
    }
    let [kind, class, compression, flags] = take(&mut fields)?;
    let spans = u32::from_le_bytes(take(&mut fields)?);
    let first = Timestamp::from_unix_nanos(i64::from_le_bytes(take(&mut fields)?));
    let last = Timestamp::from_unix_nanos(i64::from_le_bytes(take(&mut fields)?));
    let body_sum = u64::from_le_bytes(take(&mut fields)?);
    let known = || {
        Some(Content::Frame(FrameHeader {
            kind: Kind::from_number(kind)?,
            class: Class::from_number(class)?,
            compression: Compression::from_number(compression)?,
            flags,
            spans,
            first,
            last,
        }))
    };
    let content = match kind {
        END => Content::End,
        _ => known().unwrap_or(Content::Unknown),
    };
    Some(Sealed {
        content,
        body_len,
        spans,
        body_sum,
    })
}

impl Sealed {
    /// Whether this is the body that was written.
    pub(crate) fn fits(&self, body: &[u8]) -> bool {
        body.len() == self.body_len && xxh3_64(body) == self.body_sum
    }

    /// Bytes of the whole frame.
    pub(crate) const fn frame_len(&self) -> usize {
        FRAME_HEADER + self.body_len
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}
