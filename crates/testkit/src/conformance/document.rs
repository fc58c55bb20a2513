//! Clauses D: versioned documents.

use bytes::Bytes;
use longshore_core::{Document, DocumentEntry, ErrorKind};

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

/// D-3: a delete needs the current version; what is deleted is not there, can be deleted once more,
/// and begins again at version 1.
pub async fn a_deleted_document_is_gone(h: &Harness) {
    let body = Bytes::from_static(b"{}");
    for version in 0..2 {
        let written = h.store.write_document("batches/1", version, body.clone());
        written.await.unwrap();
    }
    h.store
        .write_document("batches/10", 0, body.clone())
        .await
        .unwrap();
    for outdated in [0, 1, 3] {
        let refused = h.store.delete_document("batches/1", outdated).await;
        assert_refused(refused, ErrorKind::Conflict);
    }
    assert!(h.store.read_document("batches/1").await.unwrap().is_some());
    for _ in 0..2 {
        h.store.delete_document("batches/1", 2).await.unwrap();
        assert_eq!(h.store.read_document("batches/1").await.unwrap(), None);
    }
    let other = h.store.read_document("batches/10").await.unwrap();
    assert!(other.is_some());
    let refused = h.store.write_document("batches/1", 2, body.clone()).await;
    assert_refused(refused, ErrorKind::Conflict);
    let again = h.store.write_document("batches/1", 0, body).await.unwrap();
    assert_eq!(again, 1);
}

/// D-4: documents are listed by the beginning of their names, in the order of the names' bytes, in
/// pages that follow each other by the last name; deleted ones are not.
pub async fn documents_are_listed_by_prefix(h: &Harness) {
    let body = Bytes::from_static(b"{}");
    let names = ["a/2", "a/é", "a", "b/1", "a/1", "a/10", "a/%_", "A/1", "a0"];
    for name in names {
        let written = h.store.write_document(name, 0, body.clone()).await;
        assert_eq!(written.unwrap(), 1);
    }
    h.store.write_document("a/2", 1, body).await.unwrap();
    h.store.delete_document("a/10", 1).await.unwrap();
    let entry = |name: &str, version| DocumentEntry {
        name: name.to_owned(),
        version,
    };
    let expected = [
        entry("a/%_", 1),
        entry("a/1", 1),
        entry("a/2", 2),
        entry("a/é", 1),
    ];
    let store = &h.store;
    assert_eq!(
        store.list_documents("a/", None, 100).await.unwrap(),
        expected
    );
    for limit in 1..=4 {
        let mut listed: Vec<DocumentEntry> = Vec::new();
        loop {
            let after = listed.last().map(|last| last.name.clone());
            let page = store
                .list_documents("a/", after.as_deref(), limit)
                .await
                .unwrap();
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        assert_eq!(listed, expected, "{limit} at a time");
    }
    assert_eq!(
        store
            .list_documents("", None, usize::MAX)
            .await
            .unwrap()
            .len(),
        8
    );
    assert_eq!(
        store.list_documents("", Some("b/1"), 100).await.unwrap(),
        []
    );
    assert_eq!(
        store.list_documents("a/", Some("A"), 1).await.unwrap(),
        expected[..1]
    );
    assert_eq!(store.list_documents("a/", None, 0).await.unwrap(), []);
    assert_eq!(store.list_documents("none", None, 100).await.unwrap(), []);
}

/// D-4: no listing has more than its bound, and one that goes on after the last name it gave leaves
/// nothing out.
pub async fn a_listing_of_many_documents_goes_on(h: &Harness) {
    const MORE: usize = 100;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..Document::MAX_LISTED + MORE {
        let store = h.store.clone();
        let body = Bytes::from_static(b"{}");
        let name = format!("many/{number:05}");
        writers.spawn(async move { store.write_document(&name, 0, body).await.unwrap() });
    }
    writers.join_all().await;
    let list = async |after: Option<&str>| {
        let listed = h.store.list_documents("many/", after, usize::MAX).await;
        let listed = listed.unwrap().into_iter();
        listed.map(|entry| entry.name).collect::<Vec<_>>()
    };
    let first = list(None).await;
    assert_eq!(first.len(), Document::MAX_LISTED);
    let rest = list(first.last().map(String::as_str)).await;
    assert_eq!(rest.len(), MORE);
    let all = (0..).map(|number| format!("many/{number:05}"));
    assert!(
        first
            .into_iter()
            .chain(rest)
            .eq(all.take(Document::MAX_LISTED + MORE))
    );
}
