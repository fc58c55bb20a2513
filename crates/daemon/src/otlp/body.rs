//! The body of a request: read, unpacked, and never larger than told, whatever it says of itself.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;

use super::refusal::Refusal;

/// How much is unpacked at once.
const PIECE: usize = 64 << 10;
/// The largest window that a Zstandard body may ask for: 8 MiB, as the format recommends.
const WINDOW_LOG: u32 = 23;

/// The memory that all requests share.
#[derive(Debug)]
pub(super) struct Memory {
    held: AtomicUsize,
    most: usize,
}

/// What of it one request has; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Memory {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            held: AtomicUsize::new(0),
            most,
        }
    }

    pub(super) fn share(self: &Arc<Self>) -> Share {
        Share {
            memory: Arc::clone(self),
            bytes: 0,
        }
    }
}

impl Share {
    /// Takes more of it.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        let held = self.memory.held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        // A share that is refused is dropped, and gives back what it took.
        if held.saturating_add(bytes) > self.memory.most {
            return Err(Refusal::Busy);
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    /// The packing of this name, in a header.
    pub(super) fn named(name: &str) -> Result<Self, Refusal> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" | "none" => Ok(Self::None),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err(Refusal::Packing),
        }
    }
}

/// All of a body, at most `most` bytes.
pub(super) async fn read(mut body: Body, most: usize, share: &mut Share) -> Result<Bytes, Refusal> {
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_broken| Refusal::BrokenOff)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len();
        if length > most {
            return Err(Refusal::TooLarge(most));
        }
        share.take(data.len())?;
        // Most requests come in one piece, which needs no copy.
        match first.take() {
            None if all.is_empty() => first = Some(data),
            None => all.extend_from_slice(&data),
            Some(before) => {
                all.extend_from_slice(&before);
                all.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}

/// What is in a body, at most `most` bytes.
pub(super) fn unpacked(
    packed: Bytes,
    packing: Packing,
    most: usize,
    share: &mut Share,
) -> Result<Bytes, Refusal> {
    match packing {
        Packing::None => Ok(packed),
        Packing::Gzip => {
            let reader = flate2::read::MultiGzDecoder::new(&*packed);
            drained(reader, packed.len(), most, share)
        }
        Packing::Zstd => {
            let mut reader = zstd::stream::read::Decoder::with_buffer(&*packed)
                .map_err(|_broken| Refusal::Unpackable)?;
            reader
                .window_log_max(WINDOW_LOG)
                .map_err(|_broken| Refusal::Unpackable)?;
            drained(reader, packed.len(), most, share)
        }
    }
}

fn drained(
    mut reader: impl std::io::Read,
    packed: usize,
    most: usize,
    share: &mut Share,
) -> Result<Bytes, Refusal> {
    let mut all = Vec::with_capacity(packed.saturating_mul(4).min(most));
    loop {
        let before = all.len();
        let read = reader.by_ref().take(PIECE as u64).read_to_end(&mut all);
        read.map_err(|_broken| Refusal::Unpackable)?;
        let more = all.len() - before;
        if more == 0 {
            return Ok(all.into());
        }
        if all.len() > most {
            return Err(Refusal::TooLarge(most));
        }
        share.take(more)?;
    }
}

#[cfg(test)]
mod tests;
