//! Answers that may be large: written while they are sent, by threads that nobody waits for, packed
//! if the other end takes it, and given up if it takes nothing.

mod packing;

use std::io::{self, Write};
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use longshore_api::ApiError;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::memory::Share;
use packing::{Packed, Packing};

/// How much is sent at once.
const PIECE: usize = 64 << 10;

/// Most pieces that wait to be sent.
const WAITING: usize = 8;

/// Most time in which the other end takes nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long nothing is sent of an answer that is being made, as a rule.
const SIGN: Duration = Duration::from_secs(5);

/// A piece of an answer, or why there are no more.
type Piece = io::Result<Bytes>;

/// The answer that says as JSON what is being made. Where that takes long, blanks are sent
/// meanwhile, which mean nothing in JSON: whoever waits sees that it goes on, and so does what is
/// between. The share that it is made in is given back but for `left` bytes once it is made, and
/// these once all of it was handed over.
///
/// # Errors
/// Why it could not be made, if that is known soon; later the answer breaks off.
pub(crate) async fn answer<T: Serialize + Send + 'static>(
    share: Share,
    headers: &HeaderMap,
    left: usize,
    making: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<Response, ApiError> {
    answer_with_signs(SIGN, share, headers, left, making).await
}

/// The same, with a sign each time so long has passed.
async fn answer_with_signs<T: Serialize + Send + 'static>(
    sign: Duration,
    mut share: Share,
    headers: &HeaderMap,
    left: usize,
    making: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<Response, ApiError> {
    let packing = Packing::of(headers);
    let mut making = Box::pin(making);
    let soon = tokio::time::timeout(sign, &mut making).await;
    let soon = soon.ok().transpose()?;
    let (sender, pieces) = mpsc::channel(WAITING);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut pieces = Pieces {
            sender,
            runtime,
            piece: Vec::with_capacity(PIECE),
        };
        let written = Packed::new(packing, &mut pieces).and_then(|mut packed| {
            let value = match soon {
                Some(value) => value,
                None => awaited(sign, making, &mut packed)?,
            };
            share.shrink_to(left);
            serde_json::to_writer(&mut packed, &value)?;
            packed.finish()
        });
        if let Err(error) = written.and_then(|()| pieces.send()) {
            // Where nobody listens any more, nobody has to be told.
            let _unheard = pieces.sender.try_send(Err(error));
        }
        drop(share);
    });
    let body = body(pieces).await?;
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(name) = packing.name() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    Ok(response)
}

/// What is made while signs of it are sent.
fn awaited<T>(
    sign: Duration,
    mut making: Pin<Box<impl Future<Output = Result<T, ApiError>>>>,
    packed: &mut Packed<&mut Pieces>,
) -> io::Result<T> {
    let runtime = Handle::current();
    loop {
        packed.write_all(b"\n")?;
        packed.flush()?;
        let made = async { tokio::time::timeout(sign, &mut making).await };
        if let Ok(made) = runtime.block_on(made) {
            return made.map_err(io::Error::other);
        }
    }
}

/// What comes in pieces; of one that is short, all at once.
async fn body(mut pieces: mpsc::Receiver<Piece>) -> Result<Body, ApiError> {
    let failed = |error| ApiError::Internal(format!("the answer cannot be written: {error}"));
    let gone = || failed(io::ErrorKind::BrokenPipe.into());
    let first = pieces.recv().await.ok_or_else(gone)?.map_err(failed)?;
    let Some(second) = pieces.recv().await else {
        return Ok(Body::from(first));
    };
    let begun = futures_util::stream::iter([Ok(first), second]);
    let rest = futures_util::stream::unfold(pieces, |mut pieces| async move {
        Some((pieces.recv().await?, pieces))
    });
    Ok(Body::from_stream(futures_util::StreamExt::chain(
        begun, rest,
    )))
}

/// Sends what is written, piece by piece, on a thread that may wait.
struct Pieces {
    sender: mpsc::Sender<Piece>,
    runtime: Handle,
    piece: Vec<u8>,
}

impl Pieces {
    fn send(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let sent = self.sender.send(Ok(piece.into()));
        let sent = async { tokio::time::timeout(PATIENCE, sent).await };
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_closed)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_late) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE.saturating_sub(self.piece.len()).min(bytes.len());
        let (fits, _later) = bytes.split_at(room);
        self.piece.extend_from_slice(fits);
        if self.piece.len() >= PIECE {
            self.send()?;
        }
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

#[cfg(test)]
mod tests;
