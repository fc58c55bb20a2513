//! Connections: how a call gets one, how long it may take, and what all calls know.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use longshore_core::{Clock, Random, StoreError, Timestamp};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection as _, Postgres, Transaction};
use tokio::sync::Mutex;

use crate::claim::mark::Marks;
use crate::error::{about, corrupt, from_postgres, timed_out};
use crate::options::{Pooler, PostgresOptions};
use crate::query::LastCount;
use crate::row::Columns;
use crate::statement::{Statements, commit, end, one};

/// After how much idleness a connection is asked whether it still works before it is used.
const TRUSTED_FOR: Duration = Duration::from_secs(2);
/// How often a call is repeated that PostgreSQL took back since others were in its way.
pub(crate) const REPEATS: u32 = 8;

/// What every call knows.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) sql: Statements,
    pub(crate) random: Arc<dyn Random>,
    /// Where claims begin.
    pub(crate) marks: Marks,
    pub(crate) last_count: LastCount,
    clock: Option<Arc<dyn Clock>>,
    schema: String,
}

impl Context {
    fn new(options: &PostgresOptions) -> Self {
        let persistent = options.pooler == Pooler::None;
        Self {
            sql: Statements::new(&options.schema, persistent, Arc::new(options.server())),
            random: Arc::clone(&options.random),
            marks: Marks::default(),
            last_count: LastCount::default(),
            clock: options.clock.clone(),
            schema: options.schema.clone(),
        }
    }

    /// The time, unless it is the server's.
    pub(crate) fn given(&self) -> Option<i64> {
        self.clock.as_ref().map(|clock| clock.now().unix_nanos())
    }

    /// The store's time.
    pub(crate) async fn now(&self, conn: &mut PgConnection) -> Result<Timestamp, StoreError> {
        if let Some(clock) = &self.clock {
            return Ok(clock.now());
        }
        let row = one(conn, self.sql.query(&self.sql.now)).await?;
        let row = row.ok_or_else(|| corrupt("time", "the server said nothing"))?;
        Columns::from(&row, 0).time()
    }

    /// The number of the lock under which claims with quotas choose.
    pub(crate) fn lock_number(&self) -> i64 {
        lock_number("claims", &self.schema)
    }

    /// The channel on which new jobs are told of.
    pub(crate) fn channel(&self) -> String {
        format!("longshore_{}", self.schema)
    }
}

/// The number of an advisory lock of a schema: FNV-1a of what it is for.
pub(crate) fn lock_number(what: &str, schema: &str) -> i64 {
    let text = format!("longshore {what} {schema}");
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.cast_signed()
}

/// The connections of a store.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) context: Context,
    pub(crate) location: String,
    pub(crate) options: PostgresOptions,
    /// Made by the first call, on whose runtime it lives.
    pool: OnceLock<PgPool>,
    /// Held by the one call that looks whether the server is there.
    looking: Mutex<()>,
}

impl Session {
    pub(crate) fn new(options: PostgresOptions) -> Self {
        Self {
            context: Context::new(&options),
            location: options.location(),
            options,
            pool: OnceLock::new(),
            looking: Mutex::const_new(()),
        }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.pool.get_or_init(|| {
            // One more than was asked for, which listens.
            let listens = u32::from(self.options.pooler == Pooler::None);
            PgPoolOptions::new()
                .max_connections(self.options.connections.saturating_add(listens))
                .acquire_timeout(self.options.timeout)
                // Who waits longer is told so by the call's error; sqlx would say it once more.
                .acquire_slow_threshold(self.options.timeout)
                .test_before_acquire(false)
                .before_acquire(|conn, meta| Box::pin(still_works(conn, meta.idle_for)))
                .connect_lazy_with(self.options.connection())
        })
    }

    /// A connection for a call.
    pub(crate) async fn hold(&self) -> Result<Held, StoreError> {
        let pool = self.pool();
        let request = self.context.sql.request("CONNECT");
        let held = match self.options.pooler {
            Pooler::None => {
                let acquired = self.unless_gone(Box::pin(pool.acquire())).await;
                acquired.map(|conn| Held::Connection(Lent::new(conn)))
            }
            // A statement is prepared and run in two steps, which must meet the same connection.
            Pooler::Transaction => {
                let begun = self.unless_gone(Box::pin(begun(pool))).await;
                begun.map(Held::Transaction)
            }
        };
        if held.is_err() {
            return end(request, held);
        }
        // The statement has waited for its connection.
        request.into_next();
        held.map_err(from_postgres)
    }

    /// What a call waits for, unless no connection can be made: then the pool goes on trying and says
    /// at the end that none was free. A restart is waited for, so that calls get over it.
    async fn unless_gone<T>(
        &self,
        mut held: impl Future<Output = Result<T, sqlx::Error>> + Unpin,
    ) -> Result<T, sqlx::Error> {
        let patience = self.options.timeout / 3;
        if let Ok(held) = tokio::time::timeout(patience, &mut held).await {
            return held;
        }
        // Large, and seldom needed.
        let gone = Box::pin(self.gone(patience));
        tokio::select! {
            biased;
            held = &mut held => held,
            error = gone => Err(error),
        }
    }

    /// Why no connection can be made. It does not end while one can, since then all are in use.
    async fn gone(&self, pause: Duration) -> sqlx::Error {
        loop {
            // However many wait, the server has one connection more to bear.
            let _looking = self.looking.lock().await;
            match PgConnection::connect_with(&self.options.connection()).await {
                Ok(conn) => drop(conn.close().await),
                Err(error) if is_about_the_pool(&error) => {}
                Err(error) => return error,
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Gives up on a call after the time that it may take.
    pub(crate) async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let limit = self.options.timeout;
        match tokio::time::timeout(limit, call).await {
            Ok(done) => done,
            Err(_elapsed) => Err(timed_out(limit.as_secs())),
        }
    }

    /// The error with where it happened, unless the call itself was wrong.
    pub(crate) fn named(&self, error: StoreError) -> StoreError {
        use longshore_core::ErrorKind as K;
        match error.kind() {
            K::Unavailable | K::Corrupt | K::Internal => about(&self.location, &error),
            _ => error,
        }
    }
}

/// Whether there are too many connections: those of the pool may still come free.
fn is_about_the_pool(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(said) if said.code().as_deref() == Some("53300"))
}

/// Whether a connection can be used that was idle for so long.
async fn still_works(conn: &mut PgConnection, idle_for: Duration) -> Result<bool, sqlx::Error> {
    if idle_for > TRUSTED_FOR {
        conn.ping().await?;
    }
    Ok(true)
}

/// A transaction on a connection of its own. It is begun in a task: if nobody waits for it any
/// more, it is ended once it has begun, where sqlx would give back a connection in the middle of it.
async fn begun(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin().await }).await;
    begun.unwrap_or_else(|lost| Err(sqlx::Error::Io(lost.into())))
}

/// A connection of the pool, which is closed unless the call that has it comes to its end: whoever
/// gives up while a transaction begins leaves it open, and what others then did on that connection
/// would be theirs alone, never to be stored.
#[derive(Debug)]
pub(crate) struct Lent {
    conn: PoolConnection<Postgres>,
    is_through: bool,
}

impl Lent {
    const fn new(conn: PoolConnection<Postgres>) -> Self {
        Self {
            conn,
            is_through: false,
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.is_through {
            self.conn.close_on_drop();
        }
    }
}

/// A connection while a call has it.
#[derive(Debug)]
pub(crate) enum Held {
    Connection(Lent),
    Transaction(Transaction<'static, Postgres>),
}

impl Held {
    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        match self {
            Self::Connection(lent) => &mut lent.conn,
            Self::Transaction(transaction) => transaction,
        }
    }

    /// Ends the call.
    pub(crate) async fn release<T>(
        self,
        done: Result<T, StoreError>,
        sql: &Statements,
    ) -> Result<T, StoreError> {
        match (self, done) {
            (Self::Transaction(transaction), Ok(done)) => {
                commit(transaction, sql).await?;
                Ok(done)
            }
            (Self::Connection(mut lent), done) => {
                // One that failed may be broken, of which sqlx would warn as it takes it back.
                lent.is_through = !is_away(&done);
                done
            }
            (Self::Transaction(_), done) => done,
        }
    }
}

/// Whether the server may be gone.
fn is_away<T>(done: &Result<T, StoreError>) -> bool {
    let unavailable = longshore_core::ErrorKind::Unavailable;
    done.as_ref()
        .is_err_and(|error| error.kind() == unavailable)
}

/// Makes a call: on a connection of its own, and again if PostgreSQL took it back, all within the time
/// of a call.
macro_rules! call {
    ($session:expr, $conn:ident => $task:expr) => {{
        let session: &$crate::session::Session = &$session;
        let mut left = $crate::session::REPEATS;
        let done = session.bounded(async {
            loop {
                let attempt = async {
                    let mut held = session.hold().await?;
                    let $conn = held.conn();
                    let done = $task.await;
                    held.release(done, &session.context.sql).await
                };
                match attempt.await {
                    Err(error) if left > 0 && $crate::error::was_taken_back(&error) => left -= 1,
                    done => break done,
                }
            }
        });
        done.await.map_err(|error| session.named(error))
    }};
}

pub(crate) use call;
