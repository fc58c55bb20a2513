//! Counts the requests that are sent, reads the server's clock off their answers, and keeps what a
//! server says when it refuses.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, DATE, HeaderMap};
use hyper::{Method, Uri};
use longshore_bucket::Connector;
use longshore_core::requests::{RequestCounts, RequestOutcome};
use longshore_core::{Clock, Timestamp};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};

use super::answer::{Heard, hear};
use crate::server_clock::{Bounds, ServerClock};

/// What a request does, as providers put it on their bills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Writes an object.
    Put,
    /// Reads one.
    Get,
    /// Deletes one.
    Delete,
    /// Lists a page of keys.
    List,
}

impl RequestKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Put, Self::Get, Self::Delete, Self::List];

    /// Its name: `put`, `get`, `delete` or `list`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Delete => "delete",
            Self::List => "list",
        }
    }

    fn of(method: &Method, uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        let lists = ["list-type=", "comp=list", "prefix="];
        match *method {
            Method::PUT | Method::POST => Self::Put,
            Method::DELETE => Self::Delete,
            _ if lists.iter().any(|sign| query.contains(sign)) => Self::List,
            _ => Self::Get,
        }
    }
}

/// How many requests were sent, those that failed or were refused included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Objects that were written.
    pub put: u64,
    /// Objects that were read.
    pub get: u64,
    /// Objects that were deleted.
    pub delete: u64,
    /// Pages of keys.
    pub list: u64,
    /// Bytes of the objects that were sent.
    pub sent_bytes: u64,
    /// Bytes of all answers, listings included.
    pub received_bytes: u64,
}

impl Requests {
    /// How many of a kind.
    #[must_use]
    pub const fn of(&self, kind: RequestKind) -> u64 {
        match kind {
            RequestKind::Put => self.put,
            RequestKind::Get => self.get,
            RequestKind::Delete => self.delete,
            RequestKind::List => self.list,
        }
    }

    /// How many more than `before`.
    #[must_use]
    pub const fn since(&self, before: &Self) -> Self {
        Self {
            put: self.put.saturating_sub(before.put),
            get: self.get.saturating_sub(before.get),
            delete: self.delete.saturating_sub(before.delete),
            list: self.list.saturating_sub(before.list),
            sent_bytes: self.sent_bytes.saturating_sub(before.sent_bytes),
            received_bytes: self.received_bytes.saturating_sub(before.received_bytes),
        }
    }

    /// How many of all kinds.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.put + self.get + self.delete + self.list
    }
}

/// What a server says of the bucket with answers about objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// It keeps every version that was replaced.
    pub(crate) versioned: bool,
    /// A rule of the bucket will delete objects.
    pub(crate) expires: bool,
}

/// The counts and the clock of one bucket.
#[derive(Debug)]
pub(super) struct Meter {
    bucket: String,
    clock: Arc<dyn Clock>,
    counts: Arc<RequestCounts>,
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    server: Mutex<ServerClock>,
    versioned: AtomicBool,
    expires: AtomicBool,
}

impl Meter {
    pub(super) fn new(bucket: &str, system: &'static str, clock: Arc<dyn Clock>) -> Self {
        Self {
            bucket: bucket.to_owned(),
            clock,
            counts: Arc::new(RequestCounts::new(system)),
            sent_bytes: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            server: Mutex::default(),
            versioned: AtomicBool::new(false),
            expires: AtomicBool::new(false),
        }
    }

    pub(super) fn requests(&self) -> Requests {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let of = |kind: RequestKind| self.counts.of(kind.as_str());
        Requests {
            put: of(RequestKind::Put),
            get: of(RequestKind::Get),
            delete: of(RequestKind::Delete),
            list: of(RequestKind::List),
            sent_bytes: read(&self.sent_bytes),
            received_bytes: read(&self.received_bytes),
        }
    }

    pub(super) const fn counts(&self) -> &Arc<RequestCounts> {
        &self.counts
    }

    pub(super) fn bounds(&self, now: Duration) -> Option<Bounds> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.bounds(now)
    }

    pub(super) fn told(&self) -> Told {
        Told {
            versioned: self.versioned.load(Ordering::Relaxed),
            expires: self.expires.load(Ordering::Relaxed),
        }
    }

    /// Whether a request is for the bucket, and not for credentials of some other server.
    fn is_ours(&self, uri: &Uri) -> bool {
        let first = uri.path().split('/').nth(1);
        let host = uri.host().unwrap_or_default();
        let virtual_host = host.strip_prefix(&self.bucket);
        first == Some(self.bucket.as_str())
            || virtual_host.is_some_and(|rest| rest.starts_with('.'))
            // The emulator of Azure has the account before the container.
            || uri.path().split('/').nth(2) == Some(self.bucket.as_str())
    }

    /// A request is sent now. It is counted with its answer, or when nobody waits for one any more.
    fn begin(&self, request: &HttpRequest) -> Sent<'_> {
        let length = request.body().content_length() as u64;
        self.sent_bytes.fetch_add(length, Ordering::Relaxed);
        Sent {
            counts: &self.counts,
            kind: RequestKind::of(request.method(), request.uri()),
            outcome: RequestOutcome::Failed,
        }
    }

    fn learn(&self, sent: Duration, status: u16, headers: &HeaderMap) {
        let length = content_length(headers).unwrap_or_default();
        self.received_bytes.fetch_add(length, Ordering::Relaxed);
        let has = |name: &str| headers.get(name).is_some_and(|value| value != "null");
        if has("x-amz-version-id") {
            self.versioned.store(true, Ordering::Relaxed);
        }
        if has("x-amz-expiration") {
            self.expires.store(true, Ordering::Relaxed);
        }
        // An answer of that kind may be of something in between, with a clock of its own.
        let date = headers.get(DATE).filter(|_| status < 500);
        if let Some(date) = date.and_then(|date| read_date(date.to_str().ok()?)) {
            let received = self.clock.monotonic();
            let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
            server.observe(sent, received, date);
        }
    }
}

/// A request under way.
struct Sent<'m> {
    counts: &'m RequestCounts,
    kind: RequestKind,
    outcome: RequestOutcome,
}

impl Sent<'_> {
    const fn answered(&mut self, status: u16) {
        self.outcome = match status {
            200..=299 => RequestOutcome::Done,
            304 | 404 | 409 | 412 => RequestOutcome::Refused,
            _ => RequestOutcome::Failed,
        };
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        self.counts.count(self.kind.as_str(), self.outcome);
    }
}

fn read_date(text: &str) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(text).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::UNIX_EPOCH.after(since))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Makes clients whose requests are metered.
#[derive(Debug)]
pub(super) struct MeteredConnector {
    inner: Connector,
    meter: Arc<Meter>,
}

impl MeteredConnector {
    pub(super) fn new(patience: Duration, meter: &Arc<Meter>) -> Self {
        Self {
            inner: Connector::new(patience),
            meter: Arc::clone(meter),
        }
    }
}

impl HttpConnector for MeteredConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Metered {
            inner: self.inner.connect(options)?,
            meter: Arc::clone(&self.meter),
        }))
    }
}

struct Metered {
    inner: HttpClient,
    meter: Arc<Meter>,
}

impl fmt::Debug for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metered").finish_non_exhaustive()
    }
}

/// Most bytes of an answer that is read for what is wrong.
const MAX_SAID: u64 = 64 << 10;

#[async_trait]
impl HttpService for Metered {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if !self.meter.is_ours(request.uri()) {
            return self.inner.execute(request).await;
        }
        let mut counted = self.meter.begin(&request);
        hear(Heard::default());
        let sent = self.meter.clock.monotonic();
        let answer = self.inner.execute(request).await?;
        let status = answer.status().as_u16();
        counted.answered(status);
        self.meter.learn(sent, status, answer.headers());
        let mut heard = Heard {
            status,
            ..Heard::default()
        };
        hear(heard.clone());
        let length = content_length(answer.headers());
        if status < 400 || length.is_some_and(|length| length > MAX_SAID) {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let body = body.bytes().await?;
        let said = String::from_utf8_lossy(&body);
        let header = head.headers.get("x-ms-error-code");
        let header = header.and_then(|code| code.to_str().ok());
        heard.code = word(header.unwrap_or_else(|| between(&said, "Code")), 80);
        heard.message = word(between(&said, "Message"), 300);
        hear(heard);
        let body: Bytes = body;
        Ok(HttpResponse::from_parts(head, HttpResponseBody::from(body)))
    }
}

/// The text of the first element of XML with this name.
fn between<'t>(text: &'t str, name: &str) -> &'t str {
    let after = text.split_once(&format!("<{name}>"));
    let inner = after.and_then(|(_, rest)| rest.split_once('<'));
    inner.map_or("", |(inner, _)| inner)
}

/// The beginning of a text, on one line.
fn word(text: &str, most: usize) -> String {
    let plain = text.chars().filter(|letter| !letter.is_control());
    plain.take(most).collect()
}

#[cfg(test)]
mod tests {
    use longshore_core::SystemClock;

    use super::*;

    #[test]
    fn a_request_is_of_the_kind_that_is_on_the_bill() {
        use RequestKind::{Delete, Get, List, Put};
        for (method, uri, kind) in [
            (Method::PUT, "http://h/b/root", Put),
            (Method::GET, "http://h/b/root", Get),
            (Method::HEAD, "http://h/b/root", Get),
            (Method::DELETE, "http://h/b/root", Delete),
            (Method::GET, "http://h/b?list-type=2&prefix=l", List),
            (Method::GET, "http://h/b?comp=list&restype=container", List),
            (Method::GET, "http://b.h/?list-type=2", List),
        ] {
            assert_eq!(
                RequestKind::of(&method, &uri.parse().unwrap()),
                kind,
                "{uri}"
            );
        }
    }

    #[test]
    fn requests_for_credentials_are_none_of_the_bucket() {
        let meter = Meter::new("jobs", "aws.s3", Arc::new(SystemClock::new()));
        for (uri, ours) in [
            ("http://127.0.0.1:9000/jobs/p/root", true),
            ("https://jobs.s3.eu-west-1.amazonaws.com/p/root", true),
            ("http://127.0.0.1:10000/devstoreaccount1/jobs/p/root", true),
            ("http://169.254.169.254/latest/api/token", false),
            ("https://sts.eu-west-1.amazonaws.com/", false),
            ("https://jobs-other.s3.amazonaws.com/p", false),
        ] {
            assert_eq!(meter.is_ours(&uri.parse().unwrap()), ours, "{uri}");
        }
    }

    #[test]
    fn what_a_server_says_is_found_in_its_answer() {
        let said = "<?xml?><Error><Code>NoSuch\nBucket</Code><Message>Gone</Message></Error>";
        assert_eq!(word(between(said, "Code"), 80), "NoSuchBucket");
        assert_eq!(word(between(said, "Message"), 2), "Go");
        assert_eq!(between("not XML", "Code"), "");
    }

    #[test]
    fn a_date_is_read() {
        let date = read_date("Sun, 22 Nov 2026 04:52:20 GMT").unwrap();
        assert_eq!(date.unix_millis(), 1_795_323_140_000);
        assert_eq!(read_date("yesterday"), None);
    }
}
