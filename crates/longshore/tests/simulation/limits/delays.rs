//! Jobs that were claimed in time, and cannot start before something else is answered: when that
//! takes longer than their permits last, they must not start.

use std::time::Duration;

use longshore::{JobRequest, Producer};
use tokio::time::sleep;

use super::{Life, World, at_most};
use crate::process;
use crate::stall::Start;
use crate::subject::Kind;

/// Tenants have one permit each.
async fn world() -> (World, Producer) {
    let world = World::new(Kind::Memory, 3);
    world.faulty.heal();
    world.limit("tenants", at_most(1)).await;
    let producer =
        Producer::new(world.store.clone()).with_clock(world.clock.clone(), world.random.clone());
    (world, producer)
}

fn job(kind: &str, tenant: &str, millis: u8) -> JobRequest {
    let job = JobRequest::new("orders", kind).raw_args(vec![millis]);
    match tenant {
        "" => job,
        tenant => job.tenant_id(tenant),
    }
}

/// The first worker is cut off for longer than its permits last; the second has the permit when
/// the first is back.
async fn outlast(world: &World, first: &Life) {
    sleep(Duration::from_secs(12)).await;
    assert!(first.stall.is_under_way(), "it never came to that");
    assert_eq!(world.gauge.now("kind:long"), 1);
    first.stall.end();
    sleep(Duration::from_secs(90)).await;
}

async fn end(world: &World, lives: [Life; 2]) {
    assert_eq!(world.gauge.most("kind:long"), 1);
    for life in lives {
        life.shutdown.notify_one();
        life.worker.await.unwrap();
    }
}

#[test]
fn a_job_that_was_claimed_with_one_of_a_new_tenant_starts_only_while_it_has_its_permits() {
    process::runtime(61).block_on(async {
        let (world, producer) = world().await;
        world.limit("kind:long", at_most(1)).await;
        let first = world.start("first");
        first.stall.begin_at(Start::Claimed);
        let both = vec![job("order", "a", 1), job("long", "", 255)];
        producer.enqueue_many(both).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        let second = world.start("second");
        outlast(&world, &first).await;
        world.all_are_completed(2).await;
        end(&world, [first, second]).await;
    });
}

/// One who is gone has the permit of tenant `a`.
#[test]
fn a_job_that_was_claimed_with_one_over_a_limit_starts_only_while_it_has_its_permits() {
    process::runtime(61).block_on(async {
        let (world, producer) = world().await;
        let gone = world.start("gone");
        producer.enqueue(job("order", "a", 255)).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        gone.worker.abort();
        world.limit("kind:long", at_most(1)).await;
        let both = vec![job("order", "a", 1), job("long", "b", 255)];
        producer.enqueue_many(both).await.unwrap();
        let first = world.start("first");
        first.stall.begin_at(Start::Call("settle"));
        sleep(Duration::from_secs(1)).await;
        let second = world.start("second");
        outlast(&world, &first).await;
        world.all_are_completed(3).await;
        end(&world, [first, second]).await;
    });
}
