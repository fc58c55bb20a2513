//! The trace context in the headers of PGMQ messages, with plain SQL.
//!
//! PGMQ keeps a `headers` column of type `jsonb` beside each message: the place for the trace.
//! None of the messages is sampled here; the one whose handler fails is kept whole all the same,
//! its second attempt included, since the decision goes back into its headers.
//!
//! `cargo run -p example-pgmq` in this folder starts a PostgreSQL of its own (Debian's package
//! `postgresql`) and draws the trace. Only `longshore-core` and `longshore-instrument` are needed;
//! where the spans go is up to a `Recorder`: here they stay in memory.

mod server;

use std::error::Error;
use std::sync::Arc;

use longshore_core::AttemptOutcome;
use longshore_instrument::foreign::{Delivery, Ending, ForeignJob, ForeignQueue};
use longshore_instrument::{Recorder, Span, SpanBuffer};
use longshore_trace::{Forest, outline};
use serde_json::{Map, Value, json};
use tokio_postgres::{Client, NoTls};

use server::Server;

type Failure = Box<dyn Error>;

/// The table of a queue `mail`, as `pgmq.create('mail')` makes it.
const TABLE: &str = "\
CREATE SCHEMA pgmq;
CREATE TABLE pgmq.q_mail (
    msg_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    read_ct int NOT NULL DEFAULT 0,
    enqueued_at timestamptz NOT NULL DEFAULT now(),
    last_read_at timestamptz,
    vt timestamptz NOT NULL,
    message jsonb,
    headers jsonb
);";

/// What `pgmq.send(queue, msg, headers)` does.
const SEND: &str = "\
INSERT INTO pgmq.q_mail (vt, message, headers) VALUES (clock_timestamp(), $1, $2) RETURNING msg_id";

/// What `pgmq.read(queue, vt => 30, qty => 1)` does.
const READ: &str = "\
UPDATE pgmq.q_mail
SET vt = clock_timestamp() + interval '30 seconds', read_ct = read_ct + 1, last_read_at = now()
WHERE msg_id = (
    SELECT msg_id FROM pgmq.q_mail WHERE vt <= clock_timestamp()
    ORDER BY msg_id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING msg_id, read_ct, message, headers";

/// What `pgmq.delete(queue, msg_id)` does.
const DELETE: &str = "DELETE FROM pgmq.q_mail WHERE msg_id = $1";

/// What `pgmq.set_vt(queue, msg_id, 0)` does, and what it does not: headers are added.
const RETRY: &str = "\
UPDATE pgmq.q_mail SET vt = clock_timestamp(), headers = headers || $2 WHERE msg_id = $1";

/// A job to send a mail, as its spans call it.
fn job() -> ForeignJob {
    ForeignJob::new("mail", "send_mail")
}

async fn send(client: &Client, queue: &ForeignQueue, message: Value) -> Result<(), Failure> {
    let mut enqueue = queue.enqueue(job());
    let mut headers = Map::new();
    enqueue.inject(|key, value| {
        headers.insert(key.to_owned(), Value::from(value));
    });
    let headers = Value::Object(headers);
    let sent = client.query_one(SEND, &[&message, &headers]).await;
    if let Ok(row) = &sent {
        enqueue.set_id(&row.get::<_, i64>(0).to_string());
    }
    enqueue.end(sent.is_err().then_some("postgres_error"));
    sent?;
    Ok(())
}

/// Runs one message. False if there is none.
async fn work(client: &Client, queue: &ForeignQueue) -> Result<bool, Failure> {
    let Some(row) = client.query_opt(READ, &[]).await? else {
        return Ok(false);
    };
    let (id, reads): (i64, i32) = (row.get(0), row.get(1));
    let (message, headers): (Value, Value) = (row.get(2), row.get(3));
    // `read_ct` rises with every delivery, also with one whose worker was killed.
    let reads = u32::try_from(reads)?;
    let attempt = queue.attempt(
        job().with_id(&id.to_string()),
        &Delivery::nth(reads),
        |key| headers.get(key)?.as_str(),
    );
    let result = attempt.run(send_mail(&message, reads)).await;
    let ending = match result {
        Ok(()) => Ending::completed(),
        Err(class) => Ending::failed(AttemptOutcome::Retried, class),
    };
    let ended = attempt.end(ending).await;
    let settled = match result {
        Ok(()) => client.execute(DELETE, &[&id]).await,
        Err(_class) => {
            let mut more = Map::new();
            ended.inject_keep(|key, value| {
                more.insert(key.to_owned(), Value::from(value));
            });
            client.execute(RETRY, &[&id, &Value::Object(more)]).await
        }
    };
    ended.settled(settled.is_err().then_some("postgres_error"));
    settled?;
    Ok(true)
}

/// The handler: the mail to Bob fails at first.
async fn send_mail(message: &Value, attempt: u32) -> Result<(), &'static str> {
    match message.get("to").and_then(Value::as_str) {
        Some("bob") if attempt == 1 => Err("smtp_timeout"),
        _ => Ok(()),
    }
}

/// Sends three mails and works until there is none left; gives back the spans that would leave.
async fn run(address: &str) -> Result<Vec<Span>, Failure> {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
    let connection = tokio::spawn(connection);
    client.batch_execute(TABLE).await?;

    let never = 1 << 56;
    let spans = Arc::new(
        SpanBuffer::default()
            .with_threshold(never)
            .keeping_failures(),
    );
    let recorder: Arc<dyn Recorder> = Arc::<SpanBuffer>::clone(&spans);
    let queue = ForeignQueue::new("pgmq", recorder);
    for to in ["ann", "bob", "cleo"] {
        send(&client, &queue, json!({ "to": to })).await?;
    }
    while work(&client, &queue).await? {}

    drop(client);
    connection.await??;
    Ok(spans.spans())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    if !Server::is_there() {
        return Err(
            "PostgreSQL is not installed here: on Debian, apt-get install postgresql".into(),
        );
    }
    let server = Server::start()?;
    let spans = run(&server.address()).await?;
    println!("{}", outline::outline(&Forest::new(&spans)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_testkit::collector::trace_tree;

    const KEPT: &str = "\
trace
a queue.enqueue PRODUCER longshore.rebuilt=true
  b queue.dequeue CLIENT longshore.job.attempt=1
  c job.process CONSUMER error longshore.job.attempt=1 longshore.job.outcome=retried error.type=smtp_timeout
    ! job_failed
    ~ link a longshore.link=enqueue
    d handler.execution INTERNAL error error.type=smtp_timeout
    e job.settle CLIENT longshore.job.outcome=retried
  f job.process CONSUMER longshore.job.attempt=2 longshore.job.outcome=completed
    ~ link a longshore.link=enqueue
    ~ link c longshore.link=previous_attempt
    g handler.execution INTERNAL
    h job.settle CLIENT longshore.job.outcome=completed
";

    #[tokio::test]
    async fn the_message_that_failed_leaves_whole_and_alone() {
        if !Server::is_there() {
            let must = std::env::var_os("LONGSHORE_CI").is_some();
            assert!(!must, "PostgreSQL is not installed");
            eprintln!("not run: PostgreSQL is not installed");
            return;
        }
        let server = Server::start().unwrap();
        let spans = run(&server.address()).await.unwrap();
        assert_eq!(trace_tree(&spans), KEPT);
    }
}
