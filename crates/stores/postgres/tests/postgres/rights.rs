//! What a user sees who may do too little, and that the command which is named mends it.

use longshore_core::{ErrorKind, Severity, Store};
use longshore_postgres::sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, raw_sql,
};
use longshore_postgres::{PostgresOptions, PostgresStore};

use crate::server::{self, Server};
use crate::support::{claim, enqueue};

async fn run(server: &Server, sql: &str) {
    let mut conn = PgConnection::connect(&server.url()).await.unwrap();
    let sql = AssertSqlSafe(sql.to_owned());
    conn.execute(raw_sql(sql)).await.unwrap();
}

/// A new user and the options by which it opens that schema.
async fn user(server: &Server, owner: &PostgresOptions) -> (String, PostgresOptions) {
    let schema = server::schema_of(owner);
    let name = format!("user_{schema}");
    run(server, &format!("CREATE ROLE {name} LOGIN")).await;
    let url = server.url().replace("//postgres@", &format!("//{name}@"));
    let options = PostgresOptions::from_url(&url).unwrap();
    (name, options.with_schema(&schema).unwrap())
}

/// The statements of a `psql` command, which has to be run as the owner.
fn statements(command: &str) -> String {
    assert!(command.contains(" -U postgres "), "{command}");
    let (_, statements) = command.split_once(" -c ").unwrap();
    let statements = statements.split(" -c ").map(|part| part.trim_matches('\''));
    statements.collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn who_may_not_make_a_schema_is_told_what_to_grant() {
    let Some(server) = server::shared() else {
        return;
    };
    let (name, options) = user(server, &server::options(&server.url())).await;
    let error = PostgresStore::open(options.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let remedy = options.remedy(&error.to_string());
    assert!(
        remedy.ends_with(&format!(
            "'GRANT CREATE ON DATABASE postgres TO \"{name}\"'"
        )),
        "{remedy}"
    );
    run(server, &statements(&remedy)).await;
    let store = PostgresStore::open(options).unwrap();
    enqueue(&store, 1).await;
}

#[tokio::test]
async fn who_may_not_use_a_schema_is_told_what_to_grant() {
    let Some(server) = server::shared() else {
        return;
    };
    let owner = server::options(&server.url());
    drop(PostgresStore::open(owner.clone()).unwrap());
    let (name, options) = user(server, &owner).await;
    let error = PostgresStore::open(options.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("longshore doctor"), "{error}");

    // Half of it: what can be opened is looked at.
    let schema = server::schema_of(&owner);
    let half = format!(
        "GRANT USAGE ON SCHEMA {schema} TO {name}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {name}"
    );
    run(server, &half).await;
    let store = PostgresStore::open(options.clone()).unwrap();
    let found = store.examine().await.unwrap().complaints;
    let about = found
        .iter()
        .find(|found| found.message.contains("may not read and write"));
    let of_doctor = statements(&about.unwrap().remedy);

    let remedy = statements(&options.remedy(&error.to_string()));
    assert_eq!(remedy, of_doctor);
    run(server, &remedy).await;
    enqueue(&store, 1).await;
    let lease = std::time::Duration::from_secs(60);
    assert_eq!(claim(&store, 1, lease).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_set_for_the_user_and_in_the_way_is_named() {
    let Some(server) = server::shared() else {
        return;
    };
    let owner = server::options(&server.url());
    let (name, options) = user(server, &owner).await;
    run(
        server,
        &format!("GRANT CREATE ON DATABASE postgres TO {name}"),
    )
    .await;
    drop(PostgresStore::open(options.clone()).unwrap());
    let set = format!(
        "ALTER ROLE {name} SET default_transaction_read_only = on; \
         ALTER ROLE {name} SET statement_timeout = '9s'"
    );
    run(server, &set).await;
    let store = PostgresStore::open(options).unwrap();
    let found = store.examine().await.unwrap().complaints;
    let about = |what: &str| {
        let found = found.iter().find(|found| found.message.contains(what));
        found.unwrap_or_else(|| panic!("{what}: {found:?}")).clone()
    };
    let read_only = about("default_transaction_read_only is on");
    assert_eq!(read_only.severity, Severity::Problem);
    let mend = format!("ALTER ROLE \"{name}\" SET default_transaction_read_only = off");
    assert!(read_only.remedy.contains(&mend), "{}", read_only.remedy);
    let timeout = about("statement_timeout is 9000 ms");
    assert_eq!(timeout.severity, Severity::Warning);
    let error = store.pause(&crate::support::queue()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(
        error.to_string().contains("default_transaction_read_only"),
        "{error}"
    );
}

#[test]
fn a_password_that_is_not_escaped_is_neither_shown_nor_asked_for() {
    for password in [
        "hush/hush",
        "hush#hush",
        "hush?hush",
        "h@hush/hush",
        "hush?a=hush",
    ] {
        let url = format!("postgres://app:{password}@127.0.0.1:1/app");
        let error = PostgresOptions::from_url(&url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("%2F"), "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}
