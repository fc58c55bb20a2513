//! The layout of the schema: made once, brought up to date, and refused where it is not ours.

use longshore_core::{
    Complaint, ErrorKind, JobState, LeaseToken, OnConflict, Severity, Store, UniqueKey,
};
use longshore_postgres::PostgresStore;
use longshore_postgres::sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, raw_sql,
};

use crate::server::{self, Server};
use crate::support::{claim, complete, job, jobs};

const FIRST: &str = include_str!("version_1.sql");

async fn run(server: &Server, sql: String) {
    let mut conn = PgConnection::connect(&server.url()).await.unwrap();
    conn.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap();
}

#[tokio::test]
async fn a_store_of_the_first_version_is_brought_up_to_date() {
    let Some(server) = server::shared() else {
        return;
    };
    let options = server::options(&server.url());
    let schema = server::schema_of(&options);
    let old = FIRST.replace("longshore.", &format!("{schema}."));
    run(
        server,
        old.replace("SCHEMA longshore;", &format!("SCHEMA {schema};")),
    )
    .await;
    let store = PostgresStore::open(options).unwrap();
    let get = async |id: &str| store.get(&id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(get("waits").await.state, JobState::Available);
    assert_eq!(get("waits").await.tenant_id.as_deref(), Some("ann"));
    let over = get("over").await;
    assert_eq!((over.state, over.history.len()), (JobState::Discarded, 2));
    assert_eq!(
        over.history[0].error.as_ref().unwrap().message,
        "no \"luck\""
    );
    let document = store.read_document("d").await.unwrap().unwrap();
    assert_eq!((document.version, &*document.body), (3, &b"body"[..]));
    let mut second = jobs(&store, 1).await.remove(0);
    second.unique_key = Some(UniqueKey::new("key", &second.kind, b"others"));
    let refused = store.enqueue(vec![second.clone()]).await.unwrap().remove(0);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    second.on_conflict = OnConflict::Keep;
    let kept = store
        .enqueue(vec![second])
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    assert_eq!(kept.id().as_str(), "waits");
    let claimed = claim(&store, 10, std::time::Duration::from_secs(9))
        .await
        .unwrap();
    assert_eq!(claimed.len(), 1);
    let stats = store.queue_stats().await.unwrap().remove(0);
    assert_eq!(
        (stats.running, stats.discarded, stats.paused),
        (2, 1, false)
    );
    // What ran before the upgrade ends after it.
    let mut end = complete(claimed.first().unwrap());
    end.job_id = "runs".parse().unwrap();
    end.token = LeaseToken::from_bits(77 << 1);
    store.settle(vec![end]).await.unwrap().remove(0).unwrap();
    let runs = get("runs").await;
    assert_eq!((runs.state, runs.history.len()), (JobState::Completed, 1));
    let retried = store.retry_now(&["over".parse().unwrap()]).await.unwrap();
    assert_eq!(*retried[0].as_ref().unwrap(), JobState::Available);
    let found = store.examine().await.unwrap();
    let about_indexes = |complaint: &Complaint| complaint.message.contains("index");
    assert!(!found.complaints.iter().any(about_indexes), "{found:?}");
}

#[tokio::test]
async fn what_is_newer_or_not_ours_is_refused_and_stays() {
    let Some(server) = server::shared() else {
        return;
    };
    let options = server::options(&server.url());
    drop(PostgresStore::open(options.clone()).unwrap());
    let schema = server::schema_of(&options);
    run(server, format!("UPDATE {schema}.layout SET version = 99")).await;
    let error = PostgresStore::open(options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("newer version"), "{error}");
    let options = server::options(&server.url());
    let schema = server::schema_of(&options);
    run(
        server,
        format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.mine (id int)"),
    )
    .await;
    let error = PostgresStore::open(options).unwrap_err();
    assert!(error.to_string().contains("`mine`"), "{error}");
}

#[tokio::test]
async fn several_make_a_store_at_the_same_time() {
    let Some(server) = server::shared() else {
        return;
    };
    let options = server::options(&server.url());
    std::thread::scope(|scope| {
        let open = |_| scope.spawn(|| PostgresStore::open(options.clone()).map(drop));
        let threads: Vec<_> = (0..6).map(open).collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    });
}

#[tokio::test]
async fn errors_say_what_is_wrong_without_the_password() {
    // Nobody listens there.
    let nobody = longshore_testkit::Port::reserve().unwrap();
    let port = nobody.number();
    let url = format!("postgres://someone:hunter2@127.0.0.1:{port}/app");
    let options = longshore_postgres::PostgresOptions::from_url(&url).unwrap();
    let error = PostgresStore::open(options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains(&format!("127.0.0.1:{port}/app")),
        "{error}"
    );
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let Some(server) = server::shared() else {
        return;
    };
    let url = server
        .url()
        .replace("/postgres", "/absent")
        .replace("//absent", "//postgres");
    let options = longshore_postgres::PostgresOptions::from_url(&url).unwrap();
    let error = PostgresStore::open(options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let store = PostgresStore::open(server::options(&server.url())).unwrap();
    let mut zero = job("zero".parse().unwrap());
    zero.tenant_id = Some("a\0b".to_owned());
    let answers = store
        .enqueue(vec![zero, job("fine".parse().unwrap())])
        .await
        .unwrap();
    assert_eq!(answers[0].as_ref().unwrap_err().kind(), ErrorKind::Invalid);
    assert!(answers[1].is_ok());
}

#[tokio::test]
async fn what_is_wrong_is_named_with_what_mends_it() {
    let Some(server) = server::shared() else {
        return;
    };
    let options = server::options(&server.url());
    let store = PostgresStore::open(options.clone()).unwrap();
    let schema = server::schema_of(&options);
    run(server, format!("DROP INDEX {schema}.job_line")).await;
    let found = store.examine().await.unwrap();
    let about = |what: &str| {
        let found = found
            .complaints
            .iter()
            .find(|complaint| complaint.message.contains(what));
        found.unwrap_or_else(|| panic!("{what}: {found:?}")).clone()
    };
    assert_eq!(about("fsync is off").severity, Severity::Problem);
    assert!(
        about("fsync")
            .remedy
            .contains("-c 'ALTER SYSTEM SET fsync = on'")
    );
    assert_eq!(about("synchronous_commit").severity, Severity::Warning);
    let missing = about("job_line");
    let (_, command) = missing.remedy.split_once(" -c ").unwrap();
    let statements: Vec<String> = command
        .split(" -c ")
        .map(|part| part.trim_matches('\'').replace("'\\''", "'"))
        .collect();
    run(server, statements.join("; ")).await;
    let found = store.examine().await.unwrap();
    assert!(
        !found
            .complaints
            .iter()
            .any(|complaint| complaint.message.contains("job_line"))
    );
}
