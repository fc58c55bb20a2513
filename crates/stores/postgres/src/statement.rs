//! The statements, written for the schema that the store is in.

use std::sync::Arc;

use longshore_core::StoreError;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, postgres::PgQueryResult};

use crate::error::from_postgres;
use crate::row::COLUMNS;

macro_rules! statements {
    ($($name:ident)+) => {
        /// The text of each statement of `sql/`.
        #[derive(Debug)]
        pub(crate) struct Statements {
            /// Whether the server keeps statements prepared between two calls.
            persistent: bool,
            $(pub(crate) $name: Arc<str>,)+
        }

        impl Statements {
            /// The statements for this schema.
            pub(crate) fn new(schema: &str, persistent: bool) -> Self {
                Self {
                    persistent,
                    $($name: written_for(
                        schema,
                        include_str!(concat!("sql/", stringify!($name), ".sql")),
                    ),)+
                }
            }
        }
    };
}

statements! {
    claim
    delete_document
    due_of_lines
    enqueue
    examine
    expired
    finish
    fold_tally
    forget_keys
    free_key
    get
    heartbeat
    held_keys
    in_order
    insert_document
    indexes
    key_holder
    lines
    list
    list_documents
    load
    lock
    lock_claims
    newest
    next_due
    notify
    now
    over_of_id
    pause
    paused
    privileges
    prune
    queue_stats
    read_document
    replace_args
    resume
    revive
    set_stop
    settle
    spans
    take_keys
    tally
    tenants
    too_many
    update_document
}

/// A statement with the schema's name for `longshore.`, the columns of a job for `{job}` and the
/// like, and no comments.
pub(crate) fn written_for(schema: &str, sql: &str) -> Arc<str> {
    let columns = |of: &str| {
        let columns = COLUMNS.iter().map(|column| format!("{of}.{column}"));
        columns.collect::<Vec<_>>().join(", ")
    };
    let without_comments = |sql: &str| {
        let lines = sql
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let sql = without_comments(sql);
    let sql = sql.replace(
        "{matches}",
        &without_comments(include_str!("sql/matches.sql")),
    );
    let small = "CASE WHEN octet_length(j.args) <= 1024 THEN j.args ELSE ''::bytea END";
    let sql = sql.replace("{lean}", &columns("j").replace("j.args", small));
    let sql = sql.replace("{job}", &columns("j"));
    let sql = sql.replace("{claimed}", &columns("c"));
    sql.replace("longshore.", &format!("{schema}.")).into()
}

/// A statement with its values.
pub(crate) type Bound<'q> = Query<'q, Postgres, PgArguments>;

impl Statements {
    /// Begins a statement; its values are to be bound in order.
    pub(crate) fn query<'q>(&self, sql: &Arc<str>) -> Bound<'q> {
        sqlx::query(AssertSqlSafe(Arc::clone(sql))).persistent(self.persistent)
    }
}

/// All rows of a statement.
pub(crate) async fn all(
    conn: &mut PgConnection,
    query: Bound<'_>,
) -> Result<Vec<PgRow>, StoreError> {
    query.fetch_all(conn).await.map_err(from_postgres)
}

/// The one row of a statement, if there is one.
pub(crate) async fn one(
    conn: &mut PgConnection,
    query: Bound<'_>,
) -> Result<Option<PgRow>, StoreError> {
    query.fetch_optional(conn).await.map_err(from_postgres)
}

/// How many rows a statement changed.
pub(crate) async fn run(conn: &mut PgConnection, query: Bound<'_>) -> Result<u64, StoreError> {
    let done: PgQueryResult = query.execute(conn).await.map_err(from_postgres)?;
    Ok(done.rows_affected())
}
