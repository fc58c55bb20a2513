//! An OTLP receiver that remembers every span.

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::sink;

pub struct Receiver {
    pub url: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Receiver {
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let spans = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&spans);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let spans = Arc::clone(&all);
                std::thread::spawn(move || {
                    let _the_client_left = receive(stream, &spans);
                });
            }
        });
        Ok(Self { url, spans })
    }

    /// Everything that arrived.
    pub fn take(&self) -> Vec<Span> {
        std::mem::take(&mut *self.spans.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn receive(stream: TcpStream, spans: &Mutex<Vec<Span>>) -> Result<()> {
    sink::take(stream, |body| {
        let request = ExportTraceServiceRequest::decode(body)?;
        let scopes = request
            .resource_spans
            .into_iter()
            .flat_map(|one| one.scope_spans);
        let arrived: Vec<Span> = scopes.flat_map(|scope| scope.spans).collect();
        spans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(arrived);
        Ok(())
    })
}
