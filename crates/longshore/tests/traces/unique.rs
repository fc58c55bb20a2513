//! Calls that meet a job that is there: the span says what became of it, and links to the call that
//! was first.

use std::time::Duration;

use longshore::{Attempt, Enqueued, ErrorKind, JobError, JobRequest, RawArgs, RawResult, Unique};

use crate::world::World;

const FIRST: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const SECOND: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn succeed(_args: RawArgs, _attempt: Attempt) -> Result<RawResult, JobError> {
    Ok(RawResult(None))
}

fn order(args: &str, caller: &str, unique: Unique) -> JobRequest {
    JobRequest::new("orders", "sync_cart")
        .args(args)
        .traceparent(caller, "", "")
        .unique(unique)
}

fn cart() -> Unique {
    Unique::by_key("cart-7")
}

#[tokio::test(start_paused = true)]
async fn a_hit() {
    let world = World::new();
    let id = world.enqueue(order("1", FIRST, cart())).await;
    let met = world.enqueue(order("1", SECOND, cart())).await;
    assert_eq!(met, id);
    world.drain(succeed).await;
    world.assert_tree("unique_hit");
}

#[tokio::test(start_paused = true)]
async fn a_replacement() {
    let world = World::new();
    let id = world.enqueue(order("1", FIRST, cart())).await;
    let later = Duration::from_secs(10);
    let second = order("2", SECOND, cart().replace())
        .delay(later)
        .priority(1);
    let enqueued = world.producer().enqueue(second).await.unwrap();
    assert!(matches!(&enqueued, Enqueued::Replaced { id: met, .. } if *met == id));
    world.drain(succeed).await;
    let job = world.job(&id).await;
    assert_eq!((&*job.args, job.priority.get()), (&b"\"2\""[..], 1));
    world.assert_tree("unique_replaced");
}

#[tokio::test(start_paused = true)]
async fn a_conflict() {
    let world = World::new();
    world.enqueue(order("1", FIRST, cart())).await;
    let refused = world.producer().enqueue(order("2", SECOND, cart())).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    world.drain(succeed).await;
    world.assert_tree("unique_conflict");
}

#[tokio::test(start_paused = true)]
async fn several_jobs_of_one_call() {
    let world = World::new();
    world.enqueue(order("1", FIRST, cart())).await;
    world.enqueue(order("9", FIRST, Unique::by_args())).await;
    let requests = vec![
        order("1", SECOND, cart()),
        order("2", SECOND, cart().replace()),
        order("new", SECOND, Unique::by_args()),
        order("new", SECOND, Unique::by_args()),
        order("9", SECOND, Unique::by_args().keep()),
    ];
    let answers = world.producer().enqueue_many(requests).await.unwrap();
    let told: Vec<_> = answers.iter().flatten().map(Enqueued::as_str).collect();
    assert_eq!(told, ["hit", "replaced", "created", "hit", "hit"]);
    world.drain(succeed).await;
    world.assert_tree("unique_batch");
}

/// A chosen id that comes twice has a span for each call; the second leads to the first.
#[tokio::test(start_paused = true)]
async fn a_chosen_id_that_comes_twice() {
    let world = World::new();
    for caller in [FIRST, SECOND] {
        let request = JobRequest::new("orders", "sync_cart").id("cart-7");
        world.enqueue(request.traceparent(caller, "", "")).await;
    }
    world.drain(succeed).await;
    world.assert_tree("hit_on_id");
}
