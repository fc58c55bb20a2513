//! What it costs to look for secrets where there are none, which is nearly always.

use std::time::Instant;

use longshore_instrument::{AttributeValue, Span};
use longshore_telemetry::Redactor;

use crate::measure::{Samples, Table};

const VALUES: [(&str, &str, &str); 4] = [
    ("a queue's name", "messaging.destination.name", "mail"),
    (
        "a job's id",
        "job.id",
        "0199f8b2-7c00-7000-8000-00000000002a",
    ),
    (
        "a message of 80 bytes",
        "exception.message",
        "the mail server answered 451 to RCPT TO; it wants us to try again in 60 seconds.",
    ),
    (
        "a URL",
        "url.full",
        "https://shop.example/orders/4711/items?page=2&sort=price",
    ),
];

/// One row for each kind of value, and one for the spans of the engine.
pub fn rows(spans: &[Span]) {
    let redactor = Redactor::default();
    let mut table = Table::new("Redaction where there is nothing to hide", &["of", "ns"]);
    for (name, key, text) in VALUES {
        let mut value = AttributeValue::from(text);
        let nanoseconds = time(1_000, || {
            std::hint::black_box(redactor.attribute(key, std::hint::black_box(&mut value)));
        });
        table.row(vec![name.to_owned(), nanoseconds.cell(0)]);
    }
    // What has been redacted once is as before.
    let mut spans = spans.to_vec();
    let nanoseconds = time(1, || {
        for span in std::hint::black_box(&mut spans) {
            redactor.span(span);
        }
    });
    let count = spans.len() as f64;
    let each: Samples = [nanoseconds.median() / count].into_iter().collect();
    table.row(vec!["a span of the engine".to_owned(), each.cell(0)]);
    table.print();
}

fn time(rounds: u32, mut what: impl FnMut()) -> Samples {
    let one = |_try| {
        let started = Instant::now();
        for _round in 0..rounds {
            what();
        }
        started.elapsed().as_nanos() as f64 / f64::from(rounds)
    };
    (0..300).map(one).collect()
}
