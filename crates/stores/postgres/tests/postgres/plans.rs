//! How the statements are carried out where many jobs wait and many more are over.

use std::time::Duration;

use longshore_core::{
    Beat, Enqueued, JobFilter, JobState, OnConflict, Outcome, Priority, PruneRequest, Store,
    UniqueKey,
};
use longshore_postgres::sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _, query, raw_sql,
};
use longshore_postgres::{PostgresOptions, PostgresStore};

use crate::server::{self, Private};
use crate::support::{claim, complete, enqueue, jobs, queue};

const LEASE: Duration = Duration::from_secs(3600);

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn run(conn: &mut PgConnection, sql: String) {
    conn.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap();
}

/// What a statement meets, in a transaction of its own that is taken back: rows of the table of jobs
/// by indexes, and pages of any kind.
async fn met(conn: &mut PgConnection, schema: &str, select: &str) -> (i64, i64) {
    let mut transaction = conn.begin().await.unwrap();
    let select = select.replace("longshore.", &format!("{schema}."));
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {select}");
    let row = query(AssertSqlSafe(explain)).fetch_one(&mut *transaction);
    let plan: String = row.await.unwrap().try_get_unchecked(0).unwrap();
    let pages = |kind: &str| {
        let (_, rest) = plan
            .split_once(&format!("\"Shared {kind} Blocks\": "))
            .unwrap();
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
        digits.unwrap().parse::<i64>().unwrap()
    };
    let rows = format!(
        "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = '{schema}.job'::regclass"
    );
    let row = query(AssertSqlSafe(rows)).fetch_one(&mut *transaction);
    let rows = row.await.unwrap().get(0);
    transaction.rollback().await.unwrap();
    (rows, pages("Hit") + pages("Read"))
}

#[tokio::test]
async fn claims_that_begin_at_a_mark_pass_over_nothing_that_an_old_transaction_keeps() {
    let Some(server) = server::shared() else {
        return;
    };
    let options = server::options(&server.url());
    let schema = server::schema_of(&options);
    let store = PostgresStore::open(options).unwrap();
    let mut old = connect(&server.url()).await;
    run(
        &mut old,
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1".to_owned(),
    )
    .await;
    let mut wide = jobs(&store, 3000).await;
    for job in &mut wide {
        job.args = vec![b' '; 900].into();
    }
    store.enqueue(wide).await.unwrap();
    let mut last = 0;
    for _ in 0..3 {
        let claimed = claim(&store, 1000, LEASE).await.unwrap();
        last = claimed.last().unwrap().job.available_at.unix_nanos();
        let settled = store.settle(claimed.iter().map(complete).collect()).await;
        assert!(settled.unwrap().into_iter().all(|settled| settled.is_ok()));
    }
    let left = enqueue(&store, 20).await;
    let choose = |marks: &str| {
        format!("SELECT longshore.choose(longshore.time_of(NULL), '{{work}}', 10, 0, {marks})")
    };
    let mut conn = connect(&server.url()).await;
    let (_, from_the_beginning) = met(&mut conn, &schema, &choose("NULL, NULL")).await;
    let first = format!("array_fill({}::bigint, '{{4}}')", last + 1);
    let marks = format!("{first}, {first}");
    let (_, from_a_mark) = met(&mut conn, &schema, &choose(&marks)).await;
    assert!(
        from_the_beginning > from_a_mark + 300,
        "{from_the_beginning} and {from_a_mark} pages"
    );
    // Whose jobs lie before the mark is found from the beginning, and the store finds all.
    let claimed = claim(&store, 100, LEASE).await.unwrap();
    let mut claimed: Vec<_> = claimed.into_iter().map(|claimed| claimed.job.id).collect();
    let mut left = left;
    claimed.sort_unstable();
    left.sort_unstable();
    assert_eq!(claimed, left);
}

#[tokio::test]
async fn a_settle_meets_its_own_jobs_alone_whatever_else_runs() {
    let Some(server) = server::shared() else {
        return;
    };
    let options = server::options(&server.url());
    let schema = server::schema_of(&options);
    let store = PostgresStore::open(options).unwrap();
    enqueue(&store, 2000).await;
    let claimed = claim(&store, 1000, LEASE).await.unwrap();
    let _others = claim(&store, 1000, LEASE).await.unwrap();
    let mut conn = connect(&server.url()).await;
    // Statistics by which any plan looks right: hardly any job runs.
    run(&mut conn, format!("ANALYZE {schema}.job")).await;
    let ids: Vec<_> = claimed.iter().take(100).collect();
    let list = |of: fn(&longshore_core::Claimed) -> String| {
        let values: Vec<_> = ids.iter().map(|claimed| of(claimed)).collect();
        values.join(",")
    };
    let names = list(|claimed| claimed.job.id.as_str().to_owned());
    let tokens = list(|claimed| claimed.lease.token.get().to_string());
    let each = |value: &str| format!("array_fill({value}, '{{100}}')");
    let settle = format!(
        "SELECT longshore.settle(NULL, '{{{names}}}', '{{{tokens}}}', {}, {}, {}, {}, {}, {}, {})",
        each("4::smallint"),
        each("NULL::bigint"),
        each("'completed'::text"),
        each("false"),
        each("''::text"),
        each("NULL::text"),
        each("NULL::bytea"),
    );
    let (rows, _) = met(&mut conn, &schema, &settle).await;
    // Each is met a few times: to be held, and to go.
    assert!(rows <= 500, "{rows}");
    let beat = format!(
        "SELECT longshore.heartbeat(NULL, '{{{names}}}', '{{{tokens}}}', {}, {}, {})",
        each("1::bigint"),
        each("NULL::smallint"),
        each("NULL::bytea"),
    );
    let (rows, _) = met(&mut conn, &schema, &beat).await;
    assert!(rows <= 500, "{rows}");
}

#[tokio::test]
async fn a_listing_of_documents_reads_no_others() {
    let Some(server) = server::shared() else {
        return;
    };
    let options = server::options(&server.url());
    let schema = server::schema_of(&options);
    let store = PostgresStore::open(options).unwrap();
    for name in ["a/1", "a/2", "a/3"] {
        store.write_document(name, 0, "{}".into()).await.unwrap();
    }
    let mut conn = connect(&server.url()).await;
    let others = format!(
        "INSERT INTO {schema}.document SELECT 'b/' || n, 1, '' FROM generate_series(1, 50000) AS n;
        ANALYZE {schema}.document;"
    );
    run(&mut conn, others).await;
    // As a connection does that has asked often.
    let sql = include_str!("../../src/sql/list_documents.sql").replace("longshore", &schema);
    let prepare = format!(
        "SET plan_cache_mode = force_generic_plan; PREPARE listing (text, text, bigint) AS {sql}"
    );
    run(&mut conn, prepare).await;
    let (_, pages) = met(&mut conn, &schema, "EXECUTE listing ('a/', 'a/1', 10)").await;
    assert!(pages < 20, "{pages} pages");
    let listed = store.list_documents("a/", Some("a/1"), 10).await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|entry| entry.name).collect();
    assert_eq!(listed, ["a/2", "a/3"]);
}

/// Writes the plan of every statement to the server's log.
const EXPLAINS: &str = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off \
    -c session_preload_libraries=auto_explain -c auto_explain.log_min_duration=0 \
    -c auto_explain.log_nested_statements=on -c log_line_prefix=@";

/// Jobs as a store has them after years: many are over, many wait.
const MANY: &str = "
    INSERT INTO longshore.job (
        enqueued_at, available_at, max_attempts, priority, state, id, queue, kind, args
    ) SELECT n, n, 20, 1 + n % 4, 2, 'w' || n, 'q' || n % 5, 'count', '{}'
    FROM generate_series(1, 50000) AS n;
    INSERT INTO longshore.job_over (
        seq, enqueued_at, available_at, finished_at, max_attempts, priority, state, id, queue, kind,
        args, attempt, claim
    ) SELECT 100000 + n, n, n, n, 20, 2, CASE WHEN n % 1000 = 0 THEN 6 ELSE 4 END, 'o' || n,
        'q' || n % 5, 'count', '{}', 1, 1
    FROM generate_series(1, 200000) AS n;
    INSERT INTO longshore.tally (queue, state, jobs) VALUES ('q1', 4, 200000);
    SELECT setval('longshore.job_seq_seq', 400000);
    ANALYZE longshore.job; ANALYZE longshore.job_over;";

async fn everything(store: &PostgresStore) {
    enqueue(store, 50).await;
    let mut keyed = jobs(store, 2).await;
    for job in &mut keyed {
        job.unique_key = Some(UniqueKey::new("key", &job.kind, b""));
        job.priority = Priority::FIRST;
    }
    store.enqueue(keyed.clone()).await.unwrap();
    store.enqueue(keyed).await.unwrap();
    let mut replacing = jobs(store, 1).await;
    for job in &mut replacing {
        job.unique_key = Some(UniqueKey::new("key", &job.kind, b"other"));
        job.on_conflict = OnConflict::Replace { priority: false };
    }
    let replaced = store.enqueue(replacing).await.unwrap().remove(0);
    assert!(
        matches!(replaced, Ok(Enqueued::Replaced { .. })),
        "{replaced:?}"
    );
    let claimed = claim(store, 40, LEASE).await.unwrap();
    let beat = |claimed: &longshore_core::Claimed| Beat {
        job_id: claimed.job.id.clone(),
        token: claimed.lease.token,
        extend_by: LEASE,
        progress: None,
        checkpoint: None,
    };
    let beats: Vec<_> = claimed.iter().map(beat).collect();
    store.heartbeat(&beats).await.unwrap();
    let mut ends: Vec<_> = claimed.iter().map(complete).collect();
    ends.first_mut().unwrap().outcome = Outcome::HandBack;
    store.settle(ends).await.unwrap();
    store.rescue(10).await.unwrap();
    store.promote(10).await.unwrap();
    let ids = ["w77", "o77", "o1000", "absent"].map(|id| id.parse().unwrap());
    for id in &ids {
        store.get(id).await.unwrap();
    }
    store.retry_now(&ids).await.unwrap();
    store.cancel(&ids).await.unwrap();
    let request = PruneRequest {
        keep_newest: Some(100_000),
        ..PruneRequest::before(store.now().await.unwrap(), 50)
    };
    store.prune(&request).await.unwrap();
    store
        .wait(&[queue(), "q1".parse().unwrap()], Duration::ZERO)
        .await;
    store.queue_stats().await.unwrap();
    lists(store).await;
}

async fn lists(store: &PostgresStore) {
    let all = JobFilter::default();
    let of = |states: &[JobState]| JobFilter {
        states: states.to_vec(),
        ..JobFilter::default()
    };
    let filters = [
        all.clone(),
        of(&[JobState::Discarded]),
        of(&[JobState::Available]),
        of(&[JobState::Running]),
        of(&[JobState::Completed]),
        JobFilter {
            queue: Some("q3".parse().unwrap()),
            ..all.clone()
        },
        JobFilter {
            tag: Some("t".to_owned()),
            ..all.clone()
        },
        JobFilter {
            correlation_id: Some("c".to_owned()),
            ..of(&[JobState::Discarded])
        },
    ];
    for filter in filters {
        let mut cursor = None;
        for _ in 0..3 {
            let page = store.list(&filter, cursor.as_deref(), 50).await.unwrap();
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn no_statement_but_the_count_of_what_waits_reads_a_whole_table() {
    let Some(private) = Private::start(EXPLAINS) else {
        return;
    };
    let options = PostgresOptions::from_url(&private.url()).unwrap();
    let store = PostgresStore::open(options.clone()).unwrap();
    // On connections that made their plans when the tables were empty, and on new ones.
    everything(&store).await;
    run(&mut connect(&private.url()).await, MANY.to_owned()).await;
    let begins = private.log().len();
    everything(&store).await;
    everything(&PostgresStore::open(options).unwrap()).await;
    let log = private.log();
    let plans: Vec<&str> = log[begins..].split("\n@").collect();
    assert!(
        plans
            .iter()
            .any(|plan| plan.contains("Index Scan using job_waiting"))
    );
    let whole = plans.into_iter().filter(|plan| {
        plan.contains("Seq Scan on job") && !plan.contains("min(available_at) FILTER")
    });
    let whole: Vec<&str> = whole.collect();
    assert!(whole.is_empty(), "{}", whole.join("\n\n"));
}
