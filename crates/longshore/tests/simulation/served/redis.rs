//! On Redis, keys of its own for each store.

use std::sync::Arc;

use longshore::{RedisOptions, RedisStore};
use longshore_core::{Clock, Random};
use longshore_testkit::redis_server::shared;

use super::{runtime, tests_of};
use crate::subject::{Kind, Opened, Served, within};

fn kind() -> Option<Kind> {
    shared()?;
    Some(Kind::ServedInTurn(Served {
        open,
        runtime,
        points: 12,
    }))
}

fn open(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Opened {
    let server = shared().unwrap();
    let options = RedisOptions::from_url(&server.url()).unwrap();
    let options = options.with_clock(clock).with_random(random);
    let store = within(runtime(), async { RedisStore::open(options) });
    (Arc::new(store), Box::new(server))
}

tests_of!(kind(), seeds 200..204, keys 200..202, limits 200..201, schedules 200..202, batches 200..203);
