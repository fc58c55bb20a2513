//! The statements, written for the schema that the store is in.

use std::sync::Arc;

use longshore_core::StoreError;
use longshore_core::round_trip::{self, Answer, Request, Server, Target};
use sqlx::postgres::{PgArguments, PgConnection, PgQueryResult, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection as _, Encode, Postgres, Transaction, Type};

use crate::error::{answer_of, from_postgres};
use crate::row::COLUMNS;

/// A statement of `sql/`.
#[derive(Debug)]
pub(crate) struct Statement {
    text: Arc<str>,
    /// What it does, for its span.
    operation: &'static str,
    /// To what.
    target: Target,
}

impl Statement {
    fn new(schema: &str, sql: &'static str) -> Self {
        let (operation, target) = gist(sql);
        Self {
            text: written_for(schema, sql),
            operation,
            target,
        }
    }
}

/// What a statement does, and with which table or function: the first that it names after that.
fn gist(sql: &'static str) -> (&'static str, Target) {
    let lines = || {
        sql.lines()
            .filter(|line| !line.trim_start().starts_with("--"))
    };
    let words = || lines().flat_map(|line| line.split([' ', '(', ')', ',']));
    let verb = |word: &&str| ["SELECT", "INSERT", "UPDATE", "DELETE"].contains(word);
    let writes = |word: &&str| *word != "SELECT" && verb(word);
    let is_with = words().find(|word| !word.is_empty()) == Some("WITH");
    let operation = words().find(verb).unwrap_or("SELECT");
    let operation = words()
        .find(writes)
        .filter(|_| is_with)
        .unwrap_or(operation);
    let is_there = |line: &str| {
        line.split([' ', '(', ')', ','])
            .any(|word| word == operation)
    };
    let mut from_there = lines().skip_while(|line| !is_there(line));
    let first = from_there
        .next()
        .and_then(|line| line.split_once(operation));
    let rest = first.map(|(_, rest)| rest).into_iter().chain(from_there);
    let names = rest.flat_map(|line| line.split("longshore.").skip(1));
    let named = names.map(|rest| {
        let is_part = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        rest.split_at(end)
    });
    let target = named
        .filter(|(name, _)| *name != "time_of")
        .map(|(name, rest)| match rest.starts_with('(') {
            true => Target::Procedure(name),
            false => Target::Collection(name),
        });
    (
        operation,
        target.into_iter().next().unwrap_or(Target::Nothing),
    )
}

macro_rules! statements {
    ($($name:ident)+) => {
        /// The text of each statement of `sql/`.
        #[derive(Debug)]
        pub(crate) struct Statements {
            /// Whether the server keeps statements prepared between two calls.
            persistent: bool,
            /// As which storage spans name it.
            pub(crate) server: Arc<Server>,
            $(pub(crate) $name: Statement,)+
        }

        impl Statements {
            /// The statements for this schema of a server.
            pub(crate) fn new(schema: &str, persistent: bool, server: Arc<Server>) -> Self {
                Self {
                    persistent,
                    server,
                    $($name: Statement::new(
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
    hold_ids
    import
    in_order
    insert_document
    indexes
    key_holder
    let_ids_go
    lines
    list
    list_documents
    load
    lock
    lock_claims
    lock_jobs
    lock_over
    newest
    next_due
    notify
    now
    over_of_ids
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
    tell
    tenants
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
pub(crate) struct Bound<'q> {
    query: Query<'q, Postgres, PgArguments>,
    server: Arc<Server>,
    operation: &'static str,
    target: Target,
    /// How many jobs, leases or ids it is about.
    items: usize,
}

impl<'q> Bound<'q> {
    /// Binds the next value.
    pub(crate) fn bind<T>(mut self, value: T) -> Self
    where
        T: 'q + Encode<'q, Postgres> + Type<Postgres>,
    {
        self.query = self.query.bind(value);
        self
    }

    /// It is about so many jobs, leases or ids.
    pub(crate) const fn of(mut self, items: usize) -> Self {
        self.items = items;
        self
    }

    fn send(self) -> (Query<'q, Postgres, PgArguments>, Request) {
        let request = round_trip::begin(&self.server, self.operation, || self.target);
        (self.query, request.of(self.items))
    }
}

impl Statements {
    /// Begins a statement; its values are to be bound in order.
    pub(crate) fn query<'q>(&self, statement: &Statement) -> Bound<'q> {
        let text = AssertSqlSafe(Arc::clone(&statement.text));
        Bound {
            query: sqlx::query(text).persistent(self.persistent),
            server: Arc::clone(&self.server),
            operation: statement.operation,
            target: statement.target.clone(),
            items: 0,
        }
    }

    /// A request that is no statement of `sql/`.
    pub(crate) fn request(&self, operation: &'static str) -> Request {
        round_trip::begin(&self.server, operation, || Target::Nothing)
    }
}

/// Ends a request with its answer.
pub(crate) fn end<T>(request: Request, answer: Result<T, sqlx::Error>) -> Result<T, StoreError> {
    request.end(answer.as_ref().err().map_or(Answer::Good, answer_of));
    answer.map_err(from_postgres)
}

/// Begins a transaction.
pub(crate) async fn begin<'c>(
    conn: &'c mut PgConnection,
    sql: &Statements,
) -> Result<Transaction<'c, Postgres>, StoreError> {
    let request = sql.request("BEGIN");
    end(request, conn.begin().await)
}

/// Ends it.
pub(crate) async fn commit(
    transaction: Transaction<'_, Postgres>,
    sql: &Statements,
) -> Result<(), StoreError> {
    let request = sql.request("COMMIT");
    end(request, transaction.commit().await)
}

/// All rows of a statement.
pub(crate) async fn all(
    conn: &mut PgConnection,
    bound: Bound<'_>,
) -> Result<Vec<PgRow>, StoreError> {
    let (query, request) = bound.send();
    end(request, query.fetch_all(conn).await)
}

/// The one row of a statement, if there is one.
pub(crate) async fn one(
    conn: &mut PgConnection,
    bound: Bound<'_>,
) -> Result<Option<PgRow>, StoreError> {
    let (query, request) = bound.send();
    end(request, query.fetch_optional(conn).await)
}

/// How many rows a statement changed.
pub(crate) async fn run(conn: &mut PgConnection, bound: Bound<'_>) -> Result<u64, StoreError> {
    let (query, request) = bound.send();
    let done: PgQueryResult = end(request, query.execute(conn).await)?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_says_what_it_does_and_with_what() {
        let gist_of = |sql| gist(sql);
        let enqueue = gist_of(include_str!("sql/enqueue.sql"));
        assert_eq!(enqueue, ("SELECT", Target::Procedure("enqueue")));
        let get = gist_of(include_str!("sql/get.sql"));
        assert_eq!(get, ("SELECT", Target::Collection("job")));
        let keys = gist_of(include_str!("sql/take_keys.sql"));
        assert_eq!(keys, ("INSERT", Target::Collection("unique_key")));
        let finish = gist_of(include_str!("sql/finish.sql"));
        assert_eq!(finish, ("DELETE", Target::Collection("job")));
        let prune = gist_of(include_str!("sql/prune.sql"));
        assert_eq!(prune, ("DELETE", Target::Collection("job_over")));
        assert_eq!(
            gist("SELECT pg_notify($1, '')"),
            ("SELECT", Target::Nothing)
        );
    }
}
