//! A body looked through without a request, and without keeping anything of it.

use std::sync::Arc;

use bytes::Bytes;
use longshore_telemetry::Redactor;

use super::body::Packing;
use super::http::Encoding;
use super::{LOGS, ReceiverOptions, Shared, TRACES, Work};

/// How a body is written, as the headers of its request would say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyForm<'a> {
    /// Whether it holds log records, instead of spans.
    pub is_logs: bool,
    /// Whether it is JSON, instead of protobuf.
    pub is_json: bool,
    /// How it is packed: `gzip`, `zstd`, or nothing.
    pub packing: &'a str,
}

/// What a receiver would write down of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The message in protobuf, without what may not be kept.
    pub message: Bytes,
    /// Spans or log records in it.
    pub items: usize,
    /// Spans or log records that would be rejected.
    pub rejected: usize,
}

/// What a receiver with these bounds would write down of a body; nothing is. Whatever the body is,
/// this neither panics nor takes more memory than `options` allow.
///
/// # Errors
/// The body would be refused; says why in the words that its sender would get.
pub fn preview(
    body: Bytes,
    form: BodyForm<'_>,
    redactor: Arc<Redactor>,
    options: ReceiverOptions,
) -> Result<Preview, String> {
    let shared = Shared::new(None, redactor, options);
    let look = || {
        let mut share = shared.memory.share();
        share.take(body.len())?;
        let work = Work {
            packed: body,
            packing: Packing::named(form.packing)?,
            encoding: match form.is_json {
                true => Encoding::Json,
                false => Encoding::Protobuf,
            },
            signal: if form.is_logs { LOGS } else { TRACES },
            share,
        };
        work.run(&shared, None)
    };
    let looked = look().map_err(|refusal: super::Refusal| refusal.to_string())?;
    Ok(Preview {
        message: looked.screened.body,
        items: looked.screened.items,
        rejected: looked.screened.rejected.count(),
    })
}
