//! From a URL to a store.

use std::sync::Arc;

use longshore_core::{ErrorKind, Store, StoreError};

/// Opens the store that a URL names: `sqlite:jobs.db`, `sqlite:/var/lib/app/jobs.db`,
/// `postgres://user@host/database` with the feature `postgres`, `redis://host:port/db` with the
/// feature `redis`, `s3://bucket/prefix`, `gs://bucket/prefix` and `az://container/prefix` with the
/// features `s3`, `gs` and `az`, whose credentials are those of the environment, or `memory:` for one
/// that is gone with the process.
///
/// # Errors
/// A URL that names no store of this build, or the store's own reason.
pub fn connect(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    let scheme = url.split(':').next().unwrap_or_default();
    match scheme {
        "memory" => Ok(Arc::new(longshore_memory::MemoryStore::new())),
        #[cfg(feature = "sqlite")]
        "sqlite" => {
            let options = longshore_sqlite::SqliteOptions::from_url(url)?;
            Ok(Arc::new(longshore_sqlite::SqliteStore::open(options)?))
        }
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            let options = longshore_postgres::PostgresOptions::from_url(url)?;
            Ok(Arc::new(longshore_postgres::PostgresStore::open(options)?))
        }
        #[cfg(feature = "redis")]
        scheme if longshore_redis::RedisOptions::SCHEMES.contains(&scheme) => {
            let options = longshore_redis::RedisOptions::from_url(url)?;
            Ok(Arc::new(longshore_redis::RedisStore::open(options)))
        }
        #[cfg(any(feature = "s3", feature = "gs", feature = "az"))]
        scheme if longshore_object::ObjectOptions::schemes().contains(&scheme) => {
            let options = longshore_object::ObjectOptions::from_url(url)?.with_environment();
            Ok(Arc::new(longshore_object::RemoteStore::open(&options)?))
        }
        _ => Err(unknown(url)),
    }
}

fn unknown(url: &str) -> StoreError {
    if !url.split('/').next().unwrap_or_default().contains(':') {
        let problem = format!("`{url}` is a path: write sqlite:{url}");
        return StoreError::new(ErrorKind::Invalid, problem);
    }
    let stores = [
        ("sqlite:PATH", "sqlite", cfg!(feature = "sqlite")),
        (
            "postgres://USER@HOST/DATABASE",
            "postgres",
            cfg!(feature = "postgres"),
        ),
        ("redis://HOST:PORT/DB", "redis", cfg!(feature = "redis")),
        ("s3://BUCKET/PREFIX", "s3", cfg!(feature = "s3")),
        ("gs://BUCKET/PREFIX", "gs", cfg!(feature = "gs")),
        ("az://CONTAINER/PREFIX", "az", cfg!(feature = "az")),
    ];
    let named = stores.map(|(form, feature, is_on)| match is_on {
        true => form.to_owned(),
        false => format!("{form} (the feature `{feature}` is off)"),
    });
    // What follows the scheme may hold a password.
    let scheme: String = url
        .split(':')
        .next()
        .unwrap_or_default()
        .chars()
        .take(40)
        .collect();
    StoreError::new(
        ErrorKind::Invalid,
        format!(
            "`{scheme}:` names no store; use {}, or memory:",
            named.join(", ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_store_is_said_with_what_does() {
        for (url, says) in [
            (
                "/tmp/shop.db",
                "`/tmp/shop.db` is a path: write sqlite:/tmp/shop.db",
            ),
            ("shop.db", "`shop.db` is a path: write sqlite:shop.db"),
            (
                "mysql://app:hunter2@host/db",
                "`mysql:` names no store; use sqlite:PATH",
            ),
        ] {
            let error = connect(url).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
