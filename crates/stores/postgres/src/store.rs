//! The store: each method of the contract, as a call on a connection.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use longshore_core::{
    Beat, BeatAnswer, ClaimRequest, Claimed, Document, DocumentEntry, Enqueued, ErrorKind, Job,
    JobFilter, JobId, JobPage, JobState, NewJob, Place, PruneRequest, QueueName, QueueStats,
    Rescued, Settled, Settlement, StopRequest, Store, StoreError, StoreInfo, SystemClock,
    Timestamp,
};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::error::{about, from_postgres, timed_out};
use crate::examination::{self, Examination};
use crate::options::PostgresOptions;
use crate::session::{Session, call};
use crate::statement::one;
use crate::wake::{Messengers, Wake};
use crate::{admin, claim, document, enqueue, heartbeat, listing, migrations, query, settle};

/// The PostgreSQL store. A clone is another handle on the same connections; the last one to go
/// closes them.
///
/// The connections live on the runtime of the first call, and end with it.
#[derive(Clone)]
pub struct PostgresStore {
    shared: Arc<Shared>,
}

struct Shared {
    session: Arc<Session>,
    wake: Arc<Wake>,
    messengers: OnceLock<Messengers>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresStore")
            .field(&self.shared.session.location)
            .finish()
    }
}

impl PostgresStore {
    /// Opens the store, making the schema and bringing it up to date as needed. Blocks for as long
    /// as that takes.
    ///
    /// # Errors
    /// `Invalid` if the server does not let us in, is older than PostgreSQL 14, or has a schema of
    /// that name which is not ours or is newer than this program; `Unavailable` if it cannot be
    /// reached. Nothing of a schema that is refused is changed.
    pub fn open(options: PostgresOptions) -> Result<Self, StoreError> {
        let location = options.location();
        let prepared = options.clone();
        // A thread of its own, since the caller's runtime may not be blocked on.
        let done = std::thread::Builder::new()
            .name("longshore-open".to_owned())
            .spawn(move || prepare(&prepared))
            .map_err(|error| StoreError::new(ErrorKind::Unavailable, error.to_string()))?
            .join();
        let done = done.unwrap_or_else(|_panic| {
            let problem = "opening the store ended in a panic: report this as a bug";
            Err(StoreError::new(ErrorKind::Internal, problem))
        });
        done.map_err(|error| about(&location, &error))?;
        Ok(Self {
            shared: Arc::new(Shared {
                session: Arc::new(Session::new(options)),
                wake: Arc::default(),
                messengers: OnceLock::new(),
            }),
        })
    }

    /// Enqueues jobs within a transaction of the caller's own, on a connection to the store's
    /// database: they are there once the caller commits, and never if it rolls back. Workers are
    /// told of them by its commit.
    ///
    /// ```no_run
    /// # async fn example(pool: sqlx::PgPool, store: longshore_postgres::PostgresStore,
    /// #     job: longshore_core::NewJob) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut transaction = pool.begin().await?;
    /// sqlx::query("INSERT INTO orders (id) VALUES (7)").execute(&mut *transaction).await?;
    /// store.enqueue_in(&mut transaction, vec![job]).await?;
    /// transaction.commit().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Store::enqueue`]; after an error of the whole call the caller must roll back, and so must
    /// whoever drops the call before it is through: sqlx may have ended the transaction by then.
    pub async fn enqueue_in(
        &self,
        transaction: &mut PgConnection,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let session = &self.shared.session;
        let context = &session.context;
        let jobs = enqueue::Checked::new(jobs);
        let enqueue = async {
            let answers = enqueue::enqueue(transaction, context, &jobs).await?;
            let sql = &context.sql;
            let notify = sql.query(&sql.notify).bind(context.channel());
            one(transaction, notify).await?;
            Ok(answers)
        };
        enqueue.await.map_err(|error| session.named(error))
    }

    /// If the schema has no store: which schemas of the database have one, by name, no more than
    /// `most`. Nothing is made.
    ///
    /// # Errors
    /// `Unavailable` if the server cannot be reached; `Invalid` if it refuses the user.
    pub async fn missing(
        options: &PostgresOptions,
        most: u32,
    ) -> Result<Option<Vec<String>>, StoreError> {
        let look = async {
            let conn = options.connection().connect().await;
            let mut conn = conn.map_err(from_postgres)?;
            let missing = migrations::missing(&mut conn, &options.schema, most).await;
            conn.close().await.map_err(from_postgres)?;
            missing
        };
        let missing = match tokio::time::timeout(options.timeout, look).await {
            Ok(missing) => missing,
            Err(_elapsed) => Err(timed_out(options.timeout.as_secs())),
        };
        missing.map_err(|error| about(&options.location(), &error))
    }

    /// Looks at the server, its settings and the schema: what is wrong, and what mends it. Takes
    /// milliseconds.
    ///
    /// # Errors
    /// `Unavailable` if the server cannot be reached.
    pub async fn examine(&self) -> Result<Examination, StoreError> {
        let session = &self.shared.session;
        let (context, options) = (&session.context, &session.options);
        call!(session, conn => examination::examine(conn, context, options))
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.shared.session
    }

    pub(crate) fn tell(&self) {
        self.messengers();
        self.shared.wake.tell();
    }

    fn messengers(&self) {
        let shared = &self.shared;
        let start = || Messengers::start(&shared.session, &shared.wake);
        shared.messengers.get_or_init(start);
    }

    async fn stop(
        &self,
        ids: &[JobId],
        stop: StopRequest,
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        let context = &self.shared.session.context;
        call!(self.shared.session, conn => admin::stop(conn, context, ids, stop))
    }
}

/// Brings the schema up to date, on a runtime of its own.
fn prepare(options: &PostgresOptions) -> Result<(), StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime =
        runtime.map_err(|error| StoreError::new(ErrorKind::Unavailable, error.to_string()))?;
    runtime.block_on(async {
        let prepare = async {
            let mut conn = options
                .connection()
                .connect()
                .await
                .map_err(from_postgres)?;
            migrations::run(&mut conn, &options.schema).await?;
            conn.close().await.map_err(from_postgres)
        };
        match tokio::time::timeout(options.timeout, prepare).await {
            Ok(done) => done,
            Err(_elapsed) => Err(timed_out(options.timeout.as_secs())),
        }
    })
}

#[async_trait]
impl Store for PostgresStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            system: "postgresql",
            location: self.shared.session.location.clone(),
            clock_error: Duration::ZERO,
            keeps_over_for: Duration::ZERO,
        }
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        let context = &self.shared.session.context;
        if let Some(given) = context.given() {
            return Ok(Timestamp::from_unix_nanos(given));
        }
        call!(self.shared.session, conn => context.now(conn))
    }

    async fn mint(&self, places: &[Place]) -> Result<Vec<JobId>, StoreError> {
        use longshore_core::Clock as _;
        let context = &self.shared.session.context;
        // The time in an id means nothing, so that of this machine will do.
        let now = match context.given() {
            Some(given) => Timestamp::from_unix_nanos(given),
            None => SystemClock::new().now(),
        };
        let mint = |_: &Place| JobId::generate(now, &*context.random);
        Ok(places.iter().map(mint).collect())
    }

    async fn enqueue(
        &self,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let context = &self.shared.session.context;
        let jobs = enqueue::Checked::new(jobs);
        let answers = call!(self.shared.session, conn => enqueue::enqueue(conn, context, &jobs))?;
        self.tell();
        Ok(answers)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        let context = &self.shared.session.context;
        call!(self.shared.session, conn => claim::claim(conn, context, request))
    }

    async fn heartbeat(&self, beats: &[Beat]) -> Result<Vec<BeatAnswer>, StoreError> {
        let context = &self.shared.session.context;
        call!(self.shared.session, conn => heartbeat::heartbeat(conn, context, beats))
    }

    async fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> Result<Vec<Result<Settled, StoreError>>, StoreError> {
        let context = &self.shared.session.context;
        let settlements = settle::Checked::new(settlements);
        let settled =
            call!(self.shared.session, conn => settle::settle(conn, context, &settlements))?;
        let waits = |settled: &Settled| settled.state.is_waiting();
        if settled.iter().flatten().any(waits) || settlements.bring_jobs() {
            self.tell();
        }
        Ok(settled)
    }

    async fn promote(&self, _limit: usize) -> Result<usize, StoreError> {
        let context = &self.shared.session.context;
        call!(self.shared.session, conn => admin::promote(conn, context))
    }

    async fn rescue(&self, limit: usize) -> Result<Vec<Rescued>, StoreError> {
        let context = &self.shared.session.context;
        let rescued = call!(self.shared.session, conn => settle::rescue(conn, context, limit))?;
        if !rescued.is_empty() {
            self.tell();
        }
        Ok(rescued)
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let context = &self.shared.session.context;
        call!(self.shared.session, conn => query::get(conn, context, id))
    }

    async fn list(
        &self,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<JobPage, StoreError> {
        let context = &self.shared.session.context;
        let page = (cursor, limit);
        call!(self.shared.session, conn => listing::list(conn, context, filter, page))
    }

    async fn queue_stats(&self) -> Result<Vec<QueueStats>, StoreError> {
        let context = &self.shared.session.context;
        call!(self.shared.session, conn => query::queue_stats(conn, context))
    }

    async fn cancel(&self, ids: &[JobId]) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        self.stop(ids, StopRequest::Cancel).await
    }

    async fn discard(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        self.stop(ids, StopRequest::Discard).await
    }

    async fn retry_now(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        let context = &self.shared.session.context;
        let answers = call!(self.shared.session, conn => admin::retry_now(conn, context, ids))?;
        self.tell();
        Ok(answers)
    }

    async fn pause(&self, queue: &QueueName) -> Result<(), StoreError> {
        let context = &self.shared.session.context;
        call!(self.shared.session, conn => admin::set_paused(conn, context, queue, true))
    }

    async fn resume(&self, queue: &QueueName) -> Result<(), StoreError> {
        let context = &self.shared.session.context;
        call!(self.shared.session, conn => admin::set_paused(conn, context, queue, false))?;
        self.tell();
        Ok(())
    }

    async fn prune(&self, request: &PruneRequest) -> Result<usize, StoreError> {
        let context = &self.shared.session.context;
        call!(self.shared.session, conn => admin::prune(conn, context, request))
    }

    async fn wait(&self, queues: &[QueueName], timeout: Duration) {
        self.messengers();
        let (session, wake) = (&self.shared.session, &self.shared.wake);
        let context = &session.context;
        // Listening starts before looking, so that nothing falls between the two.
        let mut word = pin!(wake.word());
        word.as_mut().enable();
        let look = async {
            let next: Result<_, StoreError> =
                call!(session, conn => query::next_claimable(conn, context, queues));
            next
        };
        let until_due = match tokio::time::timeout(timeout, look).await {
            // There was no time to look.
            Err(_elapsed) => return,
            Ok(Ok((now, Some(due)))) => due.since(now),
            Ok(Ok((_, None)) | Err(_)) => timeout,
        };
        if until_due.is_zero() {
            return;
        }
        let mut most = timeout.min(until_due);
        if !wake.listens() {
            most = most.min(session.options.poll);
        }
        let _silence = tokio::time::timeout(most, word).await;
    }

    async fn read_document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        let context = &self.shared.session.context;
        call!(self.shared.session, conn => document::read(conn, context, name))
    }

    async fn write_document(
        &self,
        name: &str,
        expected: u64,
        body: Bytes,
    ) -> Result<u64, StoreError> {
        let context = &self.shared.session.context;
        let at = (name, expected);
        call!(self.shared.session, conn => document::write(conn, context, at, &body))
    }

    async fn delete_document(&self, name: &str, expected: u64) -> Result<(), StoreError> {
        let context = &self.shared.session.context;
        call!(self.shared.session, conn => document::delete(conn, context, name, expected))
    }

    async fn list_documents(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DocumentEntry>, StoreError> {
        let context = &self.shared.session.context;
        let part = (after, limit);
        call!(self.shared.session, conn => document::list(conn, context, prefix, part))
    }
}
