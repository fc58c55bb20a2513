//! What a person or program does to schedules, limits and kinds: one `queue.admin` span for each call
//! that changed something, with what it was about, its name and how many.

use longshore::{Limit, LimitControl, Put, Schedule, Schedules};
use longshore_core::SpanContext;
use longshore_core::schedule::Timetable;
use longshore_instrument::span::{AttributeValue as Value, Span};
use longshore_instrument::table::{key, name};

use crate::world::World;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn schedule(name: &str, timetable: &str) -> Schedule {
    let timetable: Timetable = timetable.parse().unwrap();
    let (queue, kind) = ("orders".parse().unwrap(), "tidy".parse().unwrap());
    Schedule::new(name.parse().unwrap(), timetable, queue, kind)
}

fn at_most(concurrency: u32) -> Limit {
    Limit {
        concurrency: Some(concurrency),
        ..Limit::default()
    }
}

/// The verb of a call, what it was about, its name and how many.
fn said(span: &Span) -> String {
    let value = |key: &str| span.attributes.iter().find(|one| one.key == key);
    let text = |key: &str| match value(key).map(|one| &one.value) {
        Some(Value::String(text)) => Some(text.to_string()),
        Some(Value::Int(number)) => Some(number.to_string()),
        _ => None,
    };
    let keys = [
        key::OPERATION_NAME,
        key::ADMIN_SUBJECT,
        key::SCHEDULE,
        key::LIMIT_SCOPE,
        key::KIND,
        key::ADMIN_COUNT,
    ];
    let words: Vec<String> = keys.into_iter().filter_map(text).collect();
    words.join(" ")
}

fn calls(world: &World) -> Vec<String> {
    let spans = world.spans.spans();
    let calls = spans.iter().filter(|span| span.name == name::ADMIN);
    calls.map(said).collect()
}

fn caller() -> SpanContext {
    SpanContext::from_traceparent(CALLER).unwrap()
}

#[tokio::test(start_paused = true)]
async fn schedules() {
    let world = World::new();
    let schedules = world.admin().called_by(caller()).schedules();
    let nightly = "nightly".parse().unwrap();
    let put = async |at| schedules.put(schedule("nightly", at)).await.unwrap();
    assert_eq!(put("@daily").await, Put::Added);
    assert_eq!(put("@daily").await, Put::Unchanged);
    assert_eq!(put("@hourly").await, Put::Changed);
    let many = ["nightly", "a", "b"].map(|name| schedule(name, "@hourly"));
    schedules.put_many(many.into()).await.unwrap();
    assert!(schedules.pause(&nightly).await.unwrap());
    assert!(schedules.resume(&nightly).await.unwrap());
    schedules.trigger(&nightly).await.unwrap();
    assert!(schedules.remove(&nightly).await.unwrap());
    assert!(!schedules.remove(&nightly).await.unwrap());
    assert!(!schedules.pause(&nightly).await.unwrap());
    assert!(schedules.trigger(&nightly).await.is_err());
    let expected = [
        "put schedule nightly 1",
        "put schedule nightly 1",
        "put schedule 2",
        "pause schedule nightly 1",
        "resume schedule nightly 1",
        "trigger schedule nightly tidy",
        "remove schedule nightly 1",
    ];
    assert_eq!(calls(&world), expected);
    world.assert_tree("admin_schedules");
}

#[tokio::test(start_paused = true)]
async fn limits() {
    let world = World::new();
    let limits = world.admin().called_by(caller()).limits();
    let orders: longshore::Scope = "queue:orders".parse().unwrap();
    let set = async |limit: Limit| limits.set(orders.clone(), limit).await.unwrap();
    set(at_most(5)).await;
    set(at_most(5)).await;
    let fair = Limit {
        fair: true,
        ..at_most(7)
    };
    set(fair).await;
    // The one that is left stays as it is, so this takes away.
    set(at_most(7)).await;
    let acme = || "tenant:acme".parse().unwrap();
    let two = limits.change(|limits| {
        limits.set(acme(), at_most(1))?;
        limits.set("kind:order".parse().unwrap(), at_most(1))
    });
    two.await.unwrap();
    assert!(limits.remove(&acme()).await.unwrap().is_some());
    assert!(limits.remove(&acme()).await.unwrap().is_none());
    let expected = [
        "set limit queue:orders 1",
        "set limit queue:orders 1",
        "remove limit queue:orders 1",
        "set limit 2",
        "remove limit tenant:acme 1",
    ];
    assert_eq!(calls(&world), expected);
    world.assert_tree("admin_limits");
}

#[tokio::test(start_paused = true)]
async fn kinds() {
    let world = World::new();
    let limits = world.admin().called_by(caller()).limits();
    let kind = || "order".parse().unwrap();
    limits.pause_kind(kind()).await.unwrap();
    limits.pause_kind(kind()).await.unwrap();
    limits.resume_kind(kind()).await.unwrap();
    assert_eq!(calls(&world), ["pause kind order", "resume kind order"]);
    world.assert_tree("admin_kinds");
}

/// Without a caller each call is a trace of its own; without telemetry there is none.
#[tokio::test(start_paused = true)]
async fn nobody_called() {
    let world = World::new();
    let quiet = LimitControl::new(world.store.clone());
    quiet.pause_kind("order".parse().unwrap()).await.unwrap();
    assert_eq!(calls(&world), [""; 0]);
    let daily = schedule("nightly", "@daily");
    Schedules::new(world.producer()).put(daily).await.unwrap();
    let limits = world.admin().limits();
    limits.resume_kind("order".parse().unwrap()).await.unwrap();
    let spans = world.spans.spans();
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| span.parent_span_id.is_none()));
    assert_ne!(spans[0].trace_id, spans[1].trace_id);
}
