//! Where the server is, and how durable an answer is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, ErrorKind, Random, StoreError, SystemRandom, address};
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::tls::Tls;

/// What an acknowledged write survives, beyond the server's own settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// What the server survives: with `appendfsync always` its power failing, with `everysec` its
    /// process failing, without an append-only file nothing. The answer comes once the server did
    /// the write.
    #[default]
    Server,
    /// The answer comes once the write is synced to the server's append-only file, whatever
    /// `appendfsync` says (`WAITAOF 1 0`; Redis 7.2, Valkey 8).
    Aof,
    /// The answer comes once a replica has the write too (`WAIT 1`), so that a failover to it keeps
    /// it.
    Replica,
}

impl Durability {
    /// The word for it in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Aof => "aof",
            Self::Replica => "replica",
        }
    }
}

/// How the server is found.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// It is the one named.
    Direct,
    /// It is the one that has the store's slot, whoever of those named knows it.
    Cluster,
    /// It is the one that the sentinels say is the master of this name.
    Sentinel(String),
}

/// How to reach a store.
#[derive(Clone)]
pub struct RedisOptions {
    pub(crate) route: Route,
    pub(crate) seeds: Vec<ConnectionInfo>,
    pub(crate) prefix: String,
    pub(crate) durability: Durability,
    pub(crate) functions: bool,
    pub(crate) tls: Tls,
    pub(crate) connect_timeout: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) random: Arc<dyn Random>,
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password is among the seeds.
        f.debug_struct("RedisOptions")
            .field("location", &self.location())
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

const FORMS: &str = "redis://HOST:PORT/DB, rediss:// for TLS, redis-cluster://HOST:PORT,HOST:PORT, or \
                       redis-sentinel://HOST:PORT,HOST:PORT/MASTER/DB";

impl RedisOptions {
    /// With what the URL of a Redis store may begin.
    pub const SCHEMES: [&str; 8] = [
        "redis",
        "rediss",
        "redis-cluster",
        "rediss-cluster",
        "redis-sentinel",
        "rediss-sentinel",
        "valkey",
        "valkeys",
    ];
    /// The prefix of a store's keys unless it is given another.
    pub const DEFAULT_PREFIX: &str = "longshore";

    /// Reads a URL: `redis://user:password@host:port/db`, `rediss://…` for TLS,
    /// `redis-cluster://a:7000,b:7000`, `redis-sentinel://a:26379,b:26379/master/db` (with `rediss-`
    /// for TLS), then perhaps `?prefix=NAME&durability=server|aof|replica`, and with TLS
    /// `&cacert=FILE` with who vouches for the server instead of those that the system trusts, and
    /// `&cert=FILE&key=FILE` with what is shown to it, all PEM.
    ///
    /// # Errors
    /// `Invalid` if it is no such URL, has a parameter that is not known, or names a file that cannot
    /// be read.
    ///
    /// ```
    /// use longshore_redis::RedisOptions;
    /// assert!(RedisOptions::from_url("redis://127.0.0.1:6379/3?prefix=shop").is_ok());
    /// let error = RedisOptions::from_url("redis://127.0.0.1?fsync=no").unwrap_err();
    /// assert!(error.to_string().contains("durability"));
    /// ```
    pub fn from_url(url: &str) -> Result<Self, StoreError> {
        if address::has_bare_password(url) {
            return Err(refuse(address::BARE_PASSWORD.to_owned()));
        }
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let (scheme, rest) = place.split_once("://").ok_or_else(|| {
            refuse(format!(
                "this is not the URL of a Redis store: write {FORMS}"
            ))
        })?;
        let (tls, route) = match scheme {
            "redis" | "valkey" => (false, "direct"),
            "rediss" | "valkeys" => (true, "direct"),
            "redis-cluster" => (false, "cluster"),
            "rediss-cluster" => (true, "cluster"),
            "redis-sentinel" => (false, "sentinel"),
            "rediss-sentinel" => (true, "sentinel"),
            other => {
                return Err(refuse(format!(
                    "`{other}` names no Redis store: write {FORMS}"
                )));
            }
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (route, database) = match route {
            "cluster" => (Route::Cluster, path),
            "sentinel" => {
                let (master, database) = path.split_once('/').unwrap_or((path, ""));
                if master.is_empty() {
                    return Err(refuse(
                        "the URL names no master: write redis-sentinel://HOST:PORT/MASTER"
                            .to_owned(),
                    ));
                }
                (Route::Sentinel(master.to_owned()), database)
            }
            _ => (Route::Direct, path),
        };
        if matches!(route, Route::Cluster) && !database.is_empty() && database != "0" {
            return Err(refuse(
                "a cluster has database 0 alone: write no other into the URL".to_owned(),
            ));
        }
        let seeds = seeds(authority, database, tls)?;
        if matches!(route, Route::Direct) && seeds.len() > 1 {
            return Err(refuse(format!(
                "`redis://` names one server: for several write {FORMS}"
            )));
        }
        let options = Self::new(route, seeds).with_query(query)?;
        options.tls.check(tls)?;
        Ok(options)
    }

    fn new(route: Route, seeds: Vec<ConnectionInfo>) -> Self {
        Self {
            route,
            seeds,
            prefix: Self::DEFAULT_PREFIX.to_owned(),
            durability: Durability::default(),
            functions: true,
            tls: Tls::default(),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(30),
            clock: None,
            random: Arc::new(SystemRandom),
        }
    }

    fn with_query(mut self, query: &str) -> Result<Self, StoreError> {
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match (key, value) {
                ("durability", "server") => self.durability = Durability::Server,
                ("durability", "aof") => self.durability = Durability::Aof,
                ("durability", "replica") => self.durability = Durability::Replica,
                ("durability", _) => {
                    return Err(refuse(format!(
                        "`{value}` is not a durability: use server, aof or replica"
                    )));
                }
                ("prefix", name) => self = self.with_prefix(name)?,
                ("cacert" | "cert" | "key", file) => self.tls.read(key, file)?,
                _ => {
                    return Err(refuse(format!(
                        "`{key}` is not a parameter of a Redis store: there are prefix, durability, cacert, cert and key"
                    )));
                }
            }
        }
        Ok(self)
    }

    /// These options with another prefix of all keys: stores of different prefixes share a server
    /// and nothing else.
    ///
    /// # Errors
    /// `Invalid` if it is empty, longer than 100 characters, or has others than letters, digits and
    /// any of `. _ : -`.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, StoreError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        if prefix.is_empty() || prefix.len() > 100 || !prefix.bytes().all(allowed) {
            return Err(refuse(format!(
                "`{prefix}` cannot be the prefix of a store: use 1 to 100 letters, digits or any of . _ : -"
            )));
        }
        prefix.clone_into(&mut self.prefix);
        Ok(self)
    }

    /// These options with another durability.
    #[must_use]
    pub const fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// These options with the functions as a script (`EVALSHA`) even where the server could keep
    /// them as a library (`FCALL`).
    #[must_use]
    pub const fn with_script(mut self) -> Self {
        self.functions = false;
        self
    }

    /// These options with another time to wait for an answer before the call fails as unavailable;
    /// 30 seconds by default.
    #[must_use]
    pub const fn with_response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// These options with a clock of the caller's instead of the server's, for tests.
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

    /// The store in words, without secrets.
    pub(crate) fn location(&self) -> String {
        let hosts: Vec<String> = self
            .seeds
            .iter()
            .map(|seed| seed.addr().to_string())
            .collect();
        let hosts = hosts.join(",");
        let database = self
            .seeds
            .first()
            .map_or(0, |seed| seed.redis_settings().db());
        let prefix = &self.prefix;
        let is_tls = |seed: &ConnectionInfo| matches!(seed.addr(), ConnectionAddr::TcpTls { .. });
        let scheme = match self.seeds.iter().any(is_tls) {
            true => "rediss",
            false => "redis",
        };
        match &self.route {
            Route::Direct => format!("{scheme}://{hosts}/{database}?prefix={prefix}"),
            Route::Cluster => format!("{scheme}-cluster://{hosts}?prefix={prefix}"),
            Route::Sentinel(master) => {
                format!("{scheme}-sentinel://{hosts}/{master}/{database}?prefix={prefix}")
            }
        }
    }

    /// What all keys begin with: the braces make one slot of a cluster of it.
    pub(crate) fn key_prefix(&self) -> String {
        format!("{{{}}}:", self.prefix)
    }
}

fn refuse(problem: String) -> StoreError {
    StoreError::new(ErrorKind::Invalid, problem)
}

/// The servers that a URL names, each with the user, the password and the database.
fn seeds(authority: &str, database: &str, tls: bool) -> Result<Vec<ConnectionInfo>, StoreError> {
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    let scheme = if tls { "rediss" } else { "redis" };
    let mut seeds = Vec::new();
    for host in hosts.split(',').filter(|host| !host.is_empty()) {
        let url = format!("{scheme}://{user}{host}/{database}");
        // What the client says may repeat the URL and the password in it.
        let seed = url.as_str().into_connection_info().map_err(|_secret| {
            refuse(format!(
                "`{host}/{database}` is not where a Redis server could be: write HOST:PORT/DB"
            ))
        })?;
        seeds.push(seed);
    }
    if seeds.is_empty() {
        return Err(refuse(format!("the URL names no server: write {FORMS}")));
    }
    Ok(seeds)
}
