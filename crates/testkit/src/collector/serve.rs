//! The two OTLP transports, by hand on hyper: gRPC is one HTTP/2 request with a five-byte prefix
//! and a trailer, and needs no framework.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::sync::oneshot;

use super::payload::{grpc_message, http_message};
use super::{Behaviour, Protocol, Request, Shared, decode};

const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const HTTP_PATH: &str = "/v1/traces";

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// What became of a request, before it is put into the words of a transport.
#[derive(Clone, Copy)]
enum Verdict {
    Taken,
    Unavailable,
    Refused,
    Unknown,
}

pub(super) async fn run(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut stopped: oneshot::Receiver<()>,
) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    loop {
        let accepted = {
            let accept = std::pin::pin!(listener.accept());
            match or_stopped(accept, &mut stopped).await {
                Some(accepted) => accepted,
                None => return,
            }
        };
        let Ok((stream, _peer)) = accepted else {
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer(&shared, request).await) }
            });
            // A connection that breaks is the client's affair.
            let _broken = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await
                .is_err();
        });
    }
}

/// The outcome of `work`, or `None` as soon as `stopped` fires.
async fn or_stopped<F: Future>(
    mut work: std::pin::Pin<&mut F>,
    stopped: &mut oneshot::Receiver<()>,
) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        use std::task::Poll;
        if let Poll::Ready(output) = work.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        std::pin::Pin::new(&mut *stopped)
            .poll(context)
            .map(|_fired| None)
    })
    .await
}

async fn answer(shared: &Shared, request: hyper::Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let grpc = header(&head.headers, CONTENT_TYPE.as_str()).starts_with("application/grpc");
    let protocol = if grpc { Protocol::Grpc } else { Protocol::Http };
    let path = head.uri.path().to_owned();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_broken) => return in_words_of(protocol, Verdict::Refused),
    };
    let behaviour = take_turn(shared);
    let payload = match protocol {
        Protocol::Grpc => grpc_message(&body, header(&head.headers, "grpc-encoding")),
        Protocol::Http => http_message(&body, header(&head.headers, CONTENT_ENCODING.as_str())),
    };
    let decoded = payload
        .as_ref()
        .and_then(|(message, _compressed)| decode::request(message));
    let verdict = match behaviour {
        Behaviour::Accept if path != GRPC_PATH && path != HTTP_PATH => Verdict::Unknown,
        Behaviour::Accept if decoded.is_some() => Verdict::Taken,
        Behaviour::Unavailable(_) => Verdict::Unavailable,
        Behaviour::Accept | Behaviour::Refuse | Behaviour::Hang => Verdict::Refused,
    };
    let (spans, resource) = decoded.unwrap_or_default();
    let accepted = matches!(verdict, Verdict::Taken);
    {
        let mut state = shared.state();
        state.requests.push(Request {
            protocol,
            path,
            headers: as_text(&head.headers),
            compressed: payload.is_some_and(|(_message, compressed)| compressed),
            body_bytes: body.len(),
            resource,
            accepted,
        });
        if accepted {
            state.spans.extend(spans);
        }
    }
    shared.changed.notify_waiters();
    if behaviour == Behaviour::Hang {
        std::future::pending::<()>().await;
    }
    in_words_of(protocol, verdict)
}

/// The behaviour for this request; counts down [`Behaviour::Unavailable`].
fn take_turn(shared: &Shared) -> Behaviour {
    let mut state = shared.state();
    let now = match state.behaviour {
        Behaviour::Unavailable(0) => Behaviour::Accept,
        other => other,
    };
    if let Behaviour::Unavailable(left) = now {
        state.behaviour = Behaviour::Unavailable(left - 1);
    }
    now
}

fn in_words_of(protocol: Protocol, verdict: Verdict) -> Answer {
    match protocol {
        Protocol::Grpc => {
            let code = match verdict {
                Verdict::Taken => "0",
                Verdict::Unavailable => "14",
                Verdict::Refused => "3",
                Verdict::Unknown => "12",
            };
            let mut trailers = HeaderMap::new();
            trailers.insert(
                HeaderName::from_static("grpc-status"),
                HeaderValue::from_static(code),
            );
            // An empty ExportTraceServiceResponse in a gRPC frame.
            let body = Full::new(Bytes::from_static(&[0; 5]));
            let body = body.with_trailers(std::future::ready(Some(Ok(trailers))));
            respond(StatusCode::OK, "application/grpc", body.boxed())
        }
        Protocol::Http => {
            let status = match verdict {
                Verdict::Taken => StatusCode::OK,
                Verdict::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                Verdict::Refused => StatusCode::BAD_REQUEST,
                Verdict::Unknown => StatusCode::NOT_FOUND,
            };
            respond(status, "application/x-protobuf", Full::default().boxed())
        }
    }
}

fn respond(status: StatusCode, content: &'static str, body: BoxBody<Bytes, Infallible>) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content));
    response
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn as_text(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), text)
        })
        .collect()
}
