//! Which database, and how to talk to it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::round_trip::Server;
use longshore_core::{Clock, ErrorKind, Random, StoreError, SystemRandom, address};
use sqlx::postgres::PgConnectOptions;

/// What stands between us and the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing, or a pooler that keeps a server connection for as long as ours lasts.
    #[default]
    None,
    /// A pooler that gives a server connection for one transaction. Nothing is kept on a
    /// connection from one transaction to the next: no prepared statements, and no `LISTEN`, so
    /// that workers poll.
    Transaction,
}

/// How to open a store.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(crate) connect: PgConnectOptions,
    pub(crate) schema: String,
    pub(crate) connections: u32,
    pub(crate) pooler: Pooler,
    pub(crate) timeout: Duration,
    pub(crate) poll: Duration,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) random: Arc<dyn Random>,
}

impl fmt::Debug for PostgresOptions {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("location", &self.location())
            .field("connections", &self.connections)
            .field("pooler", &self.pooler)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The parameters that this store understands itself.
const OWN: &str = "schema, pooler, connections or timeout";
/// The parameters that say how to connect.
const CONNECT: [&str; 13] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "port",
    "ssl-mode",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

impl PostgresOptions {
    /// Most connections at a time, unless told otherwise; one more listens.
    pub const DEFAULT_CONNECTIONS: u32 = 10;
    /// The schema, unless told otherwise.
    pub const DEFAULT_SCHEMA: &str = "longshore";
    /// How long a call may take, unless told otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
    /// How often who waits looks for jobs where nobody can tell it, unless told otherwise.
    pub const DEFAULT_POLL: Duration = Duration::from_secs(1);

    /// The database that `connect` leads to, schema `longshore`.
    #[must_use]
    pub fn to(connect: PgConnectOptions) -> Self {
        Self {
            connect,
            schema: Self::DEFAULT_SCHEMA.to_owned(),
            connections: Self::DEFAULT_CONNECTIONS,
            pooler: Pooler::default(),
            timeout: Self::DEFAULT_TIMEOUT,
            poll: Self::DEFAULT_POLL,
            clock: None,
            random: Arc::new(SystemRandom),
        }
    }

    /// Reads a URL: `postgres://user:password@host:port/database`, then perhaps parameters of
    /// libpq such as `sslmode`, and our own:
    ///
    /// | parameter | meaning | default |
    /// | --- | --- | --- |
    /// | `schema` | where the tables are | `longshore` |
    /// | `pooler=transaction` | see [`Pooler::Transaction`] | no pooler |
    /// | `connections` | most connections at a time, 1 to 1000; one more listens | 10 |
    /// | `timeout` | most seconds for a call, 1 to 3600 | 30 |
    ///
    /// # Errors
    /// `Invalid` if it is no such URL, or has a parameter that is not known. The message does not
    /// repeat the URL, which may hold a password.
    ///
    /// ```
    /// use longshore_postgres::PostgresOptions;
    /// assert!(PostgresOptions::from_url("postgres://app@db.internal/app?schema=jobs").is_ok());
    /// let error = PostgresOptions::from_url("postgres://localhost/app?shema=jobs").unwrap_err();
    /// assert!(error.to_string().contains("schema"));
    /// ```
    pub fn from_url(url: &str) -> Result<Self, StoreError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(refused(
                "the URL of a PostgreSQL store begins with postgres://, such as \
                 postgres://user:password@host/database",
            ));
        }
        if address::has_bare_password(url) {
            return Err(refused(address::BARE_PASSWORD));
        }
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let is_theirs = CONNECT.contains(&key) || key.starts_with("options[");
            match is_theirs {
                true => theirs.push(parameter),
                false => ours.push((key, value)),
            }
        }
        let connect = PgConnectOptions::from_str(&format!("{place}?{}", theirs.join("&")));
        let connect = connect.map_err(|error| {
            refused(&format!(
                "the URL of the store cannot be read: {error}. Write it as \
                 postgres://user:password@host:port/database, with %XX for special characters"
            ))
        })?;
        let connect = match connect.get_application_name() {
            Some(_) => connect,
            None => connect.application_name("longshore"),
        };
        let mut options = Self::to(connect);
        for (key, value) in ours {
            options.set(key, value)?;
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        let number = |most: u32| {
            let number = value.parse().ok();
            number
                .filter(|number| (1..=most).contains(number))
                .ok_or_else(|| {
                    refused(&format!(
                        "`{value}` cannot be {key}: use a number from 1 to {most}"
                    ))
                })
        };
        match key {
            "schema" => self.schema = schema(value)?,
            "connections" => self.connections = number(1000)?,
            "timeout" => self.timeout = Duration::from_secs(number(3600)?.into()),
            "pooler" => {
                self.pooler = match value {
                    "none" => Pooler::None,
                    "transaction" => Pooler::Transaction,
                    _ => {
                        return Err(refused(&format!(
                            "`{value}` is no pooler: use none or transaction"
                        )));
                    }
                };
            }
            _ => {
                return Err(refused(&format!(
                    "`{key}` is not a parameter of a PostgreSQL store: use {OWN}, or one of libpq \
                     such as sslmode"
                )));
            }
        }
        Ok(())
    }

    /// These options with another schema.
    ///
    /// # Errors
    /// `Invalid` if it is not 1 to 40 lower-case letters, digits or `_` that begin with no digit.
    pub fn with_schema(mut self, name: &str) -> Result<Self, StoreError> {
        self.schema = schema(name)?;
        Ok(self)
    }

    /// These options with a pooler in between.
    #[must_use]
    pub fn with_pooler(mut self, pooler: Pooler) -> Self {
        self.pooler = pooler;
        self
    }

    /// These options with another number of connections at most.
    #[must_use]
    pub fn with_connections(mut self, connections: u32) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// These options with another time that a call may take before it fails as unavailable.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// These options with another time between two looks for jobs, for when nobody can tell that
    /// there are any.
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll;
        self
    }

    /// These options with a clock instead of the server's. All that use the store must have the
    /// same one, so this is for tests and simulations.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// These options with other randomness, for job ids and lease tokens.
    #[must_use]
    pub fn with_random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = random;
        self
    }

    /// Where the store is, without secrets: `host:port/database`, and the schema.
    #[must_use]
    pub fn location(&self) -> String {
        let connect = &self.connect;
        let database = connect.get_database();
        let database = database.unwrap_or_else(|| connect.get_username());
        let host = match connect.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => connect.get_host().to_owned(),
        };
        format!(
            "{host}:{}/{database} schema {}",
            connect.get_port(),
            self.schema
        )
    }

    /// The database, as storage spans name it.
    pub(crate) fn server(&self) -> Server {
        let connect = &self.connect;
        let database = connect.get_database();
        Server {
            system: "postgresql",
            namespace: Some(
                database
                    .unwrap_or_else(|| connect.get_username())
                    .to_owned(),
            ),
            address: Some(match connect.get_socket() {
                Some(socket) => socket.display().to_string(),
                None => connect.get_host().to_owned(),
            }),
            port: Some(connect.get_port()),
        }
    }

    /// How a connection begins.
    pub(crate) fn connection(&self) -> PgConnectOptions {
        // PgBouncer knows few of the parameters that a connection may begin with, and numbers come in
        // binary form.
        self.connect.clone().extra_float_digits(None)
    }

    /// The command by which a person reaches the database, without the password.
    #[must_use]
    pub fn psql(&self) -> String {
        self.psql_as(self.connect.get_username())
    }

    /// The same as another user.
    pub(crate) fn psql_as(&self, user: &str) -> String {
        format!("psql {} -d {}", self.server_as(user), self.database())
    }

    fn server_as(&self, user: &str) -> String {
        let connect = &self.connect;
        let host = match connect.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => connect.get_host().to_owned(),
        };
        format!("-h {host} -p {} -U {user}", connect.get_port())
    }

    fn database(&self) -> &str {
        let connect = &self.connect;
        let database = connect.get_database();
        database.unwrap_or_else(|| connect.get_username())
    }

    /// A first command against an error that kept the store from being opened, by what the error
    /// says.
    ///
    /// ```
    /// use longshore_postgres::PostgresOptions;
    /// let options = PostgresOptions::from_url("postgres://app:secret@db/shop").unwrap();
    /// let remedy = options.remedy("PostgreSQL: database \"shop\" does not exist, code 3D000");
    /// assert_eq!(remedy, "createdb -h db -p 5432 -U postgres -O app shop");
    /// ```
    #[must_use]
    pub fn remedy(&self, said: &str) -> String {
        let (user, database, schema) = (self.connect.get_username(), self.database(), &self.schema);
        let is = |code: &str| said.contains(&format!("code {code}"));
        let as_user = |statement: &str| format!("{} -c '{statement}'", self.psql());
        let as_owner = |statements: &[String]| {
            let commands = statements.iter().map(|sql| format!(" -c '{sql}'"));
            let psql = self.psql_as("postgres");
            format!("{psql}{}", commands.collect::<String>())
        };
        if is("3D000") {
            let server = self.server_as("postgres");
            format!("createdb {server} -O {user} {database}")
        } else if is("42501") && said.contains("denied for database") {
            as_owner(&[format!("GRANT CREATE ON DATABASE {database} TO \"{user}\"")])
        } else if is("42501") {
            as_owner(&grants(schema, user))
        } else if is("53300") {
            as_owner(&[
                "SELECT usename, application_name, count(*) FROM pg_stat_activity GROUP BY 1, 2"
                    .to_owned(),
            ])
        } else if is("25006") {
            as_user(
                "SELECT pg_is_in_recovery(), current_setting($$default_transaction_read_only$$)",
            )
        } else if said.contains("`pooler=transaction`") {
            "longshore docs postgres".to_owned()
        } else if is("57014") {
            as_user("SHOW statement_timeout")
        } else {
            as_user("SELECT 1")
        }
    }
}

/// What gives a user all that a worker needs.
pub(crate) fn grants(schema: &str, user: &str) -> [String; 3] {
    [
        format!("GRANT USAGE ON SCHEMA {schema} TO \"{user}\""),
        format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO \"{user}\""
        ),
        format!("GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO \"{user}\""),
    ]
}

fn schema(name: &str) -> Result<String, StoreError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    // The name of the channel for notifications is longer, and PostgreSQL cuts at 63 bytes.
    if !begins || name.len() > 40 || !name.bytes().all(allowed) || name.starts_with("pg_") {
        return Err(refused(&format!(
            "`{name}` cannot be the schema of a store: use 1 to 40 lower-case letters, digits or \
             `_`, not a digit first and not `pg_`"
        )));
    }
    Ok(name.to_owned())
}

fn refused(problem: &str) -> StoreError {
    StoreError::new(ErrorKind::Invalid, problem)
}
