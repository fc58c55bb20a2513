//! The layout of the schema and its versions.

use longshore_core::{ErrorKind, StoreError};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};

use crate::error::from_postgres;
use crate::session::lock_number;
use crate::statement::written_for;

/// What leads from each version to the next; the first makes version 1. Never change one.
const MIGRATIONS: [&str; 4] = [
    include_str!("migrations/0001_jobs.sql"),
    include_str!("migrations/0002_marks.sql"),
    include_str!("migrations/0003_settle.sql"),
    include_str!("migrations/0004_order.sql"),
];

/// The oldest server that is supported, as `server_version_num` says it.
const OLDEST_SERVER: i32 = 140_000;

/// The version of the layout that this program makes.
pub(crate) const NEWEST: usize = MIGRATIONS.len();

/// Brings the schema to the newest version, in one transaction; another process that does the
/// same at the same time waits and then finds nothing left to do. Nothing of a schema that is
/// refused changes.
pub(crate) async fn run(conn: &mut PgConnection, schema: &str) -> Result<(), StoreError> {
    // A pooler may give each statement another connection, unless they are of one transaction.
    let mut transaction = conn.begin().await.map_err(from_postgres)?;
    check_server(&mut transaction).await?;
    if version(&mut transaction, schema).await? == NEWEST {
        return transaction.commit().await.map_err(from_postgres);
    }
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .persistent(false)
        .bind(lock_number("layout", schema))
        .execute(&mut *transaction)
        .await
        .map_err(from_postgres)?;
    let found = version(&mut transaction, schema).await?;
    if found == 0 {
        run_text(
            &mut transaction,
            format!("CREATE SCHEMA IF NOT EXISTS {schema}"),
        )
        .await?;
        refuse_strangers(&mut transaction, schema).await?;
    }
    for migration in MIGRATIONS.iter().skip(found) {
        let text = written_for(schema, migration);
        run_text(&mut transaction, text.to_string()).await?;
    }
    if found < NEWEST {
        let text =
            format!("DELETE FROM {schema}.layout; INSERT INTO {schema}.layout VALUES ({NEWEST})");
        run_text(&mut transaction, text).await?;
    }
    transaction.commit().await.map_err(from_postgres)
}

async fn run_text(conn: &mut PgConnection, text: String) -> Result<(), StoreError> {
    let sql = sqlx::raw_sql(AssertSqlSafe(text));
    conn.execute(sql).await.map(drop).map_err(from_postgres)
}

async fn check_server(conn: &mut PgConnection) -> Result<(), StoreError> {
    let version: i32 = sqlx::query("SELECT current_setting('server_version_num')::int")
        .persistent(false)
        .fetch_one(conn)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(from_postgres)?;
    if version < OLDEST_SERVER {
        return Err(StoreError::new(
            ErrorKind::Invalid,
            format!(
                "the server is PostgreSQL {}, and a store needs 14 or later: upgrade it",
                version / 10_000
            ),
        ));
    }
    Ok(())
}

/// Which schemas have a store, by name, if this one has none.
pub(crate) async fn missing(
    conn: &mut PgConnection,
    schema: &str,
    most: u32,
) -> Result<Option<Vec<String>>, StoreError> {
    // For a pooler, as above.
    let mut transaction = conn.begin().await.map_err(from_postgres)?;
    let rows = sqlx::query(
        "SELECT n.nspname::text FROM pg_namespace AS n \
         JOIN pg_class AS layout ON layout.relnamespace = n.oid AND layout.relname = 'layout' \
         JOIN pg_class AS over ON over.relnamespace = n.oid AND over.relname = 'job_over' \
         ORDER BY n.nspname <> $1, n.nspname LIMIT $2",
    )
    .persistent(false)
    .bind(schema)
    .bind(i64::from(most))
    .fetch_all(&mut *transaction)
    .await
    .map_err(from_postgres)?;
    transaction.commit().await.map_err(from_postgres)?;
    let mut names = Vec::new();
    for row in &rows {
        let name: String = row.try_get(0).map_err(from_postgres)?;
        if name == schema {
            return Ok(None);
        }
        names.push(name);
    }
    Ok(Some(names))
}

/// The version of the layout; 0 if there is none.
async fn version(conn: &mut PgConnection, schema: &str) -> Result<usize, StoreError> {
    // Read from the catalogue itself: what is remembered of it may be older than the lock.
    let is_there: bool = sqlx::query(
        "SELECT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = 'layout')",
    )
    .persistent(false)
    .bind(schema)
    .fetch_one(&mut *conn)
    .await
    .and_then(|row| row.try_get(0))
    .map_err(from_postgres)?;
    if !is_there {
        return Ok(0);
    }
    let text = format!("SELECT max(version) FROM {schema}.layout");
    let found: Option<i32> = sqlx::query(AssertSqlSafe(text))
        .persistent(false)
        .fetch_one(conn)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(from_postgres)?;
    let found = usize::try_from(found.unwrap_or(0)).unwrap_or(0);
    if found > NEWEST {
        return Err(StoreError::new(
            ErrorKind::Invalid,
            format!(
                "the schema {schema} has layout version {found}, and this program knows up to \
                 {NEWEST}: run a newer version of Longshore"
            ),
        ));
    }
    Ok(found)
}

/// Refuses a schema in which others have tables.
async fn refuse_strangers(conn: &mut PgConnection, schema: &str) -> Result<(), StoreError> {
    let table: Option<String> = sqlx::query(
        "SELECT relname::text FROM pg_class \
         WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND relkind IN ('r', 'p', 'v', 'm') LIMIT 1",
    )
    .persistent(false)
    .bind(schema)
    .fetch_optional(conn)
    .await
    .and_then(|row| row.map(|row| row.try_get(0)).transpose())
    .map_err(from_postgres)?;
    match table {
        None => Ok(()),
        Some(table) => Err(StoreError::new(
            ErrorKind::Invalid,
            format!(
                "the schema {schema} has a table `{table}` that is not Longshore's: give the name \
                 of another schema by `?schema=NAME`, and it will be made"
            ),
        )),
    }
}

/// The name of each index that is made by a statement of its own, and that statement.
pub(crate) fn index_definitions(schema: &str) -> Vec<(String, String)> {
    let texts = MIGRATIONS.iter().map(|text| written_for(schema, text));
    let mut found = Vec::new();
    for text in texts {
        let statements = text.split(';').map(|statement| {
            let words = statement.split_whitespace();
            words.collect::<Vec<_>>().join(" ")
        });
        for statement in statements {
            let rest = statement.strip_prefix("CREATE INDEX ");
            let rest = rest.or_else(|| statement.strip_prefix("CREATE UNIQUE INDEX "));
            let name = rest.and_then(|rest| rest.split(' ').next());
            if let Some(name) = name.map(str::to_owned) {
                found.push((name, statement));
            }
        }
    }
    found
}
