//! The reference page of spans, events and attributes, made from the table.

use std::fmt::Write;

use super::{ATTRIBUTES, EVENTS, METADATA_PREFIX, SPANS, STORAGE_SYSTEMS, Sensitivity};

const INTRODUCTION: &str = "\
# Telemetry

What the engine says of jobs in traces. This page is made from the table in \
[crates/instrument/src/table.rs](../crates/instrument/src/table.rs), which nothing in the code goes \
around; [redaction.md](redaction.md) says what becomes of values on their way out, \
[metrics.md](metrics.md) lists the metrics, and [guides](guides/README.md) lead to the trace in a back \
end.

Names and keys follow OpenTelemetry's semantic conventions for messaging where these have one; what is \
ours stands under `longshore.`. The instrumentation scope of all of it is `longshore`. A queue that is \
not ours has the same spans, but for `queue.claim` and `queue.admin`, and its own name in \
`messaging.system` (crate `longshore-instrument`, module `foreign`).

## Trees

An attempt stands beneath its job's enqueue span, or it begins a trace of its own that links to it \
(`relation`: `parent`, `link`, or `auto`, which is `parent` for jobs younger than 15 minutes in batches of \
at most 100).

```text
parent                                   link
the caller's span                        the caller's span
└─ queue.enqueue       PRODUCER          └─ queue.enqueue          PRODUCER
   ├─ queue.dequeue    CLIENT
   └─ job.process #1   CONSUMER          job.process #1            CONSUMER  ⇢ queue.enqueue
      ├─ handler.execution INTERNAL      ├─ queue.dequeue          CLIENT
      │  └─ the application's spans      ├─ handler.execution      INTERNAL
      └─ job.settle    CLIENT            │  └─ the application's spans
                                         └─ job.settle             CLIENT
```

Every attempt links to the enqueue span, and every retry to the attempt before it (`longshore.link`). A \
failed attempt is an error whether it is retried or not; a job that waits without having failed is none. \
An empty poll, a heartbeat and a sweep that found nothing leave no span.

## Resource

All that a process records shares `service.name`, `deployment.environment.name`, `telemetry.sdk.*`, \
`service.instance.id` (a random UUID, another one each time the process starts) and `host.name` (what the \
machine, container or pod calls itself). By the last two, traces tell processes and the clocks of machines \
apart. Once there is a producer or a worker it has `longshore.store` too, by which lists of traces [tell \
stores apart](trace-store.md#several-stores). `OTEL_RESOURCE_ATTRIBUTES` and the setting `telemetry.resource_attributes` add others and replace \
these: `service.instance.id=till-3` says what the instance is called, and `host.name=` leaves the name of \
the machine out. Redaction looks at all of them.

";

const STORAGE: &str = "
## Storage spans

What a store asks its database or object storage for stands beneath the call that it was for: \
`queue.enqueue`, `queue.claim`, `job.settle` or `queue.admin`. Each request is one span, CLIENT, from \
the moment the store wanted it (`longshore.storage.wait` says how much of that was a wait for a \
connection) to its answer. One that failed is an error with `error.type`, and one that the store made \
again, since others were in its way, is there as often as it was made; the call's span counts failures \
in `longshore.storage.failures`. A request that lost a race for a conditional write has not failed.

One request may settle many attempts: it stands beneath the first of them that leaves, and the settles of \
the others link to that one (`longshore.link` = `shared`). A call has at most 64 storage spans; \
`longshore.storage.requests` says how many requests there were where not all are there. Requests for \
what leaves no span, such as a heartbeat or an empty poll, leave none. They are sampled and kept with \
the span above them: those of an enqueue or a claim only if its trace was sampled then, those of a settle \
also if it is kept. `telemetry.storage_spans = false` leaves all of them out.

| `db.system.name`, or the like | spans |
| --- | --- |
";

/// The page `docs/telemetry.md`, in Markdown.
#[must_use]
pub fn telemetry_reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("## Spans\n\n| span | what it covers |\n| --- | --- |\n");
    for span in SPANS {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| `{}` | {} |", span.name, span.doc);
    }
    page.push_str(STORAGE);
    for system in STORAGE_SYSTEMS {
        let name = |example: &&str| match system.service {
            Some(service) => format!("`{service} {example}`"),
            None => format!("`{example}`"),
        };
        let examples: Vec<String> = system.examples.iter().map(name).collect();
        let _ = writeln!(page, "| `{}` | {} |", system.system, examples.join(" "));
    }
    page.push_str("\n## Events\n\n| event | on | what it says |\n| --- | --- | --- |\n");
    for event in EVENTS {
        let _ = writeln!(
            page,
            "| `{}` | `{}` | {} |",
            event.name, event.span, event.doc
        );
    }
    page.push_str(
        "\n## Attributes\n\n\
         *Safe* values are made by the engine of bounded words and numbers and are not searched for \
         secrets; *user-chosen* ones are. The other spellings are understood wherever a person types a \
         key: in lists of allowed and blocked attributes, in rules, in searches.\n\n\
         | attribute | other spellings | values are | what it says |\n| --- | --- | --- | --- |\n",
    );
    for attribute in ATTRIBUTES {
        let aliases: Vec<String> = attribute
            .aliases
            .iter()
            .map(|alias| format!("`{alias}`"))
            .collect();
        let sensitivity = match attribute.sensitivity {
            Sensitivity::Safe => "safe",
            Sensitivity::UserChosen => "user-chosen",
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {sensitivity} | {} |",
            attribute.key,
            aliases.join(" "),
            attribute.doc
        );
    }
    let _ = writeln!(
        page,
        "| `{METADATA_PREFIX}KEY` | `meta.KEY` | user-chosen | A pair of the metadata that its producer \
         gave the job to search by; on `job.process`, and on `queue.enqueue` where all jobs of the call have it. |"
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_telemetry_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/telemetry.md");
        if std::env::var_os("LONGSHORE_WRITE_PAGES").is_some() {
            std::fs::write(path, telemetry_reference()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap();
        assert!(
            page == telemetry_reference(),
            "docs/telemetry.md is out of date; LONGSHORE_WRITE_PAGES=1 writes it"
        );
    }
}
