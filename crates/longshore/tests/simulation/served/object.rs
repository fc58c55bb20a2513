//! On a server that speaks as S3 does, a prefix for each store. The dates of objects are those of the
//! simulation.

#[path = "../../../../stores/object/tests/object/remote/dated.rs"]
mod dated;

use std::sync::Arc;
use std::time::Duration;

use longshore::object::{ObjectOptions, ObjectStore, RemoteObjects, Tuning};
use longshore_core::{Clock, Random, SystemRandom};
use longshore_testkit::s3_server::{S3Server, shared, variables};

use self::dated::Dated;
use super::{runtime, tests_of};
use crate::subject::{Kind, Opened, Served, within};

fn kind() -> Option<Kind> {
    shared()?;
    Some(Kind::ServedInTurn(Served {
        open,
        runtime,
        points: 3,
    }))
}

fn open(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Opened {
    let server = shared().unwrap();
    let prefix = SystemRandom.next_u64();
    let url = format!("s3://{}/{prefix:016x}", S3Server::BUCKET);
    let options = ObjectOptions::from_url(&url).unwrap();
    let options = options.with_variables(variables(&server.address()));
    // What waits in real time for others to come would wait in vain.
    let tuning = Tuning {
        gather: Duration::ZERO,
        ..Tuning::default()
    };
    let store = within(runtime(), async {
        let dated = Dated::new(RemoteObjects::new(&options).unwrap(), clock);
        ObjectStore::open_with(Arc::new(dated), random, tuning).await
    });
    (Arc::new(store.unwrap()), Box::new(server))
}

tests_of!(kind(), seeds 300..301, keys 300..301, limits 300..301, schedules 300..301, batches 300..301);
