//! On PostgreSQL, a schema for each store.

use std::sync::Arc;

use longshore::postgres::sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use longshore::{PostgresOptions, PostgresStore};
use longshore_core::{Clock, Random, SystemRandom};
use longshore_testkit::postgres_server;

use super::{runtime, tests_of};
use crate::subject::{Kind, Opened, Served, within};

fn kind() -> Option<Kind> {
    postgres_server::shared()?;
    Some(Kind::ServedInTurn(Served {
        open,
        runtime,
        points: 5,
    }))
}

fn open(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Opened {
    let url = postgres_server::shared().unwrap().url();
    let schema = format!("simulation_{:016x}", SystemRandom.next_u64());
    let options = PostgresOptions::from_url(&url).unwrap();
    let options = options.with_schema(&schema).unwrap().with_connections(2);
    let options = options.with_clock(clock).with_random(random);
    let store = within(runtime(), async { PostgresStore::open(options) });
    (Arc::new(store.unwrap()), Box::new(Schema { url, schema }))
}

/// A schema that goes when it is dropped: there are many of them.
struct Schema {
    url: String,
    schema: String,
}

impl Drop for Schema {
    fn drop(&mut self) {
        let _gone = within(runtime(), async {
            let mut connection = PgConnection::connect(&self.url).await?;
            let drop = format!("DROP SCHEMA {} CASCADE", self.schema);
            connection.execute(AssertSqlSafe(drop)).await
        });
    }
}

tests_of!(kind(), seeds 100..102, keys 100..102, limits 100..101, schedules 100..101, batches 100..102);
