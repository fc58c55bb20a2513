//! What attributes are found by: a number that stands for a key and a value.

use std::fmt::Write as _;

use longshore_instrument::{AttributeValue, Span};
use longshore_trace::otlp::{ResourceView, SpanView, Value};
use longshore_trace::query::Sought;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Stands for a key and a value; others may have the same.
pub(crate) type Token = u32;

/// The upper half of the XXH3 of the value, whose seed is the XXH3 of the key. Sealed files hold it:
/// it stays what it is.
pub(crate) fn token(key: &str, value: &str) -> Token {
    let hash = xxh3_64_with_seed(value.as_bytes(), xxh3_64(key.as_bytes()));
    (hash >> 32) as Token
}

/// How many tokens are remembered as those that came last.
const RECENT: usize = 1024;

/// Gathers the tokens of spans, each once or a few times.
#[derive(Debug)]
pub(crate) struct Tokens {
    found: Vec<Token>,
    /// Those that came last, each at a place that it names: most spans say what others said.
    recent: Box<[Token]>,
    number: String,
    /// The resource that came last, what it says, and whether that is among what was found.
    resource: Vec<u8>,
    of_resource: Vec<Token>,
    has_resource: bool,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            found: Vec::new(),
            recent: vec![0; RECENT].into(),
            number: String::new(),
            resource: Vec::new(),
            of_resource: Vec::new(),
            has_resource: false,
        }
    }
}

impl Tokens {
    /// Adds what a span, its resource and its events say.
    pub(crate) fn add(&mut self, span: &SpanView<'_>) {
        self.put(token(Sought::NAME, span.name));
        for (key, value) in span.attributes() {
            self.add_value(key, value);
        }
        for event in span.events() {
            for (key, value) in event.attributes() {
                self.add_value(key, value);
            }
        }
        self.add_resource(span.resource);
    }

    /// The same of a span that was read from a sealed file.
    pub(crate) fn add_whole(&mut self, span: &Span) {
        self.put(token(Sought::NAME, &span.name));
        let of_events = span.events.iter().flat_map(|event| &event.attributes);
        let resource = span.resource.as_deref();
        let of_resource = resource
            .into_iter()
            .flat_map(|resource| &resource.attributes);
        for attribute in span.attributes.iter().chain(of_events).chain(of_resource) {
            self.add_attribute(&attribute.key, &attribute.value);
        }
    }

    fn add_resource(&mut self, resource: ResourceView<'_>) {
        if resource.bytes() != self.resource {
            resource.bytes().clone_into(&mut self.resource);
            self.has_resource = false;
            let before = std::mem::take(&mut self.found);
            self.recent.fill(0);
            for (key, value) in resource.attributes() {
                self.add_value(key, value);
            }
            self.of_resource = std::mem::replace(&mut self.found, before);
        }
        if !self.has_resource {
            self.has_resource = true;
            self.found.extend_from_slice(&self.of_resource);
        }
    }

    fn add_value(&mut self, key: &str, value: Value<'_>) {
        match value {
            Value::Text(text) => self.put(token(key, text)),
            Value::Bool(yes) => self.put(token(key, if yes { "true" } else { "false" })),
            Value::Int(number) => self.add_number(key, format_args!("{number}")),
            Value::Double(number) => self.add_number(key, format_args!("{number}")),
            value => self.add_attribute(key, &value.to_attribute()),
        }
    }

    fn add_attribute(&mut self, key: &str, value: &AttributeValue) {
        match value {
            AttributeValue::String(text) => self.put(token(key, text)),
            AttributeValue::Strings(texts) => {
                texts.iter().for_each(|text| self.put(token(key, text)));
            }
            AttributeValue::Bool(yes) => self.add_value(key, Value::Bool(*yes)),
            AttributeValue::Int(number) => self.add_value(key, Value::Int(*number)),
            AttributeValue::Double(number) => self.add_value(key, Value::Double(*number)),
        }
    }

    fn add_number(&mut self, key: &str, number: std::fmt::Arguments<'_>) {
        self.number.clear();
        let _never = self.number.write_fmt(number);
        let token = token(key, &self.number);
        self.put(token);
    }

    fn put(&mut self, token: Token) {
        let Some(recent) = self.recent.get_mut(token as usize % RECENT) else {
            return;
        };
        // The token 0 is as good as another, and then is there several times.
        if *recent != token || token == 0 {
            *recent = token;
            self.found.push(token);
        }
    }

    /// All of them, sorted, each once. What comes next begins anew.
    pub(crate) fn take(&mut self) -> Vec<Token> {
        self.recent.fill(0);
        self.has_resource = false;
        let mut all = std::mem::take(&mut self.found);
        all.sort_unstable();
        all.dedup();
        all
    }
}
