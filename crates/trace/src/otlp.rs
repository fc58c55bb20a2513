//! Reading spans from OTLP bytes where they lie: an `ExportTraceServiceRequest` as Protocol Buffers
//! write it.
//!
//! [`spans`] walks over a request and borrows everything from it. A span is checked whole before it
//! is handed out (wire format, UTF-8, ids, nesting), so that nothing that is asked of a
//! [`SpanView`] can fail. [`Decoder`] makes [`Span`](longshore_instrument::Span) values of them.
//!
//! Nothing here panics or allocates by what a length in the bytes claims. What is damaged is an
//! [`OtlpError`] that says what and at which byte; damage within one span concerns that span alone.
//!
//! Where a message has a part twice that may stand once, the last one counts. Groups, which OTLP
//! never had, are damage; fields that nothing is read from, those of later versions among them, are
//! passed over.
//!
//! ```
//! use longshore_trace::otlp;
//!
//! // One span: ids, a name, a start and an end.
//! let mut span = vec![0x0a, 16];
//! span.extend([7; 16]);
//! span.extend([0x12, 8]);
//! span.extend([9; 8]);
//! span.extend(*b"\x2a\x04work\x39\x01\0\0\0\0\0\0\0\x41\x05\0\0\0\0\0\0\0");
//! let within = |tag: u8, bytes: Vec<u8>| [&[tag, bytes.len() as u8], &bytes[..]].concat();
//! let request = within(0x0a, within(0x12, within(0x12, span)));
//!
//! let mut walk = otlp::spans(&request);
//! let span = walk.next().expect("a span")?;
//! assert_eq!((span.name, span.end.unix_nanos()), ("work", 5));
//! assert!(walk.next().is_none());
//! # Ok::<(), longshore_trace::otlp::OtlpError>(())
//! ```

mod decode;
mod error;
mod json;
mod span;
mod value;
mod walk;
mod wire;

pub use decode::{Decoded, Decoder};
pub use error::{OtlpError, Problem};
pub use span::{EventView, Events, LinkView, Links, SpanView, StatusView};
pub use value::{Attributes, MAX_DEPTH, Pairs, Value, Values};
pub use walk::{ResourceView, ScopeView, Spans, spans};
