//! What may leave the process, decided for every value before it reaches a buffer, file or socket.
//!
//! A [`Redactor`] is asked about spans, attributes and texts. In this order: the redactors of the
//! application ([`CustomRedactor`]); the lists of allowed and blocked keys; what a key says about
//! its value (secret names and headers, statements, URLs, payloads); the search for what looks
//! like a secret; the patterns of the user; the limit of length. `docs/redaction.md` says it for
//! users.
//!
//! | to find | look in |
//! | --- | --- |
//! | what can be set | [`RedactionPolicy`] |
//! | the rules and what they find | [`Rule`] |
//! | which names are secret | `redact/key.rs` |
//! | how secrets are told in a text | `redact/scan.rs` and below |
//! | statements without literals | `redact/sql.rs` |
//!
//! Redacting twice changes nothing. A text that holds no secret is not copied, and costs two to
//! three nanoseconds a byte.
//!
//! ```
//! use longshore_telemetry::redact::{RedactionPolicy, Redactor};
//!
//! let (redactor, _warnings) = Redactor::new(&RedactionPolicy::default());
//! let line = redactor.text("login of ada@example.com with password=enigma42 failed");
//! assert_eq!(line, "login of [REDACTED:email] with password=[REDACTED:secret] failed");
//! ```

mod baggage;
mod key;
mod list;
mod mark;
mod memory;
pub(crate) mod pattern;
pub(crate) mod policy;
mod rule;
mod scan;
mod span;
mod sql;
mod text;
mod url;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use longshore_instrument::AttributeValue;
use longshore_instrument::table::{ATTRIBUTES, Sensitivity};
use ring::hmac;

pub use policy::{CustomRedactor, RedactionPolicy, Verdict};
pub use rule::{Action, Rule};

use crate::Warning;
use key::KeyClass;
use list::KeyList;
use memory::Memory;
use pattern::Patterns;
use rule::Tally;
use text::cut;

/// How often a text is redacted at most until nothing changes.
const ROUNDS: usize = 8;
/// Places in the table of keys.
const BUCKETS: usize = 128;
/// What stands at the end of a text that was cut.
const CUT: char = '…';

/// Decides what may leave. Shared by all who send; see the [module](self).
#[derive(Debug)]
pub struct Redactor {
    redactors: Vec<Arc<dyn CustomRedactor>>,
    allowed: Option<KeyList>,
    blocked: KeyList,
    patterns: Patterns,
    actions: BTreeMap<Rule, Action>,
    hash_key: Option<hmac::Key>,
    redact_payloads: bool,
    sanitize_sql: bool,
    max_length: usize,
    /// The attributes of the table, by [`bucket`].
    known: Vec<Vec<(&'static str, Plan)>>,
    memory: Memory,
    tally: Tally,
}

/// What is to be done with the value of a key.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// The key itself is the reason that the value does not leave.
    refused: Option<Rule>,
    class: KeyClass,
    /// If the engine wrote it, it is made of bounded words and numbers.
    safe: bool,
}

/// What became of a text.
enum Outcome {
    Same,
    Changed(String),
    Gone,
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new(&RedactionPolicy::default()).0
    }
}

impl Redactor {
    /// A redactor that follows a policy. If a pattern is wrong, that is a warning, and no text
    /// leaves: what it was to hide cannot be known.
    #[must_use]
    pub fn new(policy: &RedactionPolicy) -> (Self, Vec<Warning>) {
        let mut redactor = Self {
            redactors: policy.redactors().to_vec(),
            allowed: policy.allowed_attributes.as_deref().map(KeyList::new),
            blocked: KeyList::new(&policy.blocked_attributes),
            patterns: Patterns::new(&policy.patterns),
            actions: (Rule::ALL.iter())
                .map(|rule| (*rule, policy.action(*rule)))
                .collect(),
            hash_key: policy
                .hash_key()
                .map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)),
            redact_payloads: policy.redact_payloads,
            sanitize_sql: policy.sanitize_sql,
            max_length: policy.max_attribute_length.max(1),
            known: vec![Vec::new(); BUCKETS],
            memory: Memory::default(),
            tally: Tally::default(),
        };
        for attribute in ATTRIBUTES {
            let is_listed = |list: &KeyList| list.has_attribute(attribute);
            let plan = Plan {
                refused: redactor.refusal(is_listed),
                class: KeyClass::Plain,
                safe: attribute.sensitivity == Sensitivity::Safe,
            };
            if let Some(bucket) = redactor.known.get_mut(bucket(attribute.key)) {
                bucket.push((attribute.key, plan));
            }
        }
        let warning =
            |problem: String| Warning(format!("redaction hides every text, because {problem}"));
        let problems = pattern::problems(&policy.patterns);
        (redactor, problems.into_iter().map(warning).collect())
    }

    /// A text without what may not leave: an error's message, what a program printed, a line of a
    /// log, the name of a span. Nothing is copied if nothing is found.
    #[must_use]
    pub fn text<'text>(&self, text: &'text str) -> Cow<'text, str> {
        match self.string("", text, KeyClass::Plain) {
            Outcome::Same => Cow::Borrowed(text),
            Outcome::Changed(redacted) => Cow::Owned(redacted),
            Outcome::Gone => Cow::Borrowed(""),
        }
    }

    /// A value that has a key: a field of a log line, a label of a metric or exemplar, an attribute
    /// of the resource. `None` if the pair may not leave at all.
    #[must_use]
    pub fn pair<'value>(&self, key: &str, value: &'value str) -> Option<Cow<'value, str>> {
        let plan = self.plan(key);
        let outcome = match plan.refused {
            Some(rule) => self.refused(rule, value),
            None => self.string(key, value, plan.class),
        };
        match outcome {
            Outcome::Same => Some(Cow::Borrowed(value)),
            Outcome::Changed(redacted) => Some(Cow::Owned(redacted)),
            Outcome::Gone => None,
        }
    }

    /// Redacts the value of an attribute in place; `false` if it may not leave at all.
    #[must_use]
    pub fn attribute(&self, key: &str, value: &mut AttributeValue) -> bool {
        self.value(key, value, false)
    }

    /// How often each rule applied; only rules that did.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Rule, u64> {
        self.tally.snapshot()
    }

    fn value(&self, key: &str, value: &mut AttributeValue, by_engine: bool) -> bool {
        self.planned(self.plan(key), key, value, by_engine)
    }

    /// The same of a key whose plan is known.
    #[inline]
    fn planned(&self, plan: Plan, key: &str, value: &mut AttributeValue, by_engine: bool) -> bool {
        if !self.redactors.is_empty() && !self.ask(key, value) {
            return false;
        }
        if let Some(rule) = plan.refused {
            return self.replace(rule, value);
        }
        if plan.safe && by_engine {
            return true;
        }
        match value {
            AttributeValue::Bool(_) => true,
            AttributeValue::Int(number) => {
                let is_card = scan::is_card_number(*number);
                self.number(value, plan.class, is_card)
            }
            AttributeValue::Double(number) => {
                // Whole numbers up to here are exact.
                let whole = number.fract() == 0.0 && (0.0..9.0e18).contains(number);
                let is_card = whole && scan::is_card_number(*number as i64);
                self.number(value, plan.class, is_card)
            }
            AttributeValue::String(text) => match self.checked(text, plan.class) {
                Outcome::Same => true,
                Outcome::Changed(redacted) => {
                    *text = Cow::Owned(redacted);
                    true
                }
                Outcome::Gone => false,
            },
            AttributeValue::Strings(texts) => {
                self.list(texts, plan.class);
                true
            }
        }
    }

    /// What the application's redactors make of a value; `false` if it may not leave.
    fn ask(&self, key: &str, value: &mut AttributeValue) -> bool {
        for redactor in &self.redactors {
            let verdict = catch_unwind(AssertUnwindSafe(|| redactor.redact(key, value)));
            match verdict {
                Ok(Verdict::Keep) => {}
                Ok(Verdict::Replace(other)) => {
                    self.tally.add(Rule::Custom);
                    *value = other;
                }
                Ok(Verdict::Drop) => {
                    self.tally.add(Rule::Custom);
                    return false;
                }
                Err(_panic) => {
                    self.tally.add(Rule::Custom);
                    let mut masked = String::new();
                    mark::write(&mut masked, Rule::Custom, Action::Mask, None, "");
                    *value = AttributeValue::from(masked);
                    return true;
                }
            }
        }
        true
    }

    #[inline]
    fn plan(&self, key: &str) -> Plan {
        let bucket = self.known.get(bucket(key)).map_or(&[][..], Vec::as_slice);
        if let Some((_, plan)) = bucket.iter().find(|(known, _)| *known == key) {
            return *plan;
        }
        self.memory.plan(key).unwrap_or_else(|| self.new_plan(key))
    }

    /// Whether the table has the key.
    fn is_known(&self, key: &str) -> bool {
        let bucket = self.known.get(bucket(key)).map_or(&[][..], Vec::as_slice);
        bucket.iter().any(|(known, _)| *known == key)
    }

    fn new_plan(&self, key: &str) -> Plan {
        let class = match key::classify(key) {
            KeyClass::Payload if !self.redact_payloads => KeyClass::Plain,
            KeyClass::Sql if !self.sanitize_sql => KeyClass::Plain,
            class => class,
        };
        let safe = false;
        let refused = self.refusal(|list| list.has(key));
        Plan {
            refused,
            class,
            safe,
        }
    }

    fn refusal(&self, is_listed: impl Fn(&KeyList) -> bool) -> Option<Rule> {
        if !self.blocked.is_empty() && is_listed(&self.blocked) {
            return Some(Rule::Blocked);
        }
        let allowed = self.allowed.as_ref()?;
        (!is_listed(allowed)).then_some(Rule::NotAllowed)
    }

    /// What stands in the place of a whole value.
    fn refused(&self, rule: Rule, value: &str) -> Outcome {
        if value.is_empty() || mark::is_mark(value) {
            return match self.action(rule) {
                Action::Drop => Outcome::Gone,
                _ => Outcome::Same,
            };
        }
        self.tally.add(rule);
        match self.action(rule) {
            Action::Drop => Outcome::Gone,
            action => {
                let mut out = String::new();
                mark::write(&mut out, rule, action, self.hash_key.as_ref(), value);
                Outcome::Changed(out)
            }
        }
    }

    fn replace(&self, rule: Rule, value: &mut AttributeValue) -> bool {
        let text: Cow<'_, str> = match value {
            AttributeValue::String(text) => Cow::Borrowed(&**text),
            AttributeValue::Int(number) => Cow::Owned(number.to_string()),
            AttributeValue::Double(number) => Cow::Owned(number.to_string()),
            AttributeValue::Bool(yes) => Cow::Owned(yes.to_string()),
            AttributeValue::Strings(texts) => Cow::Owned(texts.join(",")),
        };
        match self.refused(rule, &text) {
            Outcome::Same => true,
            Outcome::Changed(mark) => {
                *value = AttributeValue::from(mark);
                true
            }
            Outcome::Gone => false,
        }
    }

    fn number(&self, value: &mut AttributeValue, class: KeyClass, is_card: bool) -> bool {
        match rule_of(class) {
            Some(rule) => self.replace(rule, value),
            None if is_card => self.replace(Rule::Card, value),
            None => true,
        }
    }

    /// The elements of a list. One that is a flag for a secret, such as `--password`, tells that
    /// the next is one.
    fn list(&self, texts: &mut Vec<Cow<'static, str>>, class: KeyClass) {
        let mut after_flag = false;
        texts.retain_mut(|text| {
            let class = if after_flag { KeyClass::Secret } else { class };
            after_flag = text.strip_prefix('-').is_some_and(|flag| {
                !flag.contains(['=', ' ']) && key::classify_word(flag) != KeyClass::Plain
            });
            match self.checked(text, class) {
                Outcome::Same => true,
                Outcome::Changed(redacted) => {
                    *text = Cow::Owned(redacted);
                    true
                }
                Outcome::Gone => false,
            }
        });
    }

    /// What becomes of a text: first the application is asked, then the rules.
    fn string(&self, key: &str, text: &str, class: KeyClass) -> Outcome {
        if self.redactors.is_empty() {
            return self.checked(text, class);
        }
        let mut value = AttributeValue::from(text.to_owned());
        if !self.ask(key, &mut value) {
            return Outcome::Gone;
        }
        let answer = match value {
            AttributeValue::String(answer) => answer.into_owned(),
            AttributeValue::Strings(texts) => texts.join(","),
            AttributeValue::Int(number) => number.to_string(),
            AttributeValue::Double(number) => number.to_string(),
            AttributeValue::Bool(yes) => yes.to_string(),
        };
        match self.checked(&answer, class) {
            Outcome::Same if answer == text => Outcome::Same,
            Outcome::Same => Outcome::Changed(answer),
            other => other,
        }
    }

    fn checked(&self, text: &str, class: KeyClass) -> Outcome {
        if let Some(rule) = rule_of(class) {
            return self.refused(rule, text);
        }
        let is_plain = class == KeyClass::Plain;
        if is_plain && self.memory.is_plain(text) {
            return Outcome::Same;
        }
        match self.settled(text, class) {
            Some(settled) => Outcome::Changed(settled),
            None => {
                if is_plain {
                    self.memory.note_plain(text);
                }
                Outcome::Same
            }
        }
    }

    /// The text as it is when nothing more is to be hidden; `None` if nothing was.
    fn settled(&self, text: &str, class: KeyClass) -> Option<String> {
        let mut settled = self.once(text, class)?;
        for _ in 0..ROUNDS {
            match self.once(&settled, class) {
                Some(next) => settled = next,
                None => return Some(settled),
            }
        }
        let mut masked = String::new();
        self.tally.add(Rule::Bound);
        mark::write(&mut masked, Rule::Bound, Action::Mask, None, &settled);
        Some(masked)
    }

    /// One round; `None` if it changes nothing.
    fn once(&self, text: &str, class: KeyClass) -> Option<String> {
        let mut now = match class {
            KeyClass::Sql => Cow::Owned(self.statement(text)),
            KeyClass::Url => url::sanitized(text, &|piece, kind, out| self.piece(piece, kind, out)),
            KeyClass::UrlQuery => Cow::Owned(url::sanitized_query(text, &|piece, kind, out| {
                self.piece(piece, kind, out);
            })),
            _ => Cow::Borrowed(text),
        };
        if class != KeyClass::Sql
            && let Some(next) = self.searched(&now)
        {
            now = Cow::Owned(next);
        }
        let hits = self.patterns.find(&now);
        if !hits.is_empty() {
            now = Cow::Owned(self.without(&now, &hits, now.len()));
        }
        if let Some(cut) = cut(&now, self.max_length) {
            now = Cow::Owned(format!("{}{CUT}", now.get(..cut).unwrap_or_default()));
        }
        match now {
            Cow::Owned(now) if now != text => Some(now),
            _ => None,
        }
    }

    fn action(&self, rule: Rule) -> Action {
        self.actions.get(&rule).copied().unwrap_or_default()
    }
}

/// Where the table has a key: no more than three of its keys share a place.
#[inline]
fn bucket(key: &str) -> usize {
    let bytes = key.as_bytes();
    let at = |place: usize| bytes.get(place).copied().map_or(0, usize::from);
    let (middle, last) = (at(bytes.len() / 2), at(bytes.len().saturating_sub(1)));
    (bytes.len() * 7 + middle * 3 + last) % BUCKETS
}

/// The rule by which a value is hidden because of its key alone.
const fn rule_of(class: KeyClass) -> Option<Rule> {
    match class {
        KeyClass::Secret | KeyClass::SecretLine => Some(Rule::SecretKey),
        KeyClass::Payload => Some(Rule::Payload),
        KeyClass::SqlParameter => Some(Rule::Sql),
        KeyClass::Plain | KeyClass::Sql | KeyClass::Url | KeyClass::UrlQuery => None,
    }
}

#[cfg(test)]
mod tests;
