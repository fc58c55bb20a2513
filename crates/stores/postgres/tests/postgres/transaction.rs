//! Jobs that are enqueued in a transaction of the caller's.

use longshore_core::{Enqueued, Store, UniqueKey};
use longshore_postgres::PostgresStore;
use longshore_postgres::sqlx::{self, Connection as _, PgConnection};

use crate::server;
use crate::support::jobs;

#[tokio::test]
async fn jobs_come_and_go_with_the_callers_transaction() {
    let Some(server) = server::shared() else {
        return;
    };
    let store = PostgresStore::open(server::options(&server.url())).unwrap();
    let mut conn = PgConnection::connect(&server.url()).await.unwrap();
    for (commits, keyed) in [(true, false), (false, false), (true, true), (false, true)] {
        let mut new = jobs(&store, 2).await;
        if keyed {
            let job = &mut new[0];
            job.unique_key = Some(UniqueKey::new("key", &job.kind, &job.args));
        }
        let ids = [new[0].id.clone(), new[1].id.clone()];
        let mut transaction = conn.begin().await.unwrap();
        sqlx::query("CREATE TEMPORARY TABLE IF NOT EXISTS orders (id int)")
            .execute(&mut *transaction)
            .await
            .unwrap();
        let answers = store.enqueue_in(&mut transaction, new).await.unwrap();
        for answer in answers {
            assert!(matches!(answer, Ok(Enqueued::Created { .. })), "{answer:?}");
        }
        assert!(
            store.get(&ids[0]).await.unwrap().is_none(),
            "not before the commit"
        );
        match commits {
            true => transaction.commit().await.unwrap(),
            false => transaction.rollback().await.unwrap(),
        }
        for id in &ids {
            assert_eq!(store.get(id).await.unwrap().is_some(), commits);
        }
        store.cancel(&ids).await.unwrap();
    }
}
