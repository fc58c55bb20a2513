//! Which server it is, and which one of several has the store.

use longshore_core::round_trip::Server;
use longshore_core::{ErrorKind, StoreError};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, RedisError, Value};

use crate::answer;
use crate::error::from_redis;
use crate::options::{RedisOptions, Route};

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// `Redis` or `Valkey`.
    pub(crate) product: &'static str,
    pub(crate) number: String,
    major: u32,
    minor: u32,
}

impl Version {
    /// Reads it from the answer to `INFO server`.
    pub(crate) fn of(info: &str) -> Self {
        let valkey = field(info, "valkey_version");
        let product = if valkey.is_some() { "Valkey" } else { "Redis" };
        let number = valkey
            .or_else(|| field(info, "redis_version"))
            .unwrap_or("0");
        let mut parts = number.split('.').map(|part| part.parse().unwrap_or(0));
        Self {
            product,
            number: number.to_owned(),
            major: parts.next().unwrap_or(0),
            minor: parts.next().unwrap_or(0),
        }
    }

    /// Whether it keeps libraries of functions.
    pub(crate) const fn has_functions(&self) -> bool {
        self.major >= 7
    }

    /// Whether the store can work with it.
    pub(crate) fn is_supported(&self) -> bool {
        (self.major, self.minor) >= (6, 2)
    }

    /// Whether it knows `WAITAOF`.
    pub(crate) fn waits_for_aof(&self) -> bool {
        (self.major, self.minor) >= (7, 2)
    }
}

/// A field of an answer to `INFO`.
pub(crate) fn field<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    info.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key == name).then(|| value.trim())
    })
}

/// A connection to a server, with the time limits of the options.
pub(crate) async fn connect(
    options: &RedisOptions,
    info: &ConnectionInfo,
) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(options.connect_timeout))
        .set_response_timeout(Some(options.response_timeout));
    options
        .tls
        .client(info)?
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// A server as storage spans name it.
pub(crate) fn named(info: &ConnectionInfo) -> Server {
    let (address, port) = match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            (host.clone(), Some(*port))
        }
        ConnectionAddr::Unix(path) => (path.display().to_string(), None),
        _ => return Server::default(),
    };
    Server {
        system: "redis",
        namespace: Some(info.redis_settings().db().to_string()),
        address: Some(address),
        port,
    }
}

/// The server that has the store now.
pub(crate) async fn find(options: &RedisOptions) -> Result<ConnectionInfo, StoreError> {
    if matches!(options.route, Route::Direct) {
        let only = options.seeds.first().cloned();
        return only.ok_or_else(|| {
            StoreError::new(ErrorKind::Invalid, "the URL names no server".to_owned())
        });
    }
    let mut last = None;
    for seed in &options.seeds {
        match ask(options, seed).await {
            Ok(Some((host, port))) => return Ok(moved_to(seed, options, host, port)),
            Ok(None) => {}
            Err(error) => last = Some(error),
        }
    }
    Err(match last {
        Some(error) => from_redis(&options.location(), error),
        None => StoreError::new(
            ErrorKind::Unavailable,
            format!(
                "none of those asked knows which server has the Redis store {}",
                options.location()
            ),
        ),
    })
}

/// Asks one of the named where the store is.
async fn ask(
    options: &RedisOptions,
    seed: &ConnectionInfo,
) -> Result<Option<(String, u16)>, RedisError> {
    match &options.route {
        Route::Direct => Ok(None),
        Route::Sentinel(master) => {
            let mut plain = seed.clone();
            plain = plain.set_redis_settings(seed.redis_settings().clone().set_db(0));
            let mut connection = connect(options, &plain).await?;
            let answer: Option<(String, u16)> = redis::cmd("SENTINEL")
                .arg("GET-MASTER-ADDR-BY-NAME")
                .arg(master)
                .query_async(&mut connection)
                .await?;
            Ok(answer)
        }
        Route::Cluster => {
            let mut connection = connect(options, seed).await?;
            let slot: i64 = redis::cmd("CLUSTER")
                .arg("KEYSLOT")
                .arg(options.key_prefix())
                .query_async(&mut connection)
                .await?;
            let slots: Value = redis::cmd("CLUSTER")
                .arg("SLOTS")
                .query_async(&mut connection)
                .await?;
            Ok(owner(slots, slot).ok().flatten())
        }
    }
}

/// Who has a slot, by the answer to `CLUSTER SLOTS`. A node that does not know its own address
/// names none.
fn owner(slots: Value, slot: i64) -> Result<Option<(String, u16)>, StoreError> {
    for range in answer::array(slots)? {
        let mut parts = answer::array(range)?.into_iter();
        let mut part = || parts.next().unwrap_or(Value::Nil);
        let (from, to): (i64, i64) = (answer::number(part())?, answer::number(part())?);
        if (from..=to).contains(&slot) {
            let mut master = answer::array(part())?.into_iter();
            let host = answer::text(master.next().unwrap_or(Value::Nil))?;
            let port = answer::number(master.next().unwrap_or(Value::Nil))?;
            return Ok(Some((host, port)));
        }
    }
    Ok(None)
}

/// The server at another address, reached as the seed is.
fn moved_to(
    seed: &ConnectionInfo,
    options: &RedisOptions,
    host: String,
    port: u16,
) -> ConnectionInfo {
    let known = match seed.addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
        _ => String::new(),
    };
    let host = if host.is_empty() { known } else { host };
    let address = match seed.addr() {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    };
    let database = options
        .seeds
        .first()
        .map_or(0, |seed| seed.redis_settings().db());
    let settings = seed.redis_settings().clone().set_db(database);
    seed.clone().set_addr(address).set_redis_settings(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        let valkey =
            Version::of("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n");
        assert_eq!(
            (valkey.product, valkey.number.as_str()),
            ("Valkey", "8.0.1")
        );
        assert!(valkey.has_functions() && valkey.waits_for_aof());
        let old = Version::of("redis_version:6.2.7\r\n");
        assert!(old.is_supported() && !old.has_functions());
        assert!(!Version::of("redis_version:6.0.16").is_supported());
        assert!(!Version::of("").is_supported());
    }
}
