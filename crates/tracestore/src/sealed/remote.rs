//! Sealed files that are elsewhere, and are read in pieces.

use std::io;
use std::sync::OnceLock;

use bytes::{Buf as _, Bytes, buf::Reader};
use longshore_core::TraceId;
use parquet::data_type::FixedLenByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{ChunkReader, FileReader as _, Length};
use parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedFileReader};

use super::read::guarded;
use super::schema::Column;
use crate::error::TraceStoreError;

/// Bytes of the end of a file that are read first: most of the time all that is needed.
const TAIL: usize = 64 << 10;

/// Whether a trace may be in a sealed file, which is found out without reading its spans: by the
/// bloom filters of its row groups, of which about one in a hundred says so wrongly. A file without
/// them may hold any trace. `length` is that of the file, and `read` gives so many bytes from a place
/// on; the last 64 KiB are asked for first, and of the rest no more than it takes.
///
/// # Errors
/// [`TraceStoreError::Foreign`] if it is no file of spans, or cannot be read.
pub fn may_hold(
    length: u64,
    read: impl Fn(u64, usize) -> io::Result<Bytes> + Send + Sync + 'static,
    trace: TraceId,
) -> Result<bool, TraceStoreError> {
    let pieces = Pieces {
        length,
        read,
        tail: OnceLock::new(),
    };
    guarded(|| look(pieces, trace)).map_err(|source| TraceStoreError::Foreign {
        source: source.into(),
    })
}

fn look(pieces: impl ChunkReader + 'static, trace: TraceId) -> Result<bool, ParquetError> {
    let properties = ReaderProperties::builder().set_read_bloom_filter(true);
    let options = ReadOptionsBuilder::new().with_reader_properties(properties.build());
    let reader = SerializedFileReader::new_with_options(pieces, options.build())?;
    let id = FixedLenByteArray::from(trace.to_bytes().to_vec());
    for number in 0..reader.num_row_groups() {
        let group = reader.get_row_group(number)?;
        let filter = group.get_column_bloom_filter(Column::TraceId as usize);
        if filter.is_none_or(|filter| filter.check(&id)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A file that is read in pieces.
struct Pieces<F> {
    length: u64,
    read: F,
    /// Its end, once it was asked for.
    tail: OnceLock<Bytes>,
}

impl<F: Fn(u64, usize) -> io::Result<Bytes>> Pieces<F> {
    fn tail(&self) -> io::Result<&Bytes> {
        if let Some(tail) = self.tail.get() {
            return Ok(tail);
        }
        let length = usize::try_from(self.length).unwrap_or(TAIL).min(TAIL);
        let tail = self.piece(self.length - length as u64, length)?;
        Ok(self.tail.get_or_init(|| tail))
    }

    fn piece(&self, from: u64, length: usize) -> io::Result<Bytes> {
        let piece = (self.read)(from, length)?;
        match piece.len() == length {
            true => Ok(piece),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl<F> Length for Pieces<F> {
    fn len(&self) -> u64 {
        self.length
    }
}

impl<F: Fn(u64, usize) -> io::Result<Bytes> + Send + Sync> ChunkReader for Pieces<F> {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let left = self.length.saturating_sub(start);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        Ok(self.get_bytes(start, left)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let tail = self.tail()?;
        let before = self.length - tail.len() as u64;
        let Some(at) = start.checked_sub(before) else {
            return Ok(self.piece(start, length)?);
        };
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        Ok(tail.slice(at..at + length))
    }
}
