//! Stores for the tests, on servers that they share and on servers of their own.

use std::sync::Arc;

use longshore_core::{Clock, Random};
use longshore_redis::{RedisOptions, RedisStore};
pub(crate) use longshore_testkit::redis_server::{RedisServer as Server, next_number, shared};

/// Stores on a server.
pub(crate) trait Stores {
    /// The options of a store that no other test uses.
    fn options(&self) -> RedisOptions;

    /// A store that no other test uses.
    fn store(&self) -> RedisStore {
        RedisStore::open(self.options())
    }
}

impl Stores for Server {
    fn options(&self) -> RedisOptions {
        RedisOptions::from_url(&self.url()).unwrap()
    }
}

/// The settings of a server that loses nothing that it acknowledged.
pub(crate) const DURABLE: [&str; 6] = [
    "--save",
    "",
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
];

/// The options of a store with the clock and the randomness of a test.
pub(crate) fn tested(
    server: &Server,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> RedisOptions {
    server.options().with_clock(clock).with_random(random)
}
