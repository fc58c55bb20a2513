//! One file while it is read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::bundle::Place;
use crate::format::{self, Content, FILE_HEADER, FRAME_HEADER, FRAME_MAGIC, FileHeader, Sealed};
use crate::frame::{Frame, FrameHeader};
use crate::name::FileName;
use crate::position::Position;

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;
/// Largest buffer that is handed on from file to file.
const KEPT_BUFFER: usize = 1 << 20;

/// What comes next in a file.
#[derive(Debug)]
pub(crate) enum Step {
    Frame(Frame),
    /// Bytes that cannot be read, and the spans that are known to be in them.
    Damage {
        bytes: u64,
        frames: u64,
        spans: u64,
    },
    /// A frame that is whole, and of a kind that this version does not know.
    Unknown {
        bytes: u64,
        spans: u64,
    },
    /// Nothing yet; more may come.
    Pending,
    /// Nothing more, after so many bytes of a frame that its writer did not complete.
    End {
        torn: u64,
    },
    /// A file of a version that this one cannot read.
    Unsupported,
}

/// Reads a file from a position on. Bytes that are not a whole frame yet are read again the next
/// time, since a writer without room on the disk takes them back.
#[derive(Debug)]
pub(crate) struct Scan {
    file: File,
    /// Where the first byte lies, and how many there may be.
    start: u64,
    limit: u64,
    name: FileName,
    id: u64,
    supported: bool,
    offset: u64,
    /// Whether the mark of the end was met.
    ended: bool,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were read.
    filled: usize,
    /// Where the buffer's first byte stands in the file.
    base: u64,
}

impl Scan {
    /// Opens the file of the position, which lies at `place`. `buffer` is memory to read into; an
    /// empty one will do.
    pub(crate) fn open(place: &Place, from: Position, buffer: Vec<u8>) -> io::Result<Self> {
        let name = from.file;
        let mut file = File::open(&place.path)?;
        file.seek(SeekFrom::Start(place.start))?;
        let limit = place.len.unwrap_or(u64::MAX);
        let mut header = Vec::with_capacity(FILE_HEADER);
        (&mut file)
            .take(limit.min(FILE_HEADER as u64))
            .read_to_end(&mut header)?;
        let mut scan = Self {
            file,
            start: place.start,
            limit,
            name,
            id: format::file_id(name),
            supported: true,
            offset: from.offset,
            ended: false,
            buffer,
            filled: 0,
            base: 0,
        };
        match format::decode_file_header(&header) {
            FileHeader::Valid(id) => {
                scan.id = id;
                scan.offset = from.offset.max(FILE_HEADER as u64);
            }
            FileHeader::Unsupported => scan.supported = false,
            // The name says what the frames are sealed with.
            FileHeader::Damaged => {}
        }
        Ok(scan)
    }

    /// Where the next step begins.
    pub(crate) const fn position(&self) -> Position {
        Position {
            file: self.name,
            offset: self.offset,
        }
    }

    /// The memory, for the next file. That of an uncommonly large frame is given back.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        if self.buffer.len() > KEPT_BUFFER {
            return Vec::new();
        }
        self.buffer
    }

    /// Goes one step on. `closed` says that the file grows no more, and was known before the call.
    pub(crate) fn step(&mut self, closed: bool) -> io::Result<Step> {
        if !self.supported {
            return Ok(Step::Unsupported);
        }
        let id = self.id;
        loop {
            let header = self.window(FRAME_HEADER)?;
            let available = header.len();
            if available < FRAME_HEADER {
                return Ok(self.tail(closed, available));
            }
            let Some(sealed) = format::decode_frame_header(header, id) else {
                return self.resync(closed);
            };
            let len = sealed.frame_len();
            let bytes = self.window(len)?;
            let available = bytes.len();
            if available < len {
                return Ok(self.tail(closed, available));
            }
            let body = bytes.get(FRAME_HEADER..len).unwrap_or_default();
            match sealed.content {
                _ if !sealed.fits(body) => return self.skip(closed, &sealed),
                Content::Frame(header) => {
                    let body = body.to_vec();
                    return Ok(Step::Frame(self.frame(header, body, len)));
                }
                Content::Unknown => {
                    self.offset += len as u64;
                    return Ok(Step::Unknown {
                        bytes: len as u64,
                        spans: u64::from(sealed.spans),
                    });
                }
                Content::End => {
                    self.offset += len as u64;
                    self.ended = true;
                }
            }
        }
    }

    fn frame(&mut self, header: FrameHeader, body: Vec<u8>, len: usize) -> Frame {
        let position = self.position();
        self.offset += len as u64;
        Frame {
            header,
            body,
            position,
            end: self.position(),
        }
    }

    /// What follows is less than a frame.
    fn tail(&mut self, closed: bool, available: usize) -> Step {
        self.forget();
        let complete = self.ended && available == 0;
        if !closed && !complete {
            return Step::Pending;
        }
        let torn = available as u64;
        self.offset += torn;
        Step::End { torn }
    }

    /// Leaves out a frame whose header can be believed and whose body cannot.
    fn skip(&mut self, closed: bool, sealed: &Sealed) -> io::Result<Step> {
        let len = sealed.frame_len();
        // At the end of a file that is written, the body may be on its way to this reader.
        if !closed && self.window(len + 1)?.len() <= len {
            self.forget();
            return Ok(Step::Pending);
        }
        self.offset += len as u64;
        Ok(Step::Damage {
            bytes: len as u64,
            frames: 1,
            spans: u64::from(sealed.spans),
        })
    }

    /// Looks for the next header that can be believed.
    fn resync(&mut self, closed: bool) -> io::Result<Step> {
        let start = self.offset;
        self.offset += 1;
        loop {
            let id = self.id;
            let window = self.window(CHUNK)?;
            if let Some(found) = find_header(window, id) {
                self.offset += found as u64;
                break;
            }
            let rest = window.len();
            if rest < CHUNK {
                self.offset += rest as u64;
                break;
            }
            // A header may begin in the last bytes of the window and end beyond it.
            self.offset += (rest - FRAME_HEADER + 1) as u64;
        }
        let at_end = self.window(1)?.is_empty();
        if at_end && !closed {
            self.offset = start;
            self.forget();
            return Ok(Step::Pending);
        }
        Ok(Step::Damage {
            bytes: self.offset - start,
            frames: 0,
            spans: 0,
        })
    }

    /// The bytes from the offset on, at least `wanted` of them unless the file ends before.
    fn window(&mut self, wanted: usize) -> io::Result<&[u8]> {
        let buffered_to = self.base + self.filled as u64;
        if self.offset < self.base || self.offset > buffered_to {
            self.forget();
        }
        let mut start = usize::try_from(self.offset - self.base).unwrap_or(usize::MAX);
        if self.filled - start < wanted {
            self.buffer.copy_within(start..self.filled, 0);
            self.filled -= start;
            self.base = self.offset;
            start = 0;
            self.fill(wanted.max(CHUNK))?;
        }
        Ok(self.buffer.get(start..self.filled).unwrap_or_default())
    }

    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        if self.buffer.is_empty() {
            // Zeroed by the system, page by page as they are used.
            self.buffer = vec![0; wanted];
        } else if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        let from = self.base + self.filled as u64;
        self.file.seek(SeekFrom::Start(self.start + from))?;
        while self.filled < wanted {
            let left = self.limit.saturating_sub(self.base + self.filled as u64);
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
            let within = room.len().min(left);
            let room = room.get_mut(..within).unwrap_or_default();
            match self.file.read(room) {
                Ok(0) => break,
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.filled = 0;
        self.base = self.offset;
    }
}

/// Where the first header is that can be believed.
fn find_header(bytes: &[u8], id: u64) -> Option<usize> {
    let candidates = bytes.windows(FRAME_MAGIC.len()).enumerate();
    candidates
        .filter(|(_, start)| *start == FRAME_MAGIC)
        .map(|(at, _)| at)
        .find(|at| {
            let header = bytes.get(*at..).unwrap_or_default();
            format::decode_frame_header(header, id).is_some()
        })
}

/// Whether the file's writer has said that nothing more comes.
pub(crate) fn ends_properly(folder: &Path, name: FileName, len: u64) -> io::Result<bool> {
    let end = FRAME_HEADER as u64;
    if len < end + FILE_HEADER as u64 {
        return Ok(false);
    }
    let mut file = File::open(folder.join(name.to_string()))?;
    file.seek(SeekFrom::Start(len - end))?;
    let mut bytes = Vec::with_capacity(FRAME_HEADER);
    file.take(end).read_to_end(&mut bytes)?;
    let sealed = format::decode_frame_header(&bytes, format::file_id(name));
    Ok(sealed.is_some_and(|sealed| sealed.content == Content::End))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use longshore_core::{SystemRandom, Timestamp};

    use super::*;
    use crate::frame::Class;
    use crate::name::WriterId;

    #[test]
    fn a_piece_that_was_read_is_read_again_when_another_frame_stands_there() {
        let folder = std::env::temp_dir();
        let name = FileName::new(1, WriterId::mint(&SystemRandom), Class::Base);
        let path = folder.join(name.to_string());
        let at = Timestamp::from_unix_millis(0);
        let header = FrameHeader::of_spans(Class::Base, 1, at, at);
        let file = |body: &[u8]| {
            let mut bytes = format::encode_file_header(name);
            format::encode_frame(&mut bytes, format::file_id(name), &header, body);
            bytes
        };
        fs::write(&path, &file(b"taken back")[..60]).unwrap();
        let begin = Position {
            file: name,
            offset: 0,
        };
        let mut scan = Scan::open(&Place::alone(&folder, name), begin, Vec::new()).unwrap();
        assert!(matches!(scan.step(false).unwrap(), Step::Pending));
        fs::write(&path, file(b"another")).unwrap();
        let step = scan.step(true).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(
            matches!(&step, Step::Frame(frame) if frame.body == b"another"),
            "{step:?}"
        );
    }
}
