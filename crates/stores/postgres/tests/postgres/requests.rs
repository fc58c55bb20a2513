//! What the store asks the server for is in the traces of the jobs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::round_trip::{self, Answer, Server};
use longshore_core::{
    Clock, Enqueued, JobState, OnConflict, Store, StoreError, SystemClock, UniqueKey,
};
use longshore_postgres::PostgresStore;
use longshore_postgres::sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, raw_sql,
};
use longshore_testkit::faulty_line::{Fault, FaultyLine};
use longshore_testkit::storage::{
    assert_calls, assert_no_connection_shows, assert_tree, assert_trouble_shows, spans_of, waited,
};

use crate::server;
use crate::support::{claim, enqueue, jobs};

#[tokio::test]
async fn each_call_has_its_requests_beneath_it() {
    let Some(server) = server::shared() else {
        return;
    };
    let store: Arc<dyn Store> =
        Arc::new(PostgresStore::open(server::options(&server.url())).unwrap());
    let tree = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres/requests.txt");
    let spans = spans_of(&store).await;
    assert_tree(&spans, Path::new(tree));
    // The first one has waited for its connection.
    assert_eq!(
        waited(&spans).first(),
        Some(&"SELECT document"),
        "{spans:?}"
    );
}

#[tokio::test]
async fn a_broken_connection_is_in_the_trace_of_the_job() {
    let Some(server) = server::shared() else {
        return;
    };
    for fault in [Fault::ResetRequest(0), Fault::ResetAnswer(0)] {
        let line = FaultyLine::to(([127, 0, 0, 1], server.port).into()).unwrap();
        let through = server::options(&server::url(line.address().port()));
        let store = Arc::new(PostgresStore::open(through).unwrap());
        assert_trouble_shows(store, Arc::new(line), fault).await;
    }
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_is_in_the_trace_of_the_job() {
    let Some(server) = server::shared() else {
        return;
    };
    let line = FaultyLine::to(([127, 0, 0, 1], server.port).into()).unwrap();
    let through = server::options(&server::url(line.address().port()));
    let through = through.with_timeout(Duration::from_secs(2));
    let store = Arc::new(PostgresStore::open(through).unwrap());
    assert_no_connection_shows(store, &line, "connection").await;
}

#[tokio::test]
async fn each_call_of_the_contract_says_what_it_asks_for() {
    let Some(server) = server::shared() else {
        return;
    };
    let calls = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres/calls.txt");
    let open = |clock, random| {
        let options = server::options(&server.url()).with_clock(clock);
        PostgresStore::open(options.with_random(random)).unwrap()
    };
    let asked = assert_calls(open, Path::new(calls)).await;
    let named = Server {
        system: "postgresql",
        namespace: Some("postgres".to_owned()),
        address: Some("127.0.0.1".to_owned()),
        port: Some(server.port),
    };
    assert_eq!(*asked, named);
}

#[tokio::test]
async fn a_refusal_of_the_server_is_told_with_its_code() {
    let Some(server) = server::shared() else {
        return;
    };
    let options = server::options(&server.url());
    let drop = format!(
        "DROP TABLE {}.document CASCADE",
        server::schema_of(&options)
    );
    let store = PostgresStore::open(options).unwrap();
    store.read_document("limits").await.unwrap();
    let mut other = PgConnection::connect(&server.url()).await.unwrap();
    other.execute(raw_sql(AssertSqlSafe(drop))).await.unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let read = Box::pin(async {
        store.read_document("limits").await.unwrap_err();
        round_trip::take().list.remove(0)
    });
    let request = round_trip::watch(Some(&clock), read).await;
    assert_eq!(request.answer, Answer::code("42P01"));
}

#[tokio::test]
async fn changes_of_many_jobs_take_as_many_requests_as_of_one() {
    let Some(server) = server::shared() else {
        return;
    };
    let store = PostgresStore::open(server::options(&server.url())).unwrap();
    let counts = [
        requests_of_changes(&store, 2).await,
        requests_of_changes(&store, 200).await,
    ];
    assert_eq!(counts[0], counts[1]);
}

/// Cancels so many jobs, has them run again, and asks those who run them to stop; gives back how many
/// requests that took.
async fn requests_of_changes(store: &PostgresStore, many: usize) -> usize {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let ids = enqueue(store, many).await;
    let changes = Box::pin(async {
        let cancelled = store.cancel(&ids).await.unwrap();
        let again = store.retry_now(&ids).await.unwrap();
        claim(store, many, Duration::from_secs(60)).await.unwrap();
        let asked = store.discard(&ids).await.unwrap();
        (cancelled, again, asked, round_trip::take().count())
    });
    let (cancelled, again, asked, count) = round_trip::watch(Some(&clock), changes).await;
    let all_are = |answers: Vec<Result<JobState, StoreError>>, state| {
        answers.into_iter().all(|answer| answer.unwrap() == state)
    };
    assert!(all_are(cancelled, JobState::Cancelled));
    assert!(all_are(again, JobState::Available));
    assert!(all_are(asked, JobState::Running));
    count
}

#[tokio::test]
async fn jobs_whose_keys_others_have_take_as_many_requests_as_one() {
    let Some(server) = server::shared() else {
        return;
    };
    let store = PostgresStore::open(server::options(&server.url())).unwrap();
    let counts = [
        requests_of_meetings(&store, 3).await,
        requests_of_meetings(&store, 300).await,
    ];
    assert_eq!(counts[0], counts[1]);
}

/// Enqueues so many jobs with keys that others have: a third of them are content with whoever has it,
/// a third want its args to be theirs, and a third are refused. Gives back how many requests that took.
async fn requests_of_meetings(store: &PostgresStore, many: usize) -> usize {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut there = jobs(store, many).await;
    let mut come = jobs(store, many).await;
    for (number, (old, new)) in there.iter_mut().zip(&mut come).enumerate() {
        let key = format!("{many} {number}");
        old.unique_key = Some(UniqueKey::new(key.clone(), &old.kind, b"old"));
        new.unique_key = Some(UniqueKey::new(key, &new.kind, b"new"));
        new.on_conflict = match number % 3 {
            0 => OnConflict::Keep,
            1 => OnConflict::Replace { priority: false },
            _ => OnConflict::Reject,
        };
        new.args = format!("\"new {number}\"").into();
    }
    let ids: Vec<_> = there.iter().map(|job| job.id.clone()).collect();
    store.enqueue(there).await.unwrap();
    let calls = Box::pin(async {
        let answers = store.enqueue(come).await.unwrap();
        (answers, round_trip::take().count())
    });
    let (answers, count) = round_trip::watch(Some(&clock), calls).await;
    for (number, (answer, id)) in answers.into_iter().zip(&ids).enumerate() {
        let there = store.get(id).await.unwrap().unwrap();
        let is_new = there.args == format!("\"new {number}\"").as_bytes();
        assert_eq!(is_new, number % 3 == 1, "{id}");
        match number % 3 {
            0 => assert!(matches!(answer, Ok(Enqueued::Hit { id: hit, .. }) if hit == *id)),
            1 => assert!(matches!(answer, Ok(Enqueued::Replaced { id: old, .. }) if old == *id)),
            _ => assert!(answer.unwrap_err().to_string().contains(id.as_str())),
        }
    }
    count
}
