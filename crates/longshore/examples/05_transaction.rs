//! Enqueueing in the application's own SQLite transaction: the order and its job are there
//! together, or neither is.
//!
//! `cargo run --example 05_transaction` commits one order, rolls another back, and runs the queue.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use longshore::sqlite::rusqlite::Connection;
use longshore::{
    Attempt, JobError, JobRequest, Producer, SqliteOptions, SqliteStore, Store, Worker,
};

async fn ship(order: i64, _attempt: Attempt) -> Result<String, JobError> {
    Ok(format!("order {order} shipped"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("longshore-example-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("shop.db");

    // The store and the application's tables share one file.
    let store = SqliteStore::open(SqliteOptions::at(&file))?;
    let producer = Producer::new(std::sync::Arc::new(store.clone()));
    let mut connection = Connection::open(&file)?;
    connection.execute("CREATE TABLE shop_order (number INTEGER PRIMARY KEY)", [])?;

    let now = store.now().await?;
    for (number, paid) in [(1, true), (2, false)] {
        let jobs = producer.prepare(vec![JobRequest::new("shop", "ship").args(&number)])?;
        let transaction = connection.transaction()?;
        transaction.execute("INSERT INTO shop_order VALUES (?1)", [number])?;
        SqliteStore::enqueue_in(&transaction, &jobs, now)?;
        if paid {
            transaction.commit()?;
        } else {
            transaction.rollback()?;
        }
    }

    let report = Worker::builder(std::sync::Arc::new(store))
        .queue("shop")
        .handler("ship", ship)
        .drain(true)
        .build()?
        .run(std::future::pending())
        .await?;
    let orders: i64 =
        connection.query_row("SELECT count(*) FROM shop_order", [], |row| row.get(0))?;
    println!("{orders} order, {} job completed", report.completed);
    drop(connection);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
