//! Schemas for the tests, on servers that they share and on servers of their own.

use std::sync::atomic::{AtomicU32, Ordering};

use longshore_core::{Random as _, SystemRandom};
use longshore_postgres::PostgresOptions;
pub(crate) use longshore_testkit::postgres_server::{
    Private, Server, as_user, scratch, shared, url,
};

/// A schema that no other test has, on the server of this URL.
pub(crate) fn options(url: &str) -> PostgresOptions {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // Numbers of processes come again while the server runs.
    let nonce = SystemRandom.next_u64() >> 32;
    let schema = format!("t{}_{number}_{nonce:08x}", std::process::id());
    let options = PostgresOptions::from_url(url).unwrap();
    options.with_schema(&schema).unwrap()
}

/// The schema of options that were made here.
pub(crate) fn schema_of(options: &PostgresOptions) -> String {
    let location = options.location();
    location.rsplit(' ').next().unwrap().to_owned()
}
