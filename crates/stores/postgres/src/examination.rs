//! A look at the server and the schema: what is wrong with them, and the command that mends it.

use longshore_core::{Complaint, Severity, StoreError};
use sqlx::postgres::{PgConnection, PgRow};

use crate::error::corrupt;
use crate::migrations::index_definitions;
use crate::options::{PostgresOptions, grants};
use crate::row::Columns;
use crate::session::Context;
use crate::statement::{all, one};

/// After how many seconds a transaction is in the way of those who clean up.
const OLD_SECONDS: i64 = 300;
/// A `statement_timeout` below this fails what is slow at times and yet in order.
const SHORT_STATEMENT_MS: i64 = 10_000;
/// More dead rows than this, and more than the living, slow claims.
const MANY_DEAD: i64 = 100_000;

/// What [`crate::PostgresStore::examine`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examination {
    /// The version of the server, as it says it.
    pub server_version: String,
    /// Which version of the tables it has.
    pub layout_version: u32,
    /// About how many jobs wait or run.
    pub unfinished: u64,
    /// How many are over.
    pub over: u64,
    /// Bytes of all tables and their indexes.
    pub bytes: u64,
    /// What is wrong, the worst first; empty if all is in order.
    pub complaints: Vec<Complaint>,
}

/// Looks at the server, its settings, and the schema.
pub(crate) async fn examine(
    conn: &mut PgConnection,
    context: &Context,
    options: &PostgresOptions,
) -> Result<Examination, StoreError> {
    let sql = &context.sql;
    let row = one(conn, sql.query(&sql.examine)).await?;
    let row = row.ok_or_else(|| corrupt("layout", "the server said nothing"))?;
    let seen = Seen::read(&row)?;
    let mut complaints = Complaints {
        psql: options.psql(),
        schema: options.schema.clone(),
        found: Vec::new(),
    };
    complaints.settings(&seen);
    complaints.user(&seen);
    complaints.age(&seen);
    let names = |rows: &[PgRow]| -> Result<Vec<String>, StoreError> {
        rows.iter()
            .map(|row| Columns::from(row, 0).value())
            .collect()
    };
    let indexes = names(&all(conn, sql.query(&sql.indexes)).await?)?;
    for (name, definition) in index_definitions(&options.schema) {
        if !indexes.contains(&name) {
            complaints.add(
                Severity::Problem,
                format!("the index {name} is missing or cannot be used, so that every job is slow"),
                &format!(
                    "DROP INDEX IF EXISTS {}.{name}; {definition}",
                    options.schema
                ),
            );
        }
    }
    let closed = names(&all(conn, sql.query(&sql.privileges)).await?)?;
    if !closed.is_empty() {
        let (schema, user) = (&options.schema, &seen.user);
        // Only the owner may.
        complaints.psql = options.psql_as(&seen.owner);
        complaints.add(
            Severity::Problem,
            format!(
                "the user {user} may not read and write {}",
                closed.join(", ")
            ),
            &grants(schema, user).join("; "),
        );
    }
    let count = |number: i64| u64::try_from(number).unwrap_or_default();
    let mut complaints = complaints.found;
    complaints.sort_by_key(|complaint| std::cmp::Reverse(complaint.severity));
    Ok(Examination {
        server_version: seen.version,
        layout_version: u32::try_from(seen.layout).unwrap_or_default(),
        unfinished: count(seen.unfinished),
        over: count(seen.over),
        bytes: count(seen.bytes),
        complaints,
    })
}

/// The row of `examine.sql`.
struct Seen {
    version: String,
    encoding: String,
    layout: i32,
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
    autovacuum: String,
    track_counts: String,
    is_standby: bool,
    oldest_seconds: i64,
    oldest_pid: i32,
    slot: String,
    prepared: String,
    dead: i64,
    unfinished: i64,
    over: i64,
    bytes: i64,
    connections: i64,
    max_connections: i64,
    user: String,
    owner: String,
    read_only: String,
    statement_timeout_ms: i64,
}

impl Seen {
    fn read(row: &PgRow) -> Result<Self, StoreError> {
        let from = &mut Columns::from(row, 0);
        Ok(Self {
            version: from.value()?,
            encoding: from.value()?,
            layout: from.value()?,
            fsync: from.value()?,
            full_page_writes: from.value()?,
            synchronous_commit: from.value()?,
            autovacuum: from.value()?,
            track_counts: from.value()?,
            is_standby: from.value()?,
            oldest_seconds: from.value()?,
            oldest_pid: from.value()?,
            slot: from.value()?,
            prepared: from.value()?,
            dead: from.value()?,
            unfinished: from.value()?,
            over: from.value()?,
            bytes: from.value()?,
            connections: from.value()?,
            max_connections: from.value()?,
            user: from.value()?,
            owner: from.value()?,
            read_only: from.value()?,
            statement_timeout_ms: from.value()?,
        })
    }
}

struct Complaints {
    psql: String,
    schema: String,
    found: Vec<Complaint>,
}

impl Complaints {
    fn add(&mut self, severity: Severity, message: String, statements: &str) {
        let commands = statements.split("; ").map(|statement| {
            let quoted = statement.trim_end_matches(';').replace('\'', "'\\''");
            format!(" -c '{quoted}'")
        });
        let remedy = format!("{}{}", self.psql, commands.collect::<String>());
        self.found.push(Complaint::new(severity, message, remedy));
    }

    fn settings(&mut self, seen: &Seen) {
        use Severity::{Problem, Warning};
        const RELOAD: &str = "SELECT pg_reload_conf()";
        if seen.is_standby {
            let message = "the server is a standby, which can only be read: give the URL of the \
                 primary, or make this one the primary";
            self.add(Problem, message.to_owned(), "SELECT pg_promote()");
        }
        for (name, value) in [
            ("fsync", &seen.fsync),
            ("full_page_writes", &seen.full_page_writes),
        ] {
            if value == "off" {
                self.add(
                    Problem,
                    format!(
                        "{name} is off: when the system or the power fails, the database is lost"
                    ),
                    &format!("ALTER SYSTEM SET {name} = on; {RELOAD}"),
                );
            }
        }
        if seen.synchronous_commit == "off" {
            self.add(
                Warning,
                "synchronous_commit is off: when the server fails, jobs that were acknowledged last \
                 are lost"
                    .to_owned(),
                &format!("ALTER SYSTEM SET synchronous_commit = on; {RELOAD}"),
            );
        }
        for (name, value) in [
            ("autovacuum", &seen.autovacuum),
            ("track_counts", &seen.track_counts),
        ] {
            if value == "off" {
                self.add(
                    Problem,
                    format!("{name} is off: dead rows stay, and claims become slower and slower"),
                    &format!("ALTER SYSTEM SET {name} = on; {RELOAD}"),
                );
            }
        }
        if seen.encoding != "UTF8" {
            self.add(
                Warning,
                format!(
                    "the database has the encoding {}, which lacks most letters: jobs with others \
                     are refused; use a database that has UTF8",
                    seen.encoding
                ),
                "CREATE DATABASE longshore ENCODING 'UTF8' TEMPLATE template0",
            );
        }
        if seen.connections.saturating_mul(10) > seen.max_connections.saturating_mul(9) {
            self.add(
                Warning,
                format!(
                    "{} of {} connections of the server are taken: lower `connections` in the URL, \
                     put a pooler in between, or allow more, which takes a restart",
                    seen.connections, seen.max_connections
                ),
                &format!(
                    "ALTER SYSTEM SET max_connections = {}",
                    seen.max_connections * 2
                ),
            );
        }
    }

    /// What is set for the user, or for all.
    fn user(&mut self, seen: &Seen) {
        use Severity::{Problem, Warning};
        if !seen.is_standby && seen.read_only == "on" {
            let message = format!(
                "default_transaction_read_only is on for {}, so that nothing can be written: it may \
                 be set for the user, the database or the server",
                seen.user
            );
            let user = &seen.user;
            let mend = format!("ALTER ROLE \"{user}\" SET default_transaction_read_only = off");
            self.add(Problem, message, &mend);
        }
        if (1..SHORT_STATEMENT_MS).contains(&seen.statement_timeout_ms) {
            let message = format!(
                "statement_timeout is {} ms for {}: what takes longer fails, as a large batch, a prune \
                 or the first start after an upgrade may",
                seen.statement_timeout_ms, seen.user
            );
            let mend = format!("ALTER ROLE \"{}\" SET statement_timeout = 0", seen.user);
            self.add(Warning, message, &mend);
        }
    }

    /// What keeps dead rows from being cleaned up.
    fn age(&mut self, seen: &Seen) {
        use Severity::Warning;
        if seen.oldest_seconds > OLD_SECONDS {
            self.add(
                Warning,
                format!(
                    "a transaction of process {} has been open for {} minutes, and nothing that \
                     ended since can be cleaned up, so that claims become slower",
                    seen.oldest_pid,
                    seen.oldest_seconds / 60
                ),
                &format!("SELECT pg_terminate_backend({})", seen.oldest_pid),
            );
        }
        if !seen.slot.is_empty() {
            self.add(
                Warning,
                format!(
                    "nobody uses the replication slot {}, and it keeps dead rows and logs from \
                     being cleaned up",
                    seen.slot
                ),
                &format!("SELECT pg_drop_replication_slot('{}')", seen.slot),
            );
        }
        if !seen.prepared.is_empty() {
            self.add(
                Warning,
                format!(
                    "the prepared transaction {} has been open for more than 5 minutes, and keeps \
                     dead rows from being cleaned up",
                    seen.prepared
                ),
                &format!("ROLLBACK PREPARED '{}'", seen.prepared),
            );
        }
        if seen.dead > MANY_DEAD && seen.dead > seen.unfinished.saturating_mul(2) {
            self.add(
                Warning,
                format!("the table of unfinished jobs has {} dead rows", seen.dead),
                &format!("VACUUM (ANALYZE) {}.job", self.schema),
            );
        }
    }
}
