//! The keys that can be searched by: one table, from which the page of the search language, the
//! completion and the errors are made.

use longshore_instrument::table::{self, METADATA_PREFIX, key};

/// What a condition is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// The name of a span.
    Name,
    /// The service of a span.
    Service,
    /// The queue of a job.
    Queue,
    /// The kind of a job.
    Kind,
    /// The id of a job.
    Job,
    /// The trace id.
    Trace,
    /// The correlation id of a job.
    Correlation,
    /// The tenant of a job.
    Tenant,
    /// The namespace of a job.
    Namespace,
    /// A tag of a job.
    Tag,
    /// How the last attempt ended.
    Outcome,
    /// What went wrong.
    ErrorType,
    /// `error`, `ok` or `running`.
    Status,
    /// From the first start to the last end.
    Duration,
    /// How long the job waited.
    Wait,
    /// How long the attempts ran.
    Run,
    /// The number of the last attempt.
    Attempt,
    /// How many spans there are.
    Spans,
    /// How many spans failed.
    Errors,
    /// How many spans lack their parent.
    Orphans,
    /// Whether it was kept for what happened in it.
    Kept,
    /// An attribute of a span, its resource, or an event of it.
    Attribute(String),
}

/// What a key's values look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Any text.
    Text,
    /// A number.
    Number,
    /// Such as `2s` or `100ms`.
    Duration,
    /// One of these words.
    Words(&'static [&'static str]),
    /// `yes` or `no`.
    Flag,
}

/// A key of the table.
#[derive(Clone, Debug)]
pub struct KeyInfo {
    /// The key.
    pub key: Key,
    /// How it is written.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// What its values look like.
    pub shape: Shape,
    /// What it says.
    pub doc: &'static str,
}

/// The words of [`Key::Status`].
pub(super) const STANDINGS: &[&str] = &["error", "ok", "running"];

const OUTCOMES: &[&str] = &[
    "completed",
    "retried",
    "not_yet",
    "snoozed",
    "cancelled",
    "discarded",
    "handed_back",
    "lost",
];

const fn info(
    key: Key,
    name: &'static str,
    aliases: &'static [&'static str],
    shape: Shape,
    doc: &'static str,
) -> KeyInfo {
    KeyInfo {
        key,
        name,
        aliases,
        shape,
        doc,
    }
}

/// Every key that is not an attribute's. The other spellings of the engine's attributes
/// (`docs/telemetry.md`) are understood too.
pub const KEYS: &[KeyInfo] = &[
    info(
        Key::Service,
        "service",
        &["service.name"],
        Shape::Text,
        "A service of the trace.",
    ),
    info(
        Key::Queue,
        "queue",
        &[],
        Shape::Text,
        "The queue of a job of the trace.",
    ),
    info(
        Key::Kind,
        "kind",
        &[key::KIND],
        Shape::Text,
        "The kind of a job of the trace.",
    ),
    info(
        Key::Status,
        "status",
        &[],
        Shape::Words(STANDINGS),
        "How it stands; the bare words `error`, `ok` and `running` say the same. `error`: its last attempt failed, or, without jobs, any span; `running`: something has not ended.",
    ),
    info(
        Key::Duration,
        "duration",
        &["took"],
        Shape::Duration,
        "From the first start to the last end; the bare `>2s` says the same.",
    ),
    info(
        Key::Wait,
        "wait",
        &[key::WAIT],
        Shape::Duration,
        "How long its job was due and waited for a worker.",
    ),
    info(
        Key::Run,
        "run",
        &["ran"],
        Shape::Duration,
        "How long the attempts of its job ran.",
    ),
    info(
        Key::Attempt,
        "attempt",
        &["attempts", key::ATTEMPT],
        Shape::Number,
        "The number of its job's last attempt.",
    ),
    info(
        Key::Outcome,
        "outcome",
        &[key::OUTCOME],
        Shape::Words(OUTCOMES),
        "How an attempt ended.",
    ),
    info(
        Key::ErrorType,
        "error.type",
        &[key::ERROR_TYPE],
        Shape::Text,
        "What went wrong, as a word such as `timeout`.",
    ),
    info(
        Key::Name,
        "name",
        &["span", "operation"],
        Shape::Text,
        "The name of a span.",
    ),
    info(
        Key::Job,
        "job.id",
        &["job"],
        Shape::Text,
        "A job of the trace; leads straight to it.",
    ),
    info(
        Key::Trace,
        "trace",
        &["trace.id", "trace_id", "traceid"],
        Shape::Text,
        "The trace id; leads straight to it.",
    ),
    info(
        Key::Correlation,
        "correlation_id",
        &["correlation"],
        Shape::Text,
        "What belongs together across jobs.",
    ),
    info(
        Key::Tenant,
        "tenant",
        &["tenant.id", key::TENANT],
        Shape::Text,
        "On whose behalf a job runs.",
    ),
    info(
        Key::Namespace,
        "namespace",
        &[key::NAMESPACE],
        Shape::Text,
        "Which part of the system a job belongs to.",
    ),
    info(
        Key::Tag,
        "tag",
        &["tags", key::TAGS],
        Shape::Text,
        "A tag of a job.",
    ),
    info(
        Key::Spans,
        "spans",
        &[],
        Shape::Number,
        "How many spans the trace has.",
    ),
    info(
        Key::Errors,
        "errors",
        &[],
        Shape::Number,
        "How many of its spans failed.",
    ),
    info(
        Key::Orphans,
        "orphans",
        &[],
        Shape::Number,
        "How many of its spans name a parent that is not there.",
    ),
    info(
        Key::Kept,
        "kept",
        &[],
        Shape::Flag,
        "Whether it was kept for what happened in it, and not only by chance.",
    ),
];

/// What stands before the key of a pair of a job's metadata when it is typed.
pub(super) const META: &str = "meta.";

impl Key {
    /// The key of this spelling; `None` if there is none and it cannot be an attribute, which has a
    /// dot in its key.
    #[must_use]
    pub fn find(typed: &str) -> Option<Self> {
        if let Some(info) = Self::info_of(typed) {
            return Some(info.key.clone());
        }
        if let Some(pair) = typed.strip_prefix(META).filter(|pair| !pair.is_empty()) {
            return Some(Self::Attribute(format!("{METADATA_PREFIX}{pair}")));
        }
        let attribute = table::resolve(typed);
        // Of messages the alias asks for jobs, and the own name for any span.
        let of_jobs = || Self::of_messages(attribute).filter(|_| attribute != typed);
        if let Some(key) = of_jobs().or_else(|| Some(Self::info_of(attribute)?.key.clone())) {
            return Some(key);
        }
        let is_known = attribute != typed || attribute.contains('.');
        is_known.then(|| Self::Attribute(attribute.to_owned()))
    }

    fn info_of(typed: &str) -> Option<&'static KeyInfo> {
        let fits = |info: &&KeyInfo| info.name == typed || info.aliases.contains(&typed);
        KEYS.iter().find(fits)
    }

    /// What an attribute says of a job that spans of others have as well, so that its own name asks
    /// for those too.
    pub(super) fn of_messages(attribute: &str) -> Option<Self> {
        match attribute {
            key::QUEUE => Some(Self::Queue),
            key::JOB_ID => Some(Self::Job),
            key::CORRELATION_ID => Some(Self::Correlation),
            _ => None,
        }
    }

    /// How it is written.
    #[must_use]
    pub fn name(&self) -> String {
        if let Self::Attribute(attribute) = self {
            let pair = attribute.strip_prefix(METADATA_PREFIX);
            return match pair.filter(|pair| !pair.is_empty()) {
                Some(pair) => format!("{META}{pair}"),
                None => attribute.clone(),
            };
        }
        let info = KEYS.iter().find(|info| info.key == *self);
        info.map_or("", |info| info.name).to_owned()
    }

    /// What it says, in a sentence.
    #[must_use]
    pub fn doc(&self) -> &'static str {
        if let Self::Attribute(attribute) = self {
            let known = table::ATTRIBUTES
                .iter()
                .find(|known| known.key == *attribute);
            return known.map_or("An attribute.", |known| known.doc);
        }
        let info = KEYS.iter().find(|info| info.key == *self);
        info.map_or("", |info| info.doc)
    }

    /// What its values look like.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let info = KEYS.iter().find(|info| info.key == *self);
        info.map_or(Shape::Text, |info| info.shape)
    }

    /// The attribute that says it on a span, if one does.
    #[must_use]
    pub fn attribute(&self) -> Option<&str> {
        match self {
            Self::Queue => Some(key::QUEUE),
            Self::Kind => Some(key::KIND),
            Self::Job => Some(key::JOB_ID),
            Self::Correlation => Some(key::CORRELATION_ID),
            Self::Tenant => Some(key::TENANT),
            Self::Namespace => Some(key::NAMESPACE),
            Self::Tag => Some(key::TAGS),
            Self::Outcome => Some(key::OUTCOME),
            Self::ErrorType => Some(key::ERROR_TYPE),
            Self::Attribute(attribute) => Some(attribute),
            Self::Name | Self::Service | Self::Trace | Self::Status => None,
            Self::Duration | Self::Wait | Self::Run | Self::Attempt => None,
            Self::Spans | Self::Errors | Self::Orphans | Self::Kept => None,
        }
    }
}

/// Every spelling that is understood: of the table, and of the engine's attributes.
pub(super) fn spellings() -> impl Iterator<Item = &'static str> {
    let own = KEYS
        .iter()
        .flat_map(|info| std::iter::once(info.name).chain(info.aliases.iter().copied()));
    let attributes = table::ATTRIBUTES.iter().flat_map(|attribute| {
        std::iter::once(attribute.key).chain(attribute.aliases.iter().copied())
    });
    own.chain(["since", "until", "has"]).chain(attributes)
}

/// The known spelling that is most like `typed`, if one is like it at all; else that of a pair of
/// metadata, if it could be the key of one.
pub(super) fn nearest(typed: &str) -> Option<String> {
    let could_be = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    let metadata = || {
        typed
            .chars()
            .all(could_be)
            .then(|| format!("{META}{typed}"))
    };
    slip(typed).or_else(metadata)
}

/// The known spelling that `typed` is a slip of: one letter in three may be wrong.
fn slip(typed: &str) -> Option<String> {
    let typed = typed.to_lowercase();
    let most = typed.chars().count().div_ceil(3);
    let begins = |known: &str| typed.len() >= 3 && known.starts_with(&typed);
    let far = |known: &str| {
        if begins(known) {
            1
        } else {
            distance(&typed, known)
        }
    };
    let near = spellings().map(|known| (far(known), known));
    let best = near
        .min_by_key(|(far, _)| *far)
        .filter(|(far, _)| *far <= most);
    best.map(|(_, known)| known.to_owned())
}

/// How many letters have to be put in, left out, changed or swapped with the next.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    let mut last_letter = None;
    for (line, letter) in one.chars().take(64).enumerate() {
        let mut next = vec![line + 1];
        for (column, wanted) in other.iter().enumerate() {
            let at =
                |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
            let changed = at(&row, column) + usize::from(letter != *wanted);
            let mut best = changed
                .min(at(&row, column + 1) + 1)
                .min(at(&next, column) + 1);
            let previous = column.checked_sub(1).and_then(|at| other.get(at));
            if last_letter == Some(*wanted) && previous == Some(&letter) {
                best = best.min(at(&before, column - 1) + 1);
            }
            next.push(best);
        }
        last_letter = Some(letter);
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_means_one_thing() {
        let own = KEYS.iter().flat_map(|info| {
            std::iter::once(info.name).chain(
                info.aliases
                    .iter()
                    .copied()
                    .filter(|alias| *alias != info.name),
            )
        });
        let mut all: Vec<&str> = own.collect();
        all.sort_unstable();
        let before = all.len();
        all.dedup();
        assert_eq!(all.len(), before);
    }

    #[test]
    fn spellings_of_the_engine_and_of_others_lead_to_one_key() {
        for (typed, key) in [
            ("queue.name", Key::Queue),
            (key::QUEUE, Key::Attribute(key::QUEUE.to_owned())),
            ("job.type", Key::Kind),
            ("queue.wait_time", Key::Wait),
            ("tenant_id", Key::Tenant),
            ("worker.id", Key::Attribute(key::WORKER.to_owned())),
            ("priority", Key::Attribute(key::PRIORITY.to_owned())),
            ("http.route", Key::Attribute("http.route".to_owned())),
            (
                "meta.order",
                Key::Attribute("longshore.job.meta.order".to_owned()),
            ),
        ] {
            assert_eq!(Key::find(typed), Some(key));
        }
        assert_eq!(Key::find("order"), None);
    }

    #[test]
    fn the_nearest_key_is_found_for_slips() {
        for (typed, key) in [
            ("queu", "queue"),
            ("qeueu", "queue"),
            ("sevrice", "service"),
            ("tenat", "tenant"),
            ("Duration", "duration"),
            ("dur", "duration"),
        ] {
            assert_eq!(nearest(typed).as_deref(), Some(key));
        }
        for (typed, key) in [("order", "meta.order"), ("foo", "meta.foo")] {
            assert_eq!(nearest(typed).as_deref(), Some(key));
        }
        assert_eq!(nearest("zz zz"), None);
    }
}
