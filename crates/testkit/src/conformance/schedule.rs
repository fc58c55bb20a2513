//! Clauses D, as schedules need them: ten thousand lie in 64 documents, which workers and people change
//! at the same time.

use std::collections::BTreeMap;

use longshore_core::schedule::{Directory, Schedule, Scheduled, Shard};
use longshore_core::{ErrorKind, Store, Timestamp};

use crate::harness::Harness;

const SCHEDULES: usize = 10_000;
/// Documents of one page of a listing.
const PAGE: usize = 10;

/// D-1, D-4: ten thousand schedules come back as they were written, and their documents are found by
/// the beginning of their names, page by page, without the one that says which there are.
pub async fn ten_thousand_schedules_come_back(h: &Harness) {
    let mut shards: BTreeMap<u8, Shard> = BTreeMap::new();
    let mut directory = Directory::default();
    for number in 0..SCHEDULES {
        let scheduled = scheduled(&format!("tenant-{number}"), h.now());
        let shard = Shard::of(&scheduled.schedule.name);
        directory.touch(shard);
        put(shards.entry(shard).or_default(), scheduled);
    }
    assert_eq!(shards.len(), usize::from(Shard::COUNT));
    for (number, shard) in &shards {
        let (document, body) = (Shard::document(*number), shard.encode().unwrap());
        let written = h.store.write_document(&document, 0, body.into()).await;
        assert_eq!(written.unwrap(), 1);
    }
    let body = directory.encode().unwrap().into();
    let written = h.store.write_document(Directory::DOCUMENT, 0, body).await;
    written.unwrap();

    let mut listed: Vec<String> = Vec::new();
    loop {
        let after = listed.last().map(String::as_str);
        let page = h.store.list_documents("schedules/", after, PAGE).await;
        let page = page.unwrap();
        assert!(page.len() <= PAGE);
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(|entry| entry.name));
    }
    let expected: Vec<String> = shards.keys().copied().map(Shard::document).collect();
    assert_eq!(listed, expected);
    for (document, shard) in listed.iter().zip(shards.values()) {
        assert_eq!(&read(&*h.store, document).await.0, shard, "{document}");
    }
    let document = h.store.read_document(Directory::DOCUMENT).await.unwrap();
    let read = Directory::decode(&document.unwrap().body).unwrap();
    assert_eq!(read, directory);
}

/// D-2: of many who add a schedule to one document at the same time each gets through by reading
/// again after a conflict, and takes nobody else's out.
pub async fn who_changes_one_document_loses_nobody_elses_change(h: &Harness) {
    const WRITERS: u64 = 8;
    let document = Shard::document(7);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (store, document, now) = (h.store.clone(), document.clone(), h.now());
        writers.spawn(async move {
            loop {
                let (mut shard, version) = read(&*store, &document).await;
                put(&mut shard, scheduled(&format!("writer-{writer}"), now));
                let body = shard.encode().unwrap().into();
                match store.write_document(&document, version, body).await {
                    Ok(_) => return,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
                }
            }
        });
    }
    writers.join_all().await;
    let (shard, version) = read(&*h.store, &document).await;
    assert_eq!(version, WRITERS);
    let names: Vec<&String> = shard.schedules.keys().collect();
    let expected: Vec<String> = (0..WRITERS).map(|one| format!("writer-{one}")).collect();
    assert_eq!(names, expected.iter().collect::<Vec<_>>());
}

fn scheduled(name: &str, now: Timestamp) -> Scheduled {
    let timetable = "30 2 * * MON-FRI".parse().unwrap();
    let (queue, kind) = ("reports".parse().unwrap(), "report".parse().unwrap());
    let schedule = Schedule::new(name.parse().unwrap(), timetable, queue, kind);
    Scheduled::new(schedule, now)
}

fn put(shard: &mut Shard, scheduled: Scheduled) {
    let name = scheduled.schedule.name.to_string();
    shard.schedules.insert(name, scheduled);
}

/// A shard and its version, 0 if it is not there.
async fn read(store: &dyn Store, document: &str) -> (Shard, u64) {
    match store.read_document(document).await.unwrap() {
        Some(document) => (Shard::decode(&document.body).unwrap(), document.version),
        None => (Shard::default(), 0),
    }
}
