//! An append-only log of framed, checksummed batches of spans, in a folder that several processes
//! share.
//!
//! One mechanism for three needs: the buffer that survives a crash, what spans fall back to while
//! the back end is away, and the newest part of a local trace store. The bodies of frames are
//! opaque: bytes as OTLP exporters send them, behind a header that says what can be known without
//! opening them.
//!
//! | to | use |
//! | --- | --- |
//! | append | [`Writer`]: files of its own, so that there is nothing to wait for |
//! | read or tail | [`Reader`], and [`Cursor`] to go on after a restart |
//! | find a frame again by its place, or read a file that is over | [`Lookup`] |
//! | ship each frame once, from several processes | [`Shipping`] |
//! | put what is complete elsewhere | [`closed`], then [`retire`] |
//! | keep the folder within bounds | [`sweep`] with a [`Policy`] |
//!
//! A frame that was appended survives `kill -9` of its writer at any moment. A reader never takes
//! anything for a frame that was not appended as it is, and goes on behind what is damaged. The
//! format and the protocol between processes are described in `docs/span-log.md`.
//!
//! ```
//! use std::sync::Arc;
//! use longshore_core::{Clock, SystemClock, SystemRandom};
//! use longshore_spanlog::{Class, FrameHeader, Reader, Writer, WriterOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("longshore-spanlog-doc-{}", std::process::id()));
//! let clock = Arc::new(SystemClock::new());
//! let now = clock.now();
//! let mut writer = Writer::open(&folder, WriterOptions::default(), clock, &SystemRandom)?;
//! let header = FrameHeader::of_spans(Class::Kept, 5, now, now);
//! writer.append(&header, b"an ExportTraceServiceRequest")?;
//!
//! let mut reader = Reader::open(&folder)?;
//! let frame = reader.next_frame()?.ok_or("the frame is there at once")?;
//! assert_eq!(frame.header.spans, 5);
//! assert_eq!(frame.body, b"an ExportTraceServiceRequest");
//! assert!(reader.next_frame()?.is_none());
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```

mod bundle;
mod cursor;
mod error;
mod file;
pub mod folder;
mod format;
mod frame;
mod lookup;
mod name;
mod position;
mod reader;
mod recent;
mod retention;
mod scan;
mod shipping;
mod wake;
mod writer;

pub use cursor::{Cursor, Stored};
pub use error::{AppendError, LogError};
pub use format::MAX_BODY_BYTES;
pub use frame::{ByClass, Class, Compression, Frame, FrameHeader, Kind};
pub use lookup::{Lookup, Through};
pub use name::{FileName, InvalidName, WriterId};
pub use position::{InvalidPosition, Position, Progress};
pub use reader::{Reader, ReaderCounts};
pub use recent::Recent;
pub use retention::{
    Closed, Holdings, Policy, Swept, Tally, closed, retire, size, survey, sweep, sweep_if_due,
};
pub use shipping::{Claimed, MAX_CLAIMS, Scope, Shipping};
pub use wake::Wake;
pub use writer::{SyncPolicy, Writer, WriterOptions};
