//! Attributes in a search: where they are found, and which an index may start from.

use super::*;

#[test]
fn attributes_are_found_by_their_own_names_on_spans_outside_jobs_too() {
    let send = Attribute::new(key::QUEUE, "parcels");
    let code = Attribute::new("http.response.status_code", 200_i64);
    let mut spans = order();
    spans.push(span(9, "send parcels", vec![send, code]));
    let summary = TraceSummary::of(spans[0].trace_id, &spans);
    let met = |text: &str| query(text).matches(&summary, || &spans);
    for text in [
        "messaging.destination.name=parcels",
        "messaging.destination.name=orders",
        "messaging.message.id=0196-order",
        "http.response.status_code=200",
    ] {
        assert!(met(text), "{text}");
    }
    // Those that are about jobs ask for jobs.
    assert!(met("queue=orders") && met("queue.name=orders") && !met("queue=parcels"));
    assert!(
        !met("messaging.destination.name=other") && !met("-messaging.destination.name=parcels")
    );
    // What a summary says is not asked of spans.
    assert_eq!(
        query("messaging.destination.name=orders").decide(&summary),
        Some(true)
    );
}

#[test]
fn what_every_match_has_is_what_an_index_may_start_from() {
    let sought = |text: &str| -> Vec<Vec<(String, String)>> {
        let query = query(text);
        let lists = query.sought().into_iter();
        let pair = |one: Sought<'_>| (one.key.to_owned(), one.value.to_owned());
        lists
            .map(|list| list.into_iter().map(pair).collect())
            .collect()
    };
    let one = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
    assert_eq!(
        sought("user.id=u-7 orders error >2s"),
        [one("user.id", "u-7")]
    );
    assert_eq!(
        sought("name=a service=b (tenant=c OR x.y=1)"),
        [
            one("", "a"),
            one("service.name", "b"),
            [one(key::TENANT, "c"), one("x.y", "1")].concat()
        ]
    );
    assert_eq!(sought("error.type=Timeout")[0].len(), 2);
    for none in [
        "",
        "orders",
        "-a.b=1",
        "a.b!=1",
        "a.b~1",
        "a.b>1",
        "a.b=1 OR orders",
        "has:a.b",
    ] {
        assert!(sought(none).is_empty(), "{none}");
    }
    // Wherever it is met, it is in a span.
    let spans = order();
    let summary = TraceSummary::of(spans[0].trace_id, &spans);
    for text in [
        "queue=orders",
        "tenant=t-17",
        "error.type=payment_declined",
        "outcome=discarded",
        "name=job.process",
        "longshore.job.attempt=2",
        "exception.message=\"card 42 refused\"",
    ] {
        let query = query(text);
        assert!(query.matches(&summary, || &spans), "{text}");
        for list in query.sought() {
            let is_in = |one: &Sought<'_>| spans.iter().any(|span| one.is_in(span));
            assert!(list.iter().any(is_in), "{text}");
        }
    }
}
