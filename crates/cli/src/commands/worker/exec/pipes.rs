//! The three pipes of a program: nothing it does with them can block or fill the worker.

use bytes::Bytes;
use longshore_core::Job;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::ChildStdin;

/// Most bytes of stderr that are kept.
const TAIL_BYTES: usize = 4096;
/// Most lines of stderr that are kept.
const TAIL_LINES: usize = 20;

/// Writes the args; a program that does not read them to the end has a right to.
pub(super) async fn feed(stdin: Option<ChildStdin>, args: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _not_read = stdin.write_all(args).await;
        let _closed = stdin.shutdown().await;
    }
}

/// The first bytes of a stream; the rest is read and dropped, so that its writer goes on.
#[derive(Debug, Default)]
pub(super) struct Head {
    bytes: Vec<u8>,
    /// All bytes that were read.
    read: u64,
}

impl Head {
    pub(super) async fn read(&mut self, from: Option<impl AsyncRead + Unpin>) {
        each_chunk(from, |chunk| {
            let room = Job::MAX_RESULT_BYTES.saturating_sub(self.bytes.len());
            self.bytes.extend(chunk.iter().take(room));
            self.read += chunk.len() as u64;
        })
        .await;
    }

    /// How many bytes were written, if more than are kept.
    pub(super) fn cut_from(&self) -> Option<u64> {
        (self.read > self.bytes.len() as u64).then_some(self.read)
    }

    /// The result of the job; none if nothing was written.
    pub(super) fn into_result(self) -> Option<Bytes> {
        (!self.bytes.is_empty()).then(|| Bytes::from(self.bytes))
    }
}

/// The last bytes of a stream.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    pub(super) async fn read(&mut self, from: Option<impl AsyncRead + Unpin>) {
        each_chunk(from, |chunk| {
            self.bytes.extend_from_slice(chunk);
            let surplus = self.bytes.len().saturating_sub(TAIL_BYTES);
            self.bytes.drain(..surplus);
        })
        .await;
    }

    /// The last lines, with what is no text replaced.
    pub(super) fn into_text(self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let lines: Vec<&str> = text.trim().lines().collect();
        let first = lines.len().saturating_sub(TAIL_LINES);
        lines.get(first..).unwrap_or_default().join("\n")
    }
}

async fn each_chunk(from: Option<impl AsyncRead + Unpin>, mut take: impl FnMut(&[u8])) {
    let Some(mut from) = from else {
        return;
    };
    let mut chunk = vec![0; 8192];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        take(chunk.get(..read).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_head_stops_at_the_bound_of_a_result() {
        let mut head = Head::default();
        head.read(Some(&*vec![7; Job::MAX_RESULT_BYTES])).await;
        assert_eq!(head.cut_from(), None);
        let read = Job::MAX_RESULT_BYTES as u64 + 200_000;
        head.read(Some(&*vec![7; 200_000])).await;
        assert_eq!(head.cut_from(), Some(read));
        assert_eq!(head.into_result().unwrap().len(), Job::MAX_RESULT_BYTES);
    }

    #[tokio::test]
    async fn the_tail_is_the_last_lines_as_text() {
        let mut tail = Tail::default();
        let lines: Vec<u8> = (0..5000)
            .flat_map(|n| format!("line {n}\n").into_bytes())
            .collect();
        tail.read(Some(&*lines)).await;
        let text = tail.into_text();
        assert_eq!(text.lines().count(), TAIL_LINES);
        assert!(text.ends_with("line 4999"));
    }
}
