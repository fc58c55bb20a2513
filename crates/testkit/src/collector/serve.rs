//! The two OTLP transports, by hand on hyper: gRPC is one HTTP/2 request with a five-byte prefix
//! and a trailer, and needs no framework.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use longshore_instrument::Span;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use tokio::sync::oneshot;

use super::payload::{grpc_message, http_message};
use super::{Behaviour, LogRecord, Protocol, Request, Shared, decode, log_record};

const TRACES: [&str; 2] = [
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/v1/traces",
];
const LOGS: [&str; 2] = [
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "/v1/logs",
];

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// What became of a request, before it is put into the words of a transport.
#[derive(Clone, Copy)]
enum Verdict {
    Taken,
    TakenBut(usize),
    Throttled(u8),
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
                async move { answer(&shared, request).await }
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

/// The answer; an error to break off instead.
async fn answer(shared: &Shared, request: hyper::Request<Incoming>) -> io::Result<Answer> {
    let (head, body) = request.into_parts();
    let grpc = header(&head.headers, CONTENT_TYPE.as_str()).starts_with("application/grpc");
    let protocol = if grpc { Protocol::Grpc } else { Protocol::Http };
    let path = head.uri.path().to_owned();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_broken) => return Ok(in_words_of(protocol, Verdict::Refused)),
    };
    let behaviour = take_turn(shared);
    let payload = match protocol {
        Protocol::Grpc => grpc_message(&body, header(&head.headers, "grpc-encoding")),
        Protocol::Http => http_message(&body, header(&head.headers, CONTENT_ENCODING.as_str())),
    };
    let decoded = payload
        .as_ref()
        .and_then(|(message, _compressed)| Taken::of(&path, message));
    let verdict = match behaviour {
        Behaviour::Unavailable(_) => Verdict::Unavailable,
        Behaviour::Throttle { seconds } => Verdict::Throttled(seconds),
        Behaviour::Refuse | Behaviour::Hang => Verdict::Refused,
        Behaviour::Accept | Behaviour::BreakOff | Behaviour::PartialSuccess { .. } => {
            match behaviour {
                _ if !is_known(&path) => Verdict::Unknown,
                _ if decoded.is_none() => Verdict::Refused,
                Behaviour::PartialSuccess { rejected } => Verdict::TakenBut(rejected),
                _ => Verdict::Taken,
            }
        }
    };
    let mut taken = decoded.unwrap_or_default();
    let accepted = matches!(verdict, Verdict::Taken | Verdict::TakenBut(_));
    let verdict = match verdict {
        Verdict::TakenBut(rejected) => Verdict::TakenBut(taken.reject(rejected)),
        other => other,
    };
    {
        let mut state = shared.state();
        state.requests.push(Request {
            protocol,
            path,
            headers: as_text(&head.headers),
            compressed: payload.as_ref().is_some_and(|(_, compressed)| *compressed),
            body_bytes: body.len(),
            message: payload.map_or_else(Vec::new, |(message, _)| message),
            resource: taken.resource,
            accepted,
        });
        if accepted {
            state.spans.extend(taken.spans);
            state.log_records.extend(taken.log_records);
        }
    }
    shared.changed.notify_waiters();
    match behaviour {
        Behaviour::Hang => std::future::pending().await,
        Behaviour::BreakOff => Err(io::ErrorKind::BrokenPipe.into()),
        _ => Ok(in_words_of(protocol, verdict)),
    }
}

/// What is in a request, of one kind or the other.
#[derive(Default)]
struct Taken {
    spans: Vec<Span>,
    log_records: Vec<LogRecord>,
    resource: BTreeMap<String, String>,
}

impl Taken {
    fn of(path: &str, message: &[u8]) -> Option<Self> {
        let mut taken = Self::default();
        if LOGS.contains(&path) {
            (taken.log_records, taken.resource) = log_record::request(message)?;
        } else {
            (taken.spans, taken.resource) = decode::request(message)?;
        }
        Some(taken)
    }

    /// Leaves out the first so many; gives back how many these are.
    fn reject(&mut self, most: usize) -> usize {
        let spans = self.spans.drain(..most.min(self.spans.len())).count();
        let records = &mut self.log_records;
        spans + records.drain(..most.min(records.len())).count()
    }
}

fn is_known(path: &str) -> bool {
    TRACES.contains(&path) || LOGS.contains(&path)
}

/// The behaviour for this request; counts down [`Behaviour::Unavailable`].
fn take_turn(shared: &Shared) -> Behaviour {
    let mut state = shared.state();
    if let Some(scripted) = state.script.pop_front() {
        return scripted;
    }
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
    let message = match verdict {
        Verdict::TakenBut(rejected) => partial_success(rejected),
        _ => Vec::new(),
    };
    match protocol {
        Protocol::Grpc => grpc_words(verdict, &message),
        Protocol::Http => http_words(verdict, message),
    }
}

/// An `ExportTraceServiceResponse` that says how many spans were rejected. The one for log records
/// has the same bytes.
fn partial_success(rejected: usize) -> Vec<u8> {
    let partial_success = Some(ExportTracePartialSuccess {
        rejected_spans: i64::try_from(rejected).unwrap_or(i64::MAX),
        error_message: "rejected as the test asked".to_owned(),
    });
    ExportTraceServiceResponse { partial_success }.encode_to_vec()
}

fn grpc_words(verdict: Verdict, message: &[u8]) -> Answer {
    let code = match verdict {
        Verdict::Taken | Verdict::TakenBut(_) => "0",
        Verdict::Unavailable | Verdict::Throttled(_) => "14",
        Verdict::Refused => "3",
        Verdict::Unknown => "12",
    };
    let mut trailers = HeaderMap::new();
    trailers.insert(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static(code),
    );
    if let Verdict::Throttled(seconds) = verdict {
        let details = HeaderValue::from_str(&retry_info(seconds));
        if let Ok(details) = details {
            trailers.insert(HeaderName::from_static("grpc-status-details-bin"), details);
        }
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let frame = [&[0], length.to_be_bytes().as_slice(), message].concat();
    let body = Full::new(Bytes::from(frame));
    let body = body.with_trailers(std::future::ready(Some(Ok(trailers))));
    respond(StatusCode::OK, "application/grpc", body.boxed())
}

/// A `google.rpc.Status` whose details ask for a pause, in base64 without padding.
fn retry_info(seconds: u8) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let kind = b"type.googleapis.com/google.rpc.RetryInfo";
    let field = |number: u8, bytes: &[u8]| -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        [&[number << 3 | 2, length], bytes].concat()
    };
    // Seconds are the first field of a duration, which is the first field of RetryInfo.
    let info = field(1, &[0x08, seconds.min(127)]);
    let status = field(3, &[field(1, kind), field(2, &info)].concat());
    let sextets = |chunk: &[u8]| -> String {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        let places = (0..=chunk.len()).map(|place| (bits >> (18 - 6 * place)) & 63);
        let letters = places.filter_map(|place| ALPHABET.get(usize::try_from(place).ok()?));
        letters.map(|letter| char::from(*letter)).collect()
    };
    status.chunks(3).map(sextets).collect()
}

fn http_words(verdict: Verdict, message: Vec<u8>) -> Answer {
    let status = match verdict {
        Verdict::Taken | Verdict::TakenBut(_) => StatusCode::OK,
        Verdict::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Verdict::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
        Verdict::Refused => StatusCode::BAD_REQUEST,
        Verdict::Unknown => StatusCode::NOT_FOUND,
    };
    let body = Full::new(Bytes::from(message)).boxed();
    let mut answer = respond(status, "application/x-protobuf", body);
    if let Verdict::Throttled(seconds) = verdict {
        let headers = answer.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from(u16::from(seconds)));
    }
    answer
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
