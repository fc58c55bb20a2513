//! A handler calls another service, and the service joins the trace.
//!
//! `cargo run --example 07_outbound_http` prints the `traceparent` that the server saw and the
//! trace it belongs to. The server here is a few lines of HTTP; yours needs nothing but any W3C
//! tracing library.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use longshore::trace::{Forest, outline::outline};
use longshore::{
    Attempt, JobError, JobRequest, Producer, SpanBuffer, SpanContext, Worker, connect,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

async fn fetch(address: String, attempt: Attempt) -> Result<String, JobError> {
    let mut headers = String::new();
    attempt.inject(|name, value| headers.push_str(&format!("{name}: {value}\r\n")));
    let mut server = TcpStream::connect(&address).await?;
    let request =
        format!("GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
    server.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    server.read_to_string(&mut answer).await?;
    let body = answer.rsplit("\r\n").next().unwrap_or_default();
    Ok(body.to_owned())
}

/// Answers one request with the `traceparent` it carried.
async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let (mut client, _) = listener.accept().await?;
    let (reader, mut writer) = client.split();
    let mut lines = BufReader::new(reader).lines();
    let mut seen = String::new();
    while let Some(line) = lines.next_line().await?.filter(|line| !line.is_empty()) {
        if let Some(value) = line.strip_prefix("traceparent: ") {
            seen = value.to_owned();
        }
    }
    let length = seen.len();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{seen}");
    writer.write_all(answer.as_bytes()).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let server = tokio::spawn(serve(listener));

    let store = connect("memory:")?;
    let spans = Arc::new(SpanBuffer::default());
    let producer = Producer::new(store.clone()).with_recorder(spans.clone());
    let request = JobRequest::new("calls", "fetch").args(&address);
    let enqueued = producer.enqueue(request).await?;
    Worker::builder(store.clone())
        .queue("calls")
        .handler("fetch", fetch)
        .recorder(spans.clone())
        .drain(true)
        .build()?
        .run(std::future::pending())
        .await?;
    server.await??;

    let job = store.get(enqueued.id()).await?.ok_or("the job is gone")?;
    let result = job.result.unwrap_or_default();
    let seen = String::from_utf8_lossy(&result).replace('"', "");
    println!("the server saw {seen}");
    let spans = spans.spans();
    let joined = SpanContext::from_traceparent(&seen)?;
    let parent = spans.iter().find(|span| span.span_id == joined.span_id);
    println!(
        "its parent is {}",
        parent.map_or("unknown", |span| &span.name)
    );
    println!("{}", outline(&Forest::new(&spans)));
    Ok(())
}
