//! The shop: what its jobs are, and what its staff does with them.

use std::time::Duration;

use anyhow::Context as _;
use longshore_core::{JobId, RetryPolicy};
use longshore_queue::{Attempt, JobError, JobRequest, Producer, WorkerBuilder};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// An order; the args of all jobs about it.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Order {
    number: u32,
    cents: u64,
}

/// How many jobs so many orders make: each has three child jobs, and one label is printed.
pub(super) const fn jobs(orders: u32) -> u64 {
    orders as u64 * 4 + 1
}

/// Registers the handlers.
pub(super) fn staff(builder: WorkerBuilder) -> WorkerBuilder {
    ["orders", "payments", "stock", "mail", "labels"]
        .into_iter()
        .fold(builder, WorkerBuilder::queue)
        .concurrency(8)
        .drain(true)
        .handler("place_order", place_order)
        .handler("charge_card", charge_card)
        .handler("pack_parcel", pack_parcel)
        .handler("send_mail", send_mail)
        .handler("print_label", print_label)
        .retry(RetryPolicy::fixed(Duration::from_millis(250)))
}

/// Enqueues the orders; gives back the job of the first whose payment will need two attempts.
pub(super) async fn take_orders(producer: &Producer, orders: u32) -> anyhow::Result<JobId> {
    let label = JobRequest::new("labels", "print_label")
        .args(&serde_json::json!({ "printer": "basement" }))
        .max_attempts(3);
    producer.enqueue(label).await.context("the label")?;
    let mut retried = None;
    for number in 1..=orders {
        let order = Order {
            number,
            cents: 990 + u64::from(number) * 137 % 5_000,
        };
        let request = JobRequest::new("orders", "place_order")
            .args(&order)
            .correlation_id(format!("order-{number}"))
            .tag("demo");
        let enqueued = producer.enqueue(request).await;
        let enqueued = enqueued.with_context(|| format!("order {number}"))?;
        if bank_fails(number) > 0 || retried.is_none() {
            retried.get_or_insert_with(|| enqueued.id().clone());
        }
    }
    retried.context("no order was taken")
}

/// How often the bank fails for an order: for some it does, the first one among them.
const fn bank_fails(order: u32) -> u32 {
    match order % 5 {
        1 => 1,
        4 if order % 10 == 4 => 2,
        _ => 0,
    }
}

async fn work(millis: u64) {
    sleep(Duration::from_millis(millis)).await;
}

async fn place_order(order: Order, attempt: Attempt) -> Result<(), JobError> {
    work(4).await;
    let charge = JobRequest::new("payments", "charge_card")
        .max_attempts(5)
        .priority(1);
    let pack = JobRequest::new("stock", "pack_parcel");
    let mail = JobRequest::new("mail", "send_mail")
        .delay(Duration::from_millis(400))
        .priority(3);
    for (name, child) in [("charge", charge), ("pack", pack), ("mail", mail)] {
        // With a key, an order that is placed again charges nobody twice.
        let key = format!("order-{}-{name}", order.number);
        attempt
            .enqueue(child.args(&order).unique_key(key).tag("demo"))
            .await?;
    }
    Ok(())
}

async fn charge_card(order: Order, attempt: Attempt) -> Result<u64, JobError> {
    work(20).await;
    if attempt.number() <= bank_fails(order.number) {
        return Err(JobError::retry(
            "bank_timeout",
            "the bank did not answer within 20 ms",
        ));
    }
    Ok(order.cents)
}

async fn pack_parcel(_order: Order, _attempt: Attempt) -> Result<(), JobError> {
    work(12).await;
    Ok(())
}

async fn send_mail(order: Order, _attempt: Attempt) -> Result<String, JobError> {
    work(6).await;
    Ok(format!("thank you for order {}", order.number))
}

async fn print_label(_label: serde_json::Value, _attempt: Attempt) -> Result<(), JobError> {
    work(3).await;
    Err(JobError::retry(
        "printer_on_fire",
        "the printer in the basement is on fire",
    ))
}
