//! Storage spans: one for each request that a store made for a call of the engine.

use std::borrow::Cow;

use longshore_core::round_trip::{Answer, RoundTrip, RoundTrips, Server, Target};
use longshore_core::{SpanContext, SpanId};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{frame, link, sibling};
use crate::span::{Attribute, Span, SpanKind, SpanStatus};
use crate::table::{STORAGE_SYSTEMS, key, name};

/// The storage spans of a call, beneath its span, which began when the watch over the call did. Says
/// on that span how many of them failed, and how many there were if not all are here.
#[must_use]
pub fn storage_spans(above: &mut Span, trips: &RoundTrips) -> Vec<Span> {
    note_failures(above, trips);
    if trips.dropped > 0 {
        note_count(above, trips);
    }
    let one = |(index, trip)| storage_span(above, index, trip);
    trips.list.iter().enumerate().map(one).collect()
}

/// The requests of a call that settled several attempts. They stand beneath the settle of the first
/// attempt that leaves; those of the others say how many there were, and link to that one.
#[derive(Debug)]
pub struct SettledTogether {
    trips: RoundTrips,
    attempts: usize,
    bearer: Option<SpanContext>,
}

impl SettledTogether {
    /// The requests of a call that settled so many attempts, and whose watch began as their settles
    /// did.
    #[must_use]
    pub const fn new(trips: RoundTrips, attempts: usize) -> Self {
        Self {
            trips,
            attempts,
            bearer: None,
        }
    }

    /// Adds to the spans of an attempt what is known of the requests that settled it.
    pub fn add_to(&mut self, attempt: &mut Vec<Span>) {
        if self.trips.count() == 0 {
            return;
        }
        let Some(settle) = attempt.iter_mut().find(|span| span.name == name::SETTLE) else {
            return;
        };
        if self.attempts > 1 {
            let attempts = Attribute::new(key::BATCH_COUNT, self.attempts);
            settle.attributes.push(attempts);
        }
        if let Some(bearer) = &self.bearer {
            note_failures(settle, &self.trips);
            note_count(settle, &self.trips);
            settle.links.push(link(bearer.clone(), "shared"));
            return;
        }
        self.bearer = Some(settle.context());
        let storage = storage_spans(settle, &self.trips);
        attempt.extend(storage);
    }
}

fn note_failures(span: &mut Span, trips: &RoundTrips) {
    let failures = trips.failures();
    if failures > 0 {
        let failures = Attribute::new(key::STORAGE_FAILURES, failures);
        span.attributes.push(failures);
    }
}

fn note_count(span: &mut Span, trips: &RoundTrips) {
    if trips.count() > 0 {
        let count = Attribute::new(key::STORAGE_REQUESTS, trips.count());
        span.attributes.push(count);
    }
}

fn storage_span(above: &Span, index: usize, trip: &RoundTrip) -> Span {
    // Whoever writes the call again writes these again under the ids that they have.
    let id = xxh3_64_with_seed(&above.span_id.to_bytes(), index as u64 + 1);
    let own = sibling(&above.context(), SpanId::from_u64(id));
    // Durations are those of a clock that only goes on, and the two may part by a little.
    let at = |offset| above.start.after(offset).min(above.end);
    let times = (at(trip.began), at(trip.began + trip.took));
    let kind = SpanKind::Client;
    let mut span = frame("", kind, &own, Some(above.span_id), times);
    let mut attributes = Vec::with_capacity(10);
    let name = match service_of(&trip.server) {
        Some(service) => of_objects(service, trip, &mut attributes),
        None => of_database(trip, &mut attributes),
    };
    span.name = name;
    about_server(&trip.server, &mut attributes);
    if !trip.waited.is_zero() {
        let waited = trip.waited.as_secs_f64();
        attributes.push(Attribute::new(key::STORAGE_WAIT, waited));
    }
    if trip.repeats > 0 {
        attributes.push(Attribute::new(key::STORAGE_REPEATS, trip.repeats));
    }
    match &trip.answer {
        Answer::Good => {}
        Answer::Refused => attributes.push(Attribute::new(key::STORAGE_REFUSED, true)),
        Answer::Failed { class, code } => {
            if let Some(code) = code {
                attributes.push(status(&trip.server, code));
            }
            attributes.push(Attribute::new(key::ERROR_TYPE, class.clone()));
            span.status = SpanStatus::Error(class.clone());
        }
    }
    span.attributes = attributes;
    span
}

/// What the spans of an object storage begin with; `None` for a database.
fn service_of(server: &Server) -> Option<&'static str> {
    let known = STORAGE_SYSTEMS.iter();
    known
        .filter(|system| system.system == server.system)
        .find_map(|system| system.service)
}

/// The status of an answer, as the conventions of the server name it.
fn status(server: &Server, code: &str) -> Attribute {
    match (service_of(server), code.parse::<i64>()) {
        (Some(_), Ok(code)) => Attribute::new(key::HTTP_STATUS, code),
        _ => Attribute::new(key::DB_STATUS, code.to_owned()),
    }
}

/// What a request to a database says of itself; gives back its name.
fn of_database(trip: &RoundTrip, attributes: &mut Vec<Attribute>) -> Cow<'static, str> {
    attributes.push(Attribute::new(key::DB_SYSTEM, trip.server.system));
    attributes.push(Attribute::new(key::DB_OPERATION, trip.operation));
    if let Some(namespace) = &trip.server.namespace {
        attributes.push(Attribute::new(key::DB_NAMESPACE, namespace.clone()));
    }
    let target = match &trip.target {
        Target::Nothing | Target::Object(_) => None,
        Target::Collection(name) => Some((key::DB_COLLECTION, *name)),
        Target::Procedure(name) => Some((key::DB_PROCEDURE, *name)),
    };
    // One is no batch, as the conventions have it.
    if trip.items > 1 {
        attributes.push(Attribute::new(key::DB_BATCH, trip.items));
    }
    let Some((key, name)) = target else {
        return Cow::Borrowed(trip.operation);
    };
    attributes.push(Attribute::new(key, name));
    let summary = format!("{} {name}", trip.operation);
    attributes.push(Attribute::new(key::DB_SUMMARY, summary.clone()));
    Cow::Owned(summary)
}

/// The same of a request to an object storage.
fn of_objects(
    service: &'static str,
    trip: &RoundTrip,
    attributes: &mut Vec<Attribute>,
) -> Cow<'static, str> {
    let (bucket, object) = match service {
        "S3" => {
            attributes.push(Attribute::new(key::RPC_SYSTEM, "aws-api"));
            (key::S3_BUCKET, key::S3_KEY)
        }
        _ => (key::OBJECT_BUCKET, key::OBJECT_KEY),
    };
    attributes.push(Attribute::new(key::RPC_METHOD, trip.operation));
    if let Some(namespace) = &trip.server.namespace {
        attributes.push(Attribute::new(bucket, namespace.clone()));
    }
    if let Target::Object(name) = &trip.target {
        attributes.push(Attribute::new(object, name.clone()));
    }
    Cow::Owned(format!("{service} {}", trip.operation))
}

fn about_server(server: &Server, attributes: &mut Vec<Attribute>) {
    if let Some(address) = &server.address {
        attributes.push(Attribute::new(key::SERVER_ADDRESS, address.clone()));
    }
    if let Some(port) = server.port {
        attributes.push(Attribute::new(key::SERVER_PORT, u32::from(port)));
    }
}

/// Whether the engine made a span for a request of a store.
#[must_use]
pub fn is_storage(span: &Span) -> bool {
    let said = |key| span.attributes.iter().any(|attribute| attribute.key == key);
    span.scope == Span::ENGINE_SCOPE && (said(key::DB_SYSTEM) || said(key::RPC_METHOD))
}
