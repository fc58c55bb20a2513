//! What a call meets that another one does at the same time: each waits where the other one decides.

use std::time::Duration;

use longshore_core::{ErrorKind, Import as _, Imported, JobState, Outcome, PruneRequest, Store};
use longshore_postgres::PostgresStore;
use longshore_postgres::sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _, query, raw_sql,
};

use crate::server;
use crate::support::{claim, complete, enqueue, jobs};

const LEASE: Duration = Duration::from_secs(60);

/// A session beside those of the store, in the store's schema.
struct Beside {
    conn: PgConnection,
    watch: PgConnection,
    schema: String,
}

impl Beside {
    async fn of(store: &PostgresStore, url: &str) -> Self {
        let location = store.info().location;
        Self {
            conn: PgConnection::connect(url).await.unwrap(),
            watch: PgConnection::connect(url).await.unwrap(),
            schema: location.rsplit(' ').next().unwrap().to_owned(),
        }
    }

    async fn run(&mut self, sql: &str) {
        let sql = sql.replace("longshore.", &format!("{}.", self.schema));
        self.conn
            .execute(raw_sql(AssertSqlSafe(sql)))
            .await
            .unwrap();
    }

    /// How many statements of others wait, for this session or for one that waits for it.
    async fn waiting(&mut self) -> i64 {
        let sql = "SELECT count(DISTINCT l.pid) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) \
                   WHERE NOT l.granted AND a.query LIKE $1";
        let row = query(sql)
            .bind(format!("%{}.%", self.schema))
            .fetch_one(&mut self.watch);
        row.await.unwrap().get(0)
    }

    /// Resolves when a statement of the store waits for a lock.
    async fn until_one_waits(&mut self) {
        while self.waiting().await == 0 {}
    }

    async fn rows_of(&mut self, id: &str) -> i64 {
        let sql = "SELECT (SELECT count(*) FROM longshore.job WHERE id = $1) \
                   + (SELECT count(*) FROM longshore.job_over WHERE id = $1)";
        let sql = sql.replace("longshore.", &format!("{}.", self.schema));
        let row = query(AssertSqlSafe(sql)).bind(id).fetch_one(&mut self.conn);
        row.await.unwrap().get(0)
    }
}

#[tokio::test]
async fn two_who_prune_at_once_leave_as_many_as_each_was_to_leave() {
    let Some(server) = server::shared() else {
        return;
    };
    let store = PostgresStore::open(server::options(&server.url())).unwrap();
    enqueue(&store, 10).await;
    let claimed = claim(&store, 10, LEASE).await.unwrap();
    store
        .settle(claimed.iter().map(complete).collect())
        .await
        .unwrap();
    let mut other = Beside::of(&store, &server.url()).await;
    other
        .run("BEGIN; LOCK TABLE longshore.job_over IN ACCESS EXCLUSIVE MODE")
        .await;
    let request = PruneRequest {
        before: None,
        keep_newest: Some(6),
        ..PruneRequest::before(store.now().await.unwrap(), 100)
    };
    let pruning = {
        let store = store.clone();
        tokio::spawn(async move { store.prune(&request).await.unwrap() })
    };
    other.until_one_waits().await;
    // The other one prunes as well, and is first.
    other
        .run(
            "WITH gone AS (
                DELETE FROM longshore.job_over WHERE seq IN (
                    SELECT seq FROM longshore.job_over ORDER BY finished_at, seq LIMIT 4
                ) RETURNING queue, state
            ) INSERT INTO longshore.tally (queue, state, jobs)
            SELECT queue, state, -count(*) FROM gone GROUP BY queue, state; COMMIT",
        )
        .await;
    assert_eq!(pruning.await.unwrap(), 0);
    let stats = store.queue_stats().await.unwrap().remove(0);
    assert_eq!(stats.completed, 6);
}

#[tokio::test]
async fn a_job_that_is_brought_while_another_with_its_id_comes_is_there_once() {
    let Some(server) = server::shared() else {
        return;
    };
    let store = PostgresStore::open(server::options(&server.url())).unwrap();
    for state in [JobState::Completed, JobState::Available] {
        let new = jobs(&store, 1).await;
        let id = new[0].id.clone();
        let source = PostgresStore::open(server::options(&server.url())).unwrap();
        source.enqueue(new.clone()).await.unwrap();
        if state == JobState::Completed {
            let claimed = claim(&source, 1, LEASE).await.unwrap();
            source.settle(vec![complete(&claimed[0])]).await.unwrap();
        }
        let brought = source.get(&id).await.unwrap().unwrap();
        assert_eq!(brought.state, state);
        let mut other = Beside::of(&store, &server.url()).await;
        other.run("BEGIN").await;
        store.enqueue_in(&mut other.conn, new).await.unwrap();
        let importing = {
            let store = store.clone();
            tokio::spawn(async move { store.import(vec![brought]).await.unwrap().remove(0) })
        };
        // It comes to its end at once if it does not wait.
        while !importing.is_finished() && other.waiting().await == 0 {}
        other.run("COMMIT").await;
        assert_eq!(
            importing.await.unwrap().unwrap(),
            Imported::Present,
            "{state:?}"
        );
        assert_eq!(other.rows_of(id.as_str()).await, 1, "{state:?}");
    }
}

#[tokio::test]
async fn a_job_that_comes_while_one_with_its_id_is_brought_is_there_once() {
    let Some(server) = server::shared() else {
        return;
    };
    let store = PostgresStore::open(server::options(&server.url())).unwrap();
    let new = jobs(&store, 1).await;
    let id = new[0].id.clone();
    let source = PostgresStore::open(server::options(&server.url())).unwrap();
    source.enqueue(new.clone()).await.unwrap();
    let claimed = claim(&source, 1, LEASE).await.unwrap();
    source.settle(vec![complete(&claimed[0])]).await.unwrap();
    let brought = source.get(&id).await.unwrap().unwrap();
    let mut other = Beside::of(&store, &server.url()).await;
    // The import is held up where it counts what it has stored.
    other
        .run("BEGIN; LOCK TABLE longshore.tally IN ACCESS EXCLUSIVE MODE")
        .await;
    let importing = {
        let store = store.clone();
        tokio::spawn(async move { store.import(vec![brought]).await.unwrap().remove(0) })
    };
    other.until_one_waits().await;
    let enqueuing = {
        let store = store.clone();
        tokio::spawn(async move { store.enqueue(new).await.unwrap().remove(0) })
    };
    while !enqueuing.is_finished() && other.waiting().await < 2 {}
    other.run("COMMIT").await;
    assert_eq!(importing.await.unwrap().unwrap(), Imported::Stored);
    assert!(matches!(
        enqueuing.await.unwrap(),
        Ok(longshore_core::Enqueued::Hit { .. })
    ));
    assert_eq!(other.rows_of(id.as_str()).await, 1);
}

#[tokio::test]
async fn who_stops_jobs_locks_them_in_the_order_of_heartbeats() {
    let Some(server) = server::shared() else {
        return;
    };
    let store = PostgresStore::open(server::options(&server.url())).unwrap();
    let mut ids = enqueue(&store, 2).await;
    ids.sort_unstable();
    claim(&store, 2, LEASE).await.unwrap();
    let mut other = Beside::of(&store, &server.url()).await;
    let lock = |id: &str| format!("SELECT FROM longshore.job WHERE id = '{id}' FOR UPDATE");
    other
        .run(&format!("BEGIN; {}", lock(ids[0].as_str())))
        .await;
    let stopping = {
        let (store, ids) = (store.clone(), vec![ids[1].clone(), ids[0].clone()]);
        tokio::spawn(async move { store.cancel(&ids).await.unwrap() })
    };
    other.until_one_waits().await;
    // As a heartbeat for both goes on: it must not wait for whoever waits for it.
    other
        .run(&format!("{} NOWAIT; COMMIT", lock(ids[1].as_str())))
        .await;
    for answer in stopping.await.unwrap() {
        assert_eq!(answer.unwrap(), JobState::Running);
    }
}

#[tokio::test]
async fn jobs_that_are_over_and_that_wait_again_are_locked_in_one_order() {
    let Some(server) = server::shared() else {
        return;
    };
    let store = PostgresStore::open(server::options(&server.url())).unwrap();
    enqueue(&store, 2).await;
    let mut claimed = claim(&store, 2, LEASE).await.unwrap();
    claimed.sort_unstable_by(|a, b| a.job.id.cmp(&b.job.id));
    let mut other = Beside::of(&store, &server.url()).await;
    let lock = |at: usize| {
        let id = claimed[at].job.id.as_str();
        format!("SELECT FROM longshore.job WHERE id = '{id}' FOR UPDATE")
    };
    other.run(&format!("BEGIN; {}", lock(0))).await;
    let mut ends: Vec<_> = claimed.iter().map(complete).collect();
    ends[0].outcome = Outcome::HandBack;
    let settling = {
        let store = store.clone();
        tokio::spawn(async move { store.settle(ends).await.unwrap() })
    };
    other.until_one_waits().await;
    // The one that is over must not be held by whoever waits for the other.
    other.run(&format!("{} NOWAIT; COMMIT", lock(1))).await;
    let states = settling.await.unwrap().into_iter();
    let states: Vec<_> = states.map(|settled| settled.unwrap().state).collect();
    assert_eq!(states, [JobState::Available, JobState::Completed]);
}

#[tokio::test]
async fn a_call_that_is_taken_back_again_and_again_ends_in_its_time() {
    let Some(server) = server::shared() else {
        return;
    };
    let options = server::options(&server.url()).with_timeout(Duration::from_secs(1));
    let store = PostgresStore::open(options).unwrap();
    let mut other = Beside::of(&store, &server.url()).await;
    other
        .run(
            "CREATE FUNCTION longshore.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM pg_sleep(0.4);
                RAISE EXCEPTION 'others did the same' USING ERRCODE = '40001';
            END $$;
            CREATE TRIGGER refuses BEFORE INSERT ON longshore.document
            FOR EACH ROW EXECUTE FUNCTION longshore.refuse()",
        )
        .await;
    let refused = store.write_document("d", 0, "{}".into()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let said = refused.to_string();
    assert!(said.contains("did not answer within 1 s"), "{said}");
}
