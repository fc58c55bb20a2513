//! Where the measured programs run: a server, or a file, with nothing in it at the start of a run.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::server::Server;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
    /// Its file reaches the disk once a second, as it is shipped.
    Redis,
    /// Before each answer.
    RedisAlways,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Redis",
            Self::RedisAlways => "Redis, `appendfsync always`",
        }
    }

    /// What its server counts as requests.
    pub fn requests(self) -> &'static str {
        match self {
            Self::Sqlite => "requests",
            Self::Postgres => "statements",
            Self::Redis | Self::RedisAlways => "commands",
        }
    }
}

/// What a server says that it did so far; 0 where it does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// Bytes written to its log.
    pub logged: f64,
    /// Statements, if they are counted; commands, those within functions included.
    pub requests: f64,
}

/// A folder for all files, removed at its end.
pub struct Folder {
    path: PathBuf,
    files: Cell<usize>,
}

impl Folder {
    pub fn new() -> Result<Self> {
        let base =
            std::env::var_os("LONGSHORE_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let path = base.join(format!("longshore-bench-stores-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self {
            path,
            files: Cell::new(0),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path that is not there yet. Databases before it are removed.
    fn fresh(&self) -> PathBuf {
        let number = self.files.replace(self.files.get() + 1);
        let path = |number| self.path.join(format!("{number}.db"));
        for end in ["", "-wal", "-shm"] {
            let before = format!("{}{end}", path(number.saturating_sub(1)).display());
            let _never_made = std::fs::remove_file(before);
        }
        path(number)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.path);
    }
}

/// A server that is ours alone.
pub enum Stage<'f> {
    Sqlite(&'f Folder),
    Postgres {
        server: Server,
        admin: PgConnection,
        runs: usize,
        /// Whether statements are counted, which costs each of them something.
        counts: bool,
    },
    Redis {
        server: Server,
        connection: redis::aio::MultiplexedConnection,
    },
}

/// What is measured stands on the disk when it is acknowledged, as the server is shipped; the rest is so that a
/// checkpoint does not fall into one run and not into another.
const POSTGRES: [&str; 6] = [
    "fsync=on",
    "synchronous_commit=on",
    "shared_buffers=512MB",
    "max_connections=300",
    "max_wal_size=8GB",
    "checkpoint_timeout=30min",
];

const REDIS: [&str; 8] = [
    "--appendonly",
    "yes",
    "--save",
    "",
    "--maxmemory-policy",
    "noeviction",
    // Else it is written anew in one run and not in another.
    "--auto-aof-rewrite-percentage",
    "0",
];

impl<'f> Stage<'f> {
    pub async fn start(kind: Kind, folder: &'f Folder, counts: bool) -> Result<Self> {
        Ok(match kind {
            Kind::Sqlite => Self::Sqlite(folder),
            Kind::Postgres => {
                let counting: &[&str] = match counts {
                    true => &["shared_preload_libraries=pg_stat_statements"],
                    false => &[],
                };
                let server = Server::postgres(folder.path(), &[&POSTGRES, counting].concat())?;
                let url = postgres_url(server.port, "postgres");
                let mut admin = connect(&url).await?;
                if counts {
                    let extension = sqlx::raw_sql("CREATE EXTENSION pg_stat_statements");
                    extension.execute(&mut admin).await?;
                }
                Self::Postgres {
                    server,
                    admin,
                    runs: 0,
                    counts,
                }
            }
            Kind::Redis | Kind::RedisAlways => {
                let flush = match kind {
                    Kind::RedisAlways => "always",
                    _ => "everysec",
                };
                let settings = [&["--appendfsync", flush], &REDIS[..]].concat();
                let server = Server::redis(folder.path(), &settings)?;
                let client = redis::Client::open(redis_url(server.port))?;
                // A server that drops all that a run left takes its time.
                let config = redis::AsyncConnectionConfig::new()
                    .set_response_timeout(Some(Duration::from_secs(30)));
                let connection = client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await?;
                Self::Redis { server, connection }
            }
        })
    }

    /// The URL of a place with nothing in it. What was there before is gone.
    pub async fn fresh(&mut self) -> Result<String> {
        match self {
            Self::Sqlite(folder) => Ok(format!("sqlite:{}", folder.fresh().display())),
            Self::Postgres {
                server,
                admin,
                runs,
                ..
            } => {
                *runs += 1;
                let statements = [
                    format!("DROP DATABASE IF EXISTS run_{} WITH (FORCE)", *runs - 1),
                    format!("CREATE DATABASE run_{runs}"),
                    "CHECKPOINT".to_owned(),
                ];
                for statement in statements {
                    sqlx::raw_sql(AssertSqlSafe(statement))
                        .execute(&mut *admin)
                        .await?;
                }
                Ok(postgres_url(server.port, &format!("run_{runs}")))
            }
            Self::Redis { server, connection } => {
                redis::cmd("FLUSHALL").exec_async(connection).await?;
                Ok(redis_url(server.port))
            }
        }
    }

    /// CPU seconds of the server so far.
    pub fn cpu(&self) -> f64 {
        match self {
            Self::Sqlite(_) => 0.0,
            Self::Postgres { server, .. } | Self::Redis { server, .. } => server.cpu(),
        }
    }

    /// What the server did so far.
    pub async fn done(&mut self) -> Result<Done> {
        match self {
            Self::Sqlite(_) => Ok(Done::default()),
            Self::Postgres { admin, counts, .. } => {
                let asked = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8";
                let logged = sqlx::query_scalar(asked).fetch_one(&mut *admin).await?;
                let requests = match counts {
                    true => {
                        let asked = "SELECT sum(calls)::float8 FROM pg_stat_statements";
                        sqlx::query_scalar(asked).fetch_one(admin).await?
                    }
                    false => 0.0,
                };
                Ok(Done { logged, requests })
            }
            Self::Redis { connection, .. } => {
                let info: String = redis::cmd("INFO").query_async(connection).await?;
                let number = |name| field(&info, name)?.parse().ok();
                Ok(Done {
                    logged: number("aof_current_size").unwrap_or(0.0),
                    requests: number("total_commands_processed").unwrap_or(0.0),
                })
            }
        }
    }

    /// What the last run asked for most, one statement a line, if statements are counted.
    pub async fn statements(&mut self) -> Result<Vec<String>> {
        let Self::Postgres {
            admin,
            counts: true,
            ..
        } = self
        else {
            return Ok(Vec::new());
        };
        // What was asked of a database that is gone by now counts, too.
        let asked = "SELECT format('%s calls, %s rows, %s bytes of WAL, %s ms: %s', sum(calls),
                                   sum(rows), sum(wal_bytes), sum(total_exec_time)::int,
                                   left(regexp_replace(query, '\\s+', ' ', 'g'), 100))
                       FROM pg_stat_statements
                      WHERE dbid <> (SELECT oid FROM pg_database WHERE datname = 'postgres')
                      GROUP BY query HAVING sum(calls) > 20
                      ORDER BY sum(total_exec_time) DESC LIMIT 8";
        let lines = sqlx::query_scalar(asked).fetch_all(&mut *admin).await?;
        let over = sqlx::raw_sql("SELECT pg_stat_statements_reset()");
        over.execute(admin).await?;
        Ok(lines)
    }

    /// What the server says of itself.
    pub async fn settings(&mut self) -> Result<String> {
        match self {
            Self::Sqlite(_) => Ok("SQLite: WAL, synchronous=FULL".to_owned()),
            Self::Postgres { admin, .. } => {
                let mut said = Vec::new();
                for name in [
                    "server_version",
                    "fsync",
                    "synchronous_commit",
                    "full_page_writes",
                    "shared_buffers",
                    "autovacuum",
                ] {
                    let asked = sqlx::query_scalar("SELECT current_setting($1)").bind(name);
                    let value: String = asked.fetch_one(&mut *admin).await?;
                    said.push(format!("{name}={value}"));
                }
                Ok(format!("PostgreSQL: {}", said.join(", ")))
            }
            Self::Redis { connection, .. } => {
                let mut said = Vec::new();
                for name in ["appendonly", "appendfsync", "save", "maxmemory-policy"] {
                    let mut asked = redis::cmd("CONFIG");
                    let answer: Vec<String> = asked
                        .arg("GET")
                        .arg(name)
                        .query_async(&mut *connection)
                        .await?;
                    said.push(answer.join("="));
                }
                let mut asked = redis::cmd("INFO");
                let info: String = asked.arg("server").query_async(connection).await?;
                let version = field(&info, "redis_version").unwrap_or("?");
                Ok(format!("Redis {version}: {}", said.join(", ")))
            }
        }
    }
}

/// A field of an answer to `INFO`.
fn field<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    lines.find_map(|(key, value)| (key == name).then(|| value.trim()))
}

fn postgres_url(port: u16, database: &str) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/{database}")
}

fn redis_url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

/// The port is open a moment before the server answers.
async fn connect(url: &str) -> Result<PgConnection> {
    let mut tries = 0;
    loop {
        match PgConnection::connect(url).await {
            Ok(connection) => return Ok(connection),
            Err(error) if tries == 200 => return Err(error).context("PostgreSQL does not answer"),
            Err(_not_ready) => tries += 1,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
