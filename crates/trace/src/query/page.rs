//! The page of the search language, made from the table of keys.

use std::fmt::Write;

use super::key::{KEYS, Shape};

const INTRODUCTION: &str = "\
# Searching for traces

One small language finds traces wherever traces are listed: `/` in the terminal UI, `longshore traces \
list`, and `search` in the HTTP API. This page is made from the table in \
[crates/trace/src/query/key.rs](../crates/trace/src/query/key.rs), which is all that the program knows.

```text
orders error >2s tenant=t-17 since:1h
```

finds what mentions `orders`, failed, took more than two seconds, is of the tenant `t-17`, and was going \
on within the last hour. Conditions stand side by side and all hold; each may be met by another span.

| what is typed | finds |
| --- | --- |
| `orders` | a text, in whatever case, in a name, service, queue, kind, job id, tag, error or any other attribute |
| `\"card declined\"` | the same for a text with blanks or signs; `\\` takes the next character for what it is |
| `error`, `ok`, `running` | how a trace stands; in quotation marks they are texts |
| `queue=orders` | exactly this value; `queue:orders` says the same |
| `queue!=orders`, `-queue=orders` | no span of the trace has it; `-` excludes anything: `-timeout`, `-(a OR b)` |
| `name~order` | a part of the value, in whatever case |
| `wait>1m`, `attempt>=3`, `spans<100` | more, or less; durations have a unit: `ns us ms s m h d w`, also `1h30m` and `1.5s` |
| `>2s`, `<100ms` | the same for `duration` |
| `has:tenant`, `tenant:*` | the key is there |
| `since:1h`, `until:2026-05-01` | going on since, begun by: so long ago, or a day, a minute (`2026-05-01T08:30`) or a time as RFC 3339, in UTC unless it says otherwise |
| `a OR b`, `(…)` | either of them; `OR` binds less than standing side by side |
| `4bf92f3577b34da6a3ce929d0e0e4736` | a trace id, a whole `traceparent` or a job's UUID leads straight there, wherever it stands |

A key that is unknown is an error that names the nearest one. Attributes are searched by their own key, \
which has a dot in it: `http.response.status_code>=500`, `meta.order=17` for metadata of the job. \
A job is found by its metadata and tags from when it is enqueued; of jobs that one call enqueued and that \
differ in them, each is from its first attempt on, and before that by `longshore jobs list --meta \
order=17`. The \
keys below ask for jobs of the trace; `messaging.destination.name=parcels` finds any span that says so. Of what \
spans say, numbers and durations compare as such; durations as seconds.

A claim of several jobs is a trace of its own, which lists leave out unless the search says `claim`.

A search holds at most 4096 bytes, 64 conditions and 16 levels of parentheses.

## Keys

| key | other spellings | values | what it says |
| --- | --- | --- | --- |
";

/// The page `docs/search.md`, in Markdown.
#[must_use]
pub fn search_reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    for info in KEYS {
        let aliases: Vec<String> = info
            .aliases
            .iter()
            .map(|alias| format!("`{alias}`"))
            .collect();
        let values = match info.shape {
            Shape::Text => "text".to_owned(),
            Shape::Number => "number".to_owned(),
            Shape::Duration => "duration".to_owned(),
            Shape::Flag => "`yes`, `no`".to_owned(),
            Shape::Words(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                words.join(" ")
            }
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {} | {values} | {} |",
            info.name,
            aliases.join(" "),
            info.doc
        );
    }
    page.push_str(
        "\nThe other spellings of attributes in [telemetry.md](telemetry.md) are understood too: \
         `queue.name`, `job.type`, `idempotency_id`.\n",
    );
    page
}
