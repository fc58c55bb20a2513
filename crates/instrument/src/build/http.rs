//! `daemon.start` and `http.request`.

use longshore_core::{SpanContext, Timestamp};

use super::{frame, link};
use crate::facts::{DaemonFacts, RequestFacts};
use crate::span::{Attribute, Span, SpanKind, SpanStatus};
use crate::table::{key, name};

/// The span of a daemon's start, the root of a trace of its own.
#[must_use]
pub fn daemon_span(facts: &DaemonFacts<'_>) -> Span {
    let times = (facts.started_at, facts.ready_at);
    let kind = SpanKind::Internal;
    let mut span = frame(name::DAEMON_START, kind, facts.context, None, times);
    let address = facts.address.ip().to_string();
    span.attributes = vec![
        Attribute::new(key::SERVER_ADDRESS, address),
        Attribute::new(key::SERVER_PORT, i64::from(facts.address.port())),
    ];
    span
}

/// The span of a request to a daemon, linked to the daemon's start if that was sampled.
#[must_use]
pub fn request_span(facts: &RequestFacts<'_>) -> Span {
    let times: (Timestamp, Timestamp) = (facts.started_at, facts.ended_at);
    let kind = SpanKind::Server;
    let mut span = frame(name::HTTP_REQUEST, kind, facts.context, facts.parent, times);
    span.parent_is_remote = facts.parent.is_some();
    let mut attributes = vec![
        Attribute::new(key::HTTP_METHOD, facts.method.to_owned()),
        Attribute::new(key::HTTP_PATH, facts.path.to_owned()),
    ];
    if let Some(route) = facts.route {
        attributes.push(Attribute::new(key::HTTP_ROUTE, route.to_owned()));
    }
    let status = facts.status;
    attributes.push(Attribute::new(key::HTTP_STATUS, i64::from(status)));
    if status >= 500 {
        // What the conventions want in place of a type.
        attributes.push(Attribute::new(key::ERROR_TYPE, status.to_string()));
        span.status = SpanStatus::Error(std::borrow::Cow::Borrowed(""));
    }
    span.attributes = attributes;
    let daemon: Option<&SpanContext> = facts.daemon;
    span.links
        .extend(daemon.map(|to| link(to.clone(), "daemon")));
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(digits: &str) -> SpanContext {
        let text = format!("00-{}-{digits}-01", digits.repeat(2));
        SpanContext::from_traceparent(&text).unwrap()
    }

    #[test]
    fn a_request_says_what_was_asked_and_which_daemon_answered() {
        let (own, daemon) = (context("1111111111111111"), context("2222222222222222"));
        let facts = RequestFacts {
            context: &own,
            parent: Some(daemon.span_id),
            daemon: Some(&daemon),
            method: "POST",
            route: Some("/api/jobs/{id}"),
            path: "/api/jobs/7",
            status: 503,
            started_at: Timestamp::from_unix_millis(5),
            ended_at: Timestamp::from_unix_millis(7),
        };
        let span = request_span(&facts);
        assert_eq!(
            (span.name.as_ref(), span.kind),
            ("http.request", SpanKind::Server)
        );
        assert!(span.status.is_error() && span.parent_is_remote);
        assert_eq!(span.links[0].context, daemon);
        let keys: Vec<&str> = span.attributes.iter().map(|one| one.key.as_ref()).collect();
        assert_eq!(
            keys,
            [
                "http.request.method",
                "url.path",
                "http.route",
                "http.response.status_code",
                "error.type"
            ]
        );
        let fine = request_span(&RequestFacts {
            status: 404,
            daemon: None,
            ..facts
        });
        assert!(
            !fine.status.is_error(),
            "the caller's mistake is no failure of the daemon"
        );
        assert!(fine.links.is_empty());
    }

    #[test]
    fn a_daemon_says_where_it_listens() {
        let span = daemon_span(&DaemonFacts {
            context: &context("1111111111111111"),
            address: ([127, 0, 0, 1], 7350).into(),
            started_at: Timestamp::from_unix_millis(5),
            ready_at: Timestamp::from_unix_millis(7),
        });
        assert_eq!(span.parent_span_id, None);
        assert_eq!(span.attributes[1].value, 7350_i64.into());
    }
}
