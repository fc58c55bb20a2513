//! Clauses D: versioned documents.

use bytes::Bytes;
use longshore_core::{Document, ErrorKind};

use crate::harness::{Harness, assert_refused};

/// D-1: a document is there once it was written, byte for byte, and under its own name alone.
pub async fn a_document_is_read_as_written(h: &Harness) {
    assert_eq!(h.store.read_document("cron/mail").await.unwrap(), None);
    for (version, body) in [b"\0\xff".as_slice(), b"", b"{}"].into_iter().enumerate() {
        let body = Bytes::from_static(body);
        let expected = u64::try_from(version).unwrap();
        let written = h.store.write_document("cron/mail", expected, body.clone());
        let version = written.await.unwrap();
        assert_eq!(version, expected + 1);
        let read = h.store.read_document("cron/mail").await.unwrap();
        assert_eq!(read, Some(Document { version, body }));
    }
    assert_eq!(h.store.read_document("cron").await.unwrap(), None);
}

/// D-2: a write on any version but the current one is a conflict and changes nothing; of writes
/// that run at the same time one wins.
pub async fn a_write_needs_the_current_version(h: &Harness) {
    let write = |expected, body| {
        let body = Bytes::from_static(body);
        h.store.write_document("limits", expected, body)
    };
    assert_refused(write(1, b"too early").await, ErrorKind::Conflict);
    write(0, b"first").await.unwrap();
    assert_refused(write(0, b"again").await, ErrorKind::Conflict);
    assert_refused(write(2, b"too far").await, ErrorKind::Conflict);
    let read = h.store.read_document("limits").await.unwrap().unwrap();
    assert_eq!(read.body, b"first".as_slice());

    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8u8 {
        let store = h.store.clone();
        let body = Bytes::from(vec![writer]);
        writers.spawn(async move { store.write_document("limits", 1, body).await });
    }
    let answers = writers.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let read = h.store.read_document("limits").await.unwrap().unwrap();
    assert_eq!(read.version, 2);
}

/// D-2: a body over the bound is refused.
pub async fn a_document_is_bounded(h: &Harness) {
    let large = Bytes::from(vec![b'x'; Document::MAX_BYTES + 1]);
    let most = large.slice(1..);
    let refused = h.store.write_document("large", 0, large).await;
    assert_refused(refused, ErrorKind::Invalid);
    h.store.write_document("large", 0, most).await.unwrap();
}
