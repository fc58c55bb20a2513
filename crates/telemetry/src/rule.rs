//! Rules about jobs: `queue=mail kind=send_* -> 0.1`. The left side selects jobs, the right side
//! says what holds for them; what that is, sampling and keeping define.

use longshore_core::{Kind, Priority, QueueName};
use longshore_instrument::{KeepFacts, RootRequest};

/// Most rules of one list: rules are tried one by one for every job.
pub const MAX_RULES: usize = 64;

/// What rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The queue.
    pub queue: &'a QueueName,
    /// The kind, unless several kinds are concerned.
    pub kind: Option<&'a Kind>,
    /// The priority.
    pub priority: Priority,
    /// The tenant.
    pub tenant: Option<&'a str>,
    /// The namespace.
    pub namespace: Option<&'a str>,
    /// The route of the web request that enqueued the job.
    pub route: Option<&'a str>,
}

impl<'a> From<&KeepFacts<'a>> for Subject<'a> {
    fn from(facts: &KeepFacts<'a>) -> Self {
        Self {
            queue: facts.queue,
            kind: Some(facts.kind),
            priority: facts.priority,
            tenant: facts.tenant_id,
            namespace: facts.namespace,
            route: None,
        }
    }
}

impl<'a> From<&RootRequest<'a>> for Subject<'a> {
    fn from(request: &RootRequest<'a>) -> Self {
        Self {
            queue: request.queue,
            kind: request.kind,
            priority: request.priority,
            tenant: request.tenant_id,
            namespace: request.namespace,
            route: request.route,
        }
    }
}

/// What a condition looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Queue,
    Kind,
    Priority,
    Tenant,
    Namespace,
    Route,
}

const FIELDS: [(&str, Field); 6] = [
    ("queue", Field::Queue),
    ("kind", Field::Kind),
    ("priority", Field::Priority),
    ("tenant", Field::Tenant),
    ("namespace", Field::Namespace),
    ("route", Field::Route),
];

/// `field=pattern`; `*` in a pattern stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    field: Field,
    pattern: String,
}

impl Condition {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, pattern) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is not `field=pattern`"))?;
        let (_, field) = FIELDS
            .into_iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| {
                let known = FIELDS.map(|(name, _)| name).join(", ");
                format!("`{name}` is none of {known}")
            })?;
        if pattern.is_empty() {
            return Err(format!("`{text}` has no pattern; `*` stands for any text"));
        }
        let is_priority = pattern.contains('*') || ["1", "2", "3", "4"].contains(&pattern);
        if field == Field::Priority && !is_priority {
            return Err(format!(
                "`{pattern}` is no priority; they go from 1, the most urgent, to 4"
            ));
        }
        Ok(Self {
            field,
            pattern: pattern.to_owned(),
        })
    }

    fn matches(&self, subject: &Subject<'_>) -> bool {
        let like = |value: Option<&str>| value.is_some_and(|value| is_like(&self.pattern, value));
        let mut digit = [0; 4];
        let priority = char::from_digit(u32::from(subject.priority.get()), 10);
        match self.field {
            Field::Queue => like(Some(subject.queue.as_str())),
            Field::Kind => like(subject.kind.map(Kind::as_str)),
            Field::Priority => like(priority.map(|priority| &*priority.encode_utf8(&mut digit))),
            Field::Tenant => like(subject.tenant),
            Field::Namespace => like(subject.namespace),
            Field::Route => like(subject.route),
        }
    }
}

/// Whether `text` fits a pattern in which `*` stands for any text, the empty one included. Takes
/// at most `pattern` times `text` steps.
#[must_use]
pub fn is_like(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        match text.find(part) {
            Some(at) => text = text.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    text.len() >= tail.len() && text.ends_with(tail)
}

/// What holds for the jobs that all of some conditions fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<T> {
    conditions: Vec<Condition>,
    /// What holds.
    pub verdict: T,
}

impl<T> Rule<T> {
    fn fits(&self, subject: &Subject<'_>) -> bool {
        self.conditions.iter().all(|one| one.matches(subject))
    }
}

/// A list of rules; the first that fits counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules<T>(Vec<Rule<T>>);

impl<T> Default for Rules<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Rules<T> {
    /// Reads rules of the form `field=pattern field=pattern -> verdict`, separated by `;` or by
    /// line ends. No condition at all fits every job.
    ///
    /// # Errors
    /// Says which rule cannot be read and why; none is taken then.
    pub fn parse(text: &str, verdict: impl Fn(&str) -> Result<T, String>) -> Result<Self, String> {
        let written = text
            .split([';', '\n'])
            .map(str::trim)
            .filter(|rule| !rule.is_empty());
        let mut rules = Vec::new();
        for rule in written {
            if rules.len() == MAX_RULES {
                return Err(format!("there are more than {MAX_RULES} rules"));
            }
            let why = |why| format!("in the rule `{rule}`: {why}");
            let (conditions, then) = rule.split_once("->").ok_or_else(|| {
                why("it has no `->` between what it selects and what holds".into())
            })?;
            rules.push(Rule {
                conditions: conditions
                    .split_whitespace()
                    .map(Condition::parse)
                    .collect::<Result<_, _>>()
                    .map_err(why)?,
                verdict: verdict(then.trim()).map_err(why)?,
            });
        }
        Ok(Self(rules))
    }

    /// What the first rule that fits says.
    #[must_use]
    pub fn find(&self, subject: &Subject<'_>) -> Option<&T> {
        self.0
            .iter()
            .find(|rule| rule.fits(subject))
            .map(|rule| &rule.verdict)
    }

    /// What every rule that fits says, in their order.
    pub fn fitting<'a>(&'a self, subject: &'a Subject<'_>) -> impl Iterator<Item = &'a T> {
        let fitting = self.0.iter().filter(|rule| rule.fits(subject));
        fitting.map(|rule| &rule.verdict)
    }

    /// What the first rule says that looks at nothing but the queue and fits this one.
    #[must_use]
    pub fn of_queue(&self, queue: &str) -> Option<&T> {
        let fits = |one: &Condition| one.field == Field::Queue && is_like(&one.pattern, queue);
        let found = self.0.iter().find(|rule| rule.conditions.iter().all(fits));
        found.map(|rule| &rule.verdict)
    }

    /// Whether any of them looks at routes.
    #[must_use]
    pub fn look_at_routes(&self) -> bool {
        let mut conditions = self.0.iter().flat_map(|rule| &rule.conditions);
        conditions.any(|condition| condition.field == Field::Route)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Result<u32, String> {
        text.parse()
            .map_err(|_bad| format!("`{text}` is no number"))
    }

    fn subject<'a>(queue: &'a QueueName, kind: &'a Kind, tenant: Option<&'a str>) -> Subject<'a> {
        Subject {
            queue,
            kind: Some(kind),
            priority: Priority::default(),
            tenant,
            namespace: None,
            route: Some("/orders/{id}"),
        }
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rules = Rules::parse(
            "queue=mail kind=send_* -> 1; tenant=acme -> 2\n route=/orders/* priority=2 -> 3; -> 4",
            number,
        )
        .unwrap();
        let (mail, orders): (QueueName, QueueName) =
            ("mail".parse().unwrap(), "orders".parse().unwrap());
        let (send, other): (Kind, Kind) =
            ("send_welcome".parse().unwrap(), "other".parse().unwrap());
        let find = |queue, kind, tenant| rules.find(&subject(queue, kind, tenant)).copied();
        assert_eq!(find(&mail, &send, Some("acme")), Some(1));
        assert_eq!(find(&mail, &other, Some("acme")), Some(2));
        assert_eq!(find(&orders, &send, None), Some(3));
        let bare = Subject {
            route: None,
            ..subject(&orders, &send, None)
        };
        assert_eq!(rules.find(&bare), Some(&4));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let cases = [
            ("queue=mail", "no `->`"),
            ("colour=red -> 1", "`colour` is none of queue, kind"),
            ("queue -> 1", "not `field=pattern`"),
            ("queue= -> 1", "no pattern"),
            ("queue=mail -> much", "`much` is no number"),
            ("priority=high -> 1", "`high` is no priority"),
        ];
        for (text, part) in cases {
            let error = Rules::parse(text, number).unwrap_err();
            assert!(error.contains(part), "{error}");
            assert!(error.contains(text), "{error}");
        }
        let many = "-> 1;".repeat(MAX_RULES + 1);
        assert!(Rules::parse(&many, number).is_err());
    }

    #[test]
    fn patterns_stand_for_any_text() {
        let cases = [
            ("*", "", true),
            ("a*", "a", true),
            ("a*b", "ab", true),
            ("a*b", "axxb", true),
            ("a*b", "axxbc", false),
            ("*b*", "abc", true),
            ("a*a", "a", false),
            ("*aab", "aaab", true),
            ("mail", "mails", false),
        ];
        for (pattern, text, fits) in cases {
            assert_eq!(is_like(pattern, text), fits, "{pattern} {text}");
        }
    }
}
