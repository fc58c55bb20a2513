//! Limits that are changed while jobs run which have permits.

use std::time::Duration;

use longshore::{JobRequest, Limit, LimitControl, Producer};
use tokio::time::sleep;

use super::peace::in_peace;
use super::{LONG, World, at_most};

/// Jobs that last twenty leases.
async fn produce_long(world: &World, jobs: usize) {
    let producer =
        Producer::new(world.store.clone()).with_clock(world.clock.clone(), world.random.clone());
    let args = vec![u8::try_from(LONG).unwrap()];
    let request = || JobRequest::new("orders", "order").raw_args(args.clone());
    let requests = (0..jobs).map(|_| request()).collect();
    producer.enqueue_many(requests).await.unwrap();
}

#[test]
fn a_job_goes_on_when_a_rate_takes_the_place_of_its_limit() {
    in_peace(|world| async move {
        world.limit("queue:orders", at_most(5)).await;
        produce_long(&world, 3).await;
        let life = world.start("a");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(world.gauge.now("queue:orders"), 3);
        let rate = Limit {
            rate: Some("20/s".parse().unwrap()),
            ..Limit::default()
        };
        world.limit("queue:orders", rate).await;
        sleep(Duration::from_secs(25)).await;
        life.shutdown.notify_one();
        let report = life.worker.await.unwrap();
        assert_eq!((report.completed, report.leases_lost), (3, 0));
    });
}

#[test]
fn what_runs_of_a_paused_kind_counts_once_it_goes_on() {
    in_peace(|world| async move {
        world.limit("kind:order", at_most(1)).await;
        produce_long(&world, 3).await;
        let lives = ["a", "b"].map(|name| world.start(name));
        sleep(Duration::from_secs(2)).await;
        let limits = LimitControl::new(world.store.clone());
        limits.pause_kind("order".parse().unwrap()).await.unwrap();
        sleep(Duration::from_secs(4)).await;
        assert_eq!(world.gauge.now("kind:order"), 1);
        limits.resume_kind("order".parse().unwrap()).await.unwrap();
        sleep(Duration::from_secs(60)).await;
        assert_eq!(world.gauge.most("kind:order"), 1);
        for life in lives {
            life.shutdown.notify_one();
            assert_eq!(life.worker.await.unwrap().leases_lost, 0);
        }
        world.all_are_completed(3).await;
    });
}
