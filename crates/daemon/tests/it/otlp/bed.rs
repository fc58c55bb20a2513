//! A receiver on a free port, and what it wrote down.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Request, Response, Version};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use longshore_core::{Random as _, SystemClock, SystemRandom};
use longshore_daemon::otlp::{JournalOptions, Receiver, ReceiverOptions};
use longshore_daemon::serve::{ServerOptions, serve};
use longshore_spanlog::{Frame, Policy, Reader, SyncPolicy};
use longshore_telemetry::Redactor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Long enough for a loaded machine, never waited for in full unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that goes away with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let number = SystemRandom.next_u64();
        let path = std::env::temp_dir().join(format!("longshore-daemon-{number:016x}"));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The thread that writes may still close its files.
        for _try in 0..1000 {
            let _not_yet = std::fs::remove_dir_all(&self.0);
            if !self.0.exists() {
                return;
            }
            std::thread::yield_now();
        }
    }
}

/// Where a receiver writes in `folder`.
pub(crate) fn journal(folder: &Path) -> JournalOptions {
    JournalOptions {
        folder: folder.to_owned(),
        policy: Policy::default(),
        sync: SyncPolicy::Never,
    }
}

pub(crate) struct Bed {
    pub(crate) address: SocketAddr,
    pub(crate) receiver: Receiver,
    pub(crate) folder: Folder,
    client: [Client<HttpConnector, Full<Bytes>>; 2],
    _stop: oneshot::Sender<()>,
}

impl Bed {
    pub(crate) async fn new() -> Self {
        Self::with(ReceiverOptions::default()).await
    }

    pub(crate) async fn with(options: ReceiverOptions) -> Self {
        let folder = Folder::new();
        let redactor = Arc::new(Redactor::default());
        let clock = Arc::new(SystemClock::new());
        let receiver = Receiver::start(journal(&folder.0), redactor, options, clock).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            let _told = stopped.await;
        };
        let router = receiver.router();
        tokio::spawn(serve(listener, router, ServerOptions::default(), stopped));
        let client = |http2| {
            Client::builder(TokioExecutor::new())
                .http2_only(http2)
                .build_http()
        };
        Self {
            address,
            receiver,
            folder,
            client: [client(false), client(true)],
            _stop: stop,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends a request, by HTTP/2 if it is gRPC.
    pub(crate) async fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let grpc = headers
            .iter()
            .any(|(_, value)| value.starts_with("application/grpc"));
        let mut request = Request::post(format!("{}{path}", self.url()));
        if grpc {
            request = request.version(Version::HTTP_2);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let client = &self.client[usize::from(grpc)];
        Answer::of(client.request(request).await.unwrap()).await
    }

    /// What was written down, in the order in which it came.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        frames(&self.folder.0)
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        spans(&self.folder.0)
    }
}

pub(crate) fn frames(folder: &Path) -> Vec<Frame> {
    let mut reader = Reader::open(folder).unwrap();
    std::iter::from_fn(|| reader.next_frame().unwrap()).collect()
}

pub(crate) fn spans(folder: &Path) -> Vec<Span> {
    let frames = frames(folder).into_iter();
    let requests = frames.map(|frame| {
        let request = ExportTraceServiceRequest::decode(&*frame.body).unwrap();
        let in_it = request.resource_spans.iter().flat_map(|of| &of.scope_spans);
        let in_it: usize = in_it.map(|of| of.spans.len()).sum();
        assert_eq!(in_it, frame.header.spans as usize, "the header counts");
        request
    });
    let of_resources = requests.flat_map(|request| request.resource_spans);
    let of_scopes = of_resources.flat_map(|of| of.scope_spans);
    of_scopes.flat_map(|of| of.spans).collect()
}

/// An answer, all of it.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Answer {
    async fn of(response: Response<hyper::body::Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let collected = body.collect().await.unwrap();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            trailers: collected.trailers().cloned().unwrap_or_default(),
            body: collected.to_bytes(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).or_else(|| self.trailers.get(name));
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A span whose ids follow from `number`.
pub(crate) fn span(number: u64) -> Span {
    let id = number.to_be_bytes();
    Span {
        trace_id: [id, id].concat(),
        span_id: id.to_vec(),
        name: format!("span {number}"),
        kind: 1,
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_001_000_000_000,
        ..Span::default()
    }
}

pub(crate) fn request(spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans {
        spans,
        ..ScopeSpans::default()
    }];
    let resource_spans = vec![ResourceSpans {
        scope_spans,
        ..ResourceSpans::default()
    }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// Waits until something is so.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap();
}
